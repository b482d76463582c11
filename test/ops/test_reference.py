"""References, tables and aggregates: what their instructions give and how they trap."""

from __future__ import annotations

import re
import struct
from itertools import product

import pytest
from modules import DISPATCHES, instance, outcome, register, register_text, shared_instance

import chiasm

dispatches = pytest.mark.parametrize("dispatch", DISPATCHES)

TABLE_BOUNDS = "out of bounds table access"
MEMORY_BOUNDS = "out of bounds memory access"
ARRAY_BOUNDS = "out of bounds array access"
NULL_STRUCT = "null structure reference"
NULL_ARRAY = "null array reference"

# ---- references

REFS = register_text("""(module
  (type $ii (func (param i32) (result i32)))
  (elem declare func $inc $dec)
  (func $inc (type $ii) (i32.add (local.get 0) (i32.const 1)))
  (func $dec (type $ii) (i32.sub (local.get 0) (i32.const 1)))
  (func (export "null") (result i32 i32 i32 i32 i32)
    (i32.const 7) (ref.is_null (ref.null func)) (ref.is_null (ref.null extern))
    (ref.is_null (ref.null none)) (ref.is_null (ref.null $ii)))
  (func (export "is null") (param externref) (result i32 i32)
    (i32.const 7) (ref.is_null (local.get 0)))
  (func (export "func") (param i32) (result i32 i32 i32)
    (call_ref $ii (local.get 0) (ref.func $inc)) (call_ref $ii (local.get 0) (ref.func $dec))
    (ref.is_null (ref.func $inc)))
  (func (export "eq") (param eqref eqref) (result i32 i32)
    (i32.const 7) (ref.eq (local.get 0) (local.get 1)))
  (func (export "as non null") (param externref) (result i32 (ref extern))
    (i32.const 7) (ref.as_non_null (local.get 0)))
  (func (export "br_on_null") (param externref) (result i32 externref)
    (i32.const 7)
    (block $null (i64.const 1) (br_on_null $null (local.get 0)) (local.set 0) (drop)
      (return (i32.const 8) (local.get 0)))
    (ref.null extern))
  (func (export "br_on_non_null") (param externref) (result i32 externref)
    (i32.const 7)
    (block $value (result (ref extern))
      (i64.const 1) (br_on_non_null $value (local.get 0)) (drop)
      (return (i32.const 8) (ref.null extern))))
  (func (export "i31") (param i32) (result i32 i32 i32)
    (i32.const 7) (i31.get_s (ref.i31 (local.get 0))) (i31.get_u (ref.i31 (local.get 0))))
  (func (export "i31 s") (param i31ref) (result i32) (i31.get_s (local.get 0)))
  (func (export "i31 u") (param i31ref) (result i32) (i31.get_u (local.get 0)))
  (func (export "i31 eq") (param i32 i32) (result i32)
    (ref.eq (ref.i31 (local.get 0)) (ref.i31 (local.get 1))))
  (func (export "there and back") (param externref) (result i32 externref)
    (i32.const 7) (extern.convert_any (any.convert_extern (local.get 0))))
  (func (export "to any") (param externref) (result i32 i32 i32)
    (i32.const 7) (ref.is_null (any.convert_extern (local.get 0)))
    (ref.test (ref i31) (any.convert_extern (local.get 0))))
  (func (export "from any") (param anyref) (result i32)
    (ref.is_null (extern.convert_any (local.get 0)))))""")


@dispatches
def test_a_null_is_null_and_nothing_else_is(dispatch: str) -> None:
    e = shared_instance(REFS, dispatch).exports
    assert e.null() == (7, 1, 1, 1, 1)
    assert e["is null"](None) == (7, 1) and e["is null"]("x") == (7, 0)
    assert e.func(5) == (6, 4, 0)


@dispatches
def test_ref_eq_compares_identity(dispatch: str) -> None:
    e = shared_instance(REFS, dispatch).exports
    assert e.eq(None, None) == (7, 1) and e.eq(None, 0) == (7, 0) and e.eq(1, 1) == (7, 1)
    assert e.eq(1, 2) == (7, 0)
    assert e["i31 eq"](1 << 31, 0) == 1 and e["i31 eq"](-1, (1 << 31) - 1) == 1


@dispatches
def test_what_must_not_be_null_traps_or_branches(dispatch: str) -> None:
    e = shared_instance(REFS, dispatch).exports
    assert e["as non null"]("x") == (7, "x")
    assert outcome(e["as non null"], None) == "null reference"
    assert e["br_on_null"]("x") == (8, "x") and e["br_on_null"](None) == (7, None)
    assert e["br_on_non_null"]("x") == (7, "x") and e["br_on_non_null"](None) == (8, None)


