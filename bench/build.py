"""Build the kernels: shared libraries by gcc and clang into build/, WebAssembly by clang.

The WebAssembly modules are committed, so that a machine without clang can run the benchmarks;
``--wasm`` makes them anew. Run without arguments to build what the compilers at hand can.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
from collections.abc import Iterable

from native import SAME_MEANING, WARNINGS, build_all, clang, native_compilers
from suite import KERNELS, Kernel

# The instruction set that all engines here know: no SIMD, no bulk memory (hence -fno-builtin,
# which keeps clang from calling memset), and one-byte table indices (no reference types).
WASM = [
    "--target=wasm32",
    "-mcpu=mvp",
    "-mmutable-globals",
    "-msign-ext",
    "-O2",
    "-ffreestanding",
    "-fno-builtin",
    "-nostdlib",
    *SAME_MEANING,
    "-Wl,--no-entry",
    "-Wl,--strip-all",
    "-Wl,--no-growable-memory",
    "-Wl,-z,stack-size=16384",
]


def build_wasm(kernel: Kernel) -> None:
    """Compile one kernel to WebAssembly."""
    command = clang()
    if command is None:
        sys.exit("build.py: --wasm needs clang and wasm-ld (version 19 made the committed modules)")
    kernel.wasm.parent.mkdir(exist_ok=True)
    # The source is named relative to its folder, so that no path of this machine gets in.
    subprocess.run(
        [command, *WASM, *WARNINGS, kernel.source.name, "-o", str(kernel.wasm)],
        cwd=kernel.source.parent,
        check=True,
    )
    kernel.wasm.chmod(0o644)


def call_native(kernel: Kernel, compiler: str, n: int) -> int:
    """Return the checksum that the native kernel computes."""
    function = ctypes.CDLL(str(kernel.library(compiler))).kernel
    function.restype = ctypes.c_uint32
    return int(function(ctypes.c_uint32(n)))


def print_checksums(compilers: Iterable[str]) -> None:
    """Print the checksums, as ``suite.py`` lists them, by each native compiler."""
    for kernel in KERNELS:
        for n in (kernel.n, kernel.quick):
            values = {name: f"{call_native(kernel, name, n):#010x}" for name in compilers}
            print(kernel.name, n, values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wasm", action="store_true", help="make the committed modules anew")
    parser.add_argument("--checksums", action="store_true", help="print what native code returns")
    options = parser.parse_args()

    if options.wasm:
        for kernel in KERNELS:
            build_wasm(kernel)
    compilers = native_compilers()
    build_all(compilers)
    if options.checksums:
        print_checksums(compilers)
    print(f"{len(KERNELS)} kernels, native by {', '.join(compilers) or 'no compiler'}")


if __name__ == "__main__":
    main()
