"""References: objects of Python in the guest, structs and arrays of the guest in Python."""

from __future__ import annotations

import gc
import weakref

import pytest

import chiasm

GC = """(module
  (type $point (struct (field $x (mut i32)) (field $y f64)))
  (type $packed (struct (field (mut i8)) (field (mut i16))))
  (type $bytes (array (mut i8)))
  (type $floats (array f64))
  (type $refs (array (mut anyref)))
  (func (export "point") (param i32 f64) (result (ref $point))
    (struct.new $point (local.get 0) (local.get 1)))
  (func (export "x") (param (ref $point)) (result i32) (struct.get $point $x (local.get 0)))
  (func (export "packed") (result structref) (struct.new $packed (i32.const -1) (i32.const -2)))
  (func (export "bytes") (param i32) (result arrayref) (array.new_default $bytes (local.get 0)))
  (func (export "floats") (result arrayref)
    (array.new_fixed $floats 3 (f64.const 1) (f64.const 2) (f64.const 3)))
  (func (export "refs") (result arrayref) (array.new_default $refs (i32.const 2)))
  (func (export "any") (param anyref) (result anyref) (local.get 0))
  (func (export "eq") (param eqref) (result eqref) (local.get 0))
  (func (export "i31") (param i31ref) (result i31ref) (local.get 0))
  (func (export "struct") (param structref) (result structref) (local.get 0))
  (func (export "none") (param nullref))
  (func (export "extern") (param externref) (result externref) (local.get 0))
  (func (export "to_any") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "to_extern") (param anyref) (result externref) (extern.convert_any (local.get 0)))
  (func (export "func") (param funcref) (result funcref) (local.get 0))
  (func (export "typed") (param (ref null $t)) (result i32)
    (call_ref $t (local.get 0)))
  (type $t (func (result i32)))
  (func (export "must") (param (ref extern)))
  (func (export "swap") (param externref i32 externref anyref) (result anyref externref externref)
    (local.get 3) (local.get 2) (local.get 0))
)"""


@pytest.fixture(scope="module")
def e():
    return chiasm.instantiate(GC).exports


def test_externref_is_any_object_identity_kept(e):
    for value in (object(), "text", 10**100, 1.5, None, True, [1], len, e.extern, chiasm):
        assert e.extern(value) is value


def test_several_references_at_once(e):
    values = ["a", object(), 5]
    assert e.swap(values[0], 1, values[1], values[2]) == (5, values[1], "a")


@pytest.mark.parametrize("value", [0, 1, -1, 2**30 - 1, -(2**30)])
def test_an_int_within_i31_is_an_i31(e, value):
    assert e.any(value) == value
    assert e.i31(value) == value
    assert e.eq(value) == value


@pytest.mark.parametrize("value", [2**30, -(2**30) - 1, 2**31, 10**100])
def test_an_int_beyond_i31_is_an_overflow_error(e, value):
    with pytest.raises(OverflowError):
        e.any(value)


def test_other_objects_go_in_as_externs(e):
    value = object()
    assert e.any(value) is value
    assert e.to_extern(value) is value
    assert e.to_any(value) is value
    for wrong in (e.eq, e.i31, e.struct):
        with pytest.raises(TypeError):
            wrong(value)


def test_none_is_null(e):
    for f in (e.any, e.eq, e.i31, e.struct, e.extern, e.func):
        assert f(None) is None
    assert e.none(None) is None
    with pytest.raises(TypeError):
        e.none(5)
    with pytest.raises(TypeError, match="not None"):
        e.must(None)


def test_structs_have_items_and_attributes(e):
    p = e.point(3, 0.5)
    assert isinstance(p, chiasm.Struct)
    assert len(p) == 2
    assert (p[0], p[1]) == (3, 0.5)
    assert (p.x, p.y) == (3, 0.5)
    assert (p.f0, p.f1) == (3, 0.5)
    assert list(p) == [3, 0.5]
    p[0] = 7
    assert e.x(p) == 7
    p.x = 8
    assert e.x(p) == 8
    with pytest.raises(TypeError, match="immutable"):
        p.y = 1.0
    with pytest.raises(IndexError):
        p[2]
    with pytest.raises(AttributeError):
        _ = p.z
    with pytest.raises(AttributeError):
        p.z = 1
    with pytest.raises((OverflowError, TypeError)):
        p.x = 2**32
    with pytest.raises(TypeError):
        p.x = "x"
    assert p.x == 8


