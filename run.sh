W=/work/wt/core/build/release/bin/weir
for f in *.npy *.npz *.safetensors *.csv; do
 m=m.weir; case $f in c64*|be*|u16*) m=i.weir;; esac
 echo "== $f: $( (ulimit -v 6000000; timeout 20 $W run $m --input x=$f 2>&1) | head -3 | cut -c1-230 | tr '\n' '|') rc=${PIPESTATUS[0]}"
done
