"""Scalar numeric instructions against model.py, wherever their operands come from.

The interpreter fuses an instruction with the local.get or the constant before
it and with the br_if after it; each combination is a form here.  Values go in
and out as integers, so that every bit of a NaN is seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import edges
import pytest
from model import FORMATS, SCALAR, Meaning, Nan, Result, matches
from modules import DISPATCHES, GUARD, outcome, register, shared_instance

import chiasm

INTEGER = {"i32": "i32", "i64": "i64", "f32": "i32", "f64": "i64"}
MASK = {"i32": 0xFFFFFFFF, "i64": 0xFFFFFFFFFFFFFFFF}
TYPES = tuple(INTEGER)
FAR = " ".join(["i64"] * 130)

dispatches = pytest.mark.parametrize("dispatch", DISPATCHES)

# Both operands, by where they come from: {k} is a constant.
OPERANDS = {
    "local": ("(local.get $x)", "(local.get $y)"),
    "stack": ("(block (result {t}) (local.get $x))", "(block (result {t}) (local.get $y))"),
    "const": ("(local.get $x)", "{k}"),
    "stack and local": ("(block (result {t}) (local.get $x))", "(local.get $y)"),
    "local and stack": ("(local.get $x)", "(block (result {t}) (local.get $y))"),
    "stack and const": ("(block (result {t}) (local.get $x))", "{k}"),
    "tee": ("(local.get $x)", "(local.tee $z (local.get $y))"),
    "twice": ("(local.tee $z (local.get $x))", "(local.tee $z (local.get $y))"),
}
SCOPES = {"": "", "far": FAR, "wide": "v128"}

# What uses a comparison {c}; each gives its value.
USES = {
    "br_if": "(block $to (result i32) (drop (br_if $to (i32.const 1) {c})) (i32.const 0))",
    "br_if alone": "(block $to (br_if $to {c}) (return (i32.const {no}))) (i32.const 1)",
    "br_if that drops": "(block $to (result i32) (i32.const 5) (i64.const 6) (i32.const 1)"
    " (br_if $to {c}) (drop) (drop) (drop) (i32.const 0))",
    "br_if out of the function": "(i32.const {yes}) (br_if 0 {c}) (drop) (i32.const 0)",
    "if": "(if (result i32) {c} (then (i32.const 1)) (else (i32.const 0)))",
    "select": "(select (i32.const 1) (i32.const 0) {c})",
    "eqz": "(i32.eqz (i32.eqz {c}))",
    "local": "(local.set $c {c}) (local.get $c)",
}


def to_bits(t: str, expr: str) -> str:
    return f"({INTEGER[t]}.reinterpret_{t} {expr})" if t in FORMATS else expr


def constant(t: str, bits: int) -> str:
    """The instruction that pushes these bits."""
    if t not in FORMATS:
        return f"({t}.const {bits})"
    f = FORMATS[t]
    sign, size = "-" if bits & f.sign else "", f.size(bits)
    if size == f.infinity:
        return f"({t}.const {sign}inf)"
    if size > f.infinity:
        return f"({t}.const {sign}nan:{size - f.infinity:#x})"
    digits = size & ((1 << (f.precision - 1)) - 1)
    exponent = size >> (f.precision - 1)
    if exponent:
        digits |= 1 << (f.precision - 1)
        exponent -= 1
    return f"({t}.const {sign}{digits:#x}p{exponent + f.least})"


def function(name: str, meaning: Meaning, body: str, scope: str = "", guard: bool = True) -> str:
    """Takes the operands' bits, gives the result's, GUARD xored into it."""
    params, result = meaning.params, meaning.results[0]
    header = " ".join(INTEGER[t] for t in params)
    locals_ = " ".join(f"(local ${n} {t})" for n, t in zip("xy", params, strict=False))
    if scope:
        locals_ = f"(local {SCOPES[scope]}) {locals_}"
    moves = ""
    for i, (n, t) in enumerate(zip("xy", params, strict=False)):
        value = f"(local.get {i})"
        if t in FORMATS:
            value = f"({t}.reinterpret_{INTEGER[t]} {value})"
        moves += f" (local.set ${n} {value})"
    out = INTEGER[result]
    if guard:
        body = f"({out}.const {GUARD}) {to_bits(result, body)} ({out}.xor)"
    else:
        body = to_bits(result, body)
    return (
        f'(func (export "{name}") (param {header}) (result {out}) {locals_}'
        f" (local $z {params[0]}) (local $c i32) {moves} {body})\n"
    )


def of_kind(*kinds: str) -> dict[str, Meaning]:
    return {n: m for n, m in SCALAR.items() if m.kind in kinds}


def for_each(kind_of: Callable[[str], Iterator[str]]) -> dict[str, Any]:
    """A module per type of operand."""

    def make(t: str) -> Callable[[], str]:
        return register(lambda: "(module\n" + "".join(kind_of(t)) + ")")

    return {t: make(t) for t in TYPES}


# ---- two operands


def binaries(t: str) -> dict[str, Meaning]:
    return {n: m for n, m in of_kind("binary", "compare").items() if m.params[0] == t}


def binary_functions(t: str) -> Iterator[str]:
    for name, meaning in binaries(t).items():
        for operand, (x, y) in OPERANDS.items():
            if "const" not in operand:
                yield function(f"{name} {operand}", meaning, f"({name} {x} {y})".format(t=t))
                continue
            for i, bits in enumerate(edges.EDGES[t]):
                body = f"({name} {x} {y})".format(t=t, k=constant(t, bits))
                yield function(f"{name} {operand} {i}", meaning, body)
        for i, bits in enumerate(edges.EDGES[t]):
            body = f"({name} {constant(t, bits)} (local.get $y))"
            yield function(f"{name} const first {i}", meaning, body)
        plain = f"({name} (local.get $x) (local.get $y))"
        yield function(f"{name} unguarded", meaning, plain, guard=False)
        for scope in ("far", "wide"):
            yield function(f"{name} {scope}", meaning, plain, scope)


@functools.cache
def cases(name: str) -> list[tuple[int, int, int, int, Result | str]]:
    """Both operands, with their indices, and what they give."""
    operands = list(enumerate(edges.EDGES[SCALAR[name].params[0]]))
    return [(i, a, j, b, SCALAR[name](a, b)) for i, a in operands for j, b in operands]


def wrong(meaning: Meaning, got: int | str, want: Result | str, guard: int) -> bool:
    if isinstance(got, str) or isinstance(want, str):
        return got != want
    t = meaning.results[0]
    got = (got & MASK[INTEGER[t]]) ^ guard
    if got == want:
        return False
    return not isinstance(want, Nan) or not matches(FORMATS[t], got, want)


def show(meaning: Meaning, *args: Any) -> str:
    return " ".join(hex(a) if isinstance(a, int) else str(a) for a in args)


BINARY = for_each(binary_functions)


def forms(dispatch: str) -> tuple[list[str], list[str]]:
    """Without and with a constant.  No dispatch but the fast one knows pairs."""
    if dispatch != "fast":
        return ["local", "far", "wide"], ["const"]
    plain = [o for o in OPERANDS if "const" not in o]
    return ["unguarded", "far", "wide", *plain], [o for o in OPERANDS if "const" in o]


@dispatches
@pytest.mark.parametrize("name", of_kind("binary", "compare"))
def test_two_operands_from_anywhere_give_what_the_model_gives(name: str, dispatch: str) -> None:
    meaning = SCALAR[name]
    t = meaning.params[0]
    e = shared_instance(BINARY[t], dispatch).exports
    n = len(edges.EDGES[t])
    plain_forms, const_forms = forms(dispatch)
    plain = [(form, e[f"{name} {form}"], GUARD * (form != "unguarded")) for form in plain_forms]
    right = [(form, [e[f"{name} {form} {i}"] for i in range(n)]) for form in const_forms]
    left = [e[f"{name} const first {i}"] for i in range(n)]
    failures = []
    for i, a, j, b, want in cases(name):
        for form, f, guard in plain:
            got = outcome(f, a, b)
            if wrong(meaning, got, want, guard):
                failures.append(f"{form}: " + show(meaning, a, b, got, want))
        for form, functions in right:
            got = outcome(functions[j], a, 0)
            if wrong(meaning, got, want, GUARD):
                failures.append(f"{form}: " + show(meaning, a, b, got, want))
        got = outcome(left[i], 0, b)
        if wrong(meaning, got, want, GUARD):
            failures.append("const first: " + show(meaning, a, b, got, want))
    assert not failures, "\n".join(failures[:20])


# ---- comparisons, used at once


def use(name: str, condition: str) -> str:
    return USES[name].format(c=condition, no=GUARD, yes=GUARD ^ 1)


def compare_functions(t: str) -> Iterator[str]:
    for name, meaning in of_kind("compare").items():
        if meaning.params[0] != t:
            continue
        for u in USES:
            for operand in ("local", "stack", "stack and local"):
                x, y = OPERANDS[operand]
                body = use(u, f"({name} {x} {y})".format(t=t))
                yield function(f"{name} {u} {operand}", meaning, body)
            for i, bits in enumerate(edges.EDGES[t]):
                body = use(u, f"({name} (local.get $x) {constant(t, bits)})")
                yield function(f"{name} {u} const {i}", meaning, body)
            for scope in ("far", "wide"):
                body = use(u, f"({name} (local.get $x) (local.get $y))")
                yield function(f"{name} {u} {scope}", meaning, body, scope)


COMPARE = for_each(compare_functions)


@dispatches
@pytest.mark.parametrize("name", of_kind("compare"))
def test_a_comparison_decides_whatever_uses_it(name: str, dispatch: str) -> None:
    meaning = SCALAR[name]
    t = meaning.params[0]
    e = shared_instance(COMPARE[t], dispatch).exports
    operands = ["local", "far", "wide"]
    if dispatch == "fast":
        operands += ["stack", "stack and local"]
    plain = [(u, o, e[f"{name} {u} {o}"]) for u in USES for o in operands]
    consts = [(u, [e[f"{name} {u} const {j}"] for j in range(len(edges.EDGES[t]))]) for u in USES]
    failures = []
    for _, a, j, b, holds in cases(name):
        assert isinstance(holds, int)
        want = holds ^ GUARD
        for u, o, f in plain:
            if f(a, b) != want:
                failures.append(f"{u}, {o}: " + show(meaning, a, b, f(a, b), want))
        for u, functions in consts:
            if functions[j](a, 0) != want:
                failures.append(f"{u}, const: " + show(meaning, a, b, functions[j](a, 0), want))
    assert not failures, "\n".join(failures[:20])


# ---- one operand

ONE = {
    "local": "(local.get $x)",
    "stack": "(block (result {t}) (local.get $x))",
    "tee": "(local.tee $z (local.get $x))",
}


def unary_functions(t: str) -> Iterator[str]:
    for name, meaning in of_kind("unary", "test").items():
        if meaning.params[0] != t:
            continue
        bodies = {o: f"({name} {x})".format(t=t) for o, x in ONE.items()}
        for o, body in bodies.items():
            yield function(f"{name} {o}", meaning, body)
            if meaning.kind == "test":
                for u in USES:
                    yield function(f"{name} {u} {o}", meaning, use(u, body))
        yield function(f"{name} unguarded", meaning, bodies["local"], guard=False)
        for scope in ("far", "wide"):
            yield function(f"{name} {scope}", meaning, bodies["local"], scope)
        for i, bits in enumerate(edges.EDGES[t]):
            yield function(f"{name} const {i}", meaning, f"({name} {constant(t, bits)})")


UNARY = for_each(unary_functions)


@dispatches
@pytest.mark.parametrize("name", of_kind("unary", "test"))
def test_one_operand_from_anywhere_gives_what_the_model_gives(name: str, dispatch: str) -> None:
    meaning = SCALAR[name]
    t = meaning.params[0]
    e = shared_instance(UNARY[t], dispatch).exports
    forms = [*ONE, "unguarded", "far", "wide"]
    if meaning.kind == "test":
        forms += [f"{u} {o}" for u in USES for o in ONE]
    functions = [(form, e[f"{name} {form}"], GUARD * (form != "unguarded")) for form in forms]
    failures = []
    for a in edges.UNARY_EDGES[t]:
        want = meaning(a)
        for form, f, guard in functions:
            got = outcome(f, a)
            if wrong(meaning, got, want, guard):
                failures.append(f"{form}: " + show(meaning, a, got, want))
    for i, a in enumerate(edges.EDGES[t]):
        got, want = outcome(e[f"{name} const {i}"], 0), meaning(a)
        if wrong(meaning, got, want, GUARD):
            failures.append("const: " + show(meaning, a, got, want))
    assert not failures, "\n".join(failures[:20])


# ---- wide arithmetic


def wide_functions() -> str:
    text = "(module\n"
    for name, meaning in of_kind("wide").items():
        n = len(meaning.params)
        for scope, locals_ in SCOPES.items():
            gets = " ".join(f"(local.get $p{i})" for i in range(n))
            sets = " ".join(f"(local.set $p{i} (local.get {i}))" for i in range(n))
            extra = f"(local {locals_})" if locals_ else ""
            extra += "".join(f"(local $p{i} i64)" for i in range(n))
            text += (
                f'(func (export "{name} {scope}") (param {"i64 " * n}) (result i64 i64 i64)'
                f" {extra} {sets} (i64.const {GUARD}) ({name} {gets}))\n"
            )
        blocks = " ".join(f"(block (result i64) (local.get {i}))" for i in range(n))
        text += (
            f'(func (export "{name} stack") (param {"i64 " * n}) (result i64 i64 i64)'
            f" (i64.const {GUARD}) ({name} {blocks}))\n"
        )
    return text + ")"


WIDE = register(wide_functions)


def tuples(n: int, of: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if n == 0:
        yield ()
        return
    for rest in tuples(n - 1, of):
        for x in of:
            yield (*rest, x)


@dispatches
@pytest.mark.parametrize("name", of_kind("wide"))
def test_wide_arithmetic_gives_both_halves(name: str, dispatch: str) -> None:
    meaning = SCALAR[name]
    e = shared_instance(WIDE, dispatch).exports
    n = len(meaning.params)
    for operands in tuples(n, edges.WIDE_EDGES if n == 4 else edges.I64):
        want = (GUARD, *meaning.run(*operands))  # type: ignore[misc]
        for form in (*SCOPES, "stack"):
            got = tuple(x & MASK["i64"] for x in e[f"{name} {form}"](*operands))
            assert got == want, (form, [hex(x) for x in operands])


# ---- constants

LENGTHS = {"i32": range(1, 6), "i64": range(1, 11)}


def constants(t: str) -> list[int]:
    """The least and the greatest of each length in the code, and neighbours."""
    bits = int(t[1:])
    found = {0, -1, -(1 << (bits - 1)), (1 << (bits - 1)) - 1}
    for n in LENGTHS[t]:
        for x in (1 << (7 * n - 1), -(1 << (7 * n - 1))):
            for y in (x - 1, x, x + 1, x ^ 0x1555555555555555):
                if -(1 << (bits - 1)) <= y < 1 << (bits - 1):
                    found.add(y)
    return sorted(found)


CONSTANT_USES = {
    "alone": "{k}",
    "add": "({t}.add (local.get 0) {k})",
    "sub": "({t}.sub (local.get 0) {k})",
    "add first": "({t}.add {k} (local.get 0))",
    "add stack": "({t}.add (block (result {t}) (local.get 0)) {k})",
    "set": "(local.set $z {k}) (local.get $z)",
    "far set": "(local.set $far {k}) (local.get $far)",
    "tee": "(local.tee $z {k})",
    "block": "(block (result {t}) {k})",
    "return": "(return {k})",
    "global": "(global.set ${t} {k}) (global.get ${t})",
    "after local": "({t}.sub (local.get $one) ({t}.sub (local.get $one) {k}))",
    "float": "({t}.reinterpret_{f} ({f}.reinterpret_{t} {k}))",
}


def constant_functions() -> str:
    text = "(module (global $i32 (mut i32) (i32.const 0)) (global $i64 (mut i64) (i64.const 0))\n"
    for t, f in (("i32", "f32"), ("i64", "f64")):
        for k in constants(t):
            for name, body in CONSTANT_USES.items():
                body = body.format(k=f"({t}.const {k})", t=t, f=f)
                text += (
                    f'(func (export "{t} {name} {k}") (param {t}) (result {t}) (local $z {t})'
                    f" (local $one {t}) (local {FAR}) (local $far {t}) {body})\n"
                )
    return text + ")"


CONSTANTS = register(constant_functions)


@dispatches
@pytest.mark.parametrize("t", ("i32", "i64"))
def test_a_constant_of_any_length_is_its_value(t: str, dispatch: str) -> None:
    e = shared_instance(CONSTANTS, dispatch).exports
    bits = int(t[1:])
    for k in constants(t):
        for x in (0, 1, -1, (1 << (bits - 1)) - 1):
            for name in CONSTANT_USES:
                want = {"add": k + x, "add first": k + x, "add stack": k + x, "sub": x - k}
                got = e[f"{t} {name} {k}"](x)
                assert (got - want.get(name, k)) & MASK[t] == 0, (name, k, x, got)


def test_a_float_constant_keeps_every_bit() -> None:
    for t in ("f32", "f64"):
        operands = sorted(set(edges.UNARY_EDGES[t]))
        text = "(module\n"
        for bits in operands:
            body = to_bits(t, constant(t, bits))
            text += f'(func (export "{bits}") (result {INTEGER[t]}) {body})\n'
        e = chiasm.instantiate(text + ")").exports
        for bits in operands:
            assert e[str(bits)]() & MASK[INTEGER[t]] == bits


# ---- immediates that are longer than they need to be


def leb(x: int, length: int) -> bytes:
    """x in so many bytes, signed or not."""
    return bytes((x >> 7 * i & 0x7F) | (0x80 if i < length - 1 else 0) for i in range(length))


def binary_module(body: bytes) -> bytes:
    """A memory of a page and one function, i64 i32 -> i32, with two locals more."""
    header = b"\0asm\1\0\0\0"
    types = b"\1\7\1\x60\2\x7e\x7f\1\x7f"
    function_ = b"\3\2\1\0"
    memory = b"\5\3\1\0\1"
    export = b"\7\5\1\1f\0\0"
    code = b"\2\1\x7e\1\x7f" + body + b"\x0b"
    section = b"\1" + leb(len(code), 2) + code
    return header + types + function_ + memory + export + b"\x0a" + leb(len(section), 2) + section


PADDED = {
    "i32.const": (b"\x41" + leb(-7, 5), -7),
    "i32.const of 2": (b"\x41" + leb(-7, 2), -7),
    "i32.const before add": (b"\x20\1\x41" + leb(-7, 4) + b"\x6a", 34),
    "i32.const before sub": (b"\x20\1\x41" + leb(-7, 3) + b"\x6b", 48),
    "i64.const": (b"\x20\0\x42" + leb(-7, 10) + b"\x7c\xa7", 92),
    "local.get": (b"\x20" + leb(1, 5), 41),
    "local.get before add": (b"\x41\1\x20" + leb(1, 5) + b"\x6a", 42),
    "second local.get": (b"\x20\1\x20" + leb(1, 2) + b"\x6a", 82),
    "local.set": (b"\x20\1\x21" + leb(3, 3) + b"\x20\3", 41),
    "local.set of a constant": (b"\x41\x05\x21" + leb(3, 3) + b"\x20\3", 5),
    "local.tee": (b"\x20\1\x22" + leb(3, 5) + b"\x20\3\x6a", 82),
    "br": (b"\x20\1\x0c" + leb(0, 5), 41),
    "br_if": (b"\x02\x7f\x20\1\x20\1\x0d" + leb(0, 5) + b"\x1a\x41\3\x0b", 41),
    "br_if after a comparison": (
        b"\x02\x7f\x20\1\x20\1\x41\x29\x46\x0d" + leb(0, 5) + b"\x1a\x41\3\x0b",
        41,
    ),
    "br_table": (b"\x20\1\x20\1\x0e" + leb(1, 5) + leb(0, 3) + leb(0, 5), 41),
    "memarg": (
        b"\x20\1\x41\x55\x36" + leb(2, 5) + leb(9, 5) + b"\x20\1\x28" + leb(2, 2) + leb(9, 3),
        -43,
    ),
    "memarg of a constant": (b"\x20\1\x41\x55\x3a\0" + leb(0, 4) + b"\x20\1\x2d\0\0", 213),
    "prefixed opcode": (b"\x20\0\xb9\xfc" + leb(2, 5), 99),
}


@dispatches
@pytest.mark.parametrize("name", PADDED)
def test_an_immediate_may_be_longer_than_its_value_needs(name: str, dispatch: str) -> None:
    code, want = PADDED[name]
    f = chiasm.instantiate(binary_module(code), limits=DISPATCHES[dispatch]).exports.f
    assert f(99, 41) == want
