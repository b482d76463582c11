"""Tables, globals and tags."""

from __future__ import annotations

import pytest

import chiasm


def test_a_table_is_a_sequence_of_objects():
    t = chiasm.Table("externref", 2, 5)
    assert len(t) == 2
    assert list(t) == [None, None]
    t[0] = "a"
    t[-1] = [1]
    assert t[0] == "a"
    assert t[1] == [1]
    assert t[0:2] == ["a", [1]]
    assert t.grow(2, "new") == 2
    assert list(t) == ["a", [1], "new", "new"]
    with pytest.raises(MemoryError):
        t.grow(2)
    for act in (lambda: t[4], lambda: t[-5], lambda: t.__setitem__(4, 1)):
        with pytest.raises(IndexError):
            act()
    assert t.type == chiasm.TableType("externref", 4, 5)


def test_a_table_of_functions():
    inst = chiasm.instantiate(
        """(module (table (export "t") 3 funcref) (elem (i32.const 0) $f)
          (type $t (func (result i32)))
          (func $f (export "f") (result i32) (i32.const 42))
          (func (export "call") (param i32) (result i32)
            (call_indirect (type $t) (local.get 0))))"""
    )
    e = inst.exports
    assert e.t[0] is e.f
    assert e.t[1] is None
    e.t[1] = e.f
    assert e.call(1) == 42
    e.t[2] = chiasm.Func(lambda: 7, chiasm.FuncType((), ["i32"]))
    assert e.call(2) == 7
    assert e.t[2]() == 7
    e.t[2] = None
    with pytest.raises(chiasm.Trap):
        e.call(2)
    e.t[2] = chiasm.Func(lambda x: None, chiasm.FuncType(["i64"]))
    with pytest.raises(chiasm.Trap, match="type mismatch"):
        e.call(2)
    for wrong in (len, 5, "f"):
        with pytest.raises(TypeError, match=r"an element of the table must be a chiasm\.Func"):
            e.t[0] = wrong


def test_functions_of_other_instances_go_into_a_table():
    first = chiasm.instantiate('(module (func (export "f") (result i32) (i32.const 3)))')
    second = chiasm.instantiate(
        """(module (table (export "t") 1 funcref) (type $t (func (result i32)))
          (func (export "call") (result i32) (call_indirect (type $t) (i32.const 0))))"""
    )
    second.exports.t[0] = first.exports.f
    assert second.exports.call() == 3
    assert second.exports.t[0] is first.exports.f
    assert first.store is second.store


def test_host_functions_made_while_the_store_runs_go_in():
    def make():
        inst.exports.t[0] = chiasm.Func(lambda: 8, chiasm.FuncType((), ["i32"]))
        return chiasm.Func(lambda: 9, chiasm.FuncType((), ["i32"]))

    inst = chiasm.instantiate(
        """(module (type $t (func (result i32)))
          (import "env" "make" (func $make (result funcref)))
          (table (export "t") 2 funcref)
          (func (export "run") (result i32 i32)
            (table.set (i32.const 1) (call $make))
            (call_indirect (type $t) (i32.const 0)) (call_indirect (type $t) (i32.const 1))))""",
        {"env": {"make": make}},
    )
    for _ in range(3):
        assert inst.exports.run() == (8, 9)
        inst.store.collect()
    assert (inst.exports.t[0](), inst.exports.t[1]()) == (8, 9)


def test_tables_made_in_python_are_linked():
    t = chiasm.Table("funcref", 1, init=chiasm.Func(lambda: 5, chiasm.FuncType((), ["i32"])))
    inst = chiasm.instantiate(
        """(module (import "env" "t" (table 1 funcref)) (type $t (func (result i32)))
          (func (export "call") (result i32) (call_indirect (type $t) (i32.const 0))))""",
        {"env": {"t": t}},
    )
    assert inst.exports.call() == 5


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        (("i32", 1), {}, ValueError),
        (("nonsense", 1), {}, ValueError),
        (("funcref", 2, 1), {}, ValueError),
        (("funcref", 1), {"index": "x"}, ValueError),
        (("(ref func)", 1), {}, TypeError),
        (("funcref",), {}, TypeError),
        ((5, 1), {}, TypeError),
        (("externref", 2**40), {}, (MemoryError, ValueError, chiasm.Error)),
    ],
)
def test_wrong_tables_are_refused(args, kwargs, error):
    with pytest.raises(error):
        chiasm.Table(*args, **kwargs)


@pytest.mark.parametrize(
    ("type", "value", "other"),
    [
        ("i32", 5, -6),
        ("i64", 2**40, 0),
        ("f32", 0.5, 1.0),
        ("f64", 0.1, 0.2),
        ("v128", bytes(16), bytes(range(16))),
        ("externref", "x", None),
        ("anyref", 5, "y"),
    ],
)
def test_globals(type, value, other):
    g = chiasm.Global(type, value, mutable=True)
    assert g.value == value
    g.value = other
    assert g.value == other
    assert g.type == chiasm.GlobalType(type, mutable=True)
    fixed = chiasm.Global(type, value)
    with pytest.raises(AttributeError):
        fixed.value = other
    assert fixed.value == value


def test_globals_start_at_zero_or_null():
    assert chiasm.Global("i32").value == 0
    assert chiasm.Global("f64").value == 0.0
    assert chiasm.Global("externref").value is None
    assert chiasm.Global(chiasm.GlobalType("i32", mutable=True), 3).type.mutable


def test_wrong_globals_are_refused():
    with pytest.raises(OverflowError):
        chiasm.Global("i32", 2**32)
    with pytest.raises(TypeError):
        chiasm.Global("i32", "x")
    with pytest.raises(ValueError):
        chiasm.Global("i33", 1)
    g = chiasm.Global("i32", 1, mutable=True)
    with pytest.raises(OverflowError, match="the value of the global"):
        g.value = 2**32
    with pytest.raises(AttributeError):
        del g.value
    assert g.value == 1


def test_the_guest_sees_globals_of_python_and_python_those_of_the_guest():
    g = chiasm.Global("i32", 5, mutable=True)
    inst = chiasm.instantiate(
        """(module (import "env" "g" (global $g (mut i32))) (import "env" "c" (global $c f64))
          (global (export "own") (mut i64) (i64.const 9))
          (func (export "inc") (global.set $g (i32.add (global.get $g) (i32.const 1))))
          (func (export "c") (result f64) (global.get $c)) (export "g" (global $g)))""",
        {"env": {"g": g, "c": 2}},
    )
    inst.exports.inc()
    assert g.value == 6
    assert inst.exports.g is g
    assert inst.exports.own.value == 9
    inst.exports.own.value = -1
    assert inst.exports.own.value == -1
    assert inst.exports.c() == 2.0


def test_tags():
    tag = chiasm.Tag(chiasm.FuncType(["i32", "f64"]))
    assert tag.type == chiasm.TagType(["i32", "f64"])
    assert chiasm.Tag(["i32"]).type == chiasm.TagType(["i32"])
    assert chiasm.Tag(chiasm.TagType([])).type == chiasm.TagType()
    assert tag == tag
    assert tag != chiasm.Tag(chiasm.FuncType(["i32", "f64"]))
    assert tag != 5
    with pytest.raises(ValueError):
        chiasm.Tag(chiasm.FuncType([], ["i32"]))
    with pytest.raises((TypeError, ValueError)):
        chiasm.Tag("i32")
    assert chiasm.Tag.python_exception.type == chiasm.TagType(["externref"])
    with pytest.raises((TypeError, AttributeError)):
        chiasm.Tag.python_exception = None
