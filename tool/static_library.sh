#!/bin/sh
# static_library.sh OUT.a ARCHIVE...: one object in which all hidden names are
# local, so that an embedder's own names cannot replace the library's.
set -e
out=$1; shift
object=$out.o
ld -r -o "$object" --whole-archive "$@"
objcopy --localize-hidden "$object"
rm -f "$out"
ar rcs "$out" "$object"
rm "$object"
