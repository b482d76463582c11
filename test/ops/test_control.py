"""Control instructions, calls, exceptions, variables: what they give and how they trap."""

from __future__ import annotations

from itertools import product

import pytest
from modules import DISPATCHES, instance, outcome, register, register_text, shared_instance

import chiasm

dispatches = pytest.mark.parametrize("dispatch", DISPATCHES)

# ---- branches: what is kept, what is dropped

KEPT = (0, 1, 2, 3)
DROPPED = (0, 1, 2, 5)
BENEATH = 9
FORMS = {
    # The instruction after the kept values, and what it needs of them undone if
    # it did not branch.  $r is null if $p is 0.
    "br": "(br $to)",
    "br_if": "(br_if $to (local.get $p))",
    "br_if compared": "(br_if $to (i32.ne (local.get $p) (i32.const 0)))",
    "br_if compared with local": "(br_if $to (i32.lt_u (i32.const 0) (local.get $p)))",
    "br_if eqz": "(br_if $to (i32.eqz (i32.eqz (local.get $p))))",
    "br_if of the stack": "(br_if $to (block (result i32) (local.get $p)))",
    "br_table": "(br_table $other $to (local.get $p))",
    "br_table default": "(br_table $other $other $to (i32.add (local.get $p) (i32.const 1)))",
    "br_on_null": "(br_on_null $to (select (result anyref) (ref.null any) (local.get $r)"
    " (local.get $p))) (drop)",
    "return": "(if (local.get $p) (then (local.set $n (i32.const 1)))) (br $to)",
}
ALWAYS = ("br", "return")
NOT_A_CHOICE = (*ALWAYS, "br_table", "br_table default")


def values(n: int, first: int) -> str:
    return " ".join(f"(i32.const {first + i})" for i in range(n))


def branch_function(form: str, kept: int, dropped: int, depth: int) -> str:
    """Gives 9, then 1.. if it went to $to, 101.. if to $other, else 201..."""
    result = f"(result {'i32 ' * kept})"
    junk = " ".join(f"(i64.const {-i - 1})" for i in range(dropped))
    shifted = "".join(
        f"(local.set {i + 2} (i32.add (i32.const 100)))" for i in reversed(range(kept))
    )
    back = " ".join(f"(local.get {i + 2})" for i in range(kept))
    after = "" if form in NOT_A_CHOICE else "(drop) " * (kept + dropped) + values(kept, 201)
    inner = f"{junk} {values(kept, 1)} {FORMS[form]} {after}"
    if depth:
        # Whatever is between makes the label's index take two bytes.
        around = f"(block {result} " * depth
        inner = f"{around} {inner} {')' * depth}"
    return (
        f'(func (export "{form} {kept} {dropped} {depth}") (param $p i32)'
        f" (result i32 {'i32 ' * kept}) (local $n i32) (local i32 i32 i32)"
        f" (local $r (ref null any)) (local.set $r (ref.i31 (i32.const 3))) (i32.const {BENEATH})"
        f" (block $to {result} (block $other {result} {inner} (br $to)) {shifted} {back}))\n"
    )


BRANCHES = list(product(FORMS, KEPT, DROPPED, (0, 130)))
BRANCH = register(lambda: "(module\n" + "".join(branch_function(*b) for b in BRANCHES) + ")")


@dispatches
@pytest.mark.parametrize("form", FORMS)
def test_a_branch_keeps_its_values_and_drops_what_is_beneath(form: str, dispatch: str) -> None:
    e = shared_instance(BRANCH, dispatch).exports
    for _, kept, dropped, depth in (b for b in BRANCHES if b[0] == form):
        f = e[f"{form} {kept} {dropped} {depth}"]
        for p in (0, 1, 2, -1):
            taken = p != 0 or form in ALWAYS
            if form == "br_table default":
                taken = p not in (0, -1)
            if taken:
                first = 1
            elif form in NOT_A_CHOICE:
                first = 101
            else:
                first = 201
            want = (BENEATH, *range(first, first + kept))
            assert f(p) == (want if kept else BENEATH), (kept, dropped, depth, p)


LOOPS = {
    "br_if": "(br_if $again (local.get $n))",
    "br_if compared": "(br_if $again (i32.gt_s (local.get $n) (i32.const 0)))",
    "br_if of the stack": "(br_if $again (i32.add (local.get $n) (i32.const 0)))",
    "br_if nez": "(br_if $again (i32.ne (i32.const 0) (local.get $n)))",
    "br_table": "(br_table $done $again (local.get $n))",
    "br": "(if (param {i}) (result {i}) (local.get $n) (then (br $again)))",
    "br_on_null": "(br_on_null $again (select (result anyref) (ref.null any)"
    " (ref.i31 (i32.const 0)) (local.get $n))) (drop)",
}


