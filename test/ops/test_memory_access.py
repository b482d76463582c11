"""Loads and stores at the edges of memories, against bytes in Python.

Four memories: of 32-bit and of 64-bit addresses, each as the module's first
and as its second.  They are so large that an offset of five bytes is inside.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from model import signed
from modules import DISPATCHES, Text, instance, outcome, register, register_text

import chiasm

BOUNDS = "out of bounds memory access"
UNALIGNED = "unaligned atomic"

PAGES = 4099
SIZE = PAGES * 65536
assert SIZE > 1 << 28

# Of 1 to 5 bytes in the code, each the least or the greatest.
OFFSETS = (0, 1, 127, 128, 16383, 16384, 2097151, 2097152, (1 << 28) - 1, 1 << 28)
# Added to addresses of 32 bits these are inside again only if the sum wraps.
FAR_OFFSETS = {"i32": (0xFFFFFFFF, 0xFFFFFFF0), "i64": ((1 << 64) - 1, (1 << 64) - 16, 1 << 35)}

dispatches = pytest.mark.parametrize("dispatch", DISPATCHES)


@dataclass(frozen=True)
class Memory:
    index: int
    address: str  # the type of its addresses
    shared: bool = False

    def __str__(self) -> str:
        return f"{'shared ' * self.shared}memory{self.address[1:]}-{self.index}"


MEMORIES = (Memory(0, "i32"), Memory(1, "i32"), Memory(0, "i64"), Memory(1, "i64"))
SHARED = (Memory(0, "i32", True), Memory(1, "i64", True))


@dataclass(frozen=True)
class Access:
    """An instruction: what it reads or writes, and what it means.

    kind    load, store, rmw, cas, load lane, store lane
    type    of the value: i32 i64 f32 f64 v128
    size    bytes in memory
    run     of a load: the bytes -> the result's bytes
            of rmw: the integer in memory, the operand -> the new integer
    """

    name: str
    kind: str
    type: str
    size: int
    run: Callable[..., Any]
    lane: int = -1

    @property
    def atomic(self) -> bool:
        return ".atomic." in self.name


WIDTH = {"i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}


def extend(to: int, is_signed: bool) -> Callable[[bytes], bytes]:
    def run(x: bytes) -> bytes:
        value = int.from_bytes(x, "little", signed=is_signed)
        return value.to_bytes(to, "little", signed=is_signed)

    return run


def extend_lanes(from_: int, is_signed: bool) -> Callable[[bytes], bytes]:
    each = extend(2 * from_, is_signed)

    def run(x: bytes) -> bytes:
        return b"".join(each(x[i : i + from_]) for i in range(0, 8, from_))

    return run


def identity(x: bytes) -> bytes:
    return x


def zero_after(x: bytes) -> bytes:
    return x.ljust(16, b"\0")


def splat(x: bytes) -> bytes:
    return x * (16 // len(x))


RMW: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "xchg": lambda a, b: b,
}


def scalar_accesses() -> Iterator[Access]:
    for t, full in (("i32", 4), ("i64", 8), ("f32", 4), ("f64", 8)):
        yield Access(f"{t}.load", "load", t, full, identity)
        yield Access(f"{t}.store", "store", t, full, identity)
    for t, full in (("i32", 4), ("i64", 8)):
        for size in (1, 2, 4):
            if size == full:
                continue
            for g in "su":
                yield Access(f"{t}.load{8 * size}_{g}", "load", t, size, extend(full, g == "s"))
            yield Access(f"{t}.store{8 * size}", "store", t, size, identity)


def vector_accesses() -> Iterator[Access]:
    yield Access("v128.load", "load", "v128", 16, identity)
    yield Access("v128.store", "store", "v128", 16, identity)
    for size, shape in ((1, "8x8"), (2, "16x4"), (4, "32x2")):
        for g in "su":
            run = extend_lanes(size, g == "s")
            yield Access(f"v128.load{shape}_{g}", "load", "v128", 8, run)
    for size in (1, 2, 4, 8):
        yield Access(f"v128.load{8 * size}_splat", "load", "v128", size, splat)
    for size in (4, 8):
        yield Access(f"v128.load{8 * size}_zero", "load", "v128", size, zero_after)
    for size in (1, 2, 4, 8):
        for kind in ("load", "store"):
            name = f"v128.{kind}{8 * size}_lane"
            for lane in sorted({0, 1, 16 // size - 1}):
                yield Access(name, f"{kind} lane", "v128", size, identity, lane)


def atomic_accesses() -> Iterator[Access]:
    for t, full in (("i32", 4), ("i64", 8)):
        for size in (1, 2, 4, 8):
            if size > full:
                continue
            bits, u = ("", "") if size == full else (str(8 * size), "_u")
            load = extend(full, False)
            yield Access(f"{t}.atomic.load{bits}{u}", "load", t, size, load)
            yield Access(f"{t}.atomic.store{bits}", "store", t, size, identity)
            for name, run in RMW.items():
                yield Access(f"{t}.atomic.rmw{bits}.{name}{u}", "rmw", t, size, run)
            yield Access(f"{t}.atomic.rmw{bits}.cmpxchg{u}", "cas", t, size, identity)


SCALARS, VECTORS, ATOMICS = (
    tuple(make()) for make in (scalar_accesses, vector_accesses, atomic_accesses)
)
ACCESSES = (*SCALARS, *VECTORS, *ATOMICS)

# ---- the module of a memory

PATTERN = bytes(range(0x71, 0xC1))  # what surrounds an access, no two bytes alike
VALUE = bytes.fromhex("f1e2d3c4b5a69788796a5b4c3d2e1f80")
OTHER = bytes.fromhex("0102030405060708090a0b0c0d0e0f10")


def const(t: str, value: bytes | int) -> str:
    if t == "v128":
        assert isinstance(value, bytes)
        return "(v128.const i8x16 " + " ".join(map(str, value)) + ")"
    if isinstance(value, bytes):
        value = int.from_bytes(value[: WIDTH[t]], "little")
    if t[0] == "f":
        return f"({t}.reinterpret_i{t[1:]} (i{t[1:]}.const {value}))"
    return f"({t}.const {value})"


def to_integer(t: str, expr: str) -> str:
    return f"(i{t[1:]}.reinterpret_{t} {expr})" if t[0] == "f" else expr


def result_type(t: str) -> str:
    return {"f32": "i32", "f64": "i64"}.get(t, t)


FORMS = ("local", "stack", "far")


def operands_of(a: Access) -> list[str]:
    """The constants after the address."""
    if a.kind == "load":
        return []
    if a.kind == "cas":
        return [const(a.type, PATTERN[16 : 16 + a.size] + bytes(8)), const(a.type, VALUE)]
    return [const(a.type, VALUE)]


def call(a: Access, m: Memory, offset: int, address: str, values: list[str]) -> str:
    """The instruction, with its result as an integer and 7 beneath it."""
    memory = f"{m.index} " if m.index else ""
    lane = f" {a.lane}" if a.lane >= 0 else ""
    at = f"offset={offset}" if offset else ""
    text = f"({a.name} {memory}{at}{lane} {address} {' '.join(values)})"
    return "(i32.const 7) " + (text if "store" in a.kind else to_integer(a.type, text))


def function(a: Access, m: Memory, name: str, body: str, extra: str = "") -> str:
    out = "" if "store" in a.kind else result_type(a.type)
    return (
        f'(func (export "{key(a)} {name}") (param $p {m.address}) (result i32 {out})'
        f" {extra} {body})\n"
    )


def key(a: Access) -> str:
    return f"{a.name} {a.lane}" if a.lane >= 0 else a.name


def const_addresses(a: Access, offset: int) -> list[int]:
    """Addresses that are constants: short ones, the last valid, the first that is not."""
    last = SIZE - a.size - offset
    return [0, 8, 63, last, last + 1]


def access_functions(a: Access, m: Memory) -> Iterator[str]:
    values = operands_of(a)
    for offset in (*OFFSETS, *FAR_OFFSETS[m.address]):
        local = "(local.get $p)"
        stack = f"(block (result {m.address}) {local})"
        yield function(a, m, f"local {offset}", call(a, m, offset, local, values))
        if offset not in (0, 127, 128, 16384):
            continue
        yield function(a, m, f"stack {offset}", call(a, m, offset, stack, values))
        far = "(local " + "i64 " * 130 + f") (local $far {m.address})"
        body = "(local.set $far (local.get $p)) " + call(a, m, offset, "(local.get $far)", values)
        yield function(a, m, f"far {offset}", body, far)
        for i, address in enumerate(const_addresses(a, offset)):
            body = call(a, m, offset, const(m.address, address), values)
            yield function(a, m, f"const {i} {offset}", body)
        if a.kind == "store" and a.type != "v128":
            get = f"(local.set $v {values[0]})"
            extra = f"(local $v {a.type})"
            body = call(a, m, offset, local, ["(local.get $v)"])
            yield function(a, m, f"local value {offset}", f"{get} {body}", extra)
            body = call(a, m, offset, stack, ["(local.get $v)"])
            yield function(a, m, f"stack and local value {offset}", f"{get} {body}", extra)
            body = call(a, m, offset, local, [f"(block (result {a.type}) {values[0]})"])
            yield function(a, m, f"stack value {offset}", body)
            if a.type[0] == "i":
                for k in (-3, 0, 63, -64):
                    body = call(a, m, offset, local, [f"({a.type}.const {k})"])
                    yield function(a, m, f"short value {k} {offset}", body)


def memory_module(m: Memory) -> str:
    def memory(n: int) -> str:
        largest = f" {SIZE // 65536} shared" if m.shared else ""
        return f"{'i64 ' if m.address == 'i64' else ''}{n}{largest}"

    text = "(module\n"
    if m.index:
        text += '(memory (export "other") 1)\n'
    text += f'(memory (export "m") {memory(PAGES)})\n'
    for a in ATOMICS if m.shared else ACCESSES:
        text += "".join(access_functions(a, m))
    return text + ")"


def texts() -> dict[Memory, Text]:
    return {m: register(functools.partial(memory_module, m)) for m in (*MEMORIES, *SHARED)}


TEXTS = texts()


@pytest.fixture(scope="module")
def instances() -> Callable[[Memory, str], chiasm.Exports]:
    """Memories are large: those of one module live only as long as it is under test."""

    @functools.lru_cache(maxsize=2)
    def get(m: Memory, dispatch: str) -> chiasm.Exports:
        return instance(TEXTS[m], dispatch).exports

    return get


# ---- the model


def expected(a: Access, before: bytes) -> tuple[bytes | None, bytes]:
    """The result, and what is in memory after it."""
    n = a.size
    if a.kind == "load":
        return a.run(before), before
    if a.kind == "load lane":
        at = a.lane * n
        return VALUE[:at] + before + VALUE[at + n :], before
    if a.kind == "store":
        return None, VALUE[:n]
    if a.kind == "store lane":
        return None, VALUE[a.lane * n : a.lane * n + n]
    old = before.ljust(WIDTH[a.type], b"\0")
    if a.kind == "cas":
        return old, VALUE[:n] if before == PATTERN[16 : 16 + n] else before
    x = a.run(*(int.from_bytes(b, "little") for b in (before, VALUE[:n])))
    return old, (x & ((1 << 8 * n) - 1)).to_bytes(n, "little")


def result_bytes(a: Access, got: Any) -> tuple[int, bytes | None]:
    if "store" in a.kind:
        return got, None
    guard, x = got
    if a.type == "v128":
        return guard, x
    n = WIDTH[a.type]
    return guard, (x & ((1 << 8 * n) - 1)).to_bytes(n, "little")


def check(
    memory: chiasm.Memory, a: Access, f: chiasm.Func, address: int, at: int, value: bytes = VALUE
) -> None:
    """f(address) is the access at `at`, which may be outside."""
    start = max(min(at, SIZE) - 16, 0)
    end = min(at + 64, SIZE)
    if at == start:
        window = PATTERN[16 : 16 + end - start]
    else:
        window = PATTERN[16 - (at - start) :][: end - start]
    window = window[: end - start].ljust(end - start, b"\x33")
    memory.write(start, window)
    got = outcome(f, address)
    inside = at + a.size <= SIZE
    if not inside or (a.atomic and at % a.size):
        want_trap = {BOUNDS} if not inside else {UNALIGNED}
        if not inside and a.atomic and at % a.size:
            want_trap.add(UNALIGNED)
        assert got in want_trap, (key(a), hex(address), hex(at), got)
        assert memory.read(start, end - start) == window
        return
    before = window[at - start : at - start + a.size]
    result, after = expected(a, before)
    if a.kind == "store":
        after = value[: a.size]
    assert not isinstance(got, str), (key(a), hex(address), hex(at), got)
    assert result_bytes(a, got) == (7, result), (key(a), hex(address), hex(at))
    wanted = window[: at - start] + after + window[at - start + a.size :]
    assert memory.read(start, end - start) == wanted, (key(a), hex(address), hex(at))


def addresses(a: Access, offset: int, memory: Memory) -> list[int]:
    """Aligned, unaligned, the last ones that are valid and the first that are not."""
    last = SIZE - a.size - offset
    aligned = -offset % 16
    if last < 0:
        found = [0, 1]
    else:
        found = [0, aligned, aligned + 1, aligned + 3, 4096 + aligned, 65536 - offset % 65536 - 1]
        found += [last, last + 1, SIZE - offset, SIZE - offset - 1]
        found += [last - last % 8 - offset % 8] if last >= 8 else []
    bits = int(memory.address[1:])
    found += [(1 << bits) - 1, (1 << bits) - offset, (1 << bits) - a.size]
    found += [1 << (bits - 1)]
    return sorted({x for x in found if 0 <= x < 1 << bits})


# ---- the tests


def run_access(e: chiasm.Exports, a: Access, m: Memory) -> None:
    memory = e["m"]
    for offset in (*OFFSETS, *FAR_OFFSETS[m.address]):
        f = e[f"{key(a)} local {offset}"]
        for address in addresses(a, offset, m):
            check(memory, a, f, address, address + offset)
        if offset not in (0, 127, 128, 16384):
            continue
        for form in ("stack", "far"):
            f = e[f"{key(a)} {form} {offset}"]
            for address in addresses(a, offset, m):
                check(memory, a, f, address, address + offset)
        for i, address in enumerate(const_addresses(a, offset)):
            check(memory, a, e[f"{key(a)} const {i} {offset}"], 0, address + offset)
        if a.kind != "store" or a.type == "v128":
            continue
        values = {"local value": VALUE, "stack and local value": VALUE, "stack value": VALUE}
        if a.type[0] == "i":
            for k in (-3, 0, 63, -64):
                values[f"short value {k}"] = k.to_bytes(8, "little", signed=True)
        for form, value in values.items():
            f = e[f"{key(a)} {form} {offset}"]
            for address in addresses(a, offset, m):
                check(memory, a, f, address, address + offset, value)


def named(accesses: tuple[Access, ...]) -> Any:
    return pytest.mark.parametrize("name", sorted({a.name for a in accesses}))


GROUPS = {"scalar": SCALARS, "vector": VECTORS, "atomic": ATOMICS}


@dispatches
@pytest.mark.parametrize("m", MEMORIES, ids=str)
@pytest.mark.parametrize("group", GROUPS)
def test_each_access_reads_and_writes_its_bytes_or_traps(
    m: Memory, dispatch: str, group: str, instances: Callable[[Memory, str], chiasm.Exports]
) -> None:
    e = instances(m, dispatch)
    for a in GROUPS[group]:
        run_access(e, a, m)
    assert m.index == 0 or not any(e["other"].read(0, 65536))


@dispatches
@pytest.mark.parametrize("m", SHARED, ids=str)
def test_atomics_work_on_shared_memories(
    m: Memory, dispatch: str, instances: Callable[[Memory, str], chiasm.Exports]
) -> None:
    for a in ATOMICS:
        run_access(instances(m, dispatch), a, m)


# ---- alignment, compare and exchange, growth

CAS = register_text("""(module (memory (export "m") 1)
  (func (export "32") (param i32 i32) (result i32)
    (i32.atomic.rmw.cmpxchg (i32.const 8) (local.get 0) (local.get 1)))
  (func (export "32 16") (param i32 i32) (result i32)
    (i32.atomic.rmw16.cmpxchg_u (i32.const 8) (local.get 0) (local.get 1)))
  (func (export "64 8") (param i64 i64) (result i64)
    (i64.atomic.rmw8.cmpxchg_u (i32.const 8) (local.get 0) (local.get 1)))
  (func (export "64 32") (param i64 i64) (result i64)
    (i64.atomic.rmw32.cmpxchg_u (i32.const 8) (local.get 0) (local.get 1)))
  (func (export "64") (param i64 i64) (result i64)
    (i64.atomic.rmw.cmpxchg (i32.const 8) (local.get 0) (local.get 1)))
  (func (export "fence") (result i32) (i32.const 3) (atomic.fence)))""")


@dispatches
@pytest.mark.parametrize(
    ("name", "size", "bits"),
    [("32", 4, 32), ("32 16", 2, 32), ("64 8", 1, 64), ("64 32", 4, 64), ("64", 8, 64)],
)
def test_cmpxchg_compares_all_bits_of_what_it_expects(
    name: str, size: int, bits: int, dispatch: str
) -> None:
    e = instance(CAS, dispatch).exports
    old = int.from_bytes(PATTERN[:size], "little")
    new = int.from_bytes(VALUE, "little") & ((1 << bits) - 1)
    tried = [old, old ^ 1, 0, old - 1]
    if 8 * size < bits:
        tried += [old | 1 << (8 * size), signed(old | 1 << (8 * size - 1), 8 * size)]
    for expected_ in tried:
        e["m"].write(0, PATTERN)
        e["m"].write(8, PATTERN[:size])
        assert e[name](expected_, new) & ((1 << bits) - 1) == old
        swapped = VALUE[:size] if expected_ == old else PATTERN[:size]
        assert e["m"].read(8, size) == swapped
        assert e["m"].read(8 + size, 8) == PATTERN[8 + size : 16 + size]


@dispatches
def test_a_fence_changes_nothing(dispatch: str) -> None:
    assert instance(CAS, dispatch).exports.fence() == 3


GROWING = register_text("""(module (memory (export "m") 1 3) (memory $b i64 0 2)
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size b") (result i64) (memory.size $b))
  (func (export "grow b") (param i64) (result i64) (memory.grow $b (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "load b") (param i64) (result i32) (i32.load8_u $b (local.get 0)))
  (func (export "both") (param i32) (result i32 i32 i32 i32)
    (i32.store8 (local.get 0) (i32.const 9))
    (i32.load8_u (local.get 0)) (memory.grow (i32.const 1))
    (i32.load8_u (local.get 0)) (i32.load8_u (i32.const 65536))))""")


@dispatches
def test_grown_memory_can_be_used_and_the_maximum_holds(dispatch: str) -> None:
    e = instance(GROWING, dispatch).exports
    assert outcome(e.load, 65536) == BOUNDS
    assert (e.size(), e.grow(0), e.grow(1), e.size()) == (1, 1, 1, 2)
    assert e.load(65536) == 0 and e.load(131071) == 0
    assert outcome(e.load, 131072) == BOUNDS
    assert (e.grow(2), e.grow(-1), e.size(), e.grow(1), e.grow(1)) == (-1, -1, 2, 2, -1)
    assert outcome(e["load b"], 0) == BOUNDS
    assert (e["size b"](), e["grow b"](2), e["size b"]()) == (0, 0, 2)
    assert (e["grow b"](1), e["grow b"](-1), e["load b"](131071)) == (-1, -1, 0)
    assert outcome(e["load b"], 131072) == BOUNDS
    assert outcome(e["load b"], -1) == BOUNDS


@dispatches
def test_memory_that_grows_in_the_middle_is_seen_at_once(dispatch: str) -> None:
    assert instance(GROWING, dispatch).exports.both(5) == (9, 1, 9, 0)


SMALL_PAGES = register_text("""(module (memory (export "m") 5 9 (pagesize 1))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load1") (param i32) (result i32) (i32.load8_u offset=1 (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))""")


@dispatches
def test_a_memory_of_bytes_ends_at_its_byte(dispatch: str) -> None:
    e = instance(SMALL_PAGES, dispatch).exports
    assert e.load(1) == 0 and e.load1(3) == 0
    assert outcome(e.load, 2) == outcome(e.load1, 4) == BOUNDS
    assert (e.size(), e.grow(2), e.size(), e.load(3), outcome(e.load, 4)) == (5, 5, 7, 0, BOUNDS)
    assert (e.grow(3), e.grow(2), e.size()) == (-1, 7, 9)


# ---- bulk operations

BULK = register_text("""(module
  (memory $a (export "a") 1) (memory $b (export "b") i64 1)
  (data $d "\\01\\02\\03\\04\\05") (data $active (memory $a) (i32.const 100) "xyz")
  (func (export "fill") (param i32 i32 i32)
    (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill b") (param i64 i32 i64)
    (memory.fill $b (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32)
    (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy b") (param i64 i64 i64)
    (memory.copy $b $b (local.get 0) (local.get 1) (local.get 2)))
  (func (export "a to b") (param i64 i32 i32)
    (memory.copy $b $a (local.get 0) (local.get 1) (local.get 2)))
  (func (export "b to a") (param i32 i64 i32)
    (memory.copy $a $b (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32)
    (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init b") (param i64 i32 i32)
    (memory.init $b $d (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init active") (param i32 i32 i32)
    (memory.init $active (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (data.drop $d))
  (func (export "keeps") (result i32 i32)
    (i32.const 1) (memory.fill (i32.const 0) (i32.const 1) (i32.const 1))
    (memory.copy (i32.const 1) (i32.const 0) (i32.const 1))
    (memory.init $d (i32.const 2) (i32.const 0) (i32.const 1)) (i32.const 2)))""")
END = 65536


@dispatches
def test_fill_writes_the_low_byte_and_traps_before_it_writes(dispatch: str) -> None:
    e = instance(BULK, dispatch).exports
    for name, m in (("fill", e.a), ("fill b", e.b)):
        f = e[name]
        f(10, 0x1FF, 3)
        assert m.read(9, 5) == b"\0\xff\xff\xff\0"
        f(END - 2, 0x42, 2)
        assert m.read(END - 3, 3) == b"\0BB"
        f(END, 1, 0)
        for at, n in ((END - 1, 2), (END, 1), (END + 1, 0), (0, END + 1), (-1, 1), (-1, 2)):
            assert outcome(f, at, 0x43, n) == BOUNDS
        assert m.read(END - 3, 3) == b"\0BB" and m.read(0, 1) == b"\0"


@dispatches
def test_copy_moves_as_if_through_a_buffer(dispatch: str) -> None:
    e = instance(BULK, dispatch).exports
    for name, m in (("copy", e.a), ("copy b", e.b)):
        f = e[name]
        for to, from_, n in ((3, 0, 20), (0, 3, 20), (5, 5, 9), (32, 0, 16), (1, 0, 1)):
            model = bytearray(range(64))
            m.write(0, model)
            f(to, from_, n)
            model[to : to + n] = model[from_ : from_ + n]
            assert m.read(0, 64) == model
        f(END, END, 0)
        f(END - 4, 0, 4)
        assert m.read(END - 4, 4) == m.read(0, 4)
        for to, from_, n in ((END - 3, 0, 4), (0, END - 3, 4), (END + 1, 0, 0), (0, END + 1, 0)):
            assert outcome(f, to, from_, n) == BOUNDS
        for to, from_, n in ((-1, 0, 2), (0, -1, 2), (0, 0, -1)):
            assert outcome(f, to, from_, n) == BOUNDS


@dispatches
def test_copy_between_memories_of_different_address_types(dispatch: str) -> None:
    e = instance(BULK, dispatch).exports
    e.a.write(0, PATTERN)
    e["a to b"](7, 3, 9)
    assert e.b.read(0, 20) == bytes(7) + PATTERN[3:12] + bytes(4)
    e["b to a"](200, 8, 4)
    assert e.a.read(199, 6) == b"\0" + PATTERN[4:8] + b"\0"
    assert outcome(e["a to b"], 1 << 40, 0, 1) == BOUNDS
    assert outcome(e["a to b"], 0, END, 1) == BOUNDS
    assert outcome(e["b to a"], 0, 1 << 32, 1) == BOUNDS
    assert outcome(e["b to a"], END - 1, 0, 2) == BOUNDS


@dispatches
def test_init_copies_a_segment_until_it_is_dropped(dispatch: str) -> None:
    e = instance(BULK, dispatch).exports
    assert e.a.read(99, 5) == b"\0xyz\0"
    for name, m in (("init", e.a), ("init b", e.b)):
        e[name](10, 1, 3)
        assert m.read(9, 5) == b"\0\2\3\4\0"
        e[name](END - 1, 4, 1)
        assert m.read(END - 2, 2) == b"\0\5"
        e[name](0, 5, 0)
        for at, from_, n in ((0, 5, 1), (0, 6, 0), (0, 0, 6), (END, 0, 1), (0, -1, 2), (-1, 0, 2)):
            assert outcome(e[name], at, from_, n) == BOUNDS
    assert outcome(e["init active"], 0, 0, 1) == BOUNDS
    e.drop()
    e.drop()
    e.init(0, 0, 0)
    assert outcome(e.init, 0, 0, 1) == BOUNDS


@dispatches
def test_bulk_operations_keep_what_is_beneath_their_operands(dispatch: str) -> None:
    e = instance(BULK, dispatch).exports
    assert e.keeps() == (1, 2)
    assert e.a.read(0, 4) == b"\1\1\1\0"


# ---- waiting

WAIT = register_text("""(module
  (memory $s (export "s") 1 1 shared) (memory $l i64 1 1 shared) (memory $u 1)
  (func (export "wait32") (param i32 i32 i64) (result i32)
    (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wait64") (param i32 i64 i64) (result i32)
    (memory.atomic.wait64 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wait64 long") (param i64 i64 i64) (result i32)
    (memory.atomic.wait64 $l offset=8 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "notify") (param i32 i32) (result i32)
    (memory.atomic.notify (local.get 0) (local.get 1)))
  (func (export "wait unshared") (result i32)
    (memory.atomic.wait32 $u (i32.const 0) (i32.const 0) (i64.const 0)))
  (func (export "wait64 unshared") (result i32)
    (memory.atomic.wait64 $u (i32.const 0) (i64.const 0) (i64.const 0)))
  (func (export "notify unshared") (param i32) (result i32)
    (memory.atomic.notify $u (local.get 0) (i32.const 1))))""")
WAKE = register_text("""(module (memory (import "" "m") 1 1 shared)
  (func (export "wait") (result i32)
    (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const 20000000000)))
  (func (export "notify") (param i32) (result i32)
    (memory.atomic.notify offset=16 (i32.const 0) (local.get 0))))""")


@dispatches
def test_wait_says_whether_the_value_differed_or_time_was_up(dispatch: str) -> None:
    e = instance(WAIT, dispatch).exports
    e.s.write(8, (5).to_bytes(8, "little"))
    assert e.wait32(8, 4, -1) == 1 and e.wait64(8, 4, -1) == 1
    assert e.wait32(8, 5, 0) == 2 and e.wait64(8, 5, 1000) == 2
    assert e["wait64 long"](0, 1, -1) == 1 and e["wait64 long"](0, 0, 0) == 2
    assert e.notify(8, 1) == 0


@dispatches
def test_wait_and_notify_trap_at_wrong_addresses(dispatch: str) -> None:
    e = instance(WAIT, dispatch).exports
    assert outcome(e.wait32, 2, 0, 0) == outcome(e.wait64, 4, 0, 0) == UNALIGNED
    assert outcome(e.notify, 2, 0) == outcome(e["notify unshared"], 1) == UNALIGNED
    assert outcome(e.wait32, END, 0, 0) == outcome(e.wait64, END, 0, 0) == BOUNDS
    assert outcome(e["wait64 long"], -8, 0, 0) == outcome(e.notify, END, 0) == BOUNDS
    assert outcome(e["wait unshared"]) == outcome(e["wait64 unshared"]) == "expected shared memory"
    assert e["notify unshared"](0) == 0


def test_notify_wakes_a_thread_that_waits() -> None:
    memory = chiasm.Memory(1, 1, shared=True)
    waiter, waker = (
        chiasm.instantiate(WAKE(), {"": {"m": memory}}, store=chiasm.Store(), gil=False).exports
        for _ in range(2)
    )
    woken: list[int] = []
    thread = threading.Thread(target=lambda: woken.append(waiter.wait()))
    thread.start()
    while waker.notify(1) == 0:
        assert thread.is_alive()
    thread.join()
    assert woken == [0]


# ---- the natural alignment, in the text


def test_an_alignment_below_the_natural_one_changes_nothing() -> None:
    e = chiasm.instantiate("""(module (memory (export "m") 1)
      (func (export "f") (param i32) (result i64) (i64.load align=1 (local.get 0)))
      (func (export "g") (param i32) (result i64) (i64.load offset=3 align=4 (local.get 0))))""")
    e.exports.m.write(0, PATTERN)
    for at in range(8):
        assert e.exports.f(at) == int.from_bytes(PATTERN[at : at + 8], "little", signed=True)
        assert e.exports.g(at) == int.from_bytes(PATTERN[at + 3 : at + 11], "little", signed=True)


def test_the_accesses_here_are_all_that_there_are() -> None:
    memory = re.compile(r"\.(atomic\.)?(load|store|rmw)")
    assert {name for name in chiasm.ops if memory.search(name)} == {a.name for a in ACCESSES}
