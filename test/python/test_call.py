"""Calls from Python: values in and out, and what is said of wrong ones."""

from __future__ import annotations

import inspect
import math

import pytest

import chiasm

NUMBERS = """(module
  (func (export "nop"))
  (func $add (export "add") (param $a i32) (param $b i32) (result i32)
    (i32.add (local.get $a) (local.get $b)))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "v128") (param v128) (result v128) (local.get 0))
  (func (export "two") (result f64 i32) (f64.const 5) (i32.const 7))
  (func (export "mixed") (param i32 f64 i64 f32) (result f32 i64 f64 i32)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "wide") (param v128 i32) (result i32 v128) (local.get 1) (local.get 0))
)"""


@pytest.fixture(scope="module")
def e():
    return chiasm.instantiate(NUMBERS).exports


def test_add(e):
    assert e.add(40, 2) == 42


def test_no_result_is_none(e):
    assert e.nop() is None


def test_several_results_are_a_tuple(e):
    assert e.two() == (5.0, 7)
    assert e.mixed(1, 2.5, -3, 0.5) == (0.5, -3, 2.5, 1)


@pytest.mark.parametrize(
    ("given", "got"), [(0, 0), (-(2**31), -(2**31)), (2**32 - 1, -1), (2**31, -(2**31)), (True, 1)]
)
def test_i32_takes_both_signednesses_and_gives_signed(e, given, got):
    assert e.i32(given) == got
    assert type(e.i32(given)) is int


@pytest.mark.parametrize(
    "given", [2**32, -(2**31) - 1, 2**64, -(2**64), pytest.param(10**5000, id="huge")]
)
def test_i32_out_of_range_is_an_overflow_error(e, given):
    with pytest.raises(OverflowError, match=r"argument 1 must be from -2\*\*31 to 2\*\*32 - 1"):
        e.i32(given)


@pytest.mark.parametrize(
    ("given", "got"), [(2**63, -(2**63)), (2**64 - 1, -1), (-(2**63), -(2**63)), (2**40, 2**40)]
)
def test_i64_takes_both_signednesses_and_gives_signed(e, given, got):
    assert e.i64(given) == got


@pytest.mark.parametrize("given", [2**64, -(2**63) - 1, pytest.param(10**5000, id="huge")])
def test_i64_out_of_range_is_an_overflow_error(e, given):
    with pytest.raises(OverflowError, match="i64"):
        e.i64(given)


def signed(value: int, bits: int) -> int:
    value &= 2**bits - 1
    return value - 2**bits if value >> (bits - 1) else value


class Int(int):
    """No exact int, which goes another way."""


@pytest.mark.parametrize("kind", [int, Int])
@pytest.mark.parametrize("bits", [32, 64])
def test_integers_around_every_power_of_two(e, bits, kind):
    f = e.i32 if bits == 32 else e.i64
    for power in range(bits + 3):
        for value in {s * 2**power + d for s in (-1, 1) for d in (-1, 0, 1)}:
            if -(2 ** (bits - 1)) <= value < 2**bits:
                assert f(kind(value)) == signed(value, bits)
            else:
                with pytest.raises(OverflowError):
                    f(kind(value))


VALUES = {"i32": [3, -1, 2**31, 5, 0, 7], "i64": [2**40, -(2**62), 1, 2**63, 0, 9],
          "f32": [0.5, 1, -2.0, 1e10, 0.0, 3.0], "f64": [0.1, 1, -2.5, 1e300, 0, 3.0]}  # fmt: skip


@pytest.mark.parametrize("n", range(7))
@pytest.mark.parametrize("kind", VALUES)
def test_every_number_of_parameters(kind, n):
    gets = " ".join(f"(local.get {i})" for i in range(n))
    params, results = f"(param {f'{kind} ' * n})", f"(result {f'{kind} ' * n})"
    last = f"(result {kind}) (local.get {n - 1})" if n else ""
    wat = f"""(module (func (export "all") {params} {results} {gets})
        (func (export "last") {params} {last}))"""
    f = chiasm.instantiate(wat).exports
    given = VALUES[kind][:n]
    got = tuple(
        v if isinstance(v, float) or kind[0] == "f" else signed(v, int(kind[1:])) for v in given
    )
    assert f.last(*given) == (got[-1] if n else None)
    assert f.all(*given) == (got if n > 1 else got[0] if n else None)
    for wrong in (n - 1, n + 1):
        if wrong >= 0:
            with pytest.raises(TypeError, match=f"takes {n} argument.*{wrong} w"):
                f.last(*([1] * wrong))
    for i in range(n):
        with pytest.raises(TypeError, match=f"argument {i + 1} must be"):
            f.last(*given[:i], "x", *given[i + 1 :])
    with pytest.raises(TypeError, match="keyword"):
        f.last(*given, x=1)
    assert f.last(*given, **{}) == (got[-1] if n else None)


def test_anything_with_index_is_an_integer(e):
    class Seven:
        def __index__(self):
            return 7

    assert e.i32(Seven()) == 7
    assert e.i64(Seven()) == 7


def test_anything_with_float_is_a_number(e):
    class Half:
        def __float__(self):
            return 0.5

    assert e.f64(Half()) == 0.5
    assert e.f32(Half()) == 0.5
    assert e.f64(3) == 3.0
    assert type(e.f64(3)) is float