def loop_function(form: str, kept: int, dropped: int) -> str:
    """Adds 1 to each of its values $n times."""
    i32s = "i32 " * kept
    add = "".join(
        f"(local.set {i + 1} (i32.add (i32.const 1)))" for i in reversed(range(kept))
    ) + " ".join(f"(local.get {i + 1})" for i in range(kept))
    junk = "(i64.const -1) " * dropped
    after = "" if form == "br_table" else "(br $done)"
    branch = LOOPS[form].format(i=i32s)
    return (
        f'(func (export "{form} {kept} {dropped}") (param $n i32) (result i32 {i32s})'
        f" (local i32 i32 i32) (i32.const {BENEATH}) {values(kept, 10)}"
        f" (block $done (param {i32s}) (result {i32s})"
        f" (loop $again (param {i32s}) (result {i32s})"
        f" {add} (local.set $n (i32.sub (local.get $n) (i32.const 1)))"
        f" {keep_above(junk, kept)} {branch} {after})))\n"
    )


def keep_above(junk: str, kept: int) -> str:
    """Pushes junk beneath the topmost values."""
    sets = " ".join(f"(local.set {i + 1})" for i in reversed(range(kept)))
    gets = " ".join(f"(local.get {i + 1})" for i in range(kept))
    return f"{sets} {junk} {gets}"


LOOP_CASES = list(product(LOOPS, KEPT, (0, 1, 3)))
LOOP = register(lambda: "(module\n" + "".join(loop_function(*c) for c in LOOP_CASES) + ")")


@dispatches
@pytest.mark.parametrize("form", LOOPS)
def test_a_branch_to_a_loop_passes_its_parameters(form: str, dispatch: str) -> None:
    e = shared_instance(LOOP, dispatch).exports
    for _, kept, dropped in (c for c in LOOP_CASES if c[0] == form):
        f = e[f"{form} {kept} {dropped}"]
        for n in (1, 2, 50) if form != "br_table" else (1, 2):
            want = (BENEATH, *(10 + i + n for i in range(kept)))
            assert f(n) == (want if kept else BENEATH), (kept, dropped, n)


def table_function(n: int) -> str:
    """Gives the index, n for whatever is greater."""
    blocks = "".join(f"(block $l{i} " for i in reversed(range(n + 1)))
    labels = " ".join(f"$l{i}" for i in range(n + 1))
    ends = "".join(f") (return (i32.const {i}))" for i in range(n + 1))
    body = f"{blocks} (br_table {labels} (local.get 0)) {ends}"
    stack = body.replace("(local.get 0)", "(i32.add (local.get 0) (i32.const 0))")
    return (
        f'(func (export "{n}") (param i32) (result i32) {body} (unreachable))\n'
        f'(func (export "{n} stack") (param i32) (result i32) {stack} (unreachable))\n'
    )


TABLE_SIZES = (0, 1, 2, 127, 128, 300)
TABLES = register(lambda: "(module\n" + "".join(map(table_function, TABLE_SIZES)) + ")")


@dispatches
def test_br_table_takes_the_label_of_its_index_or_the_last(dispatch: str) -> None:
    e = shared_instance(TABLES, dispatch).exports
    for n, form in product(TABLE_SIZES, ("", " stack")):
        f = e[f"{n}{form}"]
        for i in (*range(n + 2), 255, 256, 0x7FFFFFFF, -0x80000000, -1):
            assert f(i) == (i if 0 <= i < n else n)


STRUCTURED = register_text("""(module
  (type $ii (func (param i32) (result i32)))
  (func (export "unreachable") (unreachable))
  (func (export "unreachable in the middle") (param i32) (result i32)
    (i32.const 1) (if (local.get 0) (then (unreachable))) (nop) (i32.const 2) (i32.add))
  (func (export "nop") (result i32) (nop) (i32.const 1) (nop) (nop) (i32.const 2) (nop) (i32.sub))
  (func (export "if") (param i32) (result i32)
    (local i32) (if (local.get 0) (then (local.set 1 (i32.const 5)))) (local.get 1))
  (func (export "if else") (param i32) (result i32 i64)
    (if (result i32 i64) (local.get 0)
      (then (i32.const 1) (i64.const 2)) (else (i32.const 3) (i64.const 4))))
  (func (export "if param") (param i32 i32) (result i32)
    (local.get 1) (if (param i32) (result i32) (local.get 0)
      (then (i32.add (i32.const 100))) (else (i32.sub (i32.const 100)))))
  (func (export "if type") (param i32 i32) (result i32)
    (local.get 1) (if (type $ii) (local.get 0) (then (i32.add (i32.const 1))) (else)))
  (func (export "nested if") (param i32 i32) (result i32)
    (if (result i32) (local.get 0)
      (then (if (result i32) (local.get 1) (then (i32.const 3)) (else (i32.const 2))))
      (else (if (result i32) (local.get 1) (then (i32.const 1)) (else (i32.const 0))))))
  (func (export "if of many") (param i32) (result i32)
    (local.get 0) (i32.const 7) (i32.and) (i32.popcnt)
    (if (result i32) (then (i32.const 1)) (else (i32.const 2))))
  (func (export "return beneath") (param i32) (result i32)
    (i32.const 1) (i64.const 2) (loop (result i32) (block (i32.const 3) (return (local.get 0)))
    (i32.const 4)) (drop) (drop))
  (func (export "return two") (param i32) (result i32 i64)
    (i64.const 1) (f32.const 2) (local.get 0) (i64.const 5) (return))
  (func (export "return nothing") (param i32)
    (i64.const 1) (if (local.get 0) (then (return))) (drop) (unreachable))
  (func (export "empty"))
  (func (export "blocks") (result i32)
    (block (block (block (block (block (block (block (block (block (br 4))
    (unreachable)) (unreachable)) (unreachable)) (unreachable)) (nop)))))
    (block) (loop) (block (block)) (i32.const 11))
  (func (export "block param") (param i32) (result i32 i32)
    (local.get 0) (i32.const 2)
    (block (param i32 i32) (result i32 i32) (block (type $ii) (i32.add (i32.const 1)))))
  (func (export "loop once") (result i32) (loop (result i32) (i32.const 3)))
  (func (export "dead code") (result i32)
    (block $b (result i32)
      (br $b (i32.const 1)) (i32.add) (br_if $b) (br_table $b $b) (drop)
      (if (then (unreachable)) (else (nop))) (loop (br 0)) (i64.const 3) (drop))))""")


