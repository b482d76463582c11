"""Directories made of dicts."""

from __future__ import annotations

import random
from types import MappingProxyType

import pytest

import chiasm

EXIST, ISDIR, INVAL, NAMETOOLONG, NOENT, NOSPC, NOTDIR, NOTEMPTY, NOTSUP, PERM, ROFS, XDEV = (
    20, 31, 28, 37, 44, 51, 54, 55, 58, 63, 69, 75,
)  # fmt: skip


def number(line: str) -> int:
    return int(line.rsplit(" ", 1)[1])


def test_files_are_read_and_changes_are_seen_afterwards(probe):
    sub = {"b.txt": "text"}
    tree = {"a.txt": b"hello", "sub": sub, "gone": b"x", "empty": {}}
    lines = probe(
        "cat", "a.txt", "cat", "sub/b.txt", "stat", "sub", "stat", "a.txt", "unlink", "gone",
        "write", "new", "made", "mkdir", "d", "write", "d/e", "deep", "write", "a.txt", "hi",
        dirs={"/": tree},
    )  # fmt: skip
    assert lines[:4] == ["hellocat 0", "textcat 0", "type 3 size 0 stat 0", "type 4 size 5 stat 0"]
    assert {number(line) for line in lines} == {0}
    assert tree == {
        "a.txt": b"hi", "sub": {"b.txt": "text"}, "empty": {}, "new": b"made", "d": {"e": b"deep"},
    }  # fmt: skip
    assert tree["sub"] is sub
    assert sub["b.txt"] == "text"  # what did not change is as it was


def test_what_a_program_left_is_there_however_it_ended(program):
    tree: dict[str, object] = {}
    with pytest.raises(chiasm.Trap):
        chiasm.run(program, ["write", "f", "x", "trap"], dirs={"/": tree}, capture_output=True)
    assert tree == {"f": b"x"}


def test_a_tree_that_cannot_be_changed_is_only_read(probe):
    tree = MappingProxyType({"a": b"x"})
    assert probe("cat", "a", "write", "b", "x", dirs={"/": tree}) == ["xcat 0", "write 0"]
    assert dict(tree) == {"a": b"x"}
    lines = probe(
        "cat", "a", "write", "b", "x", "write", "a", "x", "mkdir", "b", "unlink", "a",
        "rename", "a", "b", "times", "a", 1, "open", "a", "rt",
        dirs={"/": chiasm.ReadOnly({"a": b"x"})},
    )  # fmt: skip
    assert lines[0] == "xcat 0"
    assert {number(line) for line in lines[1:]} == {ROFS}


def test_paths_end_as_on_a_disk(probe):
    tree = {"f": b"x", "d": {"g": b"y"}, "e": {}}
    cases = {
        ("open", "..", "r"): PERM, ("open", "d/../..", "r"): PERM, ("open", "/f", "r"): PERM,
        ("open", "d/../f", "r"): 0, ("open", "./d/./g", "r"): 0, ("open", "f/", "r"): NOTDIR,
        ("open", "f/x", "r"): NOTDIR, ("open", "none", "r"): NOENT, ("open", "none/x", "r"): NOENT,
        ("open", "d", "w"): ISDIR, ("open", "f", "rd"): NOTDIR, ("open", "f", "rcx"): EXIST,
        ("open", "n" * 256, "rc"): NAMETOOLONG, ("mkdir", "d"): EXIST, ("mkdir", "none/x"): NOENT,
        ("mkdir", "."): EXIST, ("rmdir", "d"): NOTEMPTY, ("rmdir", "f"): NOTDIR,
        ("unlink", "d"): ISDIR, ("unlink", "none"): NOENT, ("rename", "f", "d"): ISDIR,
        ("rename", "d", "f"): NOTDIR, ("rename", "e", "d"): NOTEMPTY, ("rename", "d", "d/x"): INVAL,
        ("rename", "none", "x"): NOENT, ("rename", "f", "f"): 0, ("link", "f", "h"): NOTSUP,
        ("symlink", "f", "h"): NOTSUP, ("readlink", "f"): INVAL, ("ls", "f"): NOTDIR,
        ("times", "f", "5"): 0, ("lstat", "f"): 0,
    }  # fmt: skip
    operations = [word for case in cases for word in case]
    lines = probe(*operations, dirs={"/": tree})
    assert {case: number(line) for case, line in zip(cases, lines, strict=True)} == cases
    assert tree == {"f": b"x", "d": {"g": b"y"}, "e": {}}


def test_renames_move_replace_and_keep_order(probe):
    tree = {"a": b"1", "b": b"2", "d": {"x": b"3"}, "e": {}}
    lines = probe(
        "rename", "a", "b", "rename", "d", "e", "rename", "b", "e/y", "rename", "e", "z",
        "cat", "z/x", "cat", "z/../z/y", "rename", "z/x", "z/x2", "rename", "z/x2", "q",
        dirs={"/": tree},
    )  # fmt: skip
    assert {number(line) for line in lines} == {0}
    assert tree == {"z": {"y": b"1"}, "q": b"3"}