def test_exceptions_of_index_and_float_pass_unchanged(e):
    class Bad:
        def __index__(self):
            raise LookupError("index")

        def __float__(self):
            raise LookupError("float")

    with pytest.raises(LookupError, match="index"):
        e.i32(Bad())
    with pytest.raises(LookupError, match="float"):
        e.f64(Bad())


def test_floats_keep_their_bits(e):
    assert math.isnan(e.f64(math.nan))
    assert e.f64(math.inf) == math.inf
    assert math.copysign(1, e.f64(-0.0)) == -1
    assert e.f32(0.1) == pytest.approx(0.1, rel=1e-7)
    assert e.f32(1e300) == math.inf


def test_an_int_too_large_for_a_float_is_an_overflow_error(e):
    with pytest.raises(OverflowError, match="argument 1"):
        e.f64(10**400)


def test_v128_is_16_bytes(e):
    value = bytes(range(16))
    assert e.v128(value) == value
    assert e.v128(bytearray(value)) == value
    assert e.wide(memoryview(value), 5) == (5, value)
    for wrong in (b"short", bytes(17), 5, None, "x" * 16):
        with pytest.raises(TypeError, match="16 bytes"):
            e.v128(wrong)


@pytest.mark.parametrize("wrong", ["x", None, 1.5, [], b"1", object(), 1j])
def test_wrong_kind_says_which_parameter_of_which_function(e, wrong):
    name = "None" if wrong is None else type(wrong).__name__
    with pytest.raises(TypeError) as caught:
        e.add(1, wrong)
    assert str(caught.value) == f"add(): argument 2 (b) must be an integer (i32), not {name}"


@pytest.mark.parametrize("wrong", ["x", None, [], b"1", 1j])
def test_wrong_kind_for_a_float(e, wrong):
    with pytest.raises(TypeError, match=r"f64\(\): argument 1 must be a number \(f64\)"):
        e.f64(wrong)


def test_wrong_count(e):
    with pytest.raises(TypeError, match=r"add\(\) takes 2 arguments, but 1 was given"):
        e.add(1)
    with pytest.raises(TypeError, match=r"add\(\) takes 2 arguments, but 3 were given"):
        e.add(1, 2, 3)
    with pytest.raises(TypeError, match=r"nop\(\) takes 0 arguments"):
        e.nop(1)
    with pytest.raises(TypeError, match="no keyword arguments"):
        e.add(1, b=2)
    assert e.add(1, 2, **{}) == 3


def test_numpy_scalars_are_numbers(e):
    np = pytest.importorskip("numpy")
    assert e.add(np.int32(40), np.uint8(2)) == 42
    assert e.i64(np.int64(-5)) == -5
    assert e.f64(np.float32(0.5)) == 0.5
    assert e.f32(np.float64(0.5)) == 0.5
    with pytest.raises(TypeError):
        e.i32(np.float64(1))


def test_functions_know_themselves(e):
    assert e.add.__name__ == e.add.__qualname__ == "add"
    assert e.add.__doc__ == "(func (param i32 i32) (result i32))"
    assert e.add.type == chiasm.FuncType(("i32", "i32"), ("i32",))
    assert str(inspect.signature(e.add)) == "(a: int, b: int, /) -> int"
    assert str(inspect.signature(e.nop)) == "() -> None"
    assert str(inspect.signature(e.two)) == "() -> tuple[float, int]"
    assert "add" in repr(e.add)
    assert callable(e.add)


def test_functions_without_names_are_called_by_their_index():
    inst = chiasm.instantiate(
        '(module (table (export "t") 1 funcref) (elem (i32.const 0) 0) (func (param i32)))'
    )
    f = inst.exports.t[0]
    assert f.__name__ == "$0"
    assert str(inspect.signature(f)) == "(p0: int, /) -> None"


def test_an_export_is_the_same_object_each_time(e):
    assert e.add is e.add
    assert e["add"] is e.add


def test_many_parameters_and_results():
    n = 200
    params = " ".join(["i64"] * n)
    gets = " ".join(f"(local.get {i})" for i in range(n))
    f = chiasm.instantiate(
        f'(module (func (export "f") (param {params}) (result {params}) {gets}))'
    ).exports.f
    assert f(*range(n)) == tuple(range(n))


def test_func_makes_a_host_function():
    f = chiasm.Func(lambda a, b: a - b, chiasm.FuncType(["i32", "i32"], ["i32"]), name="minus")
    assert f(5, 3) == 2
    assert f.__name__ == "minus"
    with pytest.raises(TypeError, match=r"minus\(\): argument 1"):
        f("5", 3)
    with pytest.raises(TypeError, match="callable"):
        chiasm.Func(5, chiasm.FuncType())
    with pytest.raises(TypeError):
        chiasm.Func(len, ("i32",))


def test_later_steps_raise_not_implemented(e):
    with pytest.raises(NotImplementedError, match=r"Func\.map"):
        e.add.map([1], [2])
    with pytest.raises(NotImplementedError, match=r"Func\.ufunc"):
        _ = e.add.ufunc