@dispatches
def test_blocks_loops_and_ifs_give_their_results(dispatch: str) -> None:
    e = shared_instance(STRUCTURED, dispatch).exports
    assert e.nop() == -1
    assert (e["if"](1), e["if"](0), e["if"](-1)) == (5, 0, 5)
    assert (e["if else"](7), e["if else"](0)) == ((1, 2), (3, 4))
    assert (e["if param"](1, 5), e["if param"](0, 5)) == (105, -95)
    assert (e["if type"](1, 5), e["if type"](0, 5)) == (6, 5)
    assert [e["nested if"](i >> 1, i & 1) for i in range(4)] == [0, 1, 2, 3]
    assert (e["if of many"](4), e["if of many"](8)) == (1, 2)
    assert e.blocks() == 11
    assert e["block param"](6) == (6, 3)
    assert e["loop once"]() == 3
    assert e["dead code"]() == 1


@dispatches
def test_return_leaves_with_its_results_alone(dispatch: str) -> None:
    e = shared_instance(STRUCTURED, dispatch).exports
    assert e["return beneath"](42) == 42
    assert e["return two"](42) == (42, 5)
    assert e["return nothing"](1) is None and outcome(e["return nothing"], 0) == "unreachable"
    assert e.empty() is None


@dispatches
def test_unreachable_traps(dispatch: str) -> None:
    e = shared_instance(STRUCTURED, dispatch).exports
    assert outcome(e.unreachable) == "unreachable"
    assert outcome(e["unreachable in the middle"], 1) == "unreachable"
    assert e["unreachable in the middle"](0) == 3


# ---- variables, select


def variable_module() -> str:
    """200 globals and locals of each type: indices of one byte and of two."""
    text = "(module\n"
    for i in range(200):
        text += f"(global $i{i} (mut i64) (i64.const {i}))"
    text += "(global $f32 (mut f32) (f32.const 1.5)) (global $f64 (mut f64) (f64.const -2.5))"
    text += "(global $ref (mut anyref) (ref.null any)) (global $const i32 (i32.const 77))"
    text += "(global $sum i32 (i32.add (global.get $const) (i32.const -7)))"
    for i in (0, 127, 128, 199):
        text += f"""
        (func (export "global {i}") (param i64) (result i64 i64 i64)
          (global.get $i{i}) (global.set $i{i} (local.get 0)) (global.get $i{i})
          (global.set $i{i} (i64.const {i})) (global.get $i{i}))
        (func (export "local {i}") (param $p i64) (result i64 i64 i64 i64 i64)
          (local {"i64 " * 200}) (local.get {i + 1})
          (local.set {i + 1} (local.get $p)) (local.get {i + 1})
          (local.tee {i + 1} (i64.const 5)) (local.get {i + 1})
          (i64.add (local.get {i + 1}) (local.tee {i + 1} (i64.const 70000))))
        (func (export "move {i}") (param $p i32) (result i32 i32)
          (local {"i32 " * 200}) (local.set {i + 1} (local.get $p))
          (local.set 1 (local.get {i + 1})) (local.set {i + 1} (i32.const 3))
          (local.get 1) (local.get {i + 1}))"""
    return (
        text
        + """
      (func (export "rest") (param f32 f64 anyref) (result f32 f64 anyref)
        (global.set $f32 (local.get 0)) (global.set $f64 (local.get 1))
        (global.set $ref (local.get 2))
        (global.get $f32) (global.get $f64) (global.get $ref))
      (func (export "initial") (result i32 i32) (global.get $const) (global.get $sum))
      (func (export "zero") (result i32 i64 f32 f64 i32 i32)
        (local i32 i64 f32 f64 funcref externref)
        (local.get 0) (local.get 1) (local.get 2) (local.get 3)
        (ref.is_null (local.get 4)) (ref.is_null (local.get 5)))
      (func (export "swap") (param i32 i32) (result i32 i32)
        (local.get 0) (local.get 1) (local.set 0) (local.set 1) (local.get 0) (local.get 1)))"""
    )


