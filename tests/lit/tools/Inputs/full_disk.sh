# full_disk.sh FOLDER WEIR LARGE SMALL: compiles SMALL onto a disk of 64 KiB, and then LARGE in its place.
mount -t tmpfs -o size=64k weir "$1" && cd "$1" || exit 1
"$2" compile "$4" -o m.o --prefix m || exit 1
cp m.o m.h ..
"$2" compile "$3" -o m.o --prefix m
echo "status $?"
ls
cmp m.o ../m.o && cmp m.h ../m.h && echo "as it was"
