"""Guest frames of failures: the same functions and offsets, whoever runs the code."""

from __future__ import annotations

import traceback

import pytest

import chiasm

# Each export calls $through, which calls what fails; so there are three frames.
BODIES = {
    "unreachable": "unreachable",
    "divide": "(drop (i32.div_u (i32.const 1) (local.get 0)))",
    "overflow": "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (local.get 0) (i32.const 1))))",
    "convert": "(drop (i32.trunc_f64_s (f64.const nan)))",
    "load": "(drop (i32.load (i32.const -4)))",
    "store": "(i64.store offset=8 (i32.const -9) (i64.const 1))",
    "vector": "(drop (v128.load (i32.const 0x7fffffff)))",
    "fill": "(memory.fill (i32.const 0) (i32.const 0) (i32.const 65537))",
    "table": "(drop (table.get $t (i32.const 9)))",
    "undefined": "(call_indirect $t (i32.const 9))",
    "uninitialized": "(call_indirect $t (i32.const 0))",
    "type": "(call_indirect $t (type $other) (i32.const 1)) drop",
    "null": "(call_ref $none (ref.null $none))",
    "array": "(drop (array.get $a (array.new_default $a (i32.const 2)) (i32.const 2)))",
    "struct": "(drop (struct.get $s 0 (ref.null $s)))",
    "cast": "(drop (ref.cast (ref $s) (ref.i31 (i32.const 1))))",
    "host": "(call $env_host)",
    "throw": "(throw $tag)",
    "rethrow": "(throw_ref (ref.null exn))",
    "catch": "(block (result exnref) (try_table (catch_all_ref 0) (throw $tag)) unreachable) "
    "throw_ref",
    "many": "(local i32 i64 f64 v128) " + "(drop (i32.const 1)) " * 50 + "(call $env_host)",
}


def text() -> str:
    functions = "".join(
        f'(func ${name} (param i32) {body})\n(func (export "{name}") (call $through '
        f"(ref.func ${name})))\n"
        for name, body in BODIES.items()
    )
    elements = " ".join(f"${name}" for name in BODIES)
    return f"""(module $frames
      (type $none (func)) (type $one (func (param i32))) (type $other (func (result i32)))
      (type $a (array i32)) (type $s (struct (field i32)))
      (import "env" "host" (func $env_host))
      (tag $tag) (memory 1) (table $t 2 funcref) (elem (table $t) (i32.const 1) func $through)
      (elem declare func {elements})
      (func $through (param (ref $one)) (call_ref $one (i32.const 0) (local.get 0)))
      {functions})"""


@pytest.fixture(scope="module")
def module() -> chiasm.Module:
    return chiasm.Module(text())


def fail(module: chiasm.Module, name: str, tier: str, **options) -> BaseException:
    def host() -> None:
        raise KeyError("host")

    config = chiasm.Config(**options)
    inst = chiasm.instantiate(module, {"env": {"host": host}}, tier=tier, config=config)
    with pytest.raises((chiasm.Error, KeyError)) as caught:
        inst.exports[name]()
    return caught.value


def told(error: BaseException) -> list[tuple[str, str, int | None]]:
    """The guest's frames in the traceback, outermost first."""
    return [
        (f.name, f.filename, f.lineno)
        for f in traceback.extract_tb(error.__traceback__)
        if f.name.startswith("$")
    ]


@pytest.mark.parametrize("memory", ["wide", "explicit"])
@pytest.mark.parametrize("name", BODIES)
def test_machine_code_tells_what_the_interpreter_tells(module, name, memory):
    expected = fail(module, name, "interp")
    error = fail(module, name, "baseline", memory=memory)
    assert type(error) is type(expected) and str(error) == str(expected)
    assert told(error) == told(expected)
    assert [n for n, _, _ in told(error)] == [f"${name}", "$through", f"${name}"]
    if isinstance(error, chiasm.Trap):
        assert error.frames == expected.frames
        assert [f.index for f in error.frames][1] == 1


def test_offsets_are_of_instructions(module):
    """Each frame stands at the instruction that failed or called."""
    wanted = {"unreachable": 0x00, "divide": 0x6E, "load": 0x28, "throw": 0x08, "type": 0x11}
    code = module.to_bytes()
    for tier in ("interp", "baseline"):
        for name, opcode in wanted.items():
            error = fail(module, name, tier)
            lines = [line for _, _, line in told(error)]
            assert [code[at] for at in lines] == [0x10, 0x14, opcode], (tier, name)


@pytest.mark.parametrize("tier", ["interp", "baseline"])
def test_a_stack_that_overflows_keeps_the_innermost_frames(tier):
    inst = chiasm.instantiate(
        '(module (func $f (export "f") (param i32) (call $f (local.get 0))))', tier=tier
    )
    with pytest.raises(chiasm.StackOverflow) as caught:
        inst.exports.f(1)
    assert {f.function for f in caught.value.frames} == {"$f"}
    assert len(caught.value.frames) == 64