def test_the_same_struct_is_the_same_object(e):
    p = e.point(1, 2)
    assert e.any(p) is p
    assert e.struct(p) is p
    assert e.extern(p) is p


def test_packed_fields(e):
    p = e.packed()
    assert list(p) == [-1, -2]
    p[0] = 255
    assert p[0] == -1
    p[1] = -32768
    assert p[1] == -32768
    for i, wrong in ((0, 256), (0, -129), (1, 65536)):
        with pytest.raises(OverflowError):
            p[i] = wrong


def test_arrays_are_sequences_and_buffers(e):
    a = e.bytes(10)
    assert isinstance(a, chiasm.Array)
    assert len(a) == 10
    a[3] = 200
    assert a[3] == -56
    view = memoryview(a)
    assert view.format == "b"
    assert view.nbytes == 10
    view[4] = 5
    assert a[4] == 5
    floats = e.floats()
    assert list(floats) == [1.0, 2.0, 3.0]
    view = memoryview(floats)
    assert (view.format, view.itemsize, view.shape, view.readonly) == ("d", 8, (3,), True)
    assert view.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(TypeError):
        floats[0] = 1.0
    with pytest.raises(IndexError):
        floats[3]
    refs = e.refs()
    refs[0] = floats
    refs[1] = "text"
    assert list(refs) == [floats, "text"]
    with pytest.raises(BufferError):
        memoryview(refs)


def test_a_buffer_keeps_the_array_alive(e):
    view = memoryview(chiasm.instantiate(GC).exports.bytes(100))
    gc.collect()
    view[99] = 1
    assert view[99] == 1


def test_funcref_is_a_func_or_none(e):
    assert e.func(e.x) is e.x
    host = chiasm.Func(lambda: 9, chiasm.FuncType((), ["i32"]))
    assert e.func(host) is host
    assert e.typed(host) == 9
    with pytest.raises(TypeError, match=r"must be a chiasm.Func or None \(funcref\), not"):
        e.func(len)
    with pytest.raises(TypeError):
        e.typed(e.x)
    with pytest.raises(chiasm.Trap, match="null function reference"):
        e.typed(None)


def test_objects_in_the_guest_are_freed(e):
    class Thing:
        pass

    inst = chiasm.instantiate(
        """(module (table $t 1 externref)
          (func (export "keep") (param externref) (table.set $t (i32.const 0) (local.get 0))))"""
    )
    thing = Thing()
    ref = weakref.ref(thing)
    inst.exports.keep(thing)
    del thing
    gc.collect()
    assert ref() is not None
    inst.exports.keep(None)
    inst.store.collect()
    assert ref() is None


def test_many_references_do_not_pile_up(e):
    import sys

    value = object()
    for _ in range(20000):
        e.extern(value)
    assert e.extern(value) is value
    inst = chiasm.instantiate(GC, limits=chiasm.Limits(heap=1 << 20))
    for i in range(100000):
        inst.exports.extern(value)
        if i % 1000 == 0:
            inst.exports.point(1, 2)
    inst.store.collect()
    before = sys.getrefcount(value)
    assert before < 30000


def test_the_heaps_limit_is_an_error():
    inst = chiasm.instantiate(GC, limits=chiasm.Limits(heap=1 << 16))
    with pytest.raises((chiasm.Trap, MemoryError)):
        inst.exports.bytes(1 << 20)
    kept = []
    with pytest.raises((chiasm.Trap, MemoryError)):
        for i in range(100000):
            kept.append(inst.exports.point(i, 0))
    kept.clear()
    assert inst.exports.point(1, 2).x == 1