VARIABLES = register(variable_module)


@dispatches
@pytest.mark.parametrize("i", (0, 127, 128, 199))
def test_a_variable_holds_what_was_set_last(i: int, dispatch: str) -> None:
    e = instance(VARIABLES, dispatch).exports
    assert e[f"global {i}"](-3) == (i, -3, i)
    want = (0, -3, 5, 5, 70005)
    assert e[f"local {i}"](-3) == want
    assert e[f"move {i}"](-9) == ((-9, 3) if i else (3, 3))


@dispatches
def test_variables_of_each_type_start_as_they_say(dispatch: str) -> None:
    e = instance(VARIABLES, dispatch).exports
    assert e.rest(0.5, -1.25, 12) == (0.5, -1.25, 12)
    assert e.initial() == (77, 70)
    assert e.zero() == (0, 0, 0.0, 0.0, 1, 1)
    assert e.swap(1, 2) == (2, 1)


def select_module() -> str:
    text = "(module\n"
    for t in ("i32", "i64", "f32", "f64"):
        for annotation in ("", f"(result {t})"):
            text += (
                f'(func (export "{t}{annotation}") (param {t} {t} i32) (result i32 {t})'
                f" (i32.const 7) (select {annotation} (local.get 0) (local.get 1) (local.get 2)))"
            )
    for t in ("externref", "(ref null any)", "i31ref"):
        text += (
            f'(func (export "{t}") (param {t} {t} i32) (result i32 {t})'
            f" (i32.const 7) (select (result {t}) (local.get 0) (local.get 1) (local.get 2)))"
        )
    return text + (
        '(func (export "drop") (result i32) (i32.const 1) (i64.const 2) (drop) (f32.const 3) (drop)'
        " (ref.null func) (drop)))"
    )


SELECT = register(select_module)


@dispatches
def test_select_takes_the_first_unless_the_condition_is_zero(dispatch: str) -> None:
    e = shared_instance(SELECT, dispatch).exports
    for name in e:
        if name == "drop":
            continue
        for c in (0, 1, 2, -1, -0x80000000):
            assert e[name](3, 4, c) == (7, 3 if c else 4)


@dispatches
def test_drop_takes_the_topmost_away(dispatch: str) -> None:
    assert shared_instance(SELECT, dispatch).exports.drop() == 1


# ---- calls

CALLS = register_text("""(module
  (import "" "host" (func $host (param i32 i64) (result i64 i32)))
  (import "" "nothing" (func $nothing))
  (type $ii (func (param i32) (result i32)))
  (type $iii (func (param i32 i32) (result i32)))
  (type $v (func))
  (type $super (sub (func (param i32) (result anyref))))
  (type $below (sub $super (func (param i32) (result i31ref))))
  (table $t 8 funcref) (table $u 4 (ref null $ii)) (table $long i64 3 funcref)
  (elem (table $t) (i32.const 1) func $inc $sub $nothing $below)
  (elem (table $u) (i32.const 0) (ref null $ii) (item ref.func $inc) (item ref.null $ii))
  (elem (table $long) (i64.const 2) func $sub)
  (func $inc (type $ii) (i32.add (local.get 0) (i32.const 1)))
  (func $sub (type $iii) (i32.sub (local.get 0) (local.get 1)))
  (func $below (type $below) (ref.i31 (local.get 0)))
  (func $many (param i32 i64 f32 f64) (result f64 f32 i64 i32) (local i64)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "call") (param i32) (result i32 i32)
    (i32.const 7) (call $inc (call $inc (local.get 0))))
  (func (export "many") (result i32 f64 f32 i64 i32)
    (i32.const 7) (call $many (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4)))
  (func (export "host") (param i32) (result i32 i64 i32)
    (i32.const 7) (call $host (local.get 0) (i64.const 5)) (call $nothing))
  (func (export "indirect") (param i32 i32) (result i32 i32)
    (i32.const 7) (call_indirect (type $ii) (local.get 0) (local.get 1)))
  (func (export "indirect 2") (param i32 i32 i32) (result i32 i32)
    (i32.const 7) (call_indirect (type $iii) (local.get 0) (local.get 1) (local.get 2)))
  (func (export "indirect u") (param i32 i32) (result i32 i32)
    (i32.const 7) (call_indirect $u (type $ii) (local.get 0) (local.get 1)))
  (func (export "indirect long") (param i32 i32 i64) (result i32 i32)
    (i32.const 7) (call_indirect $long (type $iii) (local.get 0) (local.get 1) (local.get 2)))
  (func (export "indirect super") (param i32 i32) (result i32 i32)
    (i32.const 7)
    (i31.get_s (ref.cast (ref i31)
      (call_indirect $t (type $super) (local.get 0) (local.get 1)))))
  (func (export "ref") (param i32 i32) (result i32 i32)
    (i32.const 7) (call_ref $ii (local.get 0) (table.get $u (local.get 1))))
  (func (export "tail") (param i32) (result i32)
    (i64.const 1) (return_call $inc (local.get 0)))
  (func (export "tail indirect") (param i32 i32) (result i32)
    (i64.const 1) (return_call_indirect (type $ii) (local.get 0) (local.get 1)))
  (func (export "tail long") (param i32 i64) (result i32)
    (i64.const 1)
    (return_call_indirect $long (type $iii) (i32.const 9) (local.get 0) (local.get 1)))
  (func (export "tail ref") (param i32 i32) (result i32)
    (i64.const 1) (return_call_ref $ii (local.get 0) (table.get $u (local.get 1))))
  (func (export "tail host") (param i32) (result i64 i32)
    (i64.const 1) (return_call $host (local.get 0) (i64.const 6)))
  (func $forever (param i32) (call $forever (i32.add (local.get 0) (i32.const 1))))
  (func (export "forever") (call $forever (i32.const 0)))
  (func $factorial (export "factorial") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.mul (local.get 0) (call $factorial (i64.sub (local.get 0) (i64.const 1))))))))
""")