@dispatches
def test_an_i31_has_31_bits(dispatch: str) -> None:
    e = shared_instance(REFS, dispatch).exports
    for x in (0, 1, -1, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, -0x80000000, -0x40000000, 0x12345678):
        u = x & 0x7FFFFFFF
        assert e.i31(x) == (7, u - (1 << 31) if u >> 30 else u, u)
    assert outcome(e["i31 s"], None) == outcome(e["i31 u"], None) == "null i31 reference"
    assert e["i31 s"](-5) == -5 and e["i31 u"](-5) == 0x7FFFFFFB


@dispatches
def test_external_references_convert_and_convert_back(dispatch: str) -> None:
    e = shared_instance(REFS, dispatch).exports
    for x in (None, "x", object(), 5, 1 << 80):
        guard, y = e["there and back"](x)
        assert guard == 7 and y is x
    assert e["to any"](None) == (7, 1, 0) and e["to any"]("x") == (7, 0, 0)
    assert e["from any"](None) == 1 and e["from any"](3) == 0


# ---- casts

# Values, by what makes them, and the types that each has besides its top.
Values = dict[str, tuple[str, set[str]]]
ANY_VALUES: Values = {
    "null": ("(ref.null none)", set()),
    "i31": ("(ref.i31 (i32.const 5))", {"i31", "eq"}),
    "super": ("(struct.new $super (i32.const 1))", {"$super", "struct", "eq"}),
    "sub": ("(struct.new $sub (i32.const 1) (i64.const 2))", {"$super", "$sub", "struct", "eq"}),
    "leaf": (
        "(struct.new $leaf (i32.const 1) (i64.const 2) (f32.const 3))",
        {"$super", "$sub", "$leaf", "struct", "eq"},
    ),
    "other": ("(struct.new $other (i32.const 1))", {"$other", "struct", "eq"}),
    "array": ("(array.new $array (i32.const 1) (i32.const 2))", {"$array", "array", "eq"}),
    "external": ("(any.convert_extern (global.get $x))", set()),
}
HIERARCHIES: dict[str, tuple[Values, tuple[str, ...]]] = {
    "any": (
        ANY_VALUES,
        ("any", "eq", "i31", "struct", "array", "none", *("$super", "$sub", "$leaf", "$other")),
    ),
    "func": (
        {
            "null": ("(ref.null nofunc)", set()),
            "f": ("(ref.func $f)", {"$f"}),
            "g": ("(ref.func $g)", {"$f", "$g"}),
            "h": ("(ref.func $h)", {"$h"}),
        },
        ("func", "nofunc", "$f", "$g", "$h"),
    ),
    "extern": (
        {
            "null": ("(ref.null noextern)", set()),
            "external": ("(global.get $x)", set()),
            "internal": ("(extern.convert_any (ref.i31 (i32.const 1)))", set()),
        },
        ("extern", "noextern"),
    ),
    "exn": ({"null": ("(ref.null noexn)", set())}, ("exn", "noexn")),
}
CASES = [
    (top, value, target, null)
    for top, (values, targets) in HIERARCHIES.items()
    for value, target, null in product(values, targets, (False, True))
]


def is_of(top: str, value: str, target: str, null: bool) -> bool:
    if value == "null":
        return null
    return target == top or target in HIERARCHIES[top][0][value][1]


def cast_functions(top: str, value: str, target: str, null: bool) -> str:
    type_ = f"(ref {'null ' if null else ''}{target})"
    wide = f"(ref null {top})"
    rest = f"(ref {'' if null else 'null '}{top})"
    name = f"{top} {value} {target} {null}"
    # The value comes from a local of the topmost type, so that nothing is known.
    start = f"(local $v {wide}) (local.set $v {HIERARCHIES[top][0][value][0]}) (i32.const 7)"
    text = f"""
    (func (export "test {name}") (result i32 i32) {start}
      (ref.test {type_} (local.get $v)))
    (func (export "cast {name}") (result i32 i32) {start}
      (ref.is_null (ref.cast {type_} (local.get $v))))
    (func (export "br {name}") (result i32 i32 i32) {start}
      (block $out (result i32 i32)
        (block $is (result i32 {type_})
          (i64.const 1) (i32.const 11)
          (br_on_cast $is {wide} {type_} (local.get $v))
          (drop) (drop) (drop) (br $out (i32.const 12) (i32.const 0)))
        (ref.is_null)))
    (func (export "br fail {name}") (result i32 i32) {start}
      (block $out (result i32)
        (block $is_not (result i32 {rest})
          (i64.const 1) (i32.const 12)
          (br_on_cast_fail $is_not {wide} {type_} (local.get $v))
          (drop) (drop) (drop) (br $out (i32.const 11)))
        (drop)))"""
    if top == "any":
        text += f"""
    (func (export "same {name}") (result i32) {start} (drop)
      (ref.eq (ref.cast (ref null eq) (local.get $v))
        (ref.cast (ref null eq) (ref.cast {type_} (local.get $v)))))"""
    return text


