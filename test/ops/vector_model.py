"""What vector instructions mean, on lists of lanes.

A vector is 16 bytes; a lane is the unsigned integer of its bits.  Relaxed
instructions take the choices of the deterministic profile (WebAssembly 3.0,
appendix A.8), as Chiasm does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model import (
    F32,
    F64,
    FLOAT_BINARY,
    FLOAT_COMPARE,
    FLOAT_UNARY,
    INTEGER_COMPARE,
    Format,
    Nan,
    between,
    convert,
    fma,
    is_less,
    matches,
    signed,
    trunc_sat,
    unsigned,
)

Lane = int | Nan
Lanes = Sequence[Lane]
Part = Callable[[bytes], list[int]]

WIDTHS = {"i8x16": 8, "i16x8": 16, "i32x4": 32, "i64x2": 64, "f32x4": 32, "f64x2": 64}
FLOATS = {"f32x4": F32, "f64x2": F64}


def lanes(v: bytes, bits: int, is_signed: bool = False) -> list[int]:
    n = bits // 8
    return [int.from_bytes(v[i : i + n], "little", signed=is_signed) for i in range(0, 16, n)]


def vector(of: Sequence[int], bits: int) -> bytes:
    return b"".join(unsigned(x, bits).to_bytes(bits // 8, "little") for x in of)


@dataclass(frozen=True)
class Meaning:
    """params: v for a vector, else a scalar's type; result likewise.

    run takes vectors as bytes and scalars as integers, and gives the lanes of
    `bits` each, which may be floats of the format, or an integer.
    """

    params: tuple[str, ...]
    result: str
    run: Callable[..., Lanes | int]
    bits: int = 0
    format: Format | None = None
    shape: str = "i8x16"  # of the operands: says which edges to try

    def holds(self, got: bytes | int, want: Lanes | int) -> bool:
        if isinstance(got, int) or isinstance(want, int):
            return got == want
        found = lanes(got, self.bits)
        if self.format is None:
            return found == [x if isinstance(x, Nan) else unsigned(x, self.bits) for x in want]
        return all(matches(self.format, x, y) for x, y in zip(found, want, strict=True))


MEANINGS: dict[str, Meaning] = {}
V1, V2, V3 = ("v",), ("v", "v"), ("v", "v", "v")


def each(name: str, shape: str, n: int, run: Callable[..., Lane], is_signed: bool = False) -> None:
    """run is on the lanes of n operands, one by one."""
    bits = WIDTHS[shape]

    def on_vectors(*vs: bytes) -> Lanes:
        return [run(*x) for x in zip(*(lanes(v, bits, is_signed) for v in vs), strict=True)]

    MEANINGS[f"{shape}.{name}"] = Meaning(
        ("v",) * n, "v", on_vectors, bits, FLOATS.get(shape), shape
    )


def whole(
    name: str,
    params: tuple[str, ...],
    bits: int,
    run: Callable[..., Lanes],
    shape: str,
    format: Format | None = None,
) -> None:
    MEANINGS[name] = Meaning(params, "v", run, bits, format, shape)


def clamp(x: int, low: int, high: int) -> int:
    return min(max(x, low), high)


def clamp_to(x: int, bits: int, is_signed: bool) -> int:
    if is_signed:
        return clamp(x, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return clamp(x, 0, (1 << bits) - 1)


# ---- integer lanes


def integer_shape(s: str) -> None:
    n = WIDTHS[s]
    mask = (1 << n) - 1
    each("abs", s, 1, abs, True)
    each("neg", s, 1, lambda a: -a)
    each("add", s, 2, lambda a, b: a + b)
    each("sub", s, 2, lambda a, b: a - b)
    for name, holds in INTEGER_COMPARE.items():
        if n < 64 or name[-1] != "u":
            each(name, s, 2, lambda a, b, holds=holds: mask * holds(a, b, n))
    if n > 8:
        each("mul", s, 2, lambda a, b: a * b)
    if n < 64:
        for g in (True, False):
            u = "s" if g else "u"
            each(f"min_{u}", s, 2, min, g)
            each(f"max_{u}", s, 2, max, g)
    if n < 32:
        each("avgr_u", s, 2, lambda a, b: (a + b + 1) // 2)
        for g in (True, False):
            u = "s" if g else "u"
            each(f"add_sat_{u}", s, 2, lambda a, b, g=g: clamp_to(a + b, n, g), g)
            each(f"sub_sat_{u}", s, 2, lambda a, b, g=g: clamp_to(a - b, n, g), g)
    for name, run, g in (
        ("shl", lambda a, k: a << k, False),
        ("shr_s", lambda a, k: a >> k, True),
        ("shr_u", lambda a, k: a >> k, False),
    ):
        MEANINGS[f"{s}.{name}"] = Meaning(
            ("v", "i32"),
            "v",
            lambda v, k, run=run, g=g: [run(a, k % n) for a in lanes(v, n, g)],
            n,
            None,
            s,
        )
    MEANINGS[f"{s}.all_true"] = Meaning(V1, "i32", lambda v: int(all(lanes(v, n))), shape=s)
    MEANINGS[f"{s}.bitmask"] = Meaning(
        V1, "i32", lambda v: sum((a < 0) << i for i, a in enumerate(lanes(v, n, True))), shape=s
    )


def widening() -> None:
    for s, narrow in (("i16x8", "i8x16"), ("i32x4", "i16x8"), ("i64x2", "i32x4")):
        bits, half = WIDTHS[s], WIDTHS[narrow]
        count = 128 // bits
        for g in (True, False):
            u = "s" if g else "u"
            for name, start in (("low", 0), ("high", count)):

                def part(v: bytes, half: int = half, g: bool = g, start: int = start) -> list[int]:
                    return lanes(v, half, g)[start : start + 64 // half]

                def products(v: bytes, w: bytes, part: Part = part) -> list[int]:
                    return [a * b for a, b in zip(part(v), part(w), strict=True)]

                whole(f"{s}.extend_{name}_{narrow}_{u}", V1, bits, part, narrow)
                whole(f"{s}.extmul_{name}_{narrow}_{u}", V2, bits, products, narrow)
            if bits < 64:
                whole(
                    f"{s}.extadd_pairwise_{narrow}_{u}",
                    V1,
                    bits,
                    lambda v, half=half, g=g: sums_of_pairs(lanes(v, half, g)),
                    narrow,
                )
                whole(
                    f"{narrow}.narrow_{s}_{u}",
                    V2,
                    half,
                    lambda v, w, bits=bits, half=half, g=g: [
                        clamp_to(a, half, g) for a in lanes(v, bits, True) + lanes(w, bits, True)
                    ],
                    s,
                )


def sums_of_pairs(xs: Sequence[int]) -> list[int]:
    return [xs[i] + xs[i + 1] for i in range(0, len(xs), 2)]


def dot(v: bytes, w: bytes, bits: int) -> list[int]:
    return sums_of_pairs(
        [a * b for a, b in zip(lanes(v, bits, True), lanes(w, bits, True), strict=True)]
    )


def q15mulr(a: int, b: int) -> int:
    return clamp_to((a * b + (1 << 14)) >> 15, 16, True)


def swizzle(v: bytes, w: bytes) -> list[int]:
    return [v[i] if i < 16 else 0 for i in w]


def bit_select(v: bytes, w: bytes, mask: bytes) -> list[int]:
    return [(a & m) | (b & ~m & 0xFF) for a, b, m in zip(v, w, mask, strict=True)]


def dot_add(v: bytes, w: bytes, x: bytes) -> list[int]:
    products = [signed(p, 16) for p in dot(v, w, 8)]
    return [a + b for a, b in zip(sums_of_pairs(products), lanes(x, 32), strict=True)]


def integers() -> None:
    for s in ("i8x16", "i16x8", "i32x4", "i64x2"):
        integer_shape(s)
    widening()
    each("popcnt", "i8x16", 1, lambda a: bin(a).count("1"))
    each("q15mulr_sat_s", "i16x8", 2, q15mulr, True)
    each("relaxed_q15mulr_s", "i16x8", 2, q15mulr, True)
    whole("i32x4.dot_i16x8_s", V2, 32, lambda v, w: dot(v, w, 16), "i16x8")
    whole("i16x8.relaxed_dot_i8x16_i7x16_s", V2, 16, lambda v, w: dot(v, w, 8), "i8x16")
    whole("i32x4.relaxed_dot_i8x16_i7x16_add_s", V3, 32, dot_add, "i8x16")
    whole("i8x16.swizzle", V2, 8, swizzle, "i8x16")
    whole("i8x16.relaxed_swizzle", V2, 8, swizzle, "i8x16")
    for s in ("i8x16", "i16x8", "i32x4", "i64x2"):
        whole(f"{s}.relaxed_laneselect", V3, 8, bit_select, s)


def whole_vectors() -> None:
    def bytewise(name: str, params: tuple[str, ...], run: Callable[..., int]) -> None:
        whole(name, params, 8, lambda *vs: [run(*x) for x in zip(*vs, strict=True)], "i8x16")

    bytewise("v128.not", V1, lambda a: ~a)
    bytewise("v128.and", V2, lambda a, b: a & b)
    bytewise("v128.andnot", V2, lambda a, b: a & ~b)
    bytewise("v128.or", V2, lambda a, b: a | b)
    bytewise("v128.xor", V2, lambda a, b: a ^ b)
    whole("v128.bitselect", V3, 8, bit_select, "i8x16")
    MEANINGS["v128.any_true"] = Meaning(V1, "i32", lambda v: int(any(v)))


# ---- float lanes


def float_shape(s: str) -> None:
    f, bits = FLOATS[s], WIDTHS[s]
    mask = (1 << bits) - 1
    for name, of_one in FLOAT_UNARY.items():
        each(name, s, 1, lambda a, run=of_one: run(f, a))
    for name, of_two in FLOAT_BINARY.items():
        if name != "copysign":
            each(name, s, 2, lambda a, b, run=of_two: run(f, a, b))
    for name in ("min", "max"):
        each(f"relaxed_{name}", s, 2, lambda a, b, run=FLOAT_BINARY[name]: run(f, a, b))
    for name, holds in FLOAT_COMPARE.items():
        each(name, s, 2, lambda a, b, holds=holds: mask * holds(f, a, b))
    each("pmin", s, 2, lambda a, b: b if is_less(f, b, a) else a)
    each("pmax", s, 2, lambda a, b: b if is_less(f, a, b) else a)
    each("relaxed_madd", s, 3, lambda a, b, c: fma(f, a, b, c))
    each("relaxed_nmadd", s, 3, lambda a, b, c: fma(f, a ^ f.sign, b, c))


def conversions() -> None:
    def define(
        name: str, bits: int, run: Callable[[bytes], Lanes], shape: str, f: Format | None = None
    ) -> None:
        whole(name, V1, bits, run, shape, f)

    for g in (True, False):
        u = "s" if g else "u"

        def trunc32(v: bytes, g: bool = g) -> Lanes:
            return [trunc_sat(F32, a, 32, g) for a in lanes(v, 32)]

        def trunc64(v: bytes, g: bool = g) -> Lanes:
            return [trunc_sat(F64, a, 32, g) for a in lanes(v, 64)] + [0, 0]

        def convert32(v: bytes, g: bool = g) -> Lanes:
            return [convert(F32, a, 32, g) for a in lanes(v, 32)]

        def convert64(v: bytes, g: bool = g) -> Lanes:
            return [convert(F64, a, 32, g) for a in lanes(v, 32)[:2]]

        for name in ("trunc_sat", "relaxed_trunc"):
            define(f"i32x4.{name}_f32x4_{u}", 32, trunc32, "f32x4")
            define(f"i32x4.{name}_f64x2_{u}_zero", 32, trunc64, "f64x2")
        define(
            f"f32x4.convert_i32x4_{u}",
            32,
            convert32,
            "i32x4",
            F32,
        )
        define(
            f"f64x2.convert_low_i32x4_{u}",
            64,
            convert64,
            "i32x4",
            F64,
        )
    define(
        "f32x4.demote_f64x2_zero",
        32,
        lambda v: [*(between(F32, F64, a) for a in lanes(v, 64)), 0, 0],
        "f64x2",
        F32,
    )
    define(
        "f64x2.promote_low_f32x4",
        64,
        lambda v: [between(F64, F32, a) for a in lanes(v, 32)[:2]],
        "f32x4",
        F64,
    )


# ---- between scalars and lanes

SCALAR_OF = {
    **{"i8x16": "i32", "i16x8": "i32", "i32x4": "i32", "i64x2": "i64"},
    **{"f32x4": "f32", "f64x2": "f64"},
}


def splats() -> None:
    for s, bits in WIDTHS.items():
        MEANINGS[f"{s}.splat"] = Meaning(
            (SCALAR_OF[s],),
            "v",
            lambda x, bits=bits: [unsigned(x, bits)] * (128 // bits),
            bits,
            None,
            s,
        )


def lane_meanings() -> dict[str, Meaning]:
    """With the lane's index behind the name."""
    found = {}
    for s, bits in WIDTHS.items():
        full = 64 if bits == 64 else 32
        for i in range(128 // bits):
            for g in ("_s", "_u") if bits < 32 else ("",):
                found[f"{s}.extract_lane{g} {i}"] = Meaning(
                    V1,
                    SCALAR_OF[s],
                    lambda v, i=i, bits=bits, full=full, g=g: unsigned(
                        lanes(v, bits, g == "_s")[i], full
                    ),
                    shape=s,
                )
            found[f"{s}.replace_lane {i}"] = Meaning(
                ("v", SCALAR_OF[s]),
                "v",
                lambda v, x, i=i, bits=bits: [
                    unsigned(x, bits) if k == i else a for k, a in enumerate(lanes(v, bits))
                ],
                bits,
                None,
                s,
            )
    return found


integers()
whole_vectors()
float_shape("f32x4")
float_shape("f64x2")
conversions()
splats()
LANES = lane_meanings()