def calling(dispatch: str) -> chiasm.Exports:
    host = {"host": lambda a, b: (b + 1, a - 1), "nothing": lambda: None}
    return instance(CALLS, dispatch, {"": host}).exports


@dispatches
def test_a_call_takes_its_arguments_and_gives_all_results(dispatch: str) -> None:
    e = calling(dispatch)
    assert e.call(1) == (7, 3)
    assert e.many() == (7, 4.0, 3.0, 2, 1)
    assert e.host(9) == (7, 6, 8)
    assert e.factorial(20) == 2432902008176640000


@dispatches
def test_an_indirect_call_finds_its_function_in_the_table(dispatch: str) -> None:
    e = calling(dispatch)
    assert e.indirect(5, 1) == (7, 6)
    assert e["indirect 2"](9, 4, 2) == (7, 5)
    assert e["indirect u"](5, 0) == (7, 6)
    assert e["indirect long"](9, 4, 2) == (7, 5)
    assert e["indirect super"](-5, 4) == (7, -5)
    assert e.ref(5, 0) == (7, 6)


@dispatches
def test_an_indirect_call_of_what_is_not_there_traps(dispatch: str) -> None:
    e = calling(dispatch)
    for i in (8, 9, -1, -0x80000000):
        assert outcome(e.indirect, 5, i) == "undefined element"
        assert outcome(e["tail indirect"], 5, i) == "undefined element"
    for i in (3, 1 << 32, (1 << 32) + 2, -1):
        assert outcome(e["indirect long"], 9, 4, i) == "undefined element"
        assert outcome(e["tail long"], 4, i) == "undefined element"
    for i in (0, 5, 7):
        assert outcome(e.indirect, 5, i) == "uninitialized element"
        assert outcome(e["tail indirect"], 5, i) == "uninitialized element"
    assert outcome(e["indirect u"], 5, 1) == "uninitialized element"
    for i in (2, 3, 4):
        assert outcome(e.indirect, 5, i) == "indirect call type mismatch"
        assert outcome(e["tail indirect"], 5, i) == "indirect call type mismatch"
    assert outcome(e["indirect super"], 5, 1) == "indirect call type mismatch"


@dispatches
def test_calling_a_null_reference_traps(dispatch: str) -> None:
    e = calling(dispatch)
    assert outcome(e.ref, 5, 1) == "null function reference"
    assert outcome(e["tail ref"], 5, 1) == "null function reference"


@dispatches
def test_a_tail_call_gives_the_results_of_what_it_calls(dispatch: str) -> None:
    e = calling(dispatch)
    assert e.tail(4) == 5
    assert e["tail indirect"](4, 1) == 5
    assert e["tail long"](4, 2) == 5
    assert e["tail ref"](4, 0) == 5
    assert e["tail host"](4) == (7, 3)


@dispatches
def test_calls_without_end_exhaust_the_stack(dispatch: str) -> None:
    e = calling(dispatch)
    for _ in range(2):
        with pytest.raises(chiasm.StackOverflow):
            e.forever()
    assert e.call(1) == (7, 3)