def cast_module() -> str:
    return (
        """(module
      (type $super (sub (struct (field i32))))
      (type $sub (sub $super (struct (field i32) (field i64))))
      (type $leaf (sub final $sub (struct (field i32) (field i64) (field f32))))
      (type $other (sub (struct (field (mut i32)))))
      (type $array (array i32))
      (type $f (sub (func))) (type $g (sub $f (func))) (type $h (func (param i32)))
      (global $x (import "" "x") externref)
      (elem declare func $f $g $h)
      (func $f (type $f)) (func $g (type $g)) (func $h (type $h))
      """
        + "".join(cast_functions(*c) for c in CASES)
        + ")"
    )


CASTS = register(cast_module)


@dispatches
@pytest.mark.parametrize("top", HIERARCHIES)
def test_test_cast_and_branch_agree_on_what_a_value_is(top: str, dispatch: str) -> None:
    e = instance(CASTS, dispatch, {"": {"x": chiasm.Global("externref", "x")}}).exports
    for case in CASES:
        if case[0] != top:
            continue
        name = "{} {} {} {}".format(*case)
        is_, null = is_of(*case), int(case[1] == "null")
        assert e[f"test {name}"]() == (7, is_), name
        assert outcome(e[f"cast {name}"]) == ((7, null) if is_ else "cast failure"), name
        assert e[f"br {name}"]() == (7, *((11, null) if is_ else (12, 0))), name
        assert e[f"br fail {name}"]() == (7, 11 if is_ else 12), name
        if top == "any" and case[1] != "external":
            assert outcome(e[f"same {name}"]) == (1 if is_ else "cast failure"), name


# ---- tables

TABLES = register_text("""(module
  (table $t (export "t") 4 8 externref) (table $l (export "l") i64 2 5 externref)
  (table $f 6 funcref) (table $set 3 anyref (ref.i31 (i32.const 5)))
  (elem $e func $one $two $three) (elem $active (table $f) (i32.const 5) func $one)
  (elem $i anyref (ref.i31 (i32.const 1)) (item (ref.i31 (i32.const 2))) (ref.null any))
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func $three (result i32) (i32.const 3))
  (func (export "get") (param i32) (result i32 externref)
    (i32.const 7) (table.get $t (local.get 0)))
  (func (export "set") (param i32 externref) (result i32)
    (i32.const 7) (table.set $t (local.get 0) (local.get 1)))
  (func (export "size") (result i32 i32) (i32.const 7) (table.size $t))
  (func (export "grow") (param externref i32) (result i32 i32)
    (i32.const 7) (table.grow $t (local.get 0) (local.get 1)))
  (func (export "fill") (param i32 externref i32) (result i32)
    (i32.const 7) (table.fill $t (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32) (result i32)
    (i32.const 7) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
  (func (export "get l") (param i64) (result i32 externref)
    (i32.const 7) (table.get $l (local.get 0)))
  (func (export "set l") (param i64 externref) (result i32)
    (i32.const 7) (table.set $l (local.get 0) (local.get 1)))
  (func (export "size l") (result i32 i64) (i32.const 7) (table.size $l))
  (func (export "grow l") (param externref i64) (result i32 i64)
    (i32.const 7) (table.grow $l (local.get 0) (local.get 1)))
  (func (export "fill l") (param i64 externref i64) (result i32)
    (i32.const 7) (table.fill $l (local.get 0) (local.get 1) (local.get 2)))
  (func (export "t to l") (param i64 i32 i32) (result i32)
    (i32.const 7) (table.copy $l $t (local.get 0) (local.get 1) (local.get 2)))
  (func (export "l to t") (param i32 i64 i32) (result i32)
    (i32.const 7) (table.copy $t $l (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32) (result i32)
    (i32.const 7) (table.init $f $e (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init active")
    (table.init $f $active (i32.const 0) (i32.const 0) (i32.const 1)))
  (func (export "drop") (result i32) (i32.const 7) (elem.drop $e))
  (func (export "call") (param i32) (result i32) (call_indirect $f (result i32) (local.get 0)))
  (func (export "init i") (param i32 i32 i32)
    (table.init $set $i (local.get 0) (local.get 1) (local.get 2)))
  (func (export "get i") (param i32) (result anyref) (table.get $set (local.get 0))))""")


