"""Whatever a guest passes, it gets an answer: no crash, no write outside of its memory."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path

import pytest

import chiasm

ROOT = Path(__file__).resolve().parents[2]
MODULE = "wasi_snapshot_preview1"
ROWS = re.findall(
    r'^WASI\((\w+),\s*"(\w*):(\w?)",\s*(\w+)\)', (ROOT / "src/wasi/wasi.def").read_text(), re.M
)
FUNCTIONS = {name: params for name, params, _, _ in ROWS}
NOT_BUILT = {name for name, _, _, function in ROWS if function == "wasi_nosys"}
FAULT, INVAL, NOSYS, BADF = 21, 28, 52, 8
EDGES = [0, 1, 3, 4, 8, 64, 0xFFF8, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF]
WIDE = [0, 1, 4096, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


def types(signature: str) -> str:
    return " ".join("i64" if c == "I" else "i32" for c in signature)


def caller(memory: str = "1") -> str:
    """A module that exports a caller of each function, `name`."""
    lines = ["(module"]
    for name, params, results, _ in ROWS:
        result = "(result i32)" if results else ""
        lines.append(
            f'(import "{MODULE}" "{name}" (func ${name} (param {types(params)}) {result}))'
        )
    lines.append(f'(memory (export "memory") {memory})')
    for name, params, results, _ in ROWS:
        result = "(result i32)" if results else ""
        gets = " ".join(f"(local.get {k})" for k in range(len(params)))
        lines.append(
            f'(func (export "{name}") (param {types(params)}) {result} (call ${name} {gets}))'
        )
    return "\n".join([*lines, ")"])


@pytest.fixture(scope="module")
def module() -> chiasm.Module:
    return chiasm.Module(caller())


@pytest.fixture
def guest(module, tmp_path):
    (tmp_path / "file").write_text("content")
    wasi = chiasm.WASI(
        ["name", "argument"], {"A": "b"}, {"/": tmp_path}, stdin=b"input", stdout=lambda d: None,
        stderr=lambda d: None,
    )  # fmt: skip
    return chiasm.instantiate(module, wasi=wasi)


def test_the_table_has_all_functions_of_preview_1():
    assert len(FUNCTIONS) == 46
    assert {"proc_raise", "sock_accept", "sock_recv", "sock_send"} == NOT_BUILT


@pytest.mark.parametrize("name", sorted(NOT_BUILT))
def test_what_is_not_built_answers_enosys(guest, name):
    assert guest.exports[name](*[0] * len(FUNCTIONS[name])) == NOSYS


@pytest.mark.parametrize("memory", ["1", "1 2 shared", "0 1"])
def test_edges_of_all_arguments(tmp_path, memory):
    wasi = chiasm.WASI(["a"], {}, {"/": tmp_path}, stdin=b"", stdout=lambda d: None)
    guest = chiasm.instantiate(caller(memory), wasi=wasi)
    for name, params in FUNCTIONS.items():
        if name in ("proc_exit", "poll_oneoff"):
            continue
        for values in (EDGES, EDGES[::-1], [0xFFFFFFFF], [0xFFF8]):
            for shift in range(len(values)):
                arguments = [
                    (
                        WIDE[(k + shift) % len(WIDE)]
                        if c == "I"
                        else values[(k + shift) % len(values)]
                    )
                    for k, c in enumerate(params)
                ]
                assert 0 <= guest.exports[name](*arguments) <= 76


@pytest.mark.parametrize("seed", range(8))
def test_random_arguments(guest, seed):
    """With descriptors that exist, and pointers to bytes that mean something."""
    r = random.Random(seed)
    names = [n for n in FUNCTIONS if n != "proc_exit"]
    for _ in range(1500):
        name = r.choice(names)
        guest.memory.write(0, r.randbytes(256))
        guest.memory.write(64, b"file\0dir/./../file/../..")
        arguments = []
        for k, c in enumerate(FUNCTIONS[name]):
            if c == "I":
                arguments.append(r.choice([*WIDE, r.getrandbits(12)]))
            elif k == 0 and r.random() < 0.8:
                arguments.append(r.randrange(6))
            else:
                arguments.append(r.choice([*EDGES, r.randrange(300), 64, 68]))
        with contextlib.suppress(TimeoutError), chiasm.timeout(0.002):
            assert 0 <= guest.exports[name](*arguments) <= 76


def test_pointers_past_the_end_are_faults(guest):
    e = guest.exports
    assert e.args_get(0, 0xFFFF) == FAULT
    assert e.args_sizes_get(0xFFFD, 0) == FAULT
    assert e.args_sizes_get(0xFFFC, 0) == 0
    assert e.clock_time_get(0, 0, 0xFFF9) == FAULT
    assert e.random_get(0xFFFF, 2) == FAULT
    assert e.random_get(0x10000, 0) == 0
    assert e.fd_prestat_get(3, 0xFFFC) == FAULT
    assert e.path_open(3, 0, 0xFFFF, 2, 0, 0, 0, 0, 0) == FAULT
    assert e.fd_readdir(3, 0, 0x10001, 0, 0) == FAULT
    assert e.poll_oneoff(0xFFF0, 0, 1, 0) == FAULT


def test_lists_are_bounded(guest):
    e = guest.exports
    assert e.fd_write(1, 0, 0xFFFFFFFF, 0) == INVAL
    assert e.fd_write(1, 0, 1025, 0xFFF0) == INVAL
    assert e.fd_write(1, 0, 1024, 0xFFF0) == 0
    assert e.poll_oneoff(0, 0, 0, 0) == INVAL
    assert e.poll_oneoff(0, 0, 0xFFFFFFFF, 0) == INVAL
    guest.memory.pack("<II", 0, 0xFFFFFFFF, 2)
    assert e.fd_write(1, 0, 1, 16) == FAULT
    guest.memory.pack("<IIII", 0, 64, 3, 0xFFFF, 2)
    assert e.fd_write(1, 0, 2, 16) == FAULT


def test_a_list_may_overlap_what_is_read(guest):
    guest.memory.pack("<IIII", 0, 0, 3, 8, 2)
    assert guest.exports.fd_read(0, 0, 2, 100) == 0
    assert guest.memory.read(0, 3) == b"inp"


def test_descriptors_are_bounded(guest, tmp_path):
    e = guest.exports
    guest.memory.write(64, b"file")
    opened = 0
    while (error := e.path_open(3, 0, 64, 4, 0, 2, 0, 0, 0)) == 0:
        opened += 1
    assert error == 33  # MFILE
    assert 64 <= opened <= 1024
    open(tmp_path / "file").close()  # this process may open more
    for fd in range(4, 4 + opened):
        assert e.fd_close(fd) == 0
    assert e.fd_close(4) == BADF
    assert e.path_open(3, 0, 64, 4, 0, 2, 0, 0, 0) == 0


def test_a_stream_that_grows_the_memory_while_it_is_read(module):
    class Source:
        def read(self, n):
            guest.memory.grow(10)
            return b"x" * n

    guest = chiasm.instantiate(module, wasi=chiasm.WASI(["a"], stdin=Source()))
    guest.memory.pack("<II", 0, 100, 50)
    assert guest.exports.fd_read(0, 0, 1, 8) == 0
    assert guest.memory.read(100, 51) == b"x" * 50 + b"\0"


def test_a_function_that_no_guest_calls_has_no_memory():
    wat = f"""(module (import "{MODULE}" "random_get" (func $f (param i32 i32) (result i32)))
      (memory 1) (export "f" (func $f)))"""
    inst = chiasm.instantiate(wat, wasi=chiasm.WASI())
    assert inst.exports.f(0, 4) == FAULT


def test_each_module_has_its_own_memory():
    wasi = chiasm.WASI(["abc"])
    guests = [chiasm.instantiate(caller(), wasi=wasi) for _ in range(2)]
    guests[1].exports.args_get(0, 8)
    assert guests[0].memory.read(8, 3) == b"\0\0\0"
    assert guests[1].memory.read(8, 3) == b"abc"


def test_with_many_memories_it_is_the_exported_one():
    wat = f"""(module (import "{MODULE}" "args_get" (func $f (param i32 i32) (result i32)))
      (memory $a 1) (memory $b 1) (export "memory" (memory $b)) (export "a" (memory $a))
      (func (export "f") (result i32) (call $f (i32.const 0) (i32.const 8))))"""
    inst = chiasm.instantiate(wat, wasi=chiasm.WASI(["abc"]))
    assert inst.exports.f() == 0
    assert inst.exports.memory.read(8, 3) == b"abc"
    assert inst.exports.a.read(8, 3) == b"\0\0\0"
