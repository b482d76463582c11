"""Hostile modules: each is accepted or refused at a place, in little memory."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hostile import HEADER, judge, leb, module, of_body, section, sized, vector

MANY = leb(2**32 - 1)
NESTED = 1_000_000
SECTIONS = range(1, 14)


def sample() -> bytes:
    """A module with every kind of section."""
    types = section(1, vector([b"\x60\1\x7f\1\x7f", b"\x60\0\0", b"\x50\0\x5f\1\x7f\1"]))
    imports = section(2, vector([b"\1m\1f\0\1"]))
    funcs = section(3, vector([b"\0", b"\1"]))
    tables = section(4, vector([b"\x70\1\2\3"]))
    memories = section(5, vector([b"\1\1\2"]))
    tags = section(13, vector([b"\0\1"]))
    globals_ = section(6, vector([b"\x7f\1\x41\x2a\x0b"]))
    exports = section(7, vector([b"\1r\0\1", b"\1m\2\0"]))
    elems = section(9, vector([b"\0\x41\0\x0b\1\2"]))
    bodies = vector([
        sized(b"\1\2\x7e\x20\0\x04\x7f\x41\1\x05\x41\x80\x01\x0b\x10\1\x0b"),
        sized(b"\0\x02\x40\x41\0\x0e\1\0\0\x0b\x0b"),
    ])  # fmt: skip
    datas = section(11, vector([b"\0\x41\0\x0b" + sized(b"hello")]))
    names = section(0, sized(b"name") + b"\0" + sized(sized(b"m")) + b"\1" + sized(b"\1\1\1f"))
    parts = [types, imports, funcs, tables, memories, tags, globals_, exports]
    parts += [section(8, b"\2"), elems, section(12, b"\1"), section(10, bodies), datas, names]
    return module(*parts)


def test_the_sample_is_valid(command: str, tmp_path: Path) -> None:
    assert judge(command, sample(), tmp_path)


@pytest.mark.parametrize("number", SECTIONS)
def test_a_count_beyond_the_bytes_is_refused(number: int, command: str, tmp_path: Path) -> None:
    assert not judge(command, module(section(number, MANY)), tmp_path)
    assert not judge(command, module(section(number, leb(1_000_000))), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"\1\x60" + MANY,
        b"\1\x60\0" + MANY,
        b"\1\x5f" + MANY,
        b"\1\x4e" + MANY,
        b"\1\x50" + MANY,
    ],
)
def test_a_count_in_a_type_is_refused(content: bytes, command: str, tmp_path: Path) -> None:
    assert not judge(command, module(section(1, content)), tmp_path)


@pytest.mark.parametrize(
    "code",
    [
        b"\x41\0\x0e" + MANY,
        b"\x41\0\x0e" + leb(65521) + bytes(70000),
        b"\x1f\x40" + MANY,
        b"\x1c" + MANY + b"\x7f",
        b"\xfb\x08\0" + MANY,
    ],
)
def test_a_count_in_code_is_refused(code: bytes, command: str, tmp_path: Path) -> None:
    assert not judge(command, of_body(code), tmp_path)


@pytest.mark.parametrize("op", [b"\x02\x40", b"\x03\x40", b"\x41\0\x04\x40", b"\x1f\x40\0"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_million_nested_blocks(op: bytes, closed: bool, command: str, tmp_path: Path) -> None:
    code = op * NESTED + b"\x0b" * (NESTED if closed else 0)
    assert judge(command, of_body(code), tmp_path) == closed


@pytest.mark.parametrize(("count", "valid"), [(50_000, True), (50_001, False), (2**32 - 1, False)])
def test_many_locals(count: int, valid: bool, command: str, tmp_path: Path) -> None:
    one_run = b"\1" + leb(count) + b"\x7e"
    assert judge(command, of_body(b"", locals_=one_run), tmp_path) == valid
    if count < 2**31:
        runs = vector([b"\1\x7f", b"\1\x7b"] * (count // 2) + [b"\1\x7e"] * (count % 2))
        assert judge(command, of_body(b"", locals_=runs), tmp_path) == valid


def test_runs_of_locals_that_overflow_together(command: str, tmp_path: Path) -> None:
    runs = vector([leb(2**32 - 1) + b"\x7f", leb(2**32 - 1) + b"\x7e"])
    assert not judge(command, of_body(b"", locals_=runs), tmp_path)


@pytest.mark.parametrize(("count", "valid"), [(1000, True), (1001, False), (2**32 - 1, False)])
@pytest.mark.parametrize("results", [False, True])
def test_many_parameters_and_results(
    count: int, valid: bool, results: bool, command: str, tmp_path: Path
) -> None:
    types = leb(count) + b"\x7f" * min(count, 2000)
    type_ = b"\x60\0" + types if results else b"\x60" + types + b"\0"
    assert judge(command, of_body(b"\x00", type_), tmp_path) == valid


@pytest.mark.parametrize("arms", [10_000, 65_520])
def test_a_br_table_of_many_arms(arms: int, command: str, tmp_path: Path) -> None:
    assert judge(command, of_body(b"\x41\0\x0e" + leb(arms) + bytes(arms + 1)), tmp_path)


def test_many_br_tables_in_nested_loops_with_many_locals(command: str, tmp_path: Path) -> None:
    table = b"\x41\0\x0e" + leb(100) + bytes(range(100)) + b"\0"
    code = b"\x03\x40" * 1000 + table * 1000 + b"\x0b" * 1000
    assert judge(command, of_body(code, locals_=b"\1" + leb(50_000) + b"\x7b"), tmp_path)


def test_many_functions_with_many_locals(command: str, tmp_path: Path) -> None:
    body = sized(b"\1" + leb(50_000) + b"\x7b\x0b")
    n = 5000
    m = module(
        section(1, b"\1\x60\0\0"), section(3, leb(n) + bytes(n)), section(10, leb(n) + body * n)
    )
    judge(command, m, tmp_path)


@pytest.mark.parametrize("offset", [2**31, 2**32 - 1])
def test_data_at_the_end_of_the_address_space(offset: int, command: str, tmp_path: Path) -> None:
    at = offset - 2**32
    number = bytearray()
    while at not in (-1,) or not number or not number[-1] & 0x40:
        number.append(at & 0x7F)
        at >>= 7
    const = bytes(b | 0x80 for b in number[:-1]) + bytes(number[-1:])
    m = module(section(5, b"\1\0\1"), section(11, b"\1\0\x41" + const + b"\x0b\1x"))
    assert judge(command, m, tmp_path)


def test_memories_too_large_are_refused(command: str, tmp_path: Path) -> None:
    assert not judge(command, module(section(5, b"\1\1\0" + leb(65537))), tmp_path)
    assert not judge(command, module(section(5, b"\1\0" + leb(65537))), tmp_path)
    assert judge(command, module(section(5, b"\1\1\0" + leb(65536))), tmp_path)


def test_names_that_are_not_utf8_are_refused(command: str, tmp_path: Path) -> None:
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
        assert not judge(command, module(section(0, sized(bad))), tmp_path)
        assert not judge(command, module(section(2, b"\1" + sized(bad) + b"\0\3\0\0")), tmp_path)


def test_a_huge_name(command: str, tmp_path: Path) -> None:
    assert judge(command, module(section(0, sized(b"n" * 5_000_000))), tmp_path)
    assert not judge(command, module(section(0, leb(2**32 - 1) + b"n")), tmp_path)


@pytest.mark.parametrize(("depth", "valid"), [(63, True), (64, True), (65, False), (10_000, False)])
def test_deep_chains_of_subtypes(depth: int, valid: bool, command: str, tmp_path: Path) -> None:
    root = [b"\x50\0\x5f\0"]
    chain = root + [b"\x50\1" + leb(k) + b"\x5f\0" for k in range(depth - 1)]
    assert judge(command, module(section(1, vector(chain))), tmp_path) == valid


def test_a_large_group_of_types_that_name_each_other(command: str, tmp_path: Path) -> None:
    n = 20_000
    members = [b"\x5f\1\x63" + leb((k + 1) % n) + b"\1" for k in range(n)]
    judge(command, module(section(1, b"\1\x4e" + vector(members))), tmp_path)


def test_the_same_group_many_times(command: str, tmp_path: Path) -> None:
    group = b"\x4e\2\x5f\1\x63\0\1\x5f\1\x63\1\1"
    judge(command, module(section(1, vector([group] * 20_000))), tmp_path)


def test_custom_sections_of_garbage(command: str, tmp_path: Path) -> None:
    noise = random.Random(7)
    for name in (b"name", b"metadata.code.branch_hint", b"linking", b""):
        customs = [section(0, sized(name) + noise.randbytes(k)) for k in range(200)]
        for verb in ("validate", "print", "strip"):
            assert judge(command, module(*customs), tmp_path, verb)


def test_name_sections_that_are_malformed_are_passed_over(command: str, tmp_path: Path) -> None:
    for content in (b"\0" + MANY, b"\1" + sized(MANY), b"\2" + sized(b"\1\0" + MANY),
                    b"\1" + sized(b"\1" + MANY + b"\1x"), b"\1\3\2\0\1"):  # fmt: skip
        m = sample() + section(0, sized(b"name") + content)
        for verb in ("validate", "print"):
            assert judge(command, m, tmp_path, verb)


def test_cut_off_at_each_byte(command: str, tmp_path: Path) -> None:
    whole = sample()
    ends = {len(whole)}  # where a section ends, the module may
    for k in range(len(whole)):
        judge(command, whole[:k], tmp_path)
    assert judge(command, whole[: max(ends)], tmp_path)
    assert judge(command, HEADER, tmp_path)


def test_each_byte_made_an_overlong_number(command: str, tmp_path: Path) -> None:
    whole = sample()
    for k in range(8, len(whole)):
        if whole[k] < 0x80:
            long = bytes([whole[k] | 0x80, 0x80, 0x80, 0x80, 0x80, 0x80])
            judge(command, whole[:k] + long + whole[k + 1 :], tmp_path)


CORPUS = Path(__file__).resolve().parents[2] / "fuzz" / "corpus"


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.wa*")), ids=lambda p: p.name)
def test_what_failed_once_does_not_fail_again(path: Path, command: str, tmp_path: Path) -> None:
    data = path.read_bytes()
    judge(command, data if path.suffix == ".wasm" else data.decode(), tmp_path)
