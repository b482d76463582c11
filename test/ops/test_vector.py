"""Vector instructions against vector_model.py, at the edges of their lanes."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from typing import Any

import edges
import pytest
from modules import DISPATCHES, GUARD, register, register_text, shared_instance
from vector_model import LANES, MEANINGS, WIDTHS, Meaning, lanes, vector

import chiasm

dispatches = pytest.mark.parametrize("dispatch", DISPATCHES)

LANE_EDGES = {
    "i8x16": edges.I8,
    "i16x8": edges.I16,
    "i32x4": edges.I32,
    "i64x2": edges.I64,
    "f32x4": edges.F32,
    "f64x2": edges.F64,
}
UNARY_EDGES = {"f32x4": edges.UNARY_EDGES["f32"], "f64x2": edges.UNARY_EDGES["f64"]}
SHIFTS = (7, 8, 9, 15, 16, 17, 33, 65, 127, 128)  # beside the edges of i32
INTEGER = {"i32": "i32", "i64": "i64", "f32": "i32", "f64": "i64"}
MASKS = {"i32": 0xFFFFFFFF, "i64": 0xFFFFFFFFFFFFFFFF}


def packed(columns: Sequence[tuple[int, ...]], bits: int) -> Iterator[tuple[bytes, ...]]:
    """Tuples of lanes as tuples of vectors."""
    n = 128 // bits
    columns = [*columns, *columns[: -len(columns) % n]]
    for i in range(0, len(columns), n):
        yield tuple(vector(row, bits) for row in zip(*columns[i : i + n], strict=True))


@functools.cache
def operands(shape: str, params: tuple[str, ...]) -> list[tuple[Any, ...]]:
    bits = WIDTHS[shape]
    chosen = LANE_EDGES[shape]
    if params == ("v",):
        chosen = (*chosen, *UNARY_EDGES.get(shape, ()))
        rest = chosen[::-1]
        return [v for xs in (chosen, rest) for v in packed([(x,) for x in xs], bits)]
    if params == ("v", "v"):
        pairs = [(a, b) for a in chosen for b in chosen]
        shuffled = pairs[::3]
        random.Random(1).shuffle(shuffled)
        return [*packed(pairs, bits), *packed(shuffled, bits)]
    if params == ("v", "v", "v"):
        some = random.Random(2)
        return list(packed([tuple(some.choices(chosen, k=3)) for _ in range(1500)], bits))
    vectors = [v for (v,) in packed([(x,) for x in chosen], bits)]
    if params == ("v", "i32") and shape[0] == "i":
        return [(v, k) for v in vectors for k in (*SHIFTS, *edges.I32)]
    scalars = edges.EDGES[params[-1]]
    if params[0] == "v":
        return [(v, x) for v in vectors for x in scalars]
    return [(x,) for x in scalars]


@functools.cache
def cases(name: str) -> list[tuple[tuple[Any, ...], Any]]:
    meaning = MEANINGS.get(name) or LANES[name]
    return [(x, meaning.run(*x)) for x in operands(meaning.shape, meaning.params)]


# ---- the module

FORMS = ("local", "stack", "const", "global")
CONSTANTS = 3


def type_of(p: str) -> str:
    return "v128" if p == "v" else INTEGER[p]


def const(v: bytes) -> str:
    return "(v128.const i32x4 " + " ".join(str(x) for x in lanes(v, 32)) + ")"


def operand(form: str, i: int, p: str) -> str:
    text = f"(local.get {i})"
    if p == "v" and form == "global":
        text = f"(global.get ${i})"
    if form == "stack":
        text = f"(block (result {type_of(p)}) {text})"
    if p in ("f32", "f64"):
        text = f"({p}.reinterpret_{INTEGER[p]} {text})"
    return text


def function(name: str, meaning: Meaning, form: str) -> str:
    """GUARD stays beneath the operands and comes out too."""
    params = " ".join(map(type_of, meaning.params))
    result = "v128" if meaning.result == "v" else INTEGER[meaning.result]
    texts = [operand(form, i, p) for i, p in enumerate(meaning.params)]
    sets = ""
    if form == "global":
        sets = "".join(
            f"(global.set ${i} (local.get {i})) " for i, p in enumerate(meaning.params) if p == "v"
        )
    if form.startswith("const"):
        value = cases(name)[int(form[5:])][0][-1]
        if meaning.params[-1] == "v":
            texts[-1] = const(value)
    expr = f"({name} {' '.join(texts)})"
    if meaning.result in ("f32", "f64"):
        expr = f"({result}.reinterpret_{meaning.result} {expr})"
    return (
        f'(func (export "{name} {form}") (param {params}) (result i32 {result})'
        f" {sets} (i32.const {GUARD}) {expr})\n"
    )


def forms_of(meaning: Meaning) -> list[str]:
    consts = [f"const{i}" for i in range(CONSTANTS)] if meaning.params[-1] == "v" else []
    return ["local", "stack", "global", *consts]


def vector_module() -> str:
    zero = "(mut v128) (v128.const i64x2 0 0)"
    text = "(module " + " ".join(f"(global ${i} {zero})" for i in range(3)) + "\n"
    for name, meaning in (*MEANINGS.items(), *LANES.items()):
        for form in forms_of(meaning):
            text += function(name, meaning, form)
    return text + ")"


VECTOR = register(vector_module)


def check(name: str, dispatch: str) -> None:
    meaning = MEANINGS.get(name) or LANES[name]
    e = shared_instance(VECTOR, dispatch).exports
    mask = MASKS.get(INTEGER.get(meaning.result, ""), 0)
    functions = [(form, e[f"{name} {form}"]) for form in forms_of(meaning)]
    failures = []
    for form, f in functions:
        of_form = cases(name)
        if form.startswith("const"):
            i = int(form[5:])
            last = of_form[i][0][-1]
            of_form = [c for c in of_form if c[0][-1] == last]
        for args, want in of_form:
            guard, got = f(*args)
            if meaning.result != "v":
                got &= mask
            if guard != GUARD or not meaning.holds(got, want):
                failures.append(f"{form}: {show(args)} gave {show((got,))}, not {want}")
    assert not failures, "\n".join(failures[:20])


def show(args: tuple[Any, ...]) -> str:
    return ", ".join(x.hex(" ") if isinstance(x, bytes) else hex(x) for x in args)


@dispatches
@pytest.mark.parametrize("name", MEANINGS)
def test_a_vector_instruction_gives_what_the_model_gives(name: str, dispatch: str) -> None:
    check(name, dispatch)


@dispatches
@pytest.mark.parametrize("name", sorted({n.split()[0] for n in LANES}))
def test_each_lane_can_be_taken_out_and_replaced(name: str, dispatch: str) -> None:
    for lane in LANES:
        if lane.split()[0] == name:
            check(lane, dispatch)


# ---- shuffles, constants, and where vectors go


def shuffles() -> list[list[int]]:
    some = random.Random(3)
    fixed = [list(range(16)), list(range(16, 32)), [0] * 16, [31] * 16, list(range(31, 15, -1))]
    return fixed + [[some.randrange(32) for _ in range(16)] for _ in range(40)]


def shuffle_module() -> str:
    text = "(module\n"
    for i, of in enumerate(shuffles()):
        text += (
            f'(func (export "{i}") (param v128 v128) (result i32 v128) (i32.const {GUARD})'
            f" (i8x16.shuffle {' '.join(map(str, of))} (local.get 0) (local.get 1)))\n"
        )
    return text + ")"


SHUFFLE = register(shuffle_module)


@dispatches
def test_a_shuffle_picks_bytes_of_both(dispatch: str) -> None:
    e = shared_instance(SHUFFLE, dispatch).exports
    a, b = bytes(range(0x10, 0x20)), bytes(range(0xE0, 0xF0))
    for i, of in enumerate(shuffles()):
        assert e[str(i)](a, b) == (GUARD, bytes((a + b)[k] for k in of))


def test_a_constant_can_be_written_in_each_shape() -> None:
    v = bytes.fromhex("0080ffc17f0a55aa000000c00000f07f")
    text = "(module\n"
    for s in WIDTHS:
        bits = WIDTHS[s]
        if s[0] == "i":
            values = [str(x) for x in lanes(v, bits)]
        elif s == "f32x4":
            values = ["-nan:0x7f8000", "1.5", "-2", "inf"]
        else:
            values = ["-0", "nan"]
        text += f'(func (export "{s}") (result v128) (v128.const {s} {" ".join(values)}))\n'
    e = chiasm.instantiate(text + ")").exports
    assert all(e[s]() == v for s in WIDTHS if s[0] == "i")
    floats = [0xFFFF8000, edges.f32(1.5), edges.f32(-2.0), 0x7F800000]
    assert e["f32x4"]() == vector(floats, 32)
    assert e["f64x2"]() == vector([1 << 63, 0x7FF8 << 48], 64)


MOVES = register_text("""(module
  (type $s (struct (field i8) (field $v (mut v128)) (field i8)))
  (type $a (array (mut v128)))
  (global $g (mut v128) (v128.const i64x2 0 0))
  (tag $t (param i32 v128 i64))
  (func $mixed (param i32 v128 i64 v128) (result v128 i64 v128 i32)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "call") (param v128 v128) (result v128 i64 v128 i32)
    (call $mixed (i32.const 1) (local.get 0) (i64.const 2) (local.get 1)))
  (func (export "return call") (param v128 v128) (result v128 i64 v128 i32)
    (return_call $mixed (i32.const 1) (local.get 0) (i64.const 2) (local.get 1)))
  (func (export "select") (param v128 v128 i32) (result i32 v128)
    (i32.const 7) (select (local.get 0) (local.get 1) (local.get 2)))
  (func (export "select t") (param v128 v128 i32) (result i32 v128)
    (i32.const 7) (select (result v128) (local.get 0) (local.get 1) (local.get 2)))
  (func (export "select i32") (param i32 i32 i32) (result i32) (local v128)
    (select (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop") (param v128) (result i32)
    (i32.const 7) (local.get 0) (drop) (local.get 0) (i32.const 1) (drop) (drop))
  (func (export "tee") (param v128) (result v128 v128 v128) (local $x v128)
    (local.tee $x (local.get 0)) (local.get $x) (i32x4.add (local.get $x) (local.get $x)))
  (func (export "far") (param v128) (result v128 i64)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)
    (local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (local v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local $x v128) (local $n i64) (local $y v128)
    (local.set $x (local.get 0)) (local.set $n (i64.const 5)) (local.set $y (local.get $x))
    (local.get $y) (local.get $n))
  (func (export "global") (param v128) (result v128)
    (global.set $g (local.get 0)) (global.get $g))
  (func (export "struct") (param v128 v128) (result v128 v128 i32) (local $s (ref null $s))
    (local.set $s (struct.new $s (i32.const 1) (local.get 0) (i32.const 2)))
    (struct.get $s $v (local.get $s))
    (struct.set $s $v (local.get $s) (local.get 1))
    (struct.get $s $v (local.get $s))
    (i32.add (struct.get_u $s 0 (local.get $s)) (struct.get_s $s 2 (local.get $s))))
  (func (export "array") (param v128 v128) (result v128 v128 v128 i32) (local $a (ref null $a))
    (local.set $a (array.new_fixed $a 3 (local.get 0) (local.get 1) (local.get 0)))
    (array.get $a (local.get $a) (i32.const 1))
    (array.set $a (local.get $a) (i32.const 2) (local.get 1))
    (array.get $a (local.get $a) (i32.const 2))
    (array.fill $a (local.get $a) (i32.const 1) (local.get 0) (i32.const 1))
    (array.get $a (local.get $a) (i32.const 1))
    (array.len (array.new $a (local.get 0) (i32.const 4))))
  (func (export "throw") (param v128) (result i32 v128 i64)
    (block $h (result i32 v128 i64)
      (try_table (catch $t $h) (throw $t (i32.const 3) (local.get 0) (i64.const 4)))
      (unreachable)))
  (func (export "br") (param v128 v128 i32) (result i32 v128 v128)
    (i32.const 9)
    (block $b (result v128 v128)
      (i64.const 1) (v128.const i64x2 2 3)
      (local.get 0) (local.get 1)
      (br_if $b (local.get 2))
      (drop) (drop) (drop) (drop)
      (local.get 1) (local.get 0)))
  (func (export "br table") (param v128 v128 i32) (result i32 v128)
    (i32.const 9)
    (block $c (result v128)
      (i8x16.add (v128.const i8x16 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1)
        (block $b (result v128)
          (i8x16.add (v128.const i8x16 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2)
            (block $a (result v128)
              (local.get 1) (local.get 0)
              (br_table $a $b $c (local.get 2))))))))
  (func (export "loop") (param v128 i32) (result i32 v128)
    (i32.const 9) (v128.const i64x2 0 0) (local.get 1)
    (loop $l (param v128 i32) (result v128)
      (local.set 1) (i32x4.add (local.get 0))
      (i32.sub (local.get 1) (i32.const 1)) (local.tee 1)
      (br_if $l (local.get 1))
      (drop)))
  (func (export "if") (param v128 v128 i32) (result i32 v128)
    (i32.const 9)
    (local.get 0)
    (if (param v128) (result v128) (local.get 2)
      (then (i32x4.sub (local.get 1))) (else (drop) (local.get 1)))))""")
A, B = bytes(range(16)), bytes(range(0x80, 0x90))


def lanewise(f: Any, *vs: bytes) -> bytes:
    return vector([f(*x) for x in zip(*(lanes(v, 32) for v in vs), strict=True)], 32)


@dispatches
def test_vectors_go_through_calls_and_exceptions_among_scalars(dispatch: str) -> None:
    e = shared_instance(MOVES, dispatch).exports
    assert e.call(A, B) == e["return call"](A, B) == (B, 2, A, 1)
    assert e.throw(A) == (3, A, 4)


@dispatches
def test_vectors_are_selected_dropped_and_kept_in_variables(dispatch: str) -> None:
    e = shared_instance(MOVES, dispatch).exports
    for name in ("select", "select t"):
        assert e[name](A, B, 1) == (7, A) and e[name](A, B, 0) == (7, B)
    assert e["select i32"](1, 2, 5) == 1 and e["select i32"](1, 2, 0) == 2
    assert e.drop(A) == 7
    assert e.tee(B) == (B, B, lanewise(lambda a: 2 * a, B))
    assert e.far(A) == (A, 5)
    assert e["global"](B) == B


@dispatches
def test_vectors_are_fields_and_elements(dispatch: str) -> None:
    e = shared_instance(MOVES, dispatch).exports
    assert e.struct(A, B) == (A, B, 3)
    assert e.array(A, B) == (B, B, A, 4)


@dispatches
def test_branches_keep_vectors_and_drop_what_is_beneath(dispatch: str) -> None:
    e = shared_instance(MOVES, dispatch).exports
    assert e.br(A, B, 1) == (9, A, B) and e.br(A, B, 0) == (9, B, A)
    for i, by in enumerate((3, 1, 0, 0)):
        assert e["br table"](A, B, i) == (9, bytes(x + by for x in A))
    assert e.loop(A, 5) == (9, lanewise(lambda a: 5 * a, A))
    assert e["if"](A, B, 1) == (9, lanewise(lambda a, b: a - b, A, B))
    assert e["if"](A, B, 0) == (9, B)