DEEP = register_text("""(module
  (type $f (func (param i64 i64) (result i64)))
  (table funcref (elem $even $odd $grow $shrink))
  (elem declare func $by_ref)
  (func $even (export "even") (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return (i64.const 1))))
    (return_call $odd (i64.sub (local.get 0) (i64.const 1))))
  (func $odd (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return (i64.const 0))))
    (return_call_indirect (param i64) (result i64)
      (i64.sub (local.get 0) (i64.const 1)) (i32.const 0)))
  (func $by_ref (export "by_ref") (type $f)
    (if (result i64) (i64.eqz (local.get 0)) (then (local.get 1))
      (else (return_call_ref $f (i64.sub (local.get 0) (i64.const 1))
        (i64.add (local.get 1) (i64.const 2)) (ref.func $by_ref)))))
  (func $grow (export "grow") (param i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return (i64.const 123))))
    (return_call $shrink (i64.sub (local.get 0) (i64.const 1))
      (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (i64.const 5) (v128.const i64x2 6 7)))
  (func $shrink (param i64 i32 i64 f32 f64 i64 v128) (result i64) (local i64 i64 i64 v128)
    (if (i64.eqz (local.get 0)) (then (return (local.get 5))))
    (return_call $grow (i64.sub (local.get 0) (i64.const 1))))
  (func $in_try (export "in_try") (param i64) (result i64)
    (block $h
      (try_table (catch_all $h)
        (if (i64.eqz (local.get 0)) (then (return (i64.const 9))))
        (return_call $in_try (i64.sub (local.get 0) (i64.const 1)))))
    (i64.const -1))
  (func (export "nested") (param i64) (result i64 i64)
    (call $even (local.get 0)) (call $grow (local.get 0))))""")


@dispatches
def test_a_million_tail_calls_need_no_stack(dispatch: str) -> None:
    limits = chiasm.Limits(stack=1 << 16, fuel=10**9 if dispatch == "metered" else None)
    e = chiasm.instantiate(DEEP(), limits=limits).exports
    n = 10**6
    assert e.even(n) == 1 and e.even(n + 1) == 0
    assert e.by_ref(n, 5) == 2 * n + 5
    assert e.grow(n) == 123 and e.grow(n + 1) == 5
    assert e.in_try(n) == 9
    assert e.nested(n) == (1, 123)


# ---- exceptions

THROWS = register_text("""(module
  (tag $e) (tag $i (export "i") (param i32)) (tag $il (export "il") (param i32 i64))
  (tag $same (param i32))
  (func $throw (export "throw") (param i32)
    (if (i32.eq (local.get 0) (i32.const 0)) (then (throw $e)))
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $i (i32.const 41))))
    (if (i32.eq (local.get 0) (i32.const 2))
      (then (i64.const 5) (i32.const 42) (i64.const 43) (throw $il)))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $same (i32.const 44))))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (unreachable))))
  (func $deep (param i32 i32)
    (if (local.get 1)
      (then (call $deep (local.get 0) (i32.sub (local.get 1) (i32.const 1))))
      (else (call $throw (local.get 0)))))
  (func (export "clauses") (param i32) (result i32 i32 i64)
    (i32.const 9)
    (block $out (result i32 i64)
      (block $none
        (block $il (result i32 i64)
          (block $i (result i32)
            (block $e
              (try_table (catch $e $e) (catch $i $i) (catch $il $il) (catch_all $none)
                (i64.const 1) (i64.const 2)
                (call $throw (local.get 0))
                (drop) (drop))
              (br $out (i32.const -1) (i64.const -1)))
            (br $out (i32.const 100) (i64.const 0)))
          (br $out (i64.const 1)))
        (br $out))
      (i32.const 200) (i64.const 2)))
  (func (export "deep") (param i32) (result i32)
    (block $i (result i32)
      (try_table (result i32) (catch $i $i) (catch $same $i)
        (call $deep (local.get 0) (i32.const 100)) (i32.const -1))))
  (func (export "refs") (param i32) (result i32 i32)
    (local $x exnref) (i32.const 9)
    (block $out (result i32)
      (block $all (result exnref)
        (block $i (result i32 exnref)
          (try_table (catch_ref $i $i) (catch_all_ref $all) (call $throw (local.get 0)))
          (br $out (i32.const -1)))
        (drop) (br $out))
      (local.set $x)
      (ref.is_null (local.get $x))))
  (func (export "again") (param i32) (result i32 i64)
    (local $x exnref)
    (block $il (result i32 i64)
      (try_table (catch $il $il)
        (block $all (result exnref)
          (try_table (catch_all_ref $all) (call $throw (local.get 0)))
          (return (i32.const -1) (i64.const -1)))
        (throw_ref))
      (unreachable)))
  (func (export "again ref") (param i32) (result i32 i64)
    (block $il (result i32 i64)
      (block $ref (result i32 i64 exnref)
        (try_table (catch_ref $il $ref) (call $throw (local.get 0)))
        (return (i32.const -1) (i64.const -1)))
      (drop)))
  (func (export "throw null") (throw_ref (ref.null exn)))
  (func (export "first") (param i32) (result i32)
    (block $a (result i32) (block $b (result i32)
      (try_table (catch $i $a) (catch $i $b) (call $throw (local.get 0))) (return (i32.const -1)))
      (drop) (i32.const -2)))
  (func (export "inner first") (param i32) (result i32)
    (block $out (result i32)
      (try_table (catch $i $out)
        (block $in (result i32)
          (try_table (catch $i $in) (call $throw (local.get 0)))
          (return (i32.const -1)))
        (i32.add (i32.const 1000)) (return))
      (return (i32.const -2))))
  (func (export "from the handler") (param i32) (result i32)
    (block $out (result i32)
      (try_table (catch $same $out)
        (block $in (result i32)
          (try_table (catch $i $in) (call $throw (local.get 0)))
          (return (i32.const -1)))
        (i32.add (i32.const 1)) (throw $same))
      (unreachable)))
  (func (export "after") (param i32) (result i32)
    (block $h (try_table (catch_all $h)) (call $throw (local.get 0)))
    (i32.const 5))
  (func (export "param") (param i32) (result i32 i32 i32)
    (i32.const 3) (i32.const 4)
    (block $h (result i32)
      (i32.const 5)
      (try_table (param i32) (result i32) (catch $i $h)
        (call $throw (local.get 0)) (i32.add (i32.const 1)))))
  (func (export "to a loop") (param i32) (result i32)
    (local $n i32)
    (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (if (i32.lt_u (local.get $n) (local.get 0))
        (then (try_table (catch_all $l) (call $throw (i32.const 2))) (unreachable))))
    (local.get $n))
  (func (export "to the function") (param i32) (result i32)
    (i64.const 1)
    (try_table (catch $i 0) (call $throw (local.get 0)))
    (drop) (i32.const -1))
  (func (export "branch out") (param i32) (result i32 i32)
    (i32.const 9)
    (block $b (result i32)
      (block $h (result i32)
        (try_table (result i32) (catch $i $h)
          (i64.const 1) (br_if $b (i32.const 6) (local.get 0)) (drop) (drop)
          (throw $i (i32.const 8)))))))""")


