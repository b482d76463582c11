"""A script of accesses of memory: atomic ones, and those of vectors that are
not 16 plain bytes.  What each gives, leaves in memory, or traps with is known
from the model here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

BOUNDS, UNALIGNED = "out of bounds memory access", "unaligned atomic"
VECTOR = bytes(range(0xA1, 0xB1))


@dataclass(frozen=True)
class Access:
    text: str
    width: int
    params: tuple[str, ...]  # behind the address
    result: str  # "": none
    # The bytes that are there and the other operands: the result, what is left.
    effect: Callable[[bytes, tuple[int, ...]], tuple[int, bytes]]
    immediate: str = ""
    atomic: bool = False


def number(data: bytes, signed: bool = False) -> int:
    return int.from_bytes(data, "little", signed=signed)


def vector_loads() -> Iterator[Access]:
    for width, count in ((1, 8), (2, 4), (4, 2)):
        for sign in "su":

            def extend(b: bytes, _: object, w: int = width, s: str = sign) -> tuple[int, bytes]:
                lanes = [number(b[k : k + w], s == "s") for k in range(0, 8, w)]
                mask = (1 << 16 * w) - 1
                return number(b"".join((x & mask).to_bytes(2 * w, "little") for x in lanes)), b

            yield Access(f"v128.load{8 * width}x{count}_{sign}", 8, (), "v128", extend)
    for width in (1, 2, 4, 8):
        yield Access(
            f"v128.load{8 * width}_splat", width, (), "v128",
            lambda b, _: (number(b * (16 // len(b))), b),
        )  # fmt: skip
        if width >= 4:
            text = f"v128.load{8 * width}_zero"
            yield Access(text, width, (), "v128", lambda b, _: (number(b), b))
    yield Access("v128.load", 16, (), "v128", lambda b, _: (number(b), b))
    yield Access("v128.store", 16, ("v128",), "", lambda b, v: (0, v[0].to_bytes(16, "little")))


def lane_accesses() -> Iterator[Access]:
    for width in (1, 2, 4, 8):
        for lane in {0, 1, 16 // width - 1, 8 // width}:

            def load(b: bytes, v: tuple[int, ...], at: int = lane * width) -> tuple[int, bytes]:
                data = v[0].to_bytes(16, "little")
                return number(data[:at] + b + data[at + len(b) :]), b

            def store(b: bytes, v: tuple[int, ...], at: int = lane * width) -> tuple[int, bytes]:
                return 0, v[0].to_bytes(16, "little")[at : at + len(b)]

            text = f"{8 * width}_lane"
            yield Access(f"v128.load{text}", width, ("v128",), "v128", load, f" {lane}")
            yield Access(f"v128.store{text}", width, ("v128",), "", store, f" {lane}")


COMBINE: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "xchg": lambda _, b: b,
}


def atomics() -> Iterator[Access]:
    def store(b: bytes, v: tuple[int, ...]) -> tuple[int, bytes]:
        return 0, (v[0] % (1 << 8 * len(b))).to_bytes(len(b), "little")

    def exchange(b: bytes, v: tuple[int, ...]) -> tuple[int, bytes]:
        return number(b), store(b, (v[1],))[1] if number(b) == v[0] else b

    for kind, full in (("i32", 4), ("i64", 8)):
        for width in (w for w in (1, 2, 4, 8) if w <= full):
            bits, suffix = ("", "") if width == full else (str(8 * width), "_u")
            head = f"{kind}.atomic."
            yield Access(
                f"{head}load{bits}{suffix}", width, (), kind, lambda b, _: (number(b), b),
                atomic=True,
            )  # fmt: skip
            yield Access(f"{head}store{bits}", width, (kind,), "", store, atomic=True)
            for name, combine in COMBINE.items():

                def modify(
                    b: bytes, v: tuple[int, ...], f: Callable[[int, int], int] = combine
                ) -> tuple[int, bytes]:
                    return number(b), store(b, (f(number(b), v[0]),))[1]

                text = f"{head}rmw{bits}.{name}{suffix}"
                yield Access(text, width, (kind,), kind, modify, atomic=True)
            text = f"{head}rmw{bits}.cmpxchg{suffix}"
            yield Access(text, width, (kind, kind), kind, exchange, atomic=True)


ACCESSES = [*vector_loads(), *lane_accesses(), *atomics()]


@dataclass
class Memory:
    name: str
    declaration: str  # of the module's memories
    index: str  # immediate of its accesses, where it is not the first
    size: int
    address: str = "i32"
    offsets: tuple[int, ...] = (0, 3, 8, 65521)
    data: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self.data = bytearray(random.Random(self.name).randbytes(self.size))


BIG = (0, 4, 0x7FFFFFF0, 0x80000003, 0xFFFFFFF8)


def memories() -> list[Memory]:
    return [
        Memory("first", "(memory 2)", "", 0x20000, offsets=(0, 1, 8, 65535, *BIG[2:])),
        Memory("second", "(memory 1) (memory 2)", " 1", 0x20000, offsets=BIG),
        Memory("long", "(memory i64 2)", "", 0x20000, "i64", (*BIG, 1 << 40, (1 << 64) - 8)),
        Memory("shared", "(memory 2 2 shared)", "", 0x20000),
        Memory("bytes", "(memory 1003 (pagesize 1))", "", 1003, offsets=(0, 5, 1000)),
    ]


# ---- text

PLACES = ("L", "R", "S", "M", "C")


def typed(kind: str, value: int) -> str:
    if kind == "v128":
        return "(v128.const i8x16 " + " ".join(map(str, value.to_bytes(16, "little"))) + ")"
    return f"({kind}.const {value})"


def operand(kind: str, local: int, place: str, zeros: dict[str, str]) -> str:
    text = f"local.get {local}"
    if place == "R":
        combine = "v128.or" if kind == "v128" else f"{kind}.or"
        text += f" local.get {zeros[kind]} {combine}"
    return text


def function(a: Access, m: Memory, offset: int, place: str, address: int) -> str:
    """L: operands in locals; M: which have no registers; R: on the stack; S: in
    slots of it; C: the address is constant."""
    zeros = {"i32": "$i", "i64": "$l", "v128": "$v"}
    params = [m.address, *a.params]
    body = []
    for k, kind in enumerate(params):
        if place == "C" and k == 0:
            body.append(f"{kind}.const {address}")
        else:
            body.append(operand(kind, k, place, zeros))
    if place == "S":
        body.append("call $nothing")
    body.append(f"{a.text}{m.index} offset={offset}{a.immediate}")
    result = f"(result {a.result})" if a.result else ""
    code = " ".join(body)
    if place == "M":
        code = f"block try_table (catch_all 0) nop end end {code}"
    return (
        f'(func (export "{a.text}{a.immediate} {offset} {place} {address}") '
        f"(param {' '.join(params)}) {result} (local $i i32) (local $l i64) (local $v v128) {code})"
    )


def addresses(a: Access, m: Memory, offset: int) -> Iterator[int]:
    last = m.size - a.width - offset
    limit = 1 << (32 if m.address == "i32" else 64)
    wanted = [0, 8, 17, last, last + 1, last - last % a.width, last + a.width, m.size, limit - 8]
    wanted += [limit // 2, limit - offset, 16 - offset % 16]
    yield from sorted({x for x in wanted if 0 <= x < limit})


def values(a: Access, there: bytes, some: random.Random) -> tuple[int, ...]:
    found = []
    for k, kind in enumerate(a.params):
        bits = {"i32": 32, "i64": 64, "v128": 128}[kind]
        value = some.choice((0, 1, (1 << bits) - 1, 1 << (bits - 1), some.getrandbits(bits)))
        if len(a.params) == 2 and k == 0 and some.random() < 0.7:  # expected
            value = number(there)
            if some.random() < 0.2:
                value |= 1 << (bits - 1)
        found.append(value)
    return tuple(found)


def assertions(a: Access, m: Memory, offset: int, some: random.Random) -> Iterator[str]:
    for address in addresses(a, m, offset):
        for place in PLACES:
            at = address + offset
            name = f"{a.text}{a.immediate} {offset} {place} {address if place == 'C' else 0}"
            there = bytes(m.data[at : at + a.width])
            given = values(a, there, some)
            args = " ".join(typed(k, v) for k, v in zip((m.address, *a.params), (address, *given),
                                                        strict=True))  # fmt: skip
            call = f'(invoke "{name}" {args})'
            if at + a.width > m.size:
                yield f'(assert_trap {call} "{BOUNDS}")'
                continue
            if a.atomic and at % a.width:
                yield f'(assert_trap {call} "{UNALIGNED}")'
                continue
            result, left = a.effect(there, given)
            yield f"(assert_return {call} {typed(a.result, result) if a.result else ''})"
            m.data[at : at + a.width] = left
            start = max(0, min(at - 4, m.size - 24))
            for peek in (start, start + 8, start + 16) if left != there else ():
                seen = typed("i64", number(m.data[peek : peek + 8]))
                yield f'(assert_return (invoke "peek" ({m.address}.const {peek})) {seen})'


def script(m: Memory) -> str:
    some = random.Random(m.name + "values")
    functions, asserts = [], []
    for a in ACCESSES:
        for offset in m.offsets:
            functions += [function(a, m, offset, place, 0) for place in PLACES[:-1]]
            functions += [function(a, m, offset, "C", x) for x in addresses(a, m, offset)]
    data = "".join(f"\\{b:02x}" for b in m.data)
    for a in ACCESSES:
        for offset in m.offsets:
            asserts += assertions(a, m, offset, some)
    index = m.index.strip() or "0"
    lines = [
        "(module (func $nothing)",
        m.declaration,
        f'(data (memory {index}) ({m.address}.const 0) "{data}")',
        f'(func (export "peek") (param {m.address}) (result i64) local.get 0 i64.load{m.index})',
        *functions,
        ")",
        *asserts,
    ]
    return "\n".join(lines)
