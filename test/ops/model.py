"""What scalar instructions mean, on Python's integers and fractions alone.

A value is the unsigned integer of its bits.  A result that is NaN is a Nan:
which payloads are allowed, see WebAssembly 3.0, 4.3.3 "NaN propagation".
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction


class Trapped(Exception):
    """The instruction traps; the argument is the code."""


DIVIDE = "integer divide by zero"
OVERFLOW = "integer overflow"
CONVERSION = "invalid conversion to integer"


class Nan(enum.Enum):
    CANONICAL = "the quiet bit alone, any sign"
    ARITHMETIC = "the quiet bit and anything"


Result = int | Nan | tuple[int, ...]

# ---- integers


def signed(x: int, bits: int) -> int:
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


def unsigned(x: int, bits: int) -> int:
    return x & ((1 << bits) - 1)


def clz(x: int, bits: int) -> int:
    return bits - x.bit_length()


def ctz(x: int, bits: int) -> int:
    return (x & -x).bit_length() - 1 if x else bits


def rotl(a: int, b: int, bits: int) -> int:
    b %= bits
    return unsigned(a << b, bits) | a >> (bits - b)


def quotient(a: int, b: int) -> int:
    """Towards zero."""
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def div_s(a: int, b: int, bits: int) -> int:
    x, y = signed(a, bits), signed(b, bits)
    if y == 0:
        raise Trapped(DIVIDE)
    q = quotient(x, y)
    if q == 1 << (bits - 1):
        raise Trapped(OVERFLOW)
    return unsigned(q, bits)


def rem_s(a: int, b: int, bits: int) -> int:
    x, y = signed(a, bits), signed(b, bits)
    if y == 0:
        raise Trapped(DIVIDE)
    return unsigned(x - y * quotient(x, y), bits)


def div_u(a: int, b: int) -> int:
    if b == 0:
        raise Trapped(DIVIDE)
    return a // b


def rem_u(a: int, b: int) -> int:
    if b == 0:
        raise Trapped(DIVIDE)
    return a % b


INTEGER_UNARY: dict[str, Callable[[int, int], int]] = {
    "clz": clz,
    "ctz": ctz,
    "popcnt": lambda a, n: bin(a).count("1"),
    "extend8_s": lambda a, n: unsigned(signed(a, 8), n),
    "extend16_s": lambda a, n: unsigned(signed(a, 16), n),
    "extend32_s": lambda a, n: unsigned(signed(a, 32), n),
}
INTEGER_BINARY: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda a, b, n: unsigned(a + b, n),
    "sub": lambda a, b, n: unsigned(a - b, n),
    "mul": lambda a, b, n: unsigned(a * b, n),
    "div_s": div_s,
    "div_u": lambda a, b, n: div_u(a, b),
    "rem_s": rem_s,
    "rem_u": lambda a, b, n: rem_u(a, b),
    "and": lambda a, b, n: a & b,
    "or": lambda a, b, n: a | b,
    "xor": lambda a, b, n: a ^ b,
    "shl": lambda a, b, n: unsigned(a << b % n, n),
    "shr_s": lambda a, b, n: unsigned(signed(a, n) >> b % n, n),
    "shr_u": lambda a, b, n: a >> b % n,
    "rotl": rotl,
    "rotr": lambda a, b, n: rotl(a, n - b % n, n),
}
INTEGER_COMPARE: dict[str, Callable[[int, int, int], bool]] = {
    "eq": lambda a, b, n: a == b,
    "ne": lambda a, b, n: a != b,
    "lt_s": lambda a, b, n: signed(a, n) < signed(b, n),
    "lt_u": lambda a, b, n: a < b,
    "gt_s": lambda a, b, n: signed(a, n) > signed(b, n),
    "gt_u": lambda a, b, n: a > b,
    "le_s": lambda a, b, n: signed(a, n) <= signed(b, n),
    "le_u": lambda a, b, n: a <= b,
    "ge_s": lambda a, b, n: signed(a, n) >= signed(b, n),
    "ge_u": lambda a, b, n: a >= b,
}

# ---- floats


@dataclass(frozen=True)
class Format:
    """An interchange format of IEEE 754; precision counts the hidden bit."""

    bits: int
    precision: int

    @functools.cached_property
    def sign(self) -> int:
        return 1 << (self.bits - 1)

    @functools.cached_property
    def infinity(self) -> int:
        return ((1 << (self.bits - self.precision)) - 1) << (self.precision - 1)

    @functools.cached_property
    def quiet(self) -> int:
        return 1 << (self.precision - 2)

    @functools.cached_property
    def least(self) -> int:
        """The exponent of the least denormal."""
        bias = (1 << (self.bits - self.precision - 1)) - 1
        return 1 - bias - (self.precision - 1)

    def size(self, x: int) -> int:
        """Without the sign."""
        return x & (self.sign - 1)

    def is_nan(self, x: int) -> bool:
        return self.size(x) > self.infinity

    def is_infinite(self, x: int) -> bool:
        return self.size(x) == self.infinity

    def is_canonical(self, x: int) -> bool:
        return self.size(x) == self.infinity | self.quiet

    def value(self, x: int) -> Fraction:
        """Of a finite one."""
        size = self.size(x)
        exponent = size >> (self.precision - 1)
        fraction = size & ((1 << (self.precision - 1)) - 1)
        if exponent:
            fraction |= 1 << (self.precision - 1)
            exponent -= 1
        return (-1 if x & self.sign else 1) * fraction * Fraction(2) ** (exponent + self.least)

    def order(self, x: int) -> int:
        """Grows with the number that x stands for, unless it is NaN."""
        return -self.size(x) if x & self.sign else self.size(x)

    def encode(self, x: Fraction, sign_of_zero: int = 0) -> int:
        """The nearest, ties to even."""
        if x == 0:
            return sign_of_zero
        sign = self.sign if x < 0 else 0
        x = abs(x)
        log = x.numerator.bit_length() - x.denominator.bit_length()
        if x < Fraction(2) ** log:
            log -= 1
        step = max(log - (self.precision - 1), self.least)
        digits = round(x / Fraction(2) ** step)
        size = ((step - self.least) << (self.precision - 1)) + digits
        return sign | min(size, self.infinity)


F32, F64 = Format(32, 24), Format(64, 53)
FORMATS = {"f32": F32, "f64": F64}


def nan_of(f: Format, *operands: int) -> Nan:
    nans = [x for x in operands if f.is_nan(x)]
    return Nan.CANONICAL if all(map(f.is_canonical, nans)) else Nan.ARITHMETIC


def matches(f: Format, got: int, want: int | Nan) -> bool:
    if want is Nan.CANONICAL:
        return f.is_canonical(got)
    if want is Nan.ARITHMETIC:
        return f.is_nan(got) and bool(got & f.quiet)
    return got == want


def add(f: Format, a: int, b: int) -> int | Nan:
    if f.is_nan(a) or f.is_nan(b):
        return nan_of(f, a, b)
    if f.is_infinite(a):
        return Nan.CANONICAL if f.is_infinite(b) and a != b else a
    if f.is_infinite(b):
        return b
    return f.encode(f.value(a) + f.value(b), a & b & f.sign)


def mul(f: Format, a: int, b: int) -> int | Nan:
    if f.is_nan(a) or f.is_nan(b):
        return nan_of(f, a, b)
    sign = (a ^ b) & f.sign
    if f.is_infinite(a) or f.is_infinite(b):
        return Nan.CANONICAL if not f.size(a) or not f.size(b) else sign | f.infinity
    return f.encode(f.value(a) * f.value(b), sign)


def div(f: Format, a: int, b: int) -> int | Nan:
    if f.is_nan(a) or f.is_nan(b):
        return nan_of(f, a, b)
    sign = (a ^ b) & f.sign
    if f.is_infinite(a):
        return Nan.CANONICAL if f.is_infinite(b) else sign | f.infinity
    if f.is_infinite(b):
        return sign
    if not f.size(b):
        return sign | f.infinity if f.size(a) else Nan.CANONICAL
    return f.encode(f.value(a) / f.value(b), sign)


def fma(f: Format, a: int, b: int, c: int) -> int | Nan:
    """a * b + c, rounded once."""
    if f.is_nan(a) or f.is_nan(b) or f.is_nan(c):
        return nan_of(f, a, b, c)
    sign = (a ^ b) & f.sign
    if f.is_infinite(a) or f.is_infinite(b):
        if not f.size(a) or not f.size(b):
            return Nan.CANONICAL
        return add(f, sign | f.infinity, c)
    if f.is_infinite(c):
        return c
    product = f.value(a) * f.value(b)
    if product == 0:
        return add(f, sign, c)
    return f.encode(product + f.value(c))


def lesser(f: Format, a: int, b: int) -> int | Nan:
    if f.is_nan(a) or f.is_nan(b):
        return nan_of(f, a, b)
    if not f.size(a) and not f.size(b):
        return a | b
    return min(a, b, key=f.order)


def greater(f: Format, a: int, b: int) -> int | Nan:
    if f.is_nan(a) or f.is_nan(b):
        return nan_of(f, a, b)
    if not f.size(a) and not f.size(b):
        return a & b
    return max(a, b, key=f.order)


def is_less(f: Format, a: int, b: int) -> bool:
    return not f.is_nan(a) and not f.is_nan(b) and f.order(a) < f.order(b)


def is_equal(f: Format, a: int, b: int) -> bool:
    return not f.is_nan(a) and not f.is_nan(b) and f.order(a) == f.order(b)


def sqrt(f: Format, a: int) -> int | Nan:
    if f.is_nan(a):
        return nan_of(f, a)
    if not f.size(a):
        return a
    if a & f.sign:
        return Nan.CANONICAL
    if f.is_infinite(a):
        return a
    # 2^scale times the root has many more digits than the precision, so what
    # is cut off matters only by being there: half of a unit stands for it.
    scale = 1200
    square = f.value(a) * Fraction(4) ** scale
    root = Fraction(math.isqrt(square.numerator))
    assert square.denominator == 1
    if root * root != square:
        root += Fraction(1, 2)
    return f.encode(root / Fraction(2) ** scale)


def rounded(f: Format, a: int, to: Callable[[Fraction], int]) -> int | Nan:
    if f.is_nan(a):
        return nan_of(f, a)
    if f.is_infinite(a):
        return a
    return f.encode(Fraction(to(f.value(a))), a & f.sign)


FLOAT_UNARY: dict[str, Callable[[Format, int], int | Nan]] = {
    "abs": lambda f, a: f.size(a),
    "neg": lambda f, a: a ^ f.sign,
    "ceil": lambda f, a: rounded(f, a, math.ceil),
    "floor": lambda f, a: rounded(f, a, math.floor),
    "trunc": lambda f, a: rounded(f, a, math.trunc),
    "nearest": lambda f, a: rounded(f, a, round),
    "sqrt": sqrt,
}
FLOAT_BINARY: dict[str, Callable[[Format, int, int], int | Nan]] = {
    "add": add,
    "sub": lambda f, a, b: add(f, a, b ^ f.sign),
    "mul": mul,
    "div": div,
    "min": lesser,
    "max": greater,
    "copysign": lambda f, a, b: f.size(a) | (b & f.sign),
}
FLOAT_COMPARE: dict[str, Callable[[Format, int, int], bool]] = {
    "eq": is_equal,
    "ne": lambda f, a, b: not is_equal(f, a, b),
    "lt": is_less,
    "gt": lambda f, a, b: is_less(f, b, a),
    "le": lambda f, a, b: is_less(f, a, b) or is_equal(f, a, b),
    "ge": lambda f, a, b: is_less(f, b, a) or is_equal(f, a, b),
}

# ---- conversions


def trunc(f: Format, a: int, bits: int, is_signed: bool) -> int:
    if f.is_nan(a):
        raise Trapped(CONVERSION)
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if is_signed else (0, 1 << bits)
    if f.is_infinite(a) or not low <= math.trunc(f.value(a)) < high:
        raise Trapped(OVERFLOW)
    return unsigned(math.trunc(f.value(a)), bits)


def trunc_sat(f: Format, a: int, bits: int, is_signed: bool) -> int:
    try:
        return trunc(f, a, bits, is_signed)
    except Trapped:
        if f.is_nan(a):
            return 0
        if a & f.sign:
            return 1 << (bits - 1) if is_signed else 0
        return (1 << (bits - 1)) - 1 if is_signed else (1 << bits) - 1


def convert(f: Format, a: int, bits: int, is_signed: bool) -> int:
    return f.encode(Fraction(signed(a, bits) if is_signed else a))


def between(to: Format, f: Format, a: int) -> int | Nan:
    sign = to.sign if a & f.sign else 0
    if f.is_nan(a):
        return nan_of(f, a)
    if f.is_infinite(a):
        return sign | to.infinity
    return to.encode(f.value(a), sign)


# ---- all together


@dataclass(frozen=True)
class Meaning:
    kind: str
    params: tuple[str, ...]
    results: tuple[str, ...]
    run: Callable[..., Result]

    def __call__(self, *args: int) -> Result | str:
        """The result, or the trap's code."""
        try:
            return self.run(*args)
        except Trapped as trap:
            return str(trap)