@dispatches
def test_each_clause_of_a_try_table_catches_its_exceptions(dispatch: str) -> None:
    e = shared_instance(THROWS, dispatch).exports
    assert e.clauses(0) == (9, 100, 0)
    assert e.clauses(1) == (9, 41, 1)
    assert e.clauses(2) == (9, 42, 43)
    assert e.clauses(3) == (9, 200, 2)
    assert e.clauses(5) == (9, -1, -1)
    assert e.refs(1) == (9, 41) and e.refs(2) == (9, 0) and e.refs(5) == (9, -1)


@dispatches
def test_a_trap_is_no_exception(dispatch: str) -> None:
    e = shared_instance(THROWS, dispatch).exports
    assert outcome(e.clauses, 4) == outcome(e.deep, 4) == "unreachable"


@dispatches
def test_an_exception_goes_through_calls_to_the_innermost_that_matches(dispatch: str) -> None:
    e = shared_instance(THROWS, dispatch).exports
    assert (e.deep(1), e.deep(3), e.deep(5)) == (41, 44, -1)
    assert e.first(1) == 41
    assert e["inner first"](1) == 1041 and e["inner first"](5) == -1
    assert e["from the handler"](1) == 42
    assert e.after(5) == 5
    assert e.param(1) == (3, 4, 41) and e.param(5) == (3, 4, 6)
    assert e["to a loop"](5) == 5
    assert e["to the function"](1) == 41 and e["to the function"](5) == -1
    assert e["branch out"](1) == (9, 6) and e["branch out"](0) == (9, 8)


@dispatches
def test_an_exception_that_nobody_catches_comes_out_with_its_values(dispatch: str) -> None:
    e = shared_instance(THROWS, dispatch).exports
    for name in ("throw", "deep", "after"):
        with pytest.raises(chiasm.Exception) as caught:
            e[name](2)
        assert caught.value.tag == e.il and caught.value.args == (42, 43)
    with pytest.raises(chiasm.Exception):
        e.throw(0)


@dispatches
def test_throw_ref_throws_the_same_again_or_traps_of_null(dispatch: str) -> None:
    e = shared_instance(THROWS, dispatch).exports
    assert e.again(2) == e["again ref"](2) == (42, 43)
    assert e.again(5) == (-1, -1)
    with pytest.raises(chiasm.Exception) as caught:
        e.again(1)
    assert caught.value.tag == e.i and caught.value.args == (41,)
    assert outcome(e["throw null"]) == "null exception reference"


