"""Bombs for the compiler: each function is compiled, or left to the interpreter, at little cost.

Every bomb returns at once if its parameter is 1, so that what is measured is compiling.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import SANITIZED, leb, module, section, sized, vector

SECONDS = 1.0  # of CPU, more than without the compiler
TRIES = 3  # the best counts: clearing pages costs what the neighbours leave
BYTES = 500 << 20  # resident

I32, I64, F64, V128 = b"\x7f", b"\x7e", b"\x7c", b"\x7b"
LEAVE = b"\x20\0\x04\x40\x20\0\x0f\x0b"  # if parameter 0 is not 0, it is the result
MANY = 1000
DEEP = 60_000
BLOCK, LOOP, END, DROP = b"\x02\x40", b"\x03\x40", b"\x0b", b"\x1a"
ZERO, ONE = b"\x41\0", b"\x41\1"


def functype(params: bytes, results: bytes) -> bytes:
    return b"\x60" + vector([bytes([t]) for t in params]) + vector([bytes([t]) for t in results])


PLAIN = functype(I32, I32)  # type 0
# Types 1 to 5: of blocks, functions and tags.
TYPES = [
    PLAIN,
    functype(b"", I32 * MANY),
    functype(I32 * MANY, I32 * MANY),
    functype(V128 * MANY, V128 * MANY),
    functype(I32, b""),
    functype(b"", V128 * MANY),
]


def bomb(code: bytes, locals_: bytes = b"\0", result: bytes = ZERO) -> bytes:
    """A module that exports the bomb as "f"; function 1 takes and gives MANY, 2 is a leaf."""
    bodies = [
        locals_ + LEAVE + code + result + END,
        b"\0" + b"".join(b"\x20" + leb(k) for k in range(MANY)) + END,
        b"\0\x20\0" + END,
    ]
    return module(
        section(1, vector(TYPES)),
        section(3, vector([b"\0", b"\2", b"\0"])),
        section(4, b"\1\x70\0\1"),
        section(5, b"\1\0\1"),
        section(13, vector([b"\0\4"])),
        section(7, b"\1\1f\0\0"),
        section(10, vector([sized(body) for body in bodies])),
    )


def locals_of(count: int, type_: bytes) -> bytes:
    return b"\1" + leb(count) + type_


def nested_blocks(n: int) -> bytes:
    return bomb(BLOCK * n + END * n)


def nested_ifs(n: int) -> bytes:
    return bomb((b"\x20\0\x04\x40") * n + END * n)


def nested_loops(n: int) -> bytes:
    return bomb(LOOP * n + END * n, locals_of(20, I64))


def sequential_blocks(n: int) -> bytes:
    return bomb((BLOCK + b"\x20\0\x0d\0" + END) * n)


def blocks_on_a_deep_stack(n: int) -> bytes:
    return bomb(b"\x20\0" * DEEP + (BLOCK + END) * n + DROP * DEEP)


def deep_stack_of_locals(n: int) -> bytes:
    code = b"".join(b"\x20" + leb(1 + k % 49_999) for k in range(DEEP))
    return bomb((code + DROP * DEEP) * n, locals_of(49_999, I32))


def deep_stack_of_one_local(n: int) -> bytes:
    """Each local.set is of a local that the stack below is full of."""
    return bomb(b"\x20\0" * DEEP + b"\x20\0\x21\0" * n + DROP * DEEP)


def deep_stack_with_sets_between(n: int) -> bytes:
    code = b"\x20\1\x20\2\x21\1" * DEEP + DROP * DEEP
    return bomb(code * n, locals_of(10, I32))


def deep_stack_of_constants(n: int) -> bytes:
    return bomb(b"\x41\1" * DEEP + b"\x20\0\x0d\0" * n + DROP * DEEP)


def calls_on_a_deep_stack(n: int) -> bytes:
    return bomb(b"\x20\0" * DEEP + (b"\x20\0\x10\2" + DROP) * n + DROP * DEEP)


def different_constants(n: int) -> bytes:
    one = [b"\x44" + (0x3FF0 << 48 | k).to_bytes(8, "little") + b"\x21\1" for k in range(n)]
    return bomb(b"".join(one), locals_of(1, F64))


def different_vectors(n: int) -> bytes:
    one = [b"\xfd\x0c" + k.to_bytes(16, "little") + b"\x21\1" for k in range(n)]
    return bomb(b"".join(one), locals_of(1, V128))


def table_of_arms(n: int) -> bytes:
    return bomb(BLOCK + b"\x20\0\x0e" + leb(n) + bytes(n + 1) + END)


def table_of_arms_to_many_blocks(n: int) -> bytes:
    arms = b"".join(leb(k) for k in range(n + 1))
    return bomb(BLOCK * (n + 1) + b"\x20\0\x0e" + leb(n) + arms + END * (n + 1))


def many_tables(n: int) -> bytes:
    arms = b"".join(leb(k) for k in range(1001))
    table = b"\x02\x40\x20\0\x0e" + leb(1000) + arms + END
    return bomb(BLOCK * 1000 + table * n + END * 1000)


def many_tables_with_a_value(n: int) -> bytes:
    arms = b"".join(leb(k) for k in range(1001))
    table = b"\x02\x7f\x41\1\x20\0\x0e" + leb(1000) + arms + END + DROP
    return bomb(b"\x02\x7f" * 1000 + table * n + ZERO + (END + DROP + ZERO) * 1000 + DROP)


def table_with_values_to_many_blocks(n: int) -> bytes:
    """Each arm moves MANY values to a place of its own."""
    arms = b"".join(leb(k) for k in range(n + 1))
    values = ZERO * MANY + b"\x20\0\x0e" + leb(n) + arms
    return bomb((ZERO + b"\x02\1") * (n + 1) + values + (END + b"\0") * (n + 1))


def branches_with_many_values(n: int) -> bytes:
    code = ZERO * MANY + b"\x02\2" + b"\x20\0\x0d\0" * n + END + DROP * MANY
    return bomb(code)


def branches_with_many_values_elsewhere(n: int) -> bytes:
    """They lie one slot too high: each branch moves all."""
    code = b"\x02\1" + ZERO + ZERO * MANY + b"\x20\0\x0d\0" * n + b"\x0c\0" + END + DROP * MANY
    return bomb(code)


def branches_with_many_vectors_elsewhere(n: int) -> bytes:
    zero = b"\xfd\x0c" + bytes(16)
    code = b"\x02\5" + ZERO + zero * MANY + b"\x20\0\x0d\0" * n + b"\x0c\0" + END + DROP * MANY
    return bomb(code)


def blocks_of_many_values(n: int) -> bytes:
    return bomb(ZERO * MANY + (b"\x02\2" + END) * n + DROP * MANY)


def loops_of_many_values(n: int) -> bytes:
    return bomb(ZERO * MANY + (b"\x03\2" + END) * n + DROP * MANY)


def calls_with_many_values(n: int) -> bytes:
    return bomb(ZERO * MANY + b"\x10\1" * n + DROP * MANY)


def returns_with_many_values(n: int) -> bytes:
    """Function 3 of MANY results; it returns at once."""
    body = sized(b"\0" + BLOCK + b"\x20\0\x04\x40" + ONE * MANY + b"\x0f" + END
                 + (b"\x20\0\x04\x40" + ONE * MANY + b"\x0f" + END) * n + END
                 + ONE * MANY + END)  # fmt: skip
    caller = sized(b"\0\x20\0\x10\1" + DROP * (MANY - 1) + END)
    return module(
        section(1, vector([PLAIN, functype(I32, I32 * MANY)])),
        section(3, vector([b"\0", b"\1"])),
        section(7, b"\1\1f\0\0"),
        section(10, vector([caller, body])),
    )


def seven_megabytes(n: int) -> bytes:
    """Ordinary code: x = (x * 3 + 7) ^ load(x), and a test."""
    one = b"\x20\1\x41\3\x6c\x41\7\x6a\x20\1\x28\2\0\x73\x22\1\x04\x40\x20\1\x21\2\x0b"
    return bomb(one * (n // len(one)), locals_of(4, I32))


def costly_instructions(n: int) -> bytes:
    """f64 to i64 and back, by instructions of two bytes and long code."""
    return bomb(b"\x20\1" + b"\xfc\x06\xb9" * n + b"\x21\1", locals_of(1, F64))


def try_tables(n: int) -> bytes:
    return bomb((BLOCK + b"\x1f\x40\1\2\0" + END + END) * n)


def nested_try_tables(n: int) -> bytes:
    return bomb(BLOCK + b"\x1f\x40\1\2\0" * n + END * (n + 1))


def catches_of_one_try_table(n: int) -> bytes:
    return bomb(b"\x02\x7f" + BLOCK + b"\x1f\x40" + leb(n) + b"\0\0\1" * n + END + END
                + ZERO + END + DROP)  # fmt: skip


def legacy_tries(n: int) -> bytes:
    return bomb((b"\x06\x40\1\x19" + END) * n)


def catches_of_one_legacy_try(n: int) -> bytes:
    return bomb(b"\x06\x40" + (b"\x07\0" + DROP) * n + END)


def delegates(n: int) -> bytes:
    return bomb(b"\x06\x40" * n + b"\x18\0" * n)


def traps(n: int) -> bytes:
    return bomb(b"\x20\0\x20\0\x6d\x21\0" * n)


def dead_code(n: int) -> bytes:
    return bomb((BLOCK + b"\x0c\0" + BLOCK + END + END) * n)


BOMBS: list[tuple[Callable[[int], bytes], int]] = [
    (nested_blocks, 1_000_000),
    (nested_blocks, 2_300_000),
    (nested_ifs, 1_000_000),
    (nested_loops, 1_000_000),
    (sequential_blocks, 1_000_000),
    (blocks_on_a_deep_stack, 1_000_000),
    (deep_stack_of_locals, 20),
    (deep_stack_of_one_local, 500_000),
    (deep_stack_with_sets_between, 15),
    (deep_stack_of_constants, 1_000_000),
    (calls_on_a_deep_stack, 500_000),
    (different_constants, 600_000),
    (different_vectors, 350_000),
    (table_of_arms, 10_000),
    (table_of_arms, 65_000),
    (table_of_arms_to_many_blocks, 65_000),
    (many_tables, 1000),
    (many_tables_with_a_value, 1000),
    (table_with_values_to_many_blocks, 60_000),
    (branches_with_many_values, 1_000_000),
    (branches_with_many_values_elsewhere, 100_000),
    (branches_with_many_vectors_elsewhere, 100_000),
    (blocks_of_many_values, 2_300_000),
    (loops_of_many_values, 2_300_000),
    (calls_with_many_values, 100_000),
    (returns_with_many_values, 1000),
    (seven_megabytes, 7_000_000),
    (costly_instructions, 2_000_000),
    (try_tables, 10_000),
    (try_tables, 500_000),
    (nested_try_tables, 10_000),
    (nested_try_tables, 500_000),
    (catches_of_one_try_table, 10_000),
    (catches_of_one_try_table, 500_000),
    (legacy_tries, 500_000),
    (catches_of_one_legacy_try, 10_000),
    (catches_of_one_legacy_try, 500_000),
    (delegates, 500_000),
    (traps, 1_000_000),
    (dead_code, 900_000),
]


def cost(command: str, path: Path, tier: str) -> tuple[float, int]:
    """CPU seconds and resident bytes of a call that returns at once."""
    environment = os.environ | {"CHIASM_TIER": tier, "CHIASM_CACHE": "0"}
    process = subprocess.Popen(
        [command, "run", "--invoke", "f", str(path), "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0 and output.strip() == b"1", (process.returncode, output[-2000:])
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


@pytest.mark.slow
@pytest.mark.parametrize(("make", "n"), BOMBS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_bomb_costs_little(
    make: Callable[[int], bytes], n: int, command: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.wasm"
    path.write_bytes(make(n))
    without, _ = cost(command, path, "interp")
    for _ in range(TRIES):
        seconds, resident = cost(command, path, "baseline")
        print(f"{make.__name__} {n}: {seconds - without:.2f} s, {resident >> 20} MB")
        if seconds - without < SECONDS:
            break
    if not SANITIZED:
        assert seconds - without < SECONDS
        assert resident < BYTES
