# fails.sh COMMAND...: whether the command ends with exit code 1, as what is wrong ends with, and not with another one or by
# a signal.
"$@"
code=$?
test "$code" -eq 1 && exit 0
echo "exit code $code, and 1 was expected" >&2
exit 1
