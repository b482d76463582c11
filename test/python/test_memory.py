"""Memories as buffers and as sequences of bytes."""

from __future__ import annotations

import gc
import struct

import pytest

import chiasm


@pytest.fixture
def mem():
    return chiasm.Memory(1, 100)


def test_it_is_a_sequence_of_bytes(mem):
    assert len(mem) == 65536
    assert mem.pages == 1
    mem[0:5] = b"hello"
    assert mem[0:5] == b"hello"
    assert mem[1] == ord("e")
    mem[1] = ord("a")
    mem[-1] = 7
    assert mem[65535] == 7
    assert mem[:5] == b"hallo"
    assert mem[4::-1] == b"ollah"
    mem[0:10:2] = b"12345"
    assert mem[0:10] == b"1a2l3\x004\x005\x00"
    assert next(iter(mem)) == ord("1")


def test_out_of_range_is_an_index_error_and_writes_nothing(mem):
    mem[-4:] = b"keep"
    for act in (
        lambda: mem[65536],
        lambda: mem[-65537],
        lambda: mem.read(65533, 4),
        lambda: mem.read(-1, 1),
        lambda: mem.read(0, -1),
        lambda: mem.read(2**70, 1),
        lambda: mem.write(65533, b"1234"),
        lambda: mem.write(-1, b"1"),
        lambda: mem.pack("<i", 65533, 5),
        lambda: mem.pack("<ii", 65530, 5, 6),
        lambda: mem.unpack("<i", 65533),
        lambda: mem.unpack("i", 65533),
        lambda: mem.unpack("<i", -4),
        lambda: mem.string(65537),
        lambda: mem.string(65530, 7),
        lambda: mem.string(0, -1),
        lambda: mem.__setitem__(slice(65532, 65540), b"12345678"),
        lambda: mem.__setitem__(65536, 1),
    ):
        with pytest.raises(IndexError):
            act()
    assert mem[-4:] == b"keep"


def test_slices_must_fit(mem):
    with pytest.raises(ValueError, match="3 bytes do not go into a slice of 2"):
        mem[0:2] = b"123"
    with pytest.raises(ValueError):
        mem[0] = 256
    with pytest.raises(TypeError):
        mem[0:2] = "ab"
    with pytest.raises(TypeError):
        mem["x"]
    with pytest.raises(TypeError):
        del mem[0]


def test_read_and_write(mem):
    mem.write(10, b"abc")
    mem.write(20, bytearray(b"def"))
    mem.write(30, memoryview(b"ghi"))
    assert mem.read(10, 3) + mem.read(20, 3) + mem.read(30, 3) == b"abcdefghi"
    assert mem.read(65536, 0) == b""
    mem.write(65536, b"")
    mem.write(11, memoryview(mem)[10:13])
    assert mem.read(10, 4) == b"aabc"
    with pytest.raises(TypeError):
        mem.write(0, "text")
    with pytest.raises(TypeError):
        mem.read(0)


def test_strings(mem):
    mem[0:7] = "grün\0".encode() + b"x"
    assert mem.string(0) == "grün"
    assert mem.string(0, 5) == "grün"
    assert mem.string(0, n=2, encoding="latin-1") == "gr"
    assert mem.string(100) == ""
    mem[0] = 0xFF
    with pytest.raises(UnicodeDecodeError):
        mem.string(0)
    for i in range(0, 65536, 4096):
        mem[i : i + 4096] = b"x" * 4096
    with pytest.raises(IndexError, match="NUL"):
        mem.string(0)


@pytest.mark.parametrize(
    ("format", "values"),
    [
        ("<i", (-5,)),
        ("<if", (7, 0.5)),
        ("<bBhHiIqQ", (-1, 255, -2, 65535, -3, 2**32 - 1, -4, 2**64 - 1)),
        ("<3i", (1, 2, 3)),
        ("<fd", (0.25, 1e300)),
        ("<2x4sb", (b"text", 3)),
        ("<?", (True,)),
        ("=l", (9,)),
        (">iH", (9, 4)),
        ("!q", (-9,)),
        ("ixq", (1, 2)),
        ("@nN", (1, 2)),
        ("<e", (0.5,)),
        ("<c", (b"x",)),
        ("<5p", (b"abc",)),
        ("< i h", (1, 2)),
        ("<", ()),
        ("<0i", ()),
    ],
)
def test_pack_and_unpack_are_those_of_struct(mem, format, values):
    mem.pack(format, 8, *values)
    size = struct.calcsize(format)
    assert mem[8 : 8 + size] == struct.pack(format, *values)
    assert mem.unpack(format, 8) == struct.unpack(format, mem[8 : 8 + size])


