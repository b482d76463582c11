"""The small modules that ``call.py`` needs, assembled by hand: no text parser is involved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

I32, I64, F64 = 0x7F, 0x7E, 0x7C

LOCAL_GET, LOCAL_SET, CALL, END = 0x20, 0x21, 0x10, 0x0B
I32_CONST, I32_ADD, I64_ADD, F64_ADD = 0x41, 0x6A, 0x7C, 0xA0
I32_MUL, I32_XOR, I32_LT_U = 0x6C, 0x73, 0x49
LOOP, BR_IF, EMPTY_BLOCK, MEMORY_GROW = 0x03, 0x0D, 0x40, 0x40


@dataclass(frozen=True)
class Function:
    """A function: exported under `name`, or imported from ``env.name`` if it has no code."""

    name: str
    params: Sequence[int] = ()
    results: Sequence[int] = ()
    code: bytes | None = None
    i32_locals: int = 0


def leb(value: int) -> bytes:
    """Return an unsigned LEB128 number."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def vector(items: Sequence[bytes]) -> bytes:
    return leb(len(items)) + b"".join(items)


def named(text: str) -> bytes:
    return leb(len(text)) + text.encode()


def section(number: int, items: Sequence[bytes]) -> bytes:
    """Return a section, or nothing if it would be empty."""
    content = vector(items)
    return bytes([number]) + leb(len(content)) + content if items else b""


def body(function: Function) -> bytes:
    groups = [leb(function.i32_locals) + bytes([I32])] if function.i32_locals else []
    content = vector(groups) + (function.code or b"") + bytes([END])
    return leb(len(content)) + content


def module(functions: Sequence[Function], memory: tuple[int, int] | None = None) -> bytes:
    """Assemble a module.

    Parameters
    ----------
    functions
        Imported ones first; function and type have the same index.
    memory
        Pages at first and at most, of a memory exported as ``memory``; None for no memory.
    """
    imported = [function for function in functions if function.code is None]
    own = functions[len(imported) :]
    types = [b"\x60" + vector_of(f.params) + vector_of(f.results) for f in functions]
    imports = [named("env") + named(f.name) + b"\0" + leb(i) for i, f in enumerate(imported)]
    indices = [leb(i) for i in range(len(imported), len(functions))]
    memories = [b"\1" + leb(memory[0]) + leb(memory[1])] if memory else []
    exports = [named(f.name) + b"\0" + leb(len(imported) + i) for i, f in enumerate(own)]
    exports += [named("memory") + b"\2\0"] if memory else []
    return b"".join(
        [
            b"\0asm\1\0\0\0",
            section(1, types),
            section(2, imports),
            section(3, indices),
            section(5, memories),
            section(7, exports),
            section(10, [body(function) for function in own]),
        ]
    )


def vector_of(types: Sequence[int]) -> bytes:
    return vector([bytes([number]) for number in types])


def sum_code(count: int, add: int) -> bytes:
    """Return the code that adds the first `count` parameters."""
    first, *rest = (bytes([LOCAL_GET, i]) for i in range(count))
    return first + b"".join(get + bytes([add]) for get in rest)


# fmt: off
# acc = i = 0; do acc += f(i); while (++i < n); return acc
EACH = bytes(
    [
        LOOP, EMPTY_BLOCK,
        LOCAL_GET, 1, LOCAL_GET, 2, CALL, 0, I32_ADD, LOCAL_SET, 1,
        LOCAL_GET, 2, I32_CONST, 1, I32_ADD, LOCAL_SET, 2,
        LOCAL_GET, 2, LOCAL_GET, 0, I32_LT_U, BR_IF, 0,
        END, LOCAL_GET, 1,
    ]
)

# acc = i = 0; do acc = (acc ^ i) * 31 + i; while (++i < n); return acc
SPIN = bytes(
    [
        LOOP, EMPTY_BLOCK,
        LOCAL_GET, 1, LOCAL_GET, 2, I32_XOR, I32_CONST, 31, I32_MUL,
        LOCAL_GET, 2, I32_ADD, LOCAL_SET, 1,
        LOCAL_GET, 2, I32_CONST, 1, I32_ADD, LOCAL_SET, 2,
        LOCAL_GET, 2, LOCAL_GET, 0, I32_LT_U, BR_IF, 0,
        END, LOCAL_GET, 1,
    ]
)
# fmt: on

ADD_I32 = Function("add", [I32, I32], [I32], sum_code(2, I32_ADD))

# 41 bytes: the least module that does something.
ADD_MODULE = module([ADD_I32])

CALLS_MODULE = module(
    [
        Function("nop", code=b""),
        ADD_I32,
        Function("add_i64", [I64, I64], [I64], sum_code(2, I64_ADD)),
        Function("add_f64", [F64, F64], [F64], sum_code(2, F64_ADD)),
        Function("add6", [I32] * 6, [I32], sum_code(6, I32_ADD)),
        Function("spin", [I32], [I32], SPIN, i32_locals=2),
    ]
)

# 15 functions in some 850 bytes, each with a loop that ends at once for the argument 1.
MANY_TAIL = bytes([I32_CONST, 31, I32_XOR, LOCAL_GET, 0, I32_ADD])
MANY_MODULE = module(
    [Function(f"f{i:x}", [I32], [I32], SPIN + MANY_TAIL, i32_locals=2) for i in range(15)]
)

CALLBACK_MODULE = module(
    [Function("f", [I32], [I32]), Function("each", [I32], [I32], EACH, i32_locals=2)]
)


def memory_module(pages: int, most: int) -> bytes:
    """Return a module with a memory and ``grow(pages) -> pages before``."""
    grow = Function("grow", [I32], [I32], bytes([LOCAL_GET, 0, MEMORY_GROW, 0]))
    return module([grow], (pages, most))
