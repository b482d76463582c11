"""WebAssembly exceptions on both sides, and the classes of errors."""

from __future__ import annotations

import builtins
import pickle

import pytest

import chiasm

THROWER = """(module
  (import "env" "tag" (tag $t (param i32 f64)))
  (import "env" "f" (func $f))
  (export "tag" (tag $t))
  (func (export "throw") (param i32) (throw $t (local.get 0) (f64.const 0.5)))
  (func (export "catch") (result i32 f64)
    (block $caught (result i32 f64)
      (try_table (catch $t $caught) (call $f))
      (i32.const -1) (f64.const 0)))
  (func (export "pass") (call $f)))"""


def thrower(f=lambda: None):
    tag = chiasm.Tag(chiasm.FuncType(["i32", "f64"]))
    return tag, chiasm.instantiate(THROWER, {"env": {"tag": tag, "f": f}}, name="t").exports


def test_a_throw_that_leaves_the_guest_is_an_exception():
    tag, e = thrower()
    exported = e.tag
    with pytest.raises(chiasm.Exception) as caught:
        e.throw(7)
    assert caught.value.args == (7, 0.5)
    assert caught.value.tag == tag
    assert caught.value.tag is exported
    assert hash(caught.value.tag) == hash(tag)
    assert isinstance(caught.value, chiasm.Error)


def test_the_tag_is_the_object_that_it_was():
    tag, e = thrower()
    with pytest.raises(chiasm.Exception) as caught:
        e.throw(7)
    assert caught.value.tag is tag
    assert e.tag is tag
    inner = chiasm.instantiate(THROWER, {"env": {"tag": e.tag, "f": print}})
    with pytest.raises(chiasm.Exception) as caught:
        inner.exports.throw(8)
    assert caught.value.tag is tag
    assert inner.exports.tag is tag
    assert chiasm.Tag(tag.type) is not tag
    assert chiasm.Tag(tag.type) != tag
    assert len({tag, e.tag, chiasm.Tag(tag.type)}) == 2


def test_a_tag_that_only_the_guest_knows_is_one_object_while_it_lives():
    e = chiasm.instantiate(
        '(module (tag $t) (export "a" (tag $t)) (export "b" (tag $t)) '
        '(func (export "throw") (throw $t)))'
    ).exports
    with pytest.raises(chiasm.Exception) as caught:
        e.throw()
    tag = caught.value.tag
    assert e.a is tag
    assert e.b is tag
    with pytest.raises(chiasm.Exception) as caught:
        e.throw()
    assert caught.value.tag is tag


def test_the_tag_of_pythons_exceptions_is_one_object():
    wat = """(module (import "env" "t" (tag $t (param externref))) (import "env" "f" (func $f))
      (export "t" (tag $t))
      (func (export "catch") (result externref)
        (block $c (result externref) (try_table (catch $t $c) (call $f)) (ref.null extern))))"""

    def f():
        raise KeyError(5)

    tag = chiasm.Tag.python_exception
    e = chiasm.instantiate(wat, {"env": {"t": tag, "f": f}}).exports
    assert e.t is tag
    assert e.catch().args == (5,)


def test_python_throws_into_the_guest():
    def f():
        raise chiasm.Exception(tag, 40, 2)

    tag, e = thrower(f)
    assert e.catch() == (40, 2.0)


def test_an_exception_thrown_by_python_comes_out_as_the_same_object():
    def f():
        raise error

    tag, e = thrower(f)
    error = chiasm.Exception(tag, 1, 2.0)
    for _ in range(2):
        with pytest.raises(chiasm.Exception) as caught:
            e["pass"]()
        assert caught.value is error


def test_an_exception_of_one_guest_passes_through_another():
    tag, inner = thrower()
    outer = chiasm.instantiate(THROWER, {"env": {"tag": tag, "f": lambda: inner.throw(9)}}).exports
    assert outer.catch() == (9, 0.5)
    with pytest.raises(chiasm.Exception) as caught:
        outer["pass"]()
    assert caught.value.args == (9, 0.5)


def test_exceptions_of_other_tags_pass_by():
    def f():
        raise chiasm.Exception(other, 1, 2)

    other = chiasm.Tag(["i32", "f64"])
    _, e = thrower(f)
    with pytest.raises(chiasm.Exception) as caught:
        e.catch()
    assert caught.value.tag == other


def test_the_constructor_checks_and_normalises():
    tag = chiasm.Tag(["i32"])
    assert chiasm.Exception(tag, 2**32 - 1).args == (-1,)
    with pytest.raises(TypeError, match="1 arguments for this tag, not 2"):
        chiasm.Exception(tag, 1, 2)
    with pytest.raises(TypeError, match=r"must be a chiasm\.Tag"):
        chiasm.Exception("tag")
    with pytest.raises(TypeError):
        chiasm.Exception()
    with pytest.raises(OverflowError):
        chiasm.Exception(tag, 2**32)
    with pytest.raises(TypeError):
        chiasm.Exception(tag, "x")