LEGACY = register_text("""(module
  (tag $e) (tag $i (export "i") (param i32)) (tag $v (param v128 i32))
  (func $throw (param i32)
    (if (i32.eq (local.get 0) (i32.const 0)) (then (throw $e)))
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $i (i32.const 41))))
    (if (i32.eq (local.get 0) (i32.const 2))
      (then (throw $v (v128.const i64x2 0 1) (i32.const 43))))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (unreachable))))
  (func (export "try") (param i32) (result i32 i32)
    (i32.const 9)
    (try (result i32)
      (do (i64.const 1) (call $throw (local.get 0)) (drop) (i32.const 10))
      (catch $e (i32.const 20))
      (catch $i)
      (catch_all (i32.const 30))))
  (func (export "vector") (param i32) (result i32 i64)
    (try (result i32 i64)
      (do (call $throw (local.get 0)) (i32.const 1) (i64.const 1))
      (catch $v (i32.const 5) (i32.add) (local.set 0) (i64x2.extract_lane 1)
        (local.get 0) (i64.extend_i32_s) (i64.add) (i32.const 7) (local.set 0) (i32.wrap_i64)
        (i64.const 2))))
  (func (export "rethrow") (param i32 i32) (result i32)
    (try (result i32)
      (do (try (result i32)
        (do (call $throw (local.get 0)) (i32.const 10))
        (catch $i (drop) (if (local.get 1) (then (rethrow 1))) (i32.const 20))
        (catch_all (if (local.get 1) (then (rethrow 1))) (i32.const 30))))
      (catch $i (i32.add (i32.const 1000)))
      (catch_all (i32.const 40))))
  (func (export "rethrow outer") (result i32)
    (try (result i32)
      (do (try (do (throw $i (i32.const 1)))
        (catch $i
          (try (do (throw $i (i32.const 2)))
            (catch $i (drop) (rethrow 1)))
          (drop)))
        (i32.const -1))
      (catch $i)))
  (func (export "rethrow out") (param i32) (try (do (call $throw (local.get 0)))
    (catch_all (rethrow 0))))
  (func (export "delegate") (param i32) (result i32)
    (try $outer (result i32)
      (do
        (try (result i32)
          (do (try (result i32)
            (do (call $throw (local.get 0)) (i32.const 10))
            (delegate $outer)))
          (catch_all (i32.const -1))))
      (catch $i)
      (catch_all (i32.const 50))))
  (func (export "delegate out") (param i32) (result i32)
    (try (result i32)
      (do (try (result i32) (do (call $throw (local.get 0)) (i32.const 10)) (delegate 1)))
      (catch_all (i32.const -1))))
  (func (export "no clause") (param i32) (result i32)
    (try (result i32)
      (do (try (do (call $throw (local.get 0)))) (i32.const 1))
      (catch_all (i32.const 2))))
  (func (export "param") (param i32) (result i32 i32)
    (i32.const 3) (i32.const 4)
    (try (param i32) (result i32)
      (do (call $throw (local.get 0)) (i32.add (i32.const 1)))
      (catch_all (i32.const 5))))
  (func (export "branch out") (param i32) (result i32)
    (block $b (result i32)
      (try (result i32)
        (do (i64.const 1) (br $b (i32.const 6)))
        (catch_all (br $b (i32.const 7))))))
  (func (export "branch from the handler") (param i32) (result i32 i32)
    (i32.const 9)
    (block $b (result i32)
      (try (do (call $throw (local.get 0)))
        (catch $i (br $b))
        (catch_all (i64.const 1) (br $b (i32.const 7))))
      (i32.const 8)))
  (func (export "return from the handler") (param i32) (result i32)
    (try (do (call $throw (local.get 0))) (catch $i (return)))
    (i32.const 8))
  (func (export "loop") (param i32) (result i32) (local $n i32)
    (loop $l (try (do (call $throw (i32.const 1)))
      (catch $i (drop) (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (local.get 0))))))
    (local.get $n)))""")


@dispatches
def test_the_older_try_catches_by_tag_and_catches_all(dispatch: str) -> None:
    e = shared_instance(LEGACY, dispatch).exports
    assert [e["try"](i) for i in (0, 1, 2, 5)] == [(9, 20), (9, 41), (9, 30), (9, 10)]
    assert outcome(e["try"], 4) == "unreachable"
    assert e.vector(2) == (49, 2) and e.vector(5) == (1, 1)
    assert e["no clause"](5) == 1 and e["no clause"](0) == 2
    assert e.param(0) == (3, 5) and e.param(5) == (3, 5)
    assert e["branch out"](0) == 6
    assert [e["branch from the handler"](i) for i in (0, 1, 5)] == [(9, 7), (9, 41), (9, 8)]
    assert e["return from the handler"](1) == 41 and e["return from the handler"](5) == 8
    assert e.loop(5) == 5


@dispatches
def test_rethrow_throws_what_its_handler_caught(dispatch: str) -> None:
    e = shared_instance(LEGACY, dispatch).exports
    assert (e.rethrow(1, 0), e.rethrow(0, 0), e.rethrow(5, 0)) == (20, 30, 10)
    assert (e.rethrow(1, 1), e.rethrow(0, 1)) == (1041, 40)
    assert e["rethrow outer"]() == 1
    with pytest.raises(chiasm.Exception) as caught:
        e["rethrow out"](1)
    assert caught.value.tag == e.i and caught.value.args == (41,)


@dispatches
def test_delegate_passes_over_the_handlers_between(dispatch: str) -> None:
    e = shared_instance(LEGACY, dispatch).exports
    assert (e.delegate(1), e.delegate(0), e.delegate(5)) == (41, 50, 10)
    assert e["delegate out"](5) == 10
    with pytest.raises(chiasm.Exception):
        e["delegate out"](1)


# ---- fuel


def test_a_function_without_fuel_left_stops() -> None:
    e = chiasm.instantiate(
        '(module (func (export "f") (loop (br 0))))', limits=chiasm.Limits(fuel=1000)
    ).exports
    with pytest.raises(chiasm.OutOfFuel):
        e.f()