def test_wrong_formats_and_values_raise_as_struct_does(mem):
    for act in (
        lambda: mem.pack("<i", 0, 2**31),
        lambda: mem.pack("<i", 0, 1.5),
        lambda: mem.pack("<i", 0, "x"),
        lambda: mem.pack("<ii", 0, 1),
        lambda: mem.pack("<i", 0, 1, 2),
        lambda: mem.pack("<B", 0, -1),
        lambda: mem.pack("<y", 0, 1),
        lambda: mem.unpack("<3", 0),
        lambda: mem.unpack("<y"),
    ):
        with pytest.raises(struct.error):
            act()
    with pytest.raises((TypeError, struct.error)):
        mem.unpack(5)
    with pytest.raises(OverflowError):
        mem.pack("<f", 0, 1e300)
    mem.pack("<f", 0, float("inf"))
    assert mem.unpack("<f") == (float("inf"),)


def test_a_view_writes_through(mem):
    view = memoryview(mem)
    assert view.nbytes == 65536
    assert not view.readonly
    view[3] = 9
    assert mem[3] == 9
    view.release()


def test_a_view_stays_valid_after_growth_with_its_old_length(address_space, mem):
    mem[0] = 5
    view = memoryview(mem)
    assert mem.grow(50) == 1
    assert len(mem) == 51 * 65536
    assert len(view) == 65536
    view[0] = 6
    assert mem[0] == 6
    mem[1] = 7
    assert view[1] == 7


def test_a_view_keeps_all_alive():
    inst = chiasm.instantiate('(module (memory (export "m") 1) (data (i32.const 0) "abc"))')
    view = memoryview(inst.exports.m)
    del inst
    gc.collect()
    view[2] = ord("d")
    assert bytes(view[:3]) == b"abd"


def test_numpy_views_share_the_bytes(mem):
    np = pytest.importorskip("numpy")
    array = np.frombuffer(mem, "<f4", 4, 16)
    array[:] = [1, 2, 3, 4]
    assert mem.unpack("<4f", 16) == (1, 2, 3, 4)
    mem.grow(1)
    array[0] = 9
    assert mem.unpack("<f", 16) == (9,)
    assert np.asarray(memoryview(mem)).nbytes == 2 * 65536


def test_grow_refused_is_a_memory_error(mem):
    assert mem.grow(0) == 1
    assert mem.grow(99) == 1
    with pytest.raises(MemoryError):
        mem.grow(1)
    with pytest.raises(MemoryError):
        mem.grow(2**40)
    with pytest.raises((TypeError, OverflowError)):
        mem.grow(-1)
    with pytest.raises(TypeError):
        mem.grow("x")
    assert mem.pages == 100


def test_the_limit_of_memory_holds():
    store_limits = chiasm.Limits(memory=10 * 65536)
    inst = chiasm.instantiate('(module (memory (export "m") 1))', limits=store_limits)
    assert inst.memory.grow(9) == 1
    with pytest.raises(MemoryError):
        inst.memory.grow(1)
    with pytest.raises(MemoryError):
        chiasm.instantiate("(module (memory 11))", limits=store_limits)


def test_types():
    assert chiasm.Memory(1, 2).type == chiasm.MemoryType(1, 2)
    assert chiasm.Memory(1).type == chiasm.MemoryType(1)
    assert chiasm.Memory(1, 2, shared=True).type == chiasm.MemoryType(1, 2, shared=True)
    assert chiasm.Memory(1, index="i64").type.index == "i64"
    small = chiasm.Memory(100, 200, page_size=1)
    assert len(small) == 100
    assert small.grow(50) == 100
    assert len(small) == 150


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        ((-1,), {}, ValueError),
        ((2, 1), {}, ValueError),
        (("x",), {}, TypeError),
        ((1,), {"shared": True}, ValueError),
        ((1,), {"index": "i16"}, ValueError),
        ((1,), {"page_size": 4096}, ValueError),
        ((2**48,), {}, (MemoryError, ValueError)),
        ((), {}, TypeError),
    ],
)
def test_wrong_memories_are_refused(args, kwargs, error):
    with pytest.raises(error):
        chiasm.Memory(*args, **kwargs)


def test_guest_and_python_see_the_same_bytes():
    mem = chiasm.Memory(1)
    inst = chiasm.instantiate(
        """(module (import "env" "m" (memory 1))
          (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
          (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
          (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
          (export "m" (memory 0)))""",
        {"env": {"m": mem}},
    )
    e = inst.exports
    e.store(8, -2)
    assert mem.unpack("<i", 8) == (-2,)
    mem.pack("<i", 12, 77)
    assert e.load(12) == 77
    assert e.grow(2) == 1
    assert len(mem) == 3 * 65536
    assert e.m is mem
    assert inst.memory is mem


def test_two_instances_share_a_memory():
    a = chiasm.instantiate('(module (memory (export "m") 1))')
    b = chiasm.instantiate(
        """(module (import "a" "m" (memory 1))
          (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))""",
        {"a": a.exports},
    )
    a.memory[5] = 99
    assert b.exports.load(5) == 99
    load = b.exports.load
    del a, b
    gc.collect()
    assert load(5) == 99


def test_a_released_view_raises(mem):
    view = memoryview(mem)
    view.release()
    with pytest.raises(ValueError):
        view[0]