def wide(run: Callable[[int, int], int]) -> Callable[..., tuple[int, int]]:
    """On the halves of 128 bits, the low one first."""

    def on_halves(*halves: int) -> tuple[int, int]:
        a, b = (halves[i] | halves[i + 1] << 64 for i in (0, 2))
        x = run(a, b)
        return unsigned(x, 64), unsigned(x >> 64, 64)

    return on_halves


def halves(x: int) -> tuple[int, int]:
    return unsigned(x, 64), unsigned(x >> 64, 64)


def scalar_meanings() -> dict[str, Meaning]:
    all_: dict[str, Meaning] = {}

    def define(name: str, kind: str, params: str, results: str, run: Callable[..., Result]) -> None:
        all_[name] = Meaning(kind, tuple(params.split()), tuple(results.split()), run)

    for t, n in (("i32", 32), ("i64", 64)):
        for name, unary in INTEGER_UNARY.items():
            if name != "extend32_s" or n == 64:
                define(f"{t}.{name}", "unary", t, t, lambda a, n=n, run=unary: run(a, n))
        for name, binary in INTEGER_BINARY.items():
            define(
                f"{t}.{name}", "binary", f"{t} {t}", t, lambda a, b, n=n, run=binary: run(a, b, n)
            )
        for name, compare in INTEGER_COMPARE.items():
            define(
                f"{t}.{name}",
                "compare",
                f"{t} {t}",
                "i32",
                lambda a, b, n=n, run=compare: int(run(a, b, n)),
            )
        define(f"{t}.eqz", "test", t, "i32", lambda a: int(a == 0))
        for s, f in FORMATS.items():
            for g in "su":
                define(
                    f"{t}.trunc_{s}_{g}",
                    "unary",
                    s,
                    t,
                    lambda a, f=f, n=n, g=g: trunc(f, a, n, g == "s"),
                )
                define(
                    f"{t}.trunc_sat_{s}_{g}",
                    "unary",
                    s,
                    t,
                    lambda a, f=f, n=n, g=g: trunc_sat(f, a, n, g == "s"),
                )
                define(
                    f"{s}.convert_{t}_{g}",
                    "unary",
                    t,
                    s,
                    lambda a, f=f, n=n, g=g: convert(f, a, n, g == "s"),
                )
    for t, f in FORMATS.items():
        for name, of_one in FLOAT_UNARY.items():
            define(f"{t}.{name}", "unary", t, t, lambda a, f=f, run=of_one: run(f, a))
        for name, of_two in FLOAT_BINARY.items():
            define(
                f"{t}.{name}", "binary", f"{t} {t}", t, lambda a, b, f=f, run=of_two: run(f, a, b)
            )
        for name, holds in FLOAT_COMPARE.items():
            define(
                f"{t}.{name}",
                "compare",
                f"{t} {t}",
                "i32",
                lambda a, b, f=f, run=holds: int(run(f, a, b)),
            )
    define("i32.wrap_i64", "unary", "i64", "i32", lambda a: unsigned(a, 32))
    define("i64.extend_i32_s", "unary", "i32", "i64", lambda a: unsigned(signed(a, 32), 64))
    define("i64.extend_i32_u", "unary", "i32", "i64", lambda a: a)
    define("f32.demote_f64", "unary", "f64", "f32", lambda a: between(F32, F64, a))
    define("f64.promote_f32", "unary", "f32", "f64", lambda a: between(F64, F32, a))
    for t, s in (("i32", "f32"), ("i64", "f64")):
        define(f"{t}.reinterpret_{s}", "unary", s, t, lambda a: a)
        define(f"{s}.reinterpret_{t}", "unary", t, s, lambda a: a)
    four, two = "i64 i64 i64 i64", "i64 i64"
    define("i64.add128", "wide", four, two, wide(lambda a, b: a + b))
    define("i64.sub128", "wide", four, two, wide(lambda a, b: a - b))
    define("i64.mul_wide_u", "wide", two, two, lambda a, b: halves(a * b))
    define("i64.mul_wide_s", "wide", two, two, lambda a, b: halves(signed(a, 64) * signed(b, 64)))
    return all_


SCALAR = scalar_meanings()
