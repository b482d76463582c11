"""Calls from the guest into Python: arguments, results, exceptions."""

from __future__ import annotations

import sys
import traceback

import pytest

import chiasm


def callback(type: str, f, body: str | None = None):
    """An export that calls f with its own arguments and gives f's results."""
    func = chiasm.Module(f'(module (import "env" "f" (func {type})))').imports[0].type
    gets = " ".join(f"(local.get {i})" for i in range(len(func.params)))
    wat = f"""(module (import "env" "f" (func $f {type}))
      (func (export "g") {type} {body or ""} (call $f {gets})))"""
    return chiasm.instantiate(wat, {"env": {"f": f}}, name="guest").exports.g


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("i32", -5),
        ("i64", 2**62),
        ("f32", 0.5),
        ("f64", 0.1),
        ("v128", bytes(range(16))),
        ("externref", object()),
        ("externref", None),
        ("anyref", 7),
        ("anyref", "text"),
    ],
)
def test_values_pass_through_a_callback_unchanged(type, value):
    seen = []

    def f(x):
        seen.append(x)
        return x

    assert callback(f"(param {type}) (result {type})", f)(value) == value
    assert seen == [value]


def test_callbacks_without_result_return_none():
    assert callback("", lambda: None)() is None
    with pytest.raises(TypeError, match=r"env\.f\(\) must return None, not int"):
        callback("", lambda: 5)()


def test_callbacks_return_several_results_in_a_tuple_or_list():
    type = "(param i32) (result i32 f64)"
    assert callback(type, lambda x: (x, 0.5))(3) == (3, 0.5)
    assert callback(type, lambda x: [x, 1])(3) == (3, 1.0)
    for wrong in (lambda x: x, lambda x: (x,), lambda x: (x, x, x), lambda x: None):
        with pytest.raises(TypeError, match=r"env\.f\(\) must return 2 values in a tuple"):
            callback(type, wrong)(3)
    with pytest.raises(
        TypeError, match=r"result 2 of env\.f\(\) must be a number \(f64\), not str"
    ):
        callback(type, lambda x: (x, "y"))(3)


@pytest.mark.parametrize(
    ("result", "error"),
    [("x", TypeError), (None, TypeError), (2**40, OverflowError), (1.5, TypeError)],
)
def test_wrong_results_of_a_callback_name_it(result, error):
    with pytest.raises(error, match=r"the result of env\.f\(\) must be"):
        callback("(result i32)", lambda: result)()


def test_many_arguments():
    n = 40
    g = callback(f"(param {'i32 ' * n}) (result i32)", lambda *a: sum(a))
    assert g(*range(n)) == sum(range(n))


def test_an_exception_passes_unchanged():
    error = KeyError("boo")

    def f():
        raise error

    with pytest.raises(KeyError) as caught:
        callback("", f)()
    assert caught.value is error
    assert caught.value.__context__ is None


def test_guest_frames_appear_in_the_traceback():
    def f():
        raise KeyError("boo")

    try:
        callback("", f)()
    except KeyError as e:
        frames = traceback.extract_tb(e.__traceback__)
    names = [frame.name for frame in frames]
    assert names == ["test_guest_frames_appear_in_the_traceback", "$g", "f"]
    assert frames[1].filename == "<wasm guest>"
    assert frames[1].lineno > 0


def test_exceptions_pass_through_guests_and_python_in_turns():
    def inner():
        raise LookupError("deep")

    first = callback("", inner)
    second = callback("", lambda: first())
    third = callback("", lambda: second())
    with pytest.raises(LookupError, match="deep") as caught:
        third()
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names.count("$g") == 3


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_base_exceptions_pass_unchanged_and_no_guest_handler_sees_them(kind):
    inst = catching(kind())
    with pytest.raises(kind):
        inst.exports.run()
    assert inst.exports.run_quiet() == 5


def catching(error):
    """A guest whose run() catches all that its callback throws, and gives 1 then."""

    def f(quiet):
        if not quiet:
            raise error

    return chiasm.instantiate(
        """(module (import "env" "f" (func $f (param i32)))
          (func $try (param i32) (result i32)
            (block $caught (try_table (catch_all $caught) (call $f (local.get 0))
              (return (i32.const 5))))
            (i32.const 1))
          (func (export "run") (result i32) (call $try (i32.const 0)))
          (func (export "run_quiet") (result i32) (call $try (i32.const 1))))""",
        {"env": {"f": f}},
    )


def test_catch_all_sees_a_python_exception():
    assert catching(ValueError("x")).exports.run() == 1


