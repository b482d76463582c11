"""Operands at which instructions go wrong, as bits."""

from __future__ import annotations

import struct

I8 = (0, 1, 2, 3, 7, 8, 15, 16, 17, 0x3F, 0x40, 0x55, 0x7E, 0x7F, 0x80, 0x81, 0xAA, 0xFE, 0xFF)
I16 = (*I8, 0x100, 0x101, 0x1234, 0x4000, 0x5A82, 0x7F80, 0x7FFF, 0x8000, 0x8001, 0xFF7F, 0xFFFF)
I32 = (
    *(0, 1, 2, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000),
    *(0x12345678, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFF8000, 0xFFFFFFBF, 0xFFFFFFC0),
    *(0xFFFFFFFE, 0xFFFFFFFF),
)
I64 = (
    *(0, 1, 2, 31, 32, 63, 64, 65, 0x7F, 0x80, 0x8000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    *(1 << 32, (1 << 53) - 1, (1 << 53) + 1, 0x123456789ABCDEF0, (1 << 63) - 1, 1 << 63),
    *((1 << 63) + 1, (1 << 64) - 65, (1 << 64) - 64, (1 << 64) - (1 << 31), (1 << 64) - 1),
)


def f32(x: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", x))[0])


def f64(x: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", x))[0])


_SIZES = (0.0, 0.5, 1.0, 1.5, 2.5, 3.0)
F32 = (
    *(f32(s * x) for x in _SIZES for s in (1, -1)),
    *(1, 0x80000001, 0x7FFFFF, 0x800000, 0x3F7FFFFF, 0x3F800001, 0x7F7FFFFF, 0xFF7FFFFF),
    *(0x3EFFFFFF, 0x4AFFFFFF, 0x4B000001, f32(-8388609.0)),
    *(0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FA00000, 0xFF800001, 0x7FFFFFFF),
)
F64 = (
    *(f64(s * x) for x in _SIZES for s in (1, -1)),
    *(1, 0x8000000000000001, (1 << 52) - 1, 1 << 52, f64(1) - 1, f64(1) + 1),
    *((0x7FF << 52) - 1, (0xFFF << 52) - 1, f64(0.5) - 1, f64(2.0**52) - 1, f64(2.0**53) - 1),
    *(0x7FF << 52, 0xFFF << 52, 0xFFF << 51, 0xFFF8 << 48, 0x7FF4 << 48, (0xFFF << 52) | 1),
    0x7FFFFFFFFFFFFFFF,
)
EDGES = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}

# Where conversions change their mind: the powers of two of the integers, what
# is next to them, what rounds to even.
_POWERS = (7, 8, 15, 16, 23, 24, 30, 31, 32, 33, 52, 53, 54, 62, 63, 64, 65)
_AROUND_F32 = tuple(
    f32(s * 2.0**p) + d for p in (-1, 0, *_POWERS) for s in (1, -1) for d in (-1, 0, 1)
)
_AROUND_F64 = tuple(
    f64(s * x) + d
    for p in (-1, 0, *_POWERS)
    for s in (1, -1)
    for x in (2.0**p, 2.0**p - 1, 2.0**p - 0.5, 2.0**p + 1)
    for d in (-1, 0, 1)
    if x
)
# To f32: overflow, denormals, halves of a unit.
_DEMOTED = tuple(
    f64(s * float.fromhex(x)) + d
    for x in (
        *("0x1.fffffep127", "0x1.ffffffp127", "0x1p128", "0x1p-126", "0x1p-127", "0x1p-149"),
        *("0x1p-150", "0x1.8p-149", "0x1.000001p0", "0x1.000003p0", "0x1.fffffdp-127"),
    )
    for s in (1, -1)
    for d in (-1, 0, 1)
)
_LONG = (
    *(
        ((1 << p) + d) & 0xFFFFFFFFFFFFFFFF
        for p in (24, 25, 31, 32, 53, 54, 55, 62, 63, 64)
        for d in (-(1 << 10) - 1, -(1 << 10), -(1 << 9), -1, 0, 1, 2, 3, 1 << 8, (1 << 8) + 1)
    ),
    # To f32, rounded at once: by way of f64 they would be ties.
    *((1 << p) + (1 << (p - 24)) + d for p in (54, 62, 63) for d in (-1, 0, 1)),
    *((1 << p) + (3 << (p - 24)) + d for p in (54, 62, 63) for d in (-1, 0, 1)),
    (1 << 24) + 3,
)
UNARY_EDGES = {
    "i32": (*I32, *sorted({x & 0xFFFFFFFF for x in _LONG})),
    "i64": (*I64, *_LONG, *((1 << 64) - x for x in _LONG if x)),
    "f32": (*F32, *_AROUND_F32),
    "f64": (*F64, *_AROUND_F64, *_DEMOTED),
}
WIDE_EDGES = (0, 1, 2, (1 << 32) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1)
