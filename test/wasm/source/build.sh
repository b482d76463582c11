#!/bin/sh
# Makes the modules of this folder, in the folder given or here: shapes_N.wasm
# with DWARF version N (clang 19, wasm-ld), checked.wasm (rustc 1.63).
set -eu
cd "$(dirname "$0")"
out=${1:-.}
for version in 2 3 4 5; do
    clang-19 --target=wasm32 -O1 "-gdwarf-$version" -nostdlib -Wl,--no-entry \
        -fdebug-compilation-dir=/src shapes.c -o "$out/shapes_$version.wasm"
done
/usr/bin/rustc --target wasm32-unknown-unknown --crate-type cdylib -O -g -C panic=abort -C lto \
    -C codegen-units=1 --remap-path-prefix "$PWD=/src" checked.rs -o "$out/checked.wasm"