@dispatches
def test_table_get_and_set_reach_each_element_and_no_other(dispatch: str) -> None:
    e = instance(TABLES, dispatch).exports
    for i in range(4):
        assert e.set(i, i) == 7
    assert [e.get(i) for i in range(4)] == [(7, i) for i in range(4)]
    for i in (4, 5, -1, -0x80000000):
        assert outcome(e.get, i) == outcome(e.set, i, 1) == TABLE_BOUNDS
    assert e["set l"](1, "x") == 7 and e["get l"](1) == (7, "x") and e["get l"](0) == (7, None)
    for i in (2, 1 << 32, -1):
        assert outcome(e["get l"], i) == outcome(e["set l"], i, 1) == TABLE_BOUNDS
    assert list(e.t) == [0, 1, 2, 3]


@dispatches
def test_a_table_grows_to_its_maximum(dispatch: str) -> None:
    e = instance(TABLES, dispatch).exports
    assert (e.grow("a", 2), e.size(), e.get(5), e.get(3)) == ((7, 4), (7, 6), (7, "a"), (7, None))
    assert (e.grow("b", 3), e.grow("b", -1), e.size()) == ((7, -1), (7, -1), (7, 6))
    assert (e.grow("b", 2), e.grow("c", 0), e.size()) == ((7, 6), (7, 8), (7, 8))
    assert e["grow l"]("a", 3) == (7, 2) and e["size l"]() == (7, 5)
    assert e["grow l"]("a", 1) == e["grow l"]("a", -1) == (7, -1)
    assert e["get l"](4) == (7, "a")


@dispatches
def test_table_fill_and_copy_trap_before_they_write(dispatch: str) -> None:
    e = instance(TABLES, dispatch).exports
    assert e.fill(1, "a", 2) == 7 and list(e.t) == [None, "a", "a", None]
    for at, n in ((3, 2), (4, 1), (5, 0), (-1, 2), (0, -1)):
        assert outcome(e.fill, at, "b", n) == TABLE_BOUNDS
    assert e.fill(4, "b", 0) == 7 and list(e.t) == [None, "a", "a", None]
    assert e["fill l"](0, "l", 2) == 7 and outcome(e["fill l"], 1, "x", 2) == TABLE_BOUNDS
    assert outcome(e["fill l"], -1, "x", 2) == TABLE_BOUNDS
    for i in range(4):
        e.set(i, i)
    for to, from_, n in ((0, 1, 3), (1, 0, 3), (2, 2, 2), (0, 0, 0), (4, 4, 0)):
        model = list(e.t)
        model[to : to + n] = model[from_ : from_ + n]
        assert e.copy(to, from_, n) == 7 and list(e.t) == model
    for to, from_, n in ((2, 0, 3), (0, 2, 3), (5, 0, 0), (0, 5, 0), (-1, 0, 2), (0, -1, 2)):
        assert outcome(e.copy, to, from_, n) == TABLE_BOUNDS
    for i in range(4):
        e.set(i, i)
    assert e["t to l"](1, 2, 1) == 7 and list(e.l) == ["l", 2]
    assert e["l to t"](0, 0, 2) == 7 and list(e.t) == ["l", 2, 2, 3]
    assert outcome(e["t to l"], 1 << 32, 0, 1) == TABLE_BOUNDS
    assert outcome(e["l to t"], 0, 1 << 32, 1) == TABLE_BOUNDS


@dispatches
def test_table_init_copies_a_segment_until_it_is_dropped(dispatch: str) -> None:
    e = instance(TABLES, dispatch).exports
    assert e.call(5) == 1
    assert e.init(0, 1, 2) == 7
    assert (e.call(0), e.call(1), outcome(e.call, 2)) == (2, 3, "uninitialized element")
    for at, from_, n in ((0, 2, 2), (5, 0, 2), (0, 4, 0), (7, 0, 0), (-1, 0, 2), (0, -1, 2)):
        assert outcome(e.init, at, from_, n) == TABLE_BOUNDS
    assert e.init(6, 3, 0) == 7
    assert outcome(e["init active"]) == TABLE_BOUNDS
    assert e.drop() == e.drop() == 7
    assert outcome(e.init, 0, 0, 1) == TABLE_BOUNDS and e.init(0, 0, 0) == 7
    assert e.call(0) == 2
    assert [e["get i"](i) for i in range(3)] == [5, 5, 5]
    e["init i"](1, 0, 2)
    assert [e["get i"](i) for i in range(3)] == [5, 1, 2]


# ---- structures