def test_arguments_changed_to_nonsense_are_refused():
    def f():
        error = chiasm.Exception(tag, 1, 2)
        error.args = ("x",)
        raise error

    tag, e = thrower(f)
    with pytest.raises((TypeError, chiasm.Exception)):
        e["pass"]()


def test_subclasses_are_exceptions_too():
    class Mine(chiasm.Exception):
        def __init__(self, n):
            super().__init__(tag, n, n)

    def f():
        raise Mine(4)

    tag, e = thrower(f)
    assert e.catch() == (4, 4.0)
    with pytest.raises(Mine):
        e["pass"]()


def test_exnref_is_an_exception():
    tag = chiasm.Tag(["i32"])
    e = chiasm.instantiate(
        """(module (import "env" "t" (tag $t (param i32)))
          (func (export "get") (param i32) (result exnref)
            (block $c (result i32 exnref)
              (try_table (catch_ref $t $c) (throw $t (local.get 0)))
              unreachable)
            (local.set 1) (drop) (local.get 1))
          (func (export "throw") (param exnref) (throw_ref (local.get 0))))""".replace(
            "(result exnref)\n            (block", "(result exnref) (local exnref)\n (block"
        ),
        {"env": {"t": tag}},
    ).exports
    error = e.get(5)
    assert isinstance(error, chiasm.Exception)
    assert error.args == (5,)
    with pytest.raises(chiasm.Exception) as caught:
        e.throw(error)
    assert caught.value.args == (5,)
    with pytest.raises(chiasm.Exception) as caught:
        e.throw(chiasm.Exception(tag, 6))
    assert caught.value.args == (6,)
    with pytest.raises(chiasm.Trap, match="null"):
        e.throw(None)
    with pytest.raises(TypeError, match=r"chiasm\.Exception"):
        e.throw(ValueError("no"))


def test_classes_are_what_python_users_catch():
    assert issubclass(chiasm.Error, builtins.Exception)
    assert issubclass(chiasm.CompileError, (chiasm.Error, SyntaxError))
    assert issubclass(chiasm.CompileError, SyntaxError)
    assert issubclass(chiasm.LinkError, ImportError)
    assert issubclass(chiasm.Trap, RuntimeError)
    assert issubclass(chiasm.StackOverflow, chiasm.Trap)
    assert issubclass(chiasm.StackOverflow, RecursionError)
    assert issubclass(chiasm.OutOfFuel, chiasm.Trap)
    for name in ("LinkError", "Trap", "Exception", "Cancelled", "Exit", "CompileError"):
        assert issubclass(getattr(chiasm, name), chiasm.Error)
        assert getattr(chiasm, name).__module__ == "chiasm"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("unreachable", "unreachable"),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "integer divide by zero"),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "integer overflow"),
        ("(drop (i32.trunc_f64_s (f64.const nan)))", "invalid conversion to integer"),
        ("(drop (i32.load (i32.const -4)))", "out of bounds memory access"),
        ("(drop (i32.load (i32.const 65533)))", "out of bounds memory access"),
        ("(drop (i32.load (i32.const 0x40000000)))", "out of bounds memory access"),
        ("(call_indirect (i32.const 9))", "undefined element"),
    ],
)
def test_traps_have_the_specifications_words(body, text):
    e = chiasm.instantiate(
        f"""(module (memory 1) (table 1 funcref)
          (func $f {body}) (func (export "f") (call $f)) (func (export "ok") (result i32)
            (i32.const 1)))""",
        name="m",
    ).exports
    with pytest.raises(chiasm.Trap) as caught:
        e.f()
    assert caught.value.code == text
    assert str(caught.value).startswith(text)
    frames = caught.value.frames
    assert [f.function for f in frames] == ["$f", "$f"] or [f.index for f in frames] == [0, 1]
    assert frames[0].module == "m"
    assert frames[0].offset > 0
    assert e.ok() == 1


def test_endless_recursion_is_a_stack_overflow_and_leaves_the_instance_usable():
    e = chiasm.instantiate(
        """(module (func $f (export "f") (param i32) (result i32)
             (i32.add (call $f (local.get 0)) (i32.const 1)))
           (func (export "ok") (result i32) (i32.const 1)))"""
    ).exports
    for _ in range(3):
        with pytest.raises(chiasm.StackOverflow) as caught:
            e.f(1)
        assert isinstance(caught.value, RecursionError)
        assert caught.value.code == "call stack exhausted"
        assert e.ok() == 1


def test_errors_can_be_pickled():
    with pytest.raises(chiasm.Trap) as caught:
        chiasm.instantiate('(module (func (export "f") unreachable))').exports.f()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.code == "unreachable"
    assert copy.frames == caught.value.frames
    with pytest.raises(chiasm.CompileError) as caught:
        chiasm.Module("(module (func (i32.ad)))")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.lineno == 1
    with pytest.raises(TypeError):
        pickle.dumps(chiasm.Exception(chiasm.Tag([])))


def test_errors_made_by_hand_have_empty_attributes():
    assert chiasm.Trap("x").code == ""
    assert chiasm.Trap("x").frames == ()
    assert chiasm.LinkError("x").problems == ()
    assert chiasm.CompileError("x").byte_offset is None
    assert chiasm.Exit("x").code is None
