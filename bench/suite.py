"""The table of kernels: sizes and the checksums that every engine must return."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common import BENCH, BUILD


@dataclass(frozen=True)
class Kernel:
    """One kernel, ``kernels/<name>.c``.

    `n` is the argument of a full run (12 to 200 ms when compiled by gcc), `quick` that of a
    quick run (about a tenth of the work); the checksums are what ``kernel(n)`` returns.
    """

    name: str
    n: int
    checksum: int
    quick: int
    quick_checksum: int

    def size(self, quick: bool) -> tuple[int, int]:
        """Return the argument and the checksum expected for it."""
        return (self.quick, self.quick_checksum) if quick else (self.n, self.checksum)

    @property
    def source(self) -> Path:
        return BENCH / "kernels" / f"{self.name}.c"

    @property
    def wasm(self) -> Path:
        return BENCH / "kernels" / "wasm" / f"{self.name}.wasm"

    def library(self, compiler: str) -> Path:
        """Return where ``build.py`` puts the shared library made by `compiler`."""
        return BUILD / compiler / f"{self.name}.so"


# fmt: off
KERNELS = (
    #      name               n    checksum   quick    checksum
    Kernel("fib",            37, 0x01709e79,      32, 0x00213d05),
    Kernel("sieve",    14000000, 0x4c3498cc, 1600000, 0x9ffed8bc),
    Kernel("matmul",         25, 0xa8611fbe,       3, 0x451820b0),
    Kernel("gemm",          150, 0x92eff5c7,      15, 0x593e1203),
    Kernel("nbody",     1000000, 0xbca56c99,  100000, 0x51f2546e),
    Kernel("fannkuch",        5, 0x87307478,       1, 0x079ba75e),
    Kernel("mandel",        800, 0x8c71e6f6,     250, 0xa8033b26),
    Kernel("sha",        300000, 0xbde48e4c,   30000, 0xfd2ba58b),
    Kernel("qsort",     2000000, 0x28fd76d7,  250000, 0x5689df06),
    Kernel("crc",           800, 0x614efacb,      80, 0xd79f3726),
    Kernel("hash",      4000000, 0xd498b819,  400000, 0x743cd84b),
    Kernel("vm",         100000, 0x207c7fd8,   12000, 0xf682b9df),
    Kernel("icall",      400000, 0x7be0e027,   40000, 0xe4c098eb),
    Kernel("jacobi",        400, 0x903d2f2a,      40, 0xd48979a5),
    Kernel("lz",            300, 0x12ca635a,      30, 0xcc631cbc),
    Kernel("utf8",          600, 0x46371159,      60, 0x53e6416f),
    Kernel("tree",          300, 0xb9d56851,      30, 0xcace4310),
    Kernel("spectral",      640, 0xc8821e63,     200, 0xd9da6a50),
    Kernel("isum",         5000, 0xf459f307,     500, 0x814ae990),
    Kernel("bignum",      11000, 0xf71ddd89,    1100, 0xcbc6a2c4),
)
# fmt: on

BY_NAME = {kernel.name: kernel for kernel in KERNELS}