STRUCTS = register_text("""(module
  (type $s (struct (field $a (mut i8)) (field $b (mut i64)) (field $c (mut i16))
    (field $d (mut f32)) (field $e (mut f64)) (field $f (mut i32)) (field $g (mut anyref))
    (field $h (mut i8))))
  (type $empty (struct))
  (global $g (mut (ref null $s)) (ref.null $s))
  (global $const (ref $s) (struct.new $s (i32.const -1) (i64.const -2) (i32.const -3) (f32.const 4)
    (f64.const 5) (i32.const 6) (ref.i31 (i32.const 7)) (i32.const 8)))
  (func (export "new") (param i32 i64 i32 f32 f64 i32 anyref i32) (result i32)
    (i32.const 7)
    (global.set $g (struct.new $s (local.get 0) (local.get 1) (local.get 2) (local.get 3)
      (local.get 4) (local.get 5) (local.get 6) (local.get 7))))
  (func (export "default") (result i32)
    (i32.const 7) (global.set $g (struct.new_default $s)))
  (func (export "const") (global.set $g (global.get $const)))
  (func (export "null") (global.set $g (ref.null $s)))
  (func (export "get") (result i32 i64 i32 f32 f64 i32 anyref i32)
    (struct.get_s $s $a (global.get $g)) (struct.get $s $b (global.get $g))
    (struct.get_s $s $c (global.get $g)) (struct.get $s $d (global.get $g))
    (struct.get $s $e (global.get $g)) (struct.get $s $f (global.get $g))
    (struct.get $s $g (global.get $g)) (struct.get_s $s $h (global.get $g)))
  (func (export "get u") (result i32 i32 i32)
    (struct.get_u $s $a (global.get $g)) (struct.get_u $s $c (global.get $g))
    (struct.get_u $s $h (global.get $g)))
  (func (export "set a") (param i32) (struct.set $s $a (global.get $g) (local.get 0)))
  (func (export "set b") (param i64) (struct.set $s $b (global.get $g) (local.get 0)))
  (func (export "set c") (param i32) (struct.set $s $c (global.get $g) (local.get 0)))
  (func (export "set d") (param f32) (struct.set $s $d (global.get $g) (local.get 0)))
  (func (export "set e") (param f64) (struct.set $s $e (global.get $g) (local.get 0)))
  (func (export "set f") (param i32) (struct.set $s $f (global.get $g) (local.get 0)))
  (func (export "set g") (param anyref) (struct.set $s $g (global.get $g) (local.get 0)))
  (func (export "set h") (param i32) (result i32)
    (i32.const 7) (struct.set $s $h (global.get $g) (local.get 0)))
  (func (export "get a") (result i32) (struct.get_u $s $a (global.get $g)))
  (func (export "get a s") (result i32) (struct.get_s $s $a (global.get $g)))
  (func (export "get b") (result i64) (struct.get $s $b (global.get $g)))
  (func (export "distinct") (result i32)
    (ref.eq (struct.new $empty) (struct.new_default $empty))))""")


@dispatches
def test_a_field_holds_what_was_set_and_its_neighbours_stay(dispatch: str) -> None:
    e = instance(STRUCTS, dispatch).exports
    want: list[object] = [1, 2, 3, 4.0, 5.0, 6, 7, 8]
    assert e.new(*want) == 7
    assert e.get() == tuple(want)
    new = [-128, -(1 << 63), -32768, 0.5, 1e300, -(1 << 31), 99, 127]
    for i, (letter, value) in enumerate(zip("abcdefgh", new, strict=True)):
        e[f"set {letter}"](value)
        want[i] = value
        assert e.get() == tuple(want)


@dispatches
def test_a_packed_field_wraps_and_is_extended(dispatch: str) -> None:
    e = instance(STRUCTS, dispatch).exports
    e.new(0x1234, 0, 0x12345, 0.0, 0.0, 0, None, -1)
    assert e["get u"]() == (0x34, 0x2345, 0xFF)
    e["set a"](0x1FF)
    e["set c"](0x18000)
    assert e["get u"]() == (0xFF, 0x8000, 0xFF)
    assert (e.get()[0], e.get()[2], e.get()[7]) == (-1, -0x8000, -1)


@dispatches
def test_fields_start_as_given_or_as_zero(dispatch: str) -> None:
    e = instance(STRUCTS, dispatch).exports
    assert e.default() == 7 and e.get() == (0, 0, 0, 0.0, 0.0, 0, None, 0)
    e.const()
    assert e.get() == (-1, -2, -3, 4.0, 5.0, 6, 7, 8)
    assert e.distinct() == 0


@dispatches
def test_a_field_of_null_traps(dispatch: str) -> None:
    e = instance(STRUCTS, dispatch).exports
    for name in ("get a", "get a s", "get b"):
        assert outcome(e[name]) == NULL_STRUCT
    for letter, value in zip("abcdefgh", (1, 2, 3, 4.0, 5.0, 6, 7, 8), strict=True):
        assert outcome(e[f"set {letter}"], value) == NULL_STRUCT


