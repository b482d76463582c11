#!/bin/sh
# Builds game.wasm and ai.wasm from their sources.
#
#   build.sh [FOLDER]     writes into FOLDER; by default beside this script
#
# RUSTC, CLANG and WASM_LD choose the tools. On Debian: apt install rustc
# libstd-rust-dev-wasm32 clang lld. Exit status 77: a tool is missing.
#
# Paths are cut out of what is built, and each tool is called by itself: clang
# as a linker would run any wasm-opt that it finds, and versions differ.
#
# SPDX-License-Identifier: MIT
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT

missing() {
    echo "build.sh: $1" >&2
    exit 77
}

# The first of its arguments that is a command.
first() {
    for tool in "$@"; do
        if [ -n "$tool" ] && command -v "$tool"; then
            return
        fi
    done
}

# The first rustc that has the standard library for wasm32.
find_rustc() {
    for tool in "${RUSTC:-}" /usr/bin/rustc rustc; do
        library=$("${tool:-false}" --target wasm32-unknown-unknown \
            --print target-libdir 2>/dev/null) || continue
        if [ -d "$library" ]; then
            echo "$tool"
            return
        fi
    done
}

rustc=$(find_rustc)
clang=$(first "${CLANG:-}" clang-19 clang-18 clang-17 clang-16 clang-15 clang-14 clang)
ld=$(first "${WASM_LD:-}" wasm-ld-19 wasm-ld-18 wasm-ld-17 wasm-ld-16 wasm-ld-15 \
    wasm-ld-14 wasm-ld)
[ -n "$rustc" ] || missing "no rustc with the wasm32-unknown-unknown target"
[ -n "$clang" ] || missing "no clang"
[ -n "$ld" ] || missing "no wasm-ld; it comes with lld"
"$clang" --target=wasm32 -c -x c /dev/null -o "$objects/empty.o" 2>/dev/null ||
    missing "$clang does not know wasm32"

# A rustc from rustup brings its linker along; Debian's wants that of its LLVM.
set --
if [ -z "$(find "$("$rustc" --print sysroot)/lib/rustlib" -name rust-lld)" ]; then
    set -- -C linker="$(first wasm-ld-14 "$ld")"
fi

cd "$here"
"$rustc" --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib \
    -O -C panic=abort -C strip=symbols -C link-arg=-zstack-size=65536 "$@" \
    --remap-path-prefix="$here"=. -o "$out/game.wasm" game/game.rs

"$clang" --target=wasm32 -std=c11 -O2 -ffreestanding \
    -Wall -Wextra -Wpedantic -ffile-prefix-map="$here"=. \
    -c -o "$objects/ai.o" ai/ai.c
"$ld" --no-entry --strip-all --stack-first -z stack-size=16384 \
    -o "$out/ai.wasm" "$objects/ai.o"

chmod 644 "$out/game.wasm" "$out/ai.wasm"
ls -l "$out/game.wasm" "$out/ai.wasm"