def test_traps_are_visible_to_no_handler():
    bad = chiasm.instantiate('(module (func (export "f") unreachable))').exports.f

    def f(quiet):
        if not quiet:
            bad()

    inst = chiasm.instantiate(
        """(module (import "env" "f" (func $f (param i32)))
          (func (export "run") (result i32)
            (block $c (try_table (catch_all $c) (call $f (i32.const 0)) (return (i32.const 5))))
            (i32.const 1)))""",
        {"env": {"f": f}},
    )
    with pytest.raises(chiasm.Trap, match="unreachable"):
        inst.exports.run()


def test_the_python_tag_catches_the_object():
    error = ValueError("caught")
    kept = []

    def f():
        raise error

    inst = chiasm.instantiate(
        """(module
          (import "env" "f" (func $f))
          (import "env" "keep" (func $keep (param externref)))
          (import "chiasm" "python_exception" (tag $python (param externref)))
          (func (export "run") (result i32)
            (block $caught (result externref)
              (try_table (catch $python $caught) (call $f) (return (i32.const 0)))
              unreachable)
            (call $keep)
            (i32.const 1)))""",
        {
            "env": {"f": f, "keep": kept.append},
            "chiasm": {"python_exception": chiasm.Tag.python_exception},
        },
    )
    assert inst.exports.run() == 1
    assert kept == [error]


def test_a_guest_that_rethrows_a_python_exception_keeps_the_object():
    error = ValueError("again")

    def f():
        raise error

    inst = chiasm.instantiate(
        """(module (import "env" "f" (func $f))
          (func (export "run")
            (block $caught (result exnref)
              (try_table (catch_all_ref $caught) (call $f) (return))
              unreachable)
            (throw_ref)))""",
        {"env": {"f": f}},
    )
    with pytest.raises(ValueError) as caught:
        inst.exports.run()
    assert caught.value is error


def test_callbacks_may_call_back_in():
    def f(n):
        return n if n <= 0 else inst.exports.g(n - 1) + 1

    inst = chiasm.instantiate(
        """(module (import "env" "f" (func $f (param i32) (result i32)))
          (func (export "g") (param i32) (result i32) (call $f (local.get 0))))""",
        {"env": {"f": f}},
    )
    assert inst.exports.g(50) == 50


def test_endless_mutual_recursion_is_a_recursion_error():
    def f():
        inst.exports.g()

    inst = chiasm.instantiate(
        '(module (import "env" "f" (func $f)) (func (export "g") (call $f)))', {"env": {"f": f}}
    )
    for _ in range(3):
        with pytest.raises(RecursionError):
            inst.exports.g()


def test_any_callable_is_a_host_function():
    class Adder:
        def __init__(self, n):
            self.n = n

        def __call__(self, x):
            return x + self.n

        def method(self, x):
            return x * self.n

        @classmethod
        def make(cls, x):
            return x

    for f, want in (
        (Adder(3), 8),
        (Adder(3).method, 15),
        (Adder.make, 5),
        (abs, 5),
        (int, 5),
        (sys.intern and (lambda x, y=1: x + y), 6),
    ):
        assert callback("(param i32) (result i32)", f)(5) == want


def test_recursion_inside_python_of_a_callback_is_pythons_own():
    def endless(n):
        return endless(n)

    with pytest.raises(RecursionError):
        callback("(param i32) (result i32)", endless)(1)


OVERWRITE = """(module (import "e" "f" (func $f (result {0})))
  (func (export "other") (param i64 i64 i64) (result i64) (local i64 i64 i64)
    (local.set 3 (i64.const -1)) (i64.const 77))
  (func (export "g") (result {0}) (call $f)))"""


def test_destructors_of_a_result_do_not_overwrite_it():
    class Five:
        def __index__(self):
            return 5

        def __del__(self):
            e.other(-1, -1, -1)

    e = chiasm.instantiate(OVERWRITE.format("i32"), {"e": {"f": Five}}).exports
    assert e.g() == 5


def test_the_conversion_of_one_result_does_not_overwrite_another():
    class Six:
        def __index__(self):
            assert e.other(-1, -1, -1) == 77
            return 6

    for result in ((5, Six(), 7), [5, Six(), 7]):
        e = chiasm.instantiate(
            OVERWRITE.format("i32 i64 f32"), {"e": {"f": lambda result=result: result}}
        ).exports
        assert e.g() == (5, 6, 7.0)


def test_destructors_of_results_that_are_refused_do_not_hide_why():
    class Loud:
        def __del__(self):
            with pytest.raises(KeyError):
                e.fails()

    def fail():
        raise KeyError

    e = chiasm.instantiate(
        """(module (import "e" "f" (func $f (result i32))) (import "e" "fail" (func $fail))
          (func (export "fails") (call $fail))
          (func (export "g") (result i32) (call $f)))""",
        {"e": {"f": Loud, "fail": fail}},
    ).exports
    with pytest.raises(TypeError, match="must be an integer"):
        e.g()