# ---- arrays

ELEMENTS = {
    # storage: its type on the stack, bytes
    "i8": ("i32", 1),
    "i16": ("i32", 2),
    "i32": ("i32", 4),
    "i64": ("i64", 8),
    "f32": ("f32", 4),
    "f64": ("f64", 8),
}
DATA = bytes(range(0x70, 0xA0))


def array_functions(s: str) -> str:
    t, _ = ELEMENTS[s]
    packed = t != s
    gets = ("_s", "_u") if packed else ("",)
    text = f"""
      (type $a{s} (array (mut {s})))
      (global $g{s} (mut (ref null $a{s})) (ref.null $a{s}))
      (func (export "{s} new") (param {t} i32) (result i32)
        (i32.const 7) (global.set $g{s} (array.new $a{s} (local.get 0) (local.get 1))))
      (func (export "{s} default") (param i32) (result i32)
        (i32.const 7) (global.set $g{s} (array.new_default $a{s} (local.get 0))))
      (func (export "{s} fixed") (param {t} {t} {t}) (result i32)
        (i32.const 7)
        (global.set $g{s} (array.new_fixed $a{s} 3 (local.get 0) (local.get 1) (local.get 2))))
      (func (export "{s} empty") (global.set $g{s} (array.new_fixed $a{s} 0)))
      (func (export "{s} data") (param i32 i32) (result i32)
        (i32.const 7) (global.set $g{s} (array.new_data $a{s} $d (local.get 0) (local.get 1))))
      (func (export "{s} init") (param i32 i32 i32) (result i32)
        (i32.const 7)
        (array.init_data $a{s} $d (global.get $g{s}) (local.get 0) (local.get 1) (local.get 2)))
      (func (export "{s} len") (result i32 i32) (i32.const 7) (array.len (global.get $g{s})))
      (func (export "{s} set") (param i32 {t}) (result i32)
        (i32.const 7) (array.set $a{s} (global.get $g{s}) (local.get 0) (local.get 1)))
      (func (export "{s} fill") (param i32 {t} i32) (result i32)
        (i32.const 7)
        (array.fill $a{s} (global.get $g{s}) (local.get 0) (local.get 1) (local.get 2)))
      (func (export "{s} copy") (param i32 i32 i32) (result i32)
        (i32.const 7)
        (array.copy $a{s} $a{s} (global.get $g{s}) (local.get 0)
          (global.get $g{s}) (local.get 1) (local.get 2)))
      (func (export "{s} null") (global.set $g{s} (ref.null $a{s})))"""
    for g in gets:
        text += f"""
      (func (export "{s} get{g}") (param i32) (result i32 {t})
        (i32.const 7) (array.get{g} $a{s} (global.get $g{s}) (local.get 0)))"""
    return text


def array_module() -> str:
    data = "".join(f"\\{b:02x}" for b in DATA)
    return (
        "(module"
        + "".join(map(array_functions, ELEMENTS))
        + f"""
      (data $d "{data}")
      (func (export "drop") (data.drop $d))
      (type $r (array (mut funcref))) (type $x (array (mut (ref null extern))))
      (type $any (array (mut anyref))) (type $i31s (array (mut i31ref)))
      (type $const (array i64))
      (elem $e func $one $two $three)
      (elem $n (ref null func) (ref.null func) (ref.func $two))
      (func $one (result i32) (i32.const 1))
      (func $two (result i32) (i32.const 2))
      (func $three (result i32) (i32.const 3))
      (table $t 1 funcref)
      (global $g (mut (ref null $r)) (ref.null $r))
      (func (export "elem") (param i32 i32) (result i32)
        (i32.const 7) (global.set $g (array.new_elem $r $e (local.get 0) (local.get 1))))
      (func (export "init elem") (param i32 i32 i32) (result i32)
        (i32.const 7)
        (array.init_elem $r $n (global.get $g) (local.get 0) (local.get 1) (local.get 2)))
      (func (export "drop elem") (elem.drop $e))
      (func (export "null elem") (global.set $g (ref.null $r)))
      (func (export "call") (param i32) (result i32)
        (table.set $t (i32.const 0) (array.get $r (global.get $g) (local.get 0)))
        (call_indirect $t (result i32) (i32.const 0)))
      (func (export "covariant") (result i32 i32 i32) (local $a (ref null $any))
        (local.set $a (array.new_default $any (i32.const 4)))
        (array.copy $any $i31s (local.get $a) (i32.const 1)
          (array.new $i31s (ref.i31 (i32.const 5)) (i32.const 2)) (i32.const 0) (i32.const 2))
        (ref.is_null (array.get $any (local.get $a) (i32.const 0)))
        (i31.get_s (ref.cast (ref i31) (array.get $any (local.get $a) (i32.const 2))))
        (array.len (local.get $a)))
      (func (export "const") (result i64 i64)
        (array.get $const (array.new_fixed $const 2 (i64.const 5) (i64.const 6)) (i32.const 0))
        (array.get $const (array.new $const (i64.const 8) (i32.const 2)) (i32.const 1)))
      (func (export "len of any") (param arrayref) (result i32) (array.len (local.get 0)))
      (func (export "copy null") (param i32)
        (array.copy $const_mut $const_mut
          (select (result (ref null $const_mut)) (ref.null $const_mut)
            (array.new_default $const_mut (i32.const 1)) (local.get 0))
          (i32.const 0)
          (select (result (ref null $const_mut)) (array.new_default $const_mut (i32.const 1))
            (ref.null $const_mut) (local.get 0))
          (i32.const 0) (i32.const 0)))
      (type $const_mut (array (mut i64))))"""
    )