def test_between_directories_of_different_trees_nothing_is_renamed(program):
    wat = """(module
      (import "wasi_snapshot_preview1" "path_rename"
        (func $r (param i32 i32 i32 i32 i32 i32) (result i32)))
      (memory 1) (data (i32.const 0) "a")
      (func (export "f") (param i32 i32) (result i32)
        (call $r (local.get 0) (i32.const 0) (i32.const 1)
                 (local.get 1) (i32.const 0) (i32.const 1))))"""
    wasi = chiasm.WASI(dirs={"/a": {"a": b""}, "/b": {}, "/c": "."})
    f = chiasm.instantiate(wat, wasi=wasi).exports.f
    assert f(3, 4) == XDEV
    assert f(3, 5) == XDEV
    assert f(3, 3) == 0


def test_an_open_file_outlives_its_name(probe):
    tree: dict[str, object] = {"f": b"content", "d": {"x": b""}}
    lines = probe(
        "keep", "f", "r", "unlink", "f", "read", 4, "keep", "d", "rd", "unlink", "d/x",
        "rmdir", "d", "dir", 5, "write", "new", "x", "mkdir", "new", "ls", ".", "open", "..", "r",
        dirs={"/": tree},
    )  # fmt: skip
    assert lines[2] == "contentread 0"
    assert [number(line) for line in lines[-4:]] == [NOENT, NOENT, 0, PERM]
    assert tree == {}


def test_a_large_directory_is_listed_whole(probe):
    names = [f"file-{k:04}" for k in range(500)]
    (line,) = probe("ls", ".", dirs={"/": dict.fromkeys(names, b"")})
    assert line.split() == [".", "..", *names, "ls", "0"]


def test_a_tree_is_limited(program):
    tree = {"a": b"x" * 1000}
    limits = chiasm.Limits(memory=1 << 20)
    done = chiasm.run(
        program, ["write", "b", "y" * 1000, "write", "c", "z" * 200_000], dirs={"/": tree},
        limits=limits, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["write 0", "write 0"]
    with pytest.raises(OSError, match="No space left"):
        chiasm.run(program, dirs={"/": {"a": b"x" * (1 << 20) + b"x"}}, limits=limits)


def test_directories_do_not_nest_without_end(probe):
    operations = []
    for k in range(140):
        operations += ["mkdir", "d", "keep", "d", "rd", "dir", 4 + k]
    tree: dict[str, object] = {}
    lines = probe(*operations, dirs={"/": tree})
    numbers = [number(line) for line in lines if "mkdir" in line]
    assert numbers[:100] == [0] * 100
    assert NAMETOOLONG in numbers
    depth, level = 0, tree
    while level:
        depth, level = depth + 1, level["d"]
    assert depth == 128


@pytest.mark.parametrize(
    "tree", [{"": b""}, {"a/b": b""}, {"..": {}}, {".": b""}, {"d": {"x/": b""}}, {"a\0": b""}]
)
def test_wrong_names_are_refused(program, tree):
    with pytest.raises(ValueError):
        chiasm.run(program, dirs={"/": tree})


def test_wrong_contents_are_refused(program):
    with pytest.raises(TypeError, match="bytes"):
        chiasm.run(program, dirs={"/": {"a": 3}})
    with pytest.raises(KeyError, match="no tree"):
        chiasm.WASI(dirs={"/": "."}).tree("/")


def test_a_tree_and_a_disk_agree(probe, tmp_path):
    """Random operations, by names that are often the same."""
    r = random.Random(7)
    names = ["a", "b", "c", "d", "a/x", "b/x", "c/y", "a/x/z", "d/.", "b/..", "a/", "c/../a"]
    operations: list[str] = []
    for _ in range(1500):
        operation = r.choice(["mkdir", "rmdir", "unlink", "rename", "write", "cat", "open"])
        operations += [operation, r.choice(names)]
        if operation == "rename":
            operations.append(r.choice(names))
        elif operation == "write":
            operations.append(r.choice(["1", "22", "333"]))
        elif operation == "open":
            operations.append(r.choice(["r", "w", "rd", "rwc", "rcx", "wct"]))
    tree: dict[str, object] = {}
    on_disk = probe(*operations, dirs={"/": tmp_path})
    in_memory = probe(*operations, dirs={"/": tree})
    # Where several failures hold, which one is told may differ.
    pairs = [(a, b) for a, b in zip(on_disk, in_memory, strict=True)]
    assert [p for p in pairs if (number(p[0]) == 0) != (number(p[1]) == 0)] == []
    assert tree == read_tree(tmp_path)


def read_tree(folder):
    return {p.name: read_tree(p) if p.is_dir() else p.read_bytes() for p in folder.iterdir()}
