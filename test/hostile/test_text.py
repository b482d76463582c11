"""Hostile texts: each is accepted or refused at a place, in little memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import judge

NESTED = 1_000_000


@pytest.mark.parametrize("op", ["block", "loop", "i32.const 0 if"])
def test_a_million_nested_blocks_flat(op: str, command: str, tmp_path: Path) -> None:
    text = f"(module (func {(op + ' ') * NESTED}{'end ' * NESTED}))"
    judge(command, text, tmp_path)


@pytest.mark.parametrize("op", ["(block", "(loop", "(drop", "(i32.eqz"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_million_nested_blocks_folded(
    op: str, closed: bool, command: str, tmp_path: Path
) -> None:
    text = f"(module (func {op * NESTED}{')' * (NESTED if closed else 0)}))"
    judge(command, text, tmp_path)


@pytest.mark.parametrize("around", ["", "(module ", "(module (func "])
@pytest.mark.parametrize("opening", ["(", "(;", "((;;)", "(@a "])
def test_a_million_openings(around: str, opening: str, command: str, tmp_path: Path) -> None:
    assert not judge(command, around + opening * NESTED, tmp_path)


def test_a_million_nested_comments_that_close(command: str, tmp_path: Path) -> None:
    assert judge(command, "(module " + "(;" * NESTED + ";)" * NESTED + ")", tmp_path)


@pytest.mark.parametrize(("count", "valid"), [(50_000, True), (50_001, False)])
def test_many_locals(count: int, valid: bool, command: str, tmp_path: Path) -> None:
    assert judge(command, f"(module (func (local {'i32 ' * count})))", tmp_path) == valid


def test_many_names(command: str, tmp_path: Path) -> None:
    names = "".join(f"(local $a{k} i64)" for k in range(50_000))
    assert judge(command, f"(module (func {names}))", tmp_path)
    functions = "".join(f"(func $f{k})" for k in range(100_000))
    assert judge(command, f"(module {functions})", tmp_path)


def test_names_that_are_long(command: str, tmp_path: Path) -> None:
    name = "$" + "x" * 2_000_000
    assert judge(command, f"(module (func {name}) (start {name}))", tmp_path)
    assert not judge(command, "i" * 2_000_000, tmp_path)
    assert not judge(command, f'(module (import "{"a" * 2_000_000}', tmp_path)


def test_numbers_that_are_long(command: str, tmp_path: Path) -> None:
    for digits in ("1" * 1_000_000, "0x" + "f" * 1_000_000, "1e" + "9" * 100_000,
                   "0." + "0" * 1_000_000 + "1", "0x1p-" + "9" * 100_000):  # fmt: skip
        for type_ in ("i32", "i64", "f32", "f64"):
            judge(command, f"(module (func (drop ({type_}.const {digits}))))", tmp_path)


def test_many_arms(command: str, tmp_path: Path) -> None:
    assert judge(command, f"(module (func (br_table {'0 ' * 10_001}(i32.const 0))))", tmp_path)


@pytest.mark.parametrize(("count", "valid"), [(1000, True), (1001, False)])
def test_many_parameters_and_results(count: int, valid: bool, command: str, tmp_path: Path) -> None:
    text = f"(module (func (param {'i32 ' * count}) (result {'i32 ' * count}) unreachable))"
    assert judge(command, text, tmp_path) == valid


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\0", b"\xe2\x82"])
def test_bytes_that_are_not_utf8_are_refused(bad: bytes, command: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.wat"
    for before, after in ((b'(module (import "', b'" "" (func)))'), (b"(module (;", b";))"),
                          (b"(module $", b")"), (b"", b"")):  # fmt: skip
        path.write_bytes(before + bad + after)
        judge(command, (before + bad + after), tmp_path)


def test_cut_off_at_each_byte(command: str, tmp_path: Path) -> None:
    text = """(module $m (type $t (sub (struct (field $x (mut i8)))))
      (import "a" "\\u{1f600}" (func $f (param $p i32) (result f64)))
      (table $tab 1 2 funcref) (memory (data "\\00x")) (tag $e (param i32))
      (func (export "r") (local $l v128) (;c;) ;; d
        (try_table (catch $e 0) (br_if 0 (i32.const -0x1)))
        (drop (f32.const nan:0x1))) (elem declare func $f))"""
    for k in range(len(text)):
        judge(command, text[:k], tmp_path)


def test_printing_deep_modules_folded(command: str, tmp_path: Path) -> None:
    text = f"(module (func {'(block ' * 20_000}{')' * 20_000}))"
    assert judge(command, text, tmp_path, "print")