ARRAYS = register(array_module)


def elements(e: chiasm.Exports, s: str) -> list[float]:
    get = e[f"{s} get_s" if ELEMENTS[s][0] != s else f"{s} get"]
    return [get(i)[1] for i in range(e[f"{s} len"]()[1])]


each_storage = pytest.mark.parametrize("s", ELEMENTS)


@dispatches
@each_storage
def test_an_array_starts_as_given_or_as_zero(s: str, dispatch: str) -> None:
    e = instance(ARRAYS, dispatch).exports
    assert e[f"{s} new"](-3, 4) == 7 and elements(e, s) == [-3] * 4
    assert e[f"{s} default"](300) == 7 and elements(e, s) == [0] * 300
    assert e[f"{s} fixed"](1, -2, 3) == 7 and elements(e, s) == [1, -2, 3]
    assert e[f"{s} new"](1, 0) == 7 and elements(e, s) == []
    e[f"{s} empty"]()
    assert e[f"{s} len"]() == (7, 0)
    for name, args in (("new", (1, -1)), ("default", (-1,))):
        assert outcome(e[f"{s} {name}"], *args) == "allocation limit exceeded"


@dispatches
@each_storage
def test_an_element_holds_what_was_set_and_its_neighbours_stay(s: str, dispatch: str) -> None:
    e = instance(ARRAYS, dispatch).exports
    t, size = ELEMENTS[s]
    model: list[float] = [0] * 5
    e[f"{s} default"](5)
    for i, x in ((0, -1), (4, 1), (2, 100), (3, -100), (2, 0)):
        assert e[f"{s} set"](i, x) == 7
        model[i] = x
        assert elements(e, s) == model
    for i in (5, 6, -1, -0x80000000):
        assert outcome(e[f"{s} set"], i, 9) == ARRAY_BOUNDS
        for name in e:
            if name.startswith(f"{s} get"):
                assert outcome(e[name], i) == ARRAY_BOUNDS
    assert elements(e, s) == model
    if t != s:
        bits = 8 * size
        e[f"{s} set"](1, 0x12345678 | 1 << (bits - 1))
        u = (0x12345678 | 1 << (bits - 1)) & ((1 << bits) - 1)
        assert e[f"{s} get_u"](1) == (7, u) and e[f"{s} get_s"](1) == (7, u - (1 << bits))


@dispatches
@each_storage
def test_array_fill_and_copy_trap_before_they_write(s: str, dispatch: str) -> None:
    e = instance(ARRAYS, dispatch).exports
    e[f"{s} default"](6)
    for i in range(6):
        e[f"{s} set"](i, i)
    model: list[float] = list(range(6))
    for at, x, n in ((1, -7, 2), (6, 9, 0), (0, 9, 0), (5, 8, 1)):
        assert e[f"{s} fill"](at, x, n) == 7
        model[at : at + n] = [x] * n
        assert elements(e, s) == model
    for at, n in ((5, 2), (6, 1), (7, 0), (-1, 2), (0, 7), (0, -1)):
        assert outcome(e[f"{s} fill"], at, 3, n) == ARRAY_BOUNDS
    for to, from_, n in ((0, 1, 5), (1, 0, 5), (2, 2, 3), (6, 6, 0), (3, 0, 3)):
        assert e[f"{s} copy"](to, from_, n) == 7
        model[to : to + n] = model[from_ : from_ + n]
        assert elements(e, s) == model
    for to, from_, n in ((2, 0, 5), (0, 2, 5), (7, 0, 0), (0, 7, 0), (-1, 0, 2), (0, -1, 2)):
        assert outcome(e[f"{s} copy"], to, from_, n) == ARRAY_BOUNDS
    assert elements(e, s) == model


