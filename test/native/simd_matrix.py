"""Modules that run every vector instruction, and the scalar ones that take a
sequence in machine code, on edge operands in all places that operands have.

A module prints one hash for each way in which its instructions were run; the
interpreter's are what the others must be.  Ways: an operand in a local that has
a register or has none (a function with a handler gives none), on the stack, in
a slot of the stack (a call was in between), or constant; the result on the
stack, or in one of the operands' locals, or in another's; both operands one
local; and other operands below.

    python simd_matrix.py COMMAND OP WAY     the results of one way, by tier
"""

from __future__ import annotations

import functools
import itertools
import os
import random
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BITS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64, "v128": 128}
TYPE = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C, "v128": 0x7B}
LANE_BITS = {"i8x16": 8, "i16x8": 16, "i32x4": 32, "i64x2": 64, "f32x4": 32, "f64x2": 64}

# ---- operands, as bits

I8 = (0, 1, 2, 7, 0x10, 0x3F, 0x40, 0x7E, 0x7F, 0x80, 0x81, 0xAA, 0xC0, 0xFE, 0xFF)
I16 = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x4000, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFF7F, 0xFFFF)
I32 = (
    *(0, 1, 2, 31, 32, 33, 0x7F, 0x80, 0xFFFF, 0x10000, 0x7FFFFF80, 0x7FFFFFFF, 0x80000000),
    *(0x80000001, 0xFFFF8000, 0xFFFFFFFE, 0xFFFFFFFF),
)
I64 = (
    *(0, 1, 63, 64, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 0x123456789ABCDEF0),
    *((1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - (1 << 31), (1 << 64) - 1),
)


def f32(x: float) -> int:
    return int(struct.unpack("<I", struct.pack("<f", x))[0])


def f64(x: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", x))[0])


F32 = (
    *(f32(s * x) for x in (0.0, 0.5, 1.0, 1.5, 2.5) for s in (1, -1)),
    *(1, 0x80000001, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x4AFFFFFF, 0xCB000001),
    *(f32(s * 2.0**p) + d for p in (31, 32, 63, 64) for s in (1, -1) for d in (-1, 0, 1)),
    *(0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FA00000, 0xFF800001, 0x7FFFFFFF),
)
F64 = (
    *(f64(s * x) for x in (0.0, 0.5, 1.0, 1.5, 2.5) for s in (1, -1)),
    *(1, 0x8000000000000001, (1 << 52) - 1, 1 << 52, (0x7FF << 52) - 1, (0xFFF << 52) - 1),
    *(f64(s * 2.0**p) + d for p in (31, 32, 52, 63, 64) for s in (1, -1) for d in (-1, 0, 1)),
    *(f64(2147483647.5), f64(-2147483648.5), f64(4294967295.5), f64(-0.999), f64(1e-50)),
    *(0x7FF << 52, 0xFFF << 52, 0xFFF << 51, 0xFFF8 << 48, 0x7FF4 << 48, (0xFFF << 52) | 1),
)
EDGES = {"i8x16": I8, "i16x8": I16, "i32x4": I32, "i64x2": I64, "f32x4": F32, "f64x2": F64}
SCALARS = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}


def vectors(columns: Sequence[tuple[int, ...]], bits: int) -> Iterator[tuple[bytes, ...]]:
    """Tuples of lanes as tuples of vectors."""
    n = 128 // bits
    columns = [*columns, *columns[: -len(columns) % n]]
    for i in range(0, len(columns), n):
        yield tuple(
            b"".join(x.to_bytes(bits // 8, "little") for x in row)
            for row in zip(*columns[i : i + n], strict=True)
        )


def tuples(shape: str, params: tuple[str, ...]) -> list[tuple[bytes, ...]]:
    """Operands of an instruction on such lanes, 16 bytes each."""
    some = random.Random(f"{shape} {params}")
    wide = params.count("v128")
    if wide == 0:
        columns = list(itertools.product(*(SCALARS[p] for p in params)))
        if len(columns) > 400:
            columns = some.sample(columns, 400)
        return [tuple(x.to_bytes(16, "little") for x in row) for row in columns]
    edges = EDGES[shape]
    columns = list(itertools.product(edges, repeat=wide))
    if len(columns) > 1600:
        columns = some.sample(columns, 1600)
    some.shuffle(columns)
    rows = list(vectors(columns, LANE_BITS[shape]))
    rows += [tuple(some.randbytes(16) for _ in range(wide)) for _ in range(8)]
    if wide == len(params):
        return rows
    scalars = SCALARS[params[-1]]
    rows = [(*some.choice(rows), x.to_bytes(16, "little")) for x in scalars for _ in range(4)]
    return rows


# ---- instructions


@dataclass(frozen=True)
class Op:
    name: str
    code: bytes  # with its immediates
    params: tuple[str, ...]
    results: tuple[str, ...]
    shape: str  # of the lanes of its operands


def leb(n: int) -> bytes:
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def sleb(n: int) -> bytes:
    out = b""
    while not -64 <= n < 64:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n & 0x7F])


ROW = re.compile(r'OP\((\w+), *0x(\w+), "([^"]+)", *(\w+), *(\w+)\(([^)]*)\), *(\w+)\)')


def rows_of_op_def() -> Iterator[tuple[str, int, str, list[str], str]]:
    for match in ROW.finditer((ROOT / "src/wasm/op.def").read_text()):
        _, code, text, _, shape, args, _ = match.groups()
        yield text, int(code, 16), shape, [a.strip() for a in args.split(",")], match.group(7)


def encoded(code: int) -> bytes:
    return bytes([code >> 12]) + leb(code & 0xFFF) if code > 0xFF else bytes([code])


def lanes_of(text: str, args: list[str]) -> str:
    """The shape that an instruction reads its operands in."""
    found = re.findall(r"[if]\d+x\d+", text)
    if text.startswith("v128"):
        return "i8x16"
    if "relaxed_dot" in text:
        return "i8x16"
    return found[-1] if "narrow" not in text or len(found) < 2 else found[1]


SHUFFLES = [
    [*range(16)],
    [*range(16, 32)],
    *([k // w // 2 * w + k % w + h + (k // w % 2 ^ f) * 16 for k in range(16)]
      for w in (1, 2, 4, 8) for h in (0, 8) for f in (0, 1)),
    *([(k + n) % 32 for k in range(16)] for n in (1, 4, 9, 15, 17, 24, 31)),
    *([k + 16 * (k // w % 2 ^ f) for k in range(16)] for w in (1, 2, 4, 8) for f in (0, 1)),
    *([4 * d[k // 4] + k % 4 for k in range(16)]
      for d in ((3, 2, 1, 0), (0, 0, 0, 0), (1, 2, 3, 0), (1, 3, 5, 7), (4, 6, 0, 2), (2, 2, 7, 7),
                (7, 4, 3, 1), (0, 5, 2, 7), (0, 1, 6, 5), (5, 5, 6, 6))),
    *([2 * d[k // 2] + k % 2 for k in range(16)]
      for d in ((3, 2, 1, 0, 4, 5, 6, 7), (0, 1, 2, 3, 7, 6, 5, 4), (1, 1, 0, 0, 5, 5, 4, 4),
                (11, 10, 9, 8, 12, 13, 14, 15), (0, 9, 2, 11, 4, 5, 14, 15))),
    [15 - k for k in range(16)],
    [31 - 2 * k for k in range(16)],
    [0] * 16,
    [20] * 16,
]  # fmt: skip


def instructions() -> Iterator[Op]:
    for text, code, shape, args, _ in rows_of_op_def():
        op = encoded(code)
        vector = lanes_of(text, args) if code >> 12 == 0xFD else ""
        if shape in ("VUN", "VBIN", "VTER"):
            n = {"VUN": 1, "VBIN": 2, "VTER": 3}[shape]
            yield Op(text, op, ("v128",) * n, ("v128",), vector)
        elif shape == "VTEST":
            yield Op(text, op, ("v128",), ("i32",), vector)
        elif shape == "VSHIFT":
            yield Op(text, op, ("v128", "i32"), ("v128",), vector)
        elif shape == "VSPLAT":
            yield Op(text, op, (args[0],), ("v128",), vector)
        elif shape in ("VEXTRACT", "VREPLACE"):
            for lane in range(int(args[2])):
                params = ("v128",) if shape == "VEXTRACT" else ("v128", args[0])
                result = args[0] if shape == "VEXTRACT" else "v128"
                yield Op(f"{text} {lane}", op + bytes([lane]), params, (result,), vector)
        elif text == "i8x16.shuffle":
            for lanes in SHUFFLES:
                name = f"{text} {lanes}"
                yield Op(name, op + bytes(lanes), ("v128", "v128"), ("v128",), "i8x16")
        elif shape == "WIDE":
            yield Op(text, op, ("i64",) * int(args[1]), ("i64", "i64"), "")
        elif shape == "CONV" and "trunc_sat" in text:
            yield Op(text, op, (args[1],), (args[0],), "")
        elif shape == "UN" and text[4:] in ("clz", "ctz", "popcnt"):
            yield Op(text, op, (args[0],), (args[0],), "")
        elif re.fullmatch(r"i64\.trunc_f.._u", text):
            yield Op(text, op, (args[1],), (args[0],), "")


def operands(op: Op) -> list[tuple[bytes, ...]]:
    rows = tuples(op.shape, op.params)
    if re.fullmatch(r"i64\.trunc_f.._u", op.name):  # those that do not trap
        code, n = ("<f", 4) if op.params[0] == "f32" else ("<d", 8)
        rows = [r for r in rows if -1 < struct.unpack(code, r[0][:n])[0] < 2.0**64]
    return rows


# ---- ways of running one

# An operand: H is its local, R on the stack, S in a slot, C constant, A the
# first operand's local.  Then where the result goes: s stays, 0 1 2 the
# operands' locals, z another.  b: others are below.


def ways(op: Op) -> Iterator[str]:
    n = len(op.params)
    places = ["H" * n, "R" * n]
    if n > 1:
        places += ["".join(p) for p in itertools.product("HR", repeat=n) if len(set(p)) > 1]
        if len(set(op.params)) == 1:
            places += ["H" + "A" * (n - 1), "R" + "A" * (n - 1)]
    places += ["S" * k + r * (n - k) for k in range(1, n + 1) for r in ("HR" if k < n else "H")]
    places += ["H" * k + "C" + "H" * (n - k - 1) for k in range(n)]
    places += ["R" * k + "C" + "R" * (n - k - 1) for k in range(n)]
    places += ["C" * n]
    if n > 2:
        places = [p for p in places if p.count("C") != 1]
    for place in dict.fromkeys(places):
        yield place + "s"
        yield place + "sb"
        if len(op.results) == 1:
            yield place + "z"
            for k, param in enumerate(op.params):
                if param == op.results[0]:
                    yield place + str(k)


TABLE, SCRATCH_AT, CALLEE = 0x20000, 64, 1  # CALLEE: a function that does nothing
LOAD = {"i32": b"\x28\x02", "i64": b"\x29\x03", "f32": b"\x2a\x02", "f64": b"\x2b\x03"}
STORE = {"i32": b"\x36\x02", "i64": b"\x37\x03", "f32": b"\x38\x02", "f64": b"\x39\x03"}
LOAD["v128"], STORE["v128"] = b"\xfd\x00\x04", b"\xfd\x0b\x04"


def get(local: int) -> bytes:
    return b"\x20" + leb(local)


def put(local: int) -> bytes:
    return b"\x21" + leb(local)


def const(kind: str, data: bytes) -> bytes:
    if kind in ("i32", "i64"):
        n = 4 if kind == "i32" else 8
        value = int.from_bytes(data[:n], "little", signed=True)
        return (b"\x41" if kind == "i32" else b"\x42") + sleb(value)
    head = {"f32": b"\x43", "f64": b"\x44", "v128": b"\xfd\x0c"}[kind]
    return head + data[: BITS[kind] // 8]


def load(kind: str, address: bytes, offset: int) -> bytes:
    return address + LOAD[kind] + leb(offset)


class Locals:
    """0: the row's address, 1: a hash; then the operands, z, those below."""

    def __init__(self, op: Op) -> None:
        self.types = ["i32", "i64", *op.params, *op.results, "v128", "i32", "v128", "i64"]
        self.operand = 2
        self.z = 2 + len(op.params)
        self.below = self.z + len(op.results)

    def declared(self) -> bytes:
        return leb(len(self.types)) + b"".join(bytes([1, TYPE[t]]) for t in self.types)


@functools.cache
def hashed(kind: str, local: int) -> bytes:
    """Local 1 goes on with that local's bytes."""
    code = b"\x41" + sleb(SCRATCH_AT) + get(local) + STORE[kind] + leb(0)
    for part in range(0, BITS[kind], 64):
        n = min(BITS[kind], 64)
        word = load("i64" if n == 64 else "i32", b"\x41" + sleb(SCRATCH_AT), part // 8)
        word += b"" if n == 64 else b"\xad"  # i64.extend_i32_u
        code += get(1) + b"\x42" + sleb(9) + b"\x89" + word + b"\x85"  # rotl, xor
        code += b"\x42" + sleb(0x2545F4914F6CDD1D) + b"\x7e" + put(1)  # mul
    return code


# Of two NaNs either may be the result.
ANY_NAN = re.compile(r"f(32x4|64x2)\.(relaxed_)?(add|sub|mul|div|min|max|n?madd)")


def without_payload(op: Op, local: int) -> bytes:
    """NaNs in the local become one, or another if they are signalling."""
    match = ANY_NAN.fullmatch(op.name)
    if not match:
        return b""
    single = match[1] == "32x4"
    kept = 0x7FC00000 * (1 << 32 | 1) if single else 0x7FF8 << 48
    equal = b"\xfd\x41" if single else b"\xfd\x47"
    code = get(local) * 2 + b"\xfd\x0c" + kept.to_bytes(8, "little") * 2 + b"\xfd\x4e"  # and
    return code + get(local) * 2 + equal + b"\xfd\x52" + put(local)  # bitselect


def run_way(op: Op, way: str, constants: tuple[bytes, ...], at: int) -> bytes:
    """One way on the row that local 0 points to; its hash is kept at `at`."""
    n, local = len(op.params), Locals(op)
    places, rest = way[:n], way[n:]
    code = b""
    for k, kind in enumerate(op.params):
        code += load(kind, get(0), 16 * k) + put(local.operand + k)
    code += b"\x41" + sleb(at) + LOAD["i64"] + leb(0) + put(1)
    below = list(enumerate(local.types[local.below :], local.below)) if "b" in rest else []
    for k, kind in below:
        code += load(kind, get(0), (k - local.below) % 2)
    slots = places.count("S")
    for k, kind in enumerate(op.params):
        if k == slots and slots:
            code += b"\x10" + leb(CALLEE)
        if places[k] == "C":
            code += const(kind, constants[k])
        elif places[k] in "SR":
            code += load(kind, get(0), 16 * k)
        else:
            code += get(local.operand + (0 if places[k] == "A" else k))
    if slots == n:
        code += b"\x10" + leb(CALLEE)
    code += op.code
    if rest[0] in "012":
        target = local.operand + int(rest[0])
        code += put(target) + get(target)
    elif rest[0] == "s":
        code += b"\x01"  # nop: the result is not wanted at once
    for k in reversed(range(len(op.results))):
        code += put(local.z + k)
    for k, _ in reversed(below):
        code += put(k)
    code += without_payload(op, local.z)
    for k, kind in enumerate(op.results):
        code += hashed(kind, local.z + k)
    for k, kind in below:
        code += hashed(kind, k)
    return code + b"\x41" + sleb(at) + get(1) + STORE["i64"] + leb(0)


def function(op: Op, table: int, rows: int, body: bytes, handler: bool) -> bytes:
    """Runs the body for each row of the table."""
    size = 16 * len(op.params)
    loop = b"\x41" + sleb(table) + put(0) + b"\x03\x40" + body
    loop += get(0) + b"\x41" + sleb(size) + b"\x6a\x22\x00"  # add, tee 0
    loop += b"\x41" + sleb(table + size * rows) + b"\x48\x0d\x00\x0b"  # lt_s, br_if, end
    if handler:  # block (try_table (catch_all 0) ...): no local has a register
        loop = b"\x02\x40\x1f\x40\x01\x02\x00" + loop + b"\x0b\x0b"
    code = Locals(op).declared() + loop + b"\x0b"
    return leb(len(code)) + code


def section(number: int, *items: bytes) -> bytes:
    body = leb(len(items)) + b"".join(items)
    return bytes([number]) + leb(len(body)) + body


@dataclass
class Matrix:
    module: bytes
    names: list[str]  # of the hashes


def make(ops: Sequence[Op], only: str | None = None) -> Matrix:
    """only: one way, whose results on each row are printed, by one hash each."""
    names: list[str] = []
    functions: list[bytes] = [b"\x02\x00\x0b"]  # CALLEE
    data, places = b"", {}
    for op in ops:
        rows = operands(op)
        if (op.shape, op.params, len(rows)) not in places:
            places[op.shape, op.params, len(rows)] = TABLE + len(data)
            data += b"".join(b"".join(row) for row in rows)
    hashes = (TABLE + len(data) + 15) & ~15
    for op in ops:
        rows = operands(op)
        table = places[op.shape, op.params, len(rows)]
        constants = [rows[len(rows) * k // 3] for k in range(3)]
        for handler in (False, True):
            body = b""
            for way in ways(op):
                for which, chosen in enumerate(constants if "C" in way else constants[:1]):
                    name = f"{op.name} {'M' if handler else ''}{way}{which}"
                    if only and only != name:
                        continue
                    body += run_way(op, way, chosen, hashes + 8 * len(names))
                    names.append(name)
            if not only:
                functions.append(function(op, table, len(rows), body, handler))
            elif body:
                for k in range(len(rows)):
                    at = table + 16 * len(op.params) * k
                    body = run_way(
                        op,
                        only.split()[-1].strip("M")[:-1],
                        constants[int(only[-1])],
                        hashes + 8 * k,
                    )
                    functions.append(function(op, at, 1, body, handler))
                names = [f"{name} {rows[k]}" for k, name in enumerate(names * len(rows))]
    start = b"".join(b"\x10" + leb(1 + k) for k in range(len(functions)))
    for at in range(0, 8 * len(names), 4096):  # fd_write(1, 16, 1, 32)
        start += b"\x41\x10\x41" + sleb(hashes + at) + STORE["i32"] + leb(0)
        start += b"\x41\x14\x41" + sleb(min(8 * len(names) - at, 4096)) + STORE["i32"] + leb(0)
        start += b"\x41\x01\x41\x10\x41\x01\x41\x20\x10\x00\x1a"
    start += b"\x0b"
    start = b"\x00" + start
    functions.append(leb(len(start)) + start)
    pages = (hashes + 8 * len(names) >> 16) + 1
    module = b"\0asm\1\0\0\0" + section(1, b"\x60\x00\x00", b"\x60\x04\x7f\x7f\x7f\x7f\x01\x7f")
    module += section(2, b"\x16wasi_snapshot_preview1\x08fd_write\x00\x01")
    module += section(3, *[b"\x00"] * len(functions)) + section(5, b"\x00" + leb(pages))
    main = leb(len(functions))
    module += section(7, b"\x06_start\x00" + main, b"\x06memory\x02\x00")
    module += section(10, *functions)
    module += section(11, b"\x00\x41" + sleb(TABLE) + b"\x0b" + leb(len(data)) + data)
    return Matrix(module, names)


def run(command: str, matrix: Matrix, **environment: str) -> list[int]:
    done = subprocess.run(
        [command, "run", "-"], input=matrix.module, capture_output=True, timeout=600,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout) == 8 * len(matrix.names)
    return [x for (x,) in struct.iter_unpack("<Q", done.stdout)]


def main() -> None:
    command, name, way = sys.argv[1:4]
    op = next(o for o in instructions() if o.name == name)
    matrix = make([op], f"{name} {way}")
    expected = run(command, matrix, CHIASM_TIER="interp")
    given = run(command, matrix, CHIASM_TIER="baseline")
    for row, a, b in zip(matrix.names, expected, given, strict=True):
        print("  " if a == b else "! ", row, hex(a), hex(b))


if __name__ == "__main__":
    main()