@dispatches
@each_storage
def test_array_data_comes_from_a_segment_until_it_is_dropped(s: str, dispatch: str) -> None:
    e = instance(ARRAYS, dispatch).exports
    size = ELEMENTS[s][1]
    letter = {"i8": "b", "i16": "h", "i32": "i", "i64": "q", "f32": "f", "f64": "d"}[s]

    def expected(at: int, n: int) -> list[float]:
        return list(struct.unpack_from(f"<{n}{letter}", DATA, at))

    most = len(DATA) // size
    assert e[f"{s} data"](0, most) == 7 and elements(e, s) == expected(0, most)
    assert e[f"{s} data"](3, 2) == 7 and elements(e, s) == expected(3, 2)
    assert e[f"{s} data"](len(DATA), 0) == 7 and elements(e, s) == []
    for at, n in ((1, most), (len(DATA) - size + 1, 1), (len(DATA) + 1, 0), (-1, 1), (0, -1)):
        assert outcome(e[f"{s} data"], at, n) == MEMORY_BOUNDS
    e[f"{s} default"](4)
    assert e[f"{s} init"](1, 5, 2) == 7 and elements(e, s) == [0, *expected(5, 2), 0]
    assert e[f"{s} init"](4, len(DATA), 0) == 7
    for to, at, n in ((3, 0, 2), (5, 0, 0), (-1, 0, 2)):
        assert outcome(e[f"{s} init"], to, at, n) == ARRAY_BOUNDS
    for to, at, n in ((0, len(DATA) - size + 1, 1), (0, len(DATA) + 1, 0), (0, -1, 1)):
        assert outcome(e[f"{s} init"], to, at, n) == MEMORY_BOUNDS
    assert elements(e, s) == [0, *expected(5, 2), 0]
    e.drop()
    assert outcome(e[f"{s} data"], 0, 1) == outcome(e[f"{s} init"], 0, 0, 1) == MEMORY_BOUNDS
    assert e[f"{s} data"](0, 0) == 7


@dispatches
def test_array_elements_come_from_a_segment_until_it_is_dropped(dispatch: str) -> None:
    e = instance(ARRAYS, dispatch).exports
    assert e.elem(1, 2) == 7
    assert (e.call(0), e.call(1), outcome(e.call, 2)) == (2, 3, ARRAY_BOUNDS)
    for at, n in ((2, 2), (4, 0), (-1, 1), (0, -1)):
        assert outcome(e.elem, at, n) == TABLE_BOUNDS
    assert e.elem(0, 3) == 7
    assert e["init elem"](1, 0, 2) == 7
    assert (e.call(0), outcome(e.call, 1), e.call(2)) == (1, "uninitialized element", 2)
    for to, at, n in ((2, 0, 2), (4, 0, 0), (-1, 0, 2)):
        assert outcome(e["init elem"], to, at, n) == ARRAY_BOUNDS
    for to, at, n in ((0, 1, 2), (0, 3, 0), (0, -1, 2)):
        assert outcome(e["init elem"], to, at, n) == TABLE_BOUNDS
    e["drop elem"]()
    assert outcome(e.elem, 0, 1) == TABLE_BOUNDS and e.elem(0, 0) == 7
    e["null elem"]()
    assert outcome(e["init elem"], 0, 0, 0) == outcome(e.call, 0) == NULL_ARRAY


@dispatches
def test_whatever_is_done_to_a_null_array_traps(dispatch: str) -> None:
    e = instance(ARRAYS, dispatch).exports
    for s in ELEMENTS:
        e[f"{s} null"]()
        calls: list[tuple[str, tuple[float, ...]]] = [
            *(("len", ()), ("set", (0, 1)), ("fill", (0, 1, 0)), ("copy", (0, 0, 0))),
            ("init", (0, 0, 0)),
            *((n.split()[1], (0,)) for n in e if re.match(rf"{s} get", n)),
        ]
        for name, args in calls:
            assert outcome(e[f"{s} {name}"], *args) == NULL_ARRAY
    assert outcome(e["len of any"], None) == NULL_ARRAY
    assert outcome(e["copy null"], 0) == outcome(e["copy null"], 1) == NULL_ARRAY


@dispatches
def test_arrays_of_subtypes_are_copied_and_constant_ones_are_read(dispatch: str) -> None:
    e = instance(ARRAYS, dispatch).exports
    assert e.covariant() == (1, 5, 4)
    assert e.const() == (5, 8)
