"""A guest never leaves the directories that it was given."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

import chiasm

EXIST, ISDIR, LOOP, NAMETOOLONG, NOENT, NOTDIR, PERM, ROFS = (
    20, 31, 32, 37, 44, 54, 63, 69,
)  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """root/ is granted; secret beside it is not."""
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "file").write_text("inside")
    (root / "sub" / "file").write_text("in sub")
    (tmp_path / "secret").write_text("SECRET")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("SECRET")
    links = {
        "absolute": "/etc/passwd", "up": "../secret", "far": "sub/deep/../../../secret",
        "loop": "loop", "loop1": "loop2", "loop2": "loop1", "good": "sub/file", "dangling": "none",
        "sub/back": "../file", "sub/out": "../../secret", "dirlink": "sub", "outdir": "../other",
        "root": "/", "dotdot": "..", "proc": "/proc/self/root/etc/passwd",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


ESCAPES = [
    "/etc/passwd", "/", "//etc/passwd", "..", "../secret", "../root/file", "sub/../../secret",
    "./../secret", "sub/deep/../../../secret", "absolute", "up", "far", "sub/out",
    "outdir/file", "dirlink/../../secret", "root/etc/passwd", "dotdot/secret", "outdir", "dotdot",
    "outdir/", "dotdot/", "proc", "root", "file/../../secret", "sub/../..", "dirlink/out",
]  # fmt: skip


def number(line: str) -> int:
    return int(line.rsplit(" ", 1)[1])


@pytest.mark.parametrize("path", ESCAPES)
def test_paths_that_lead_out_are_refused(probe, tree, path):
    lines = probe(
        "open", path, "r", "cat", path, "stat", path, "write", path, "x", "times", path, 1,
        "ls", path, dirs={"/": tree},
    )  # fmt: skip
    assert not any("SECRET" in line or "root:" in line for line in lines)
    allowed = {PERM}
    if "file/" in path:
        allowed.add(NOTDIR)
    if path.endswith("/"):
        allowed.add(ISDIR)  # creating it is refused by its look
    assert {number(line) for line in lines} <= allowed
    assert (tree.parent / "secret").read_text() == "SECRET"


@pytest.mark.parametrize(
    "path", ["../new", "/tmp/new-of-guest", "outdir/new", "dotdot/new", "up/x"]
)
def test_nothing_is_made_or_changed_outside(probe, tree, path):
    before = sorted(p.name for p in tree.parent.rglob("*"))
    lines = probe(
        "mkdir", path, "write", path, "x", "symlink", "x", path, "rename", "file", path,
        "link", "file", path, "unlink", path, "rmdir", path, "rename", path, "stolen",
        dirs={"/": tree},
    )  # fmt: skip
    assert {number(line) for line in lines} <= {PERM, NOTDIR}
    assert sorted(p.name for p in tree.parent.rglob("*")) == before


@pytest.mark.parametrize("path", ["../secret", "../other", "../other/file"])
def test_what_is_outside_is_neither_removed_nor_moved_nor_linked(probe, tree, path):
    lines = probe(
        "unlink", path, "rmdir", path, "rename", path, "mine", "link", path, "mine",
        "lstat", path, "ltimes", path, 1, "readlink", path, dirs={"/": tree},
    )  # fmt: skip
    assert {number(line) for line in lines} == {PERM}
    assert (tree.parent / "secret").read_text() == "SECRET"
    assert not (tree / "mine").exists()


def test_a_trailing_slash_does_not_make_a_link_be_followed_out(probe, tree):
    lines = probe(
        "lstat", "outdir/", "readlink", "outdir/", "ltimes", "outdir/", 1, "link", "outdir/", "x",
        "lstat", "dotdot/", "lstat", "dotdot/.", "lstat", "outdir/.", "lstat", "outdir/..",
        dirs={"/": tree},
    )  # fmt: skip
    assert {number(line) for line in lines} == {PERM}


def test_links_that_stay_inside_are_followed(probe, tree):
    size = (tree / "sub").stat().st_size
    lines = probe(
        "cat", "good", "cat", "sub/back", "cat", "dirlink/file", "stat", "dirlink", "lstat", "good",
        "cat", "sub/../file", "cat", "./sub/./deep/../file", "cat", "dirlink/../file",
        dirs={"/": tree},
    )  # fmt: skip
    assert lines == [
        "in subcat 0", "insidecat 0", "in subcat 0", f"type 3 size {size} stat 0",
        "type 7 size 8 lstat 0", "insidecat 0", "in subcat 0", "insidecat 0",
    ]  # fmt: skip


def test_loops_and_long_names_end(probe, tree):
    lines = probe(
        "open", "loop", "r", "open", "loop1/x", "r", "open", "n" * 256, "r",
        "open", "a/" * 2040, "r", "open", "n" * 5000, "r", "open", "dangling", "r", "open", "", "r",
        dirs={"/": tree},
    )  # fmt: skip
    assert [number(line) for line in lines] == [
        LOOP, LOOP, NAMETOOLONG, NOENT, NAMETOOLONG, NOENT, NOENT,
    ]  # fmt: skip


def test_an_absolute_link_is_not_made(probe, tree):
    assert probe("symlink", "/etc/passwd", "new", dirs={"/": tree}) == [f"symlink {PERM}"]


def test_an_opened_directory_is_a_root_of_its_own(probe, tree):
    lines = probe(
        "keep", "sub", "rd", "dir", 4, "cat", "file", "open", "../file", "r", "open", "back", "r",
        dirs={"/": tree},
    )  # fmt: skip
    assert lines == ["4 keep 0", "dir 0", "in subcat 0", f"open {PERM}", f"open {PERM}"]


def test_a_file_is_no_directory_to_look_in(probe, tree):
    assert probe("keep", "file", "r", "dir", 4, "open", "x", "r", dirs={"/": tree}) == [
        "4 keep 0", "dir 0", f"open {NOTDIR}",
    ]  # fmt: skip


def test_a_link_that_is_flipped_meanwhile_never_leads_out(probe, tree):
    """Another thread makes the path lead out and in, as fast as it can."""
    stop = threading.Event()
    inside, outside = tree / "sub", tree.parent / "other"

    def flip() -> None:
        k = 0
        while not stop.is_set():
            k += 1
            new = tree / f"new{k}"
            new.symlink_to("sub" if k % 2 else "../other")
            os.replace(new, tree / "flipping")

    (tree / "flipping").symlink_to("sub")
    assert (inside / "file").exists()
    assert (outside / "file").exists()
    thread = threading.Thread(target=flip)
    thread.start()
    try:
        lines = probe(
            "race", "flipping/file", "S", 20000, "race", "flipping/file", "i", 20000,
            dirs={"/": tree},
        )  # fmt: skip
    finally:
        stop.set()
        thread.join()
    assert lines[0] == "0 race 0"
    assert int(lines[1].split()[0]) > 0


def test_a_read_only_directory_is_not_changed(probe, tree):
    before = {p: p.lstat().st_mtime_ns for p in tree.rglob("*")}
    lines = probe(
        "write", "new", "x", "write", "file", "x", "open", "file", "w", "open", "file", "rt",
        "open", "new", "rc", "mkdir", "new", "rmdir", "sub/deep", "unlink", "file",
        "rename", "file", "new", "link", "file", "new", "symlink", "file", "new",
        "times", "file", 1, "ltimes", "file", 1, dirs={"/": chiasm.ReadOnly(tree)},
    )  # fmt: skip
    assert {number(line) for line in lines} == {ROFS}
    assert {p: p.lstat().st_mtime_ns for p in tree.rglob("*")} == before
    assert probe(
        "cat", "file", "open", "file", "rc", "open", "file", "rcx", "keep", "sub", "rd", "dir", 4,
        "cat", "file", "write", "file", "x", dirs={"/": chiasm.ReadOnly(tree)},
    ) == ["insidecat 0", "open 0", f"open {EXIST}", "4 keep 0", "dir 0", "in subcat 0",
          f"write {ROFS}"]  # fmt: skip


def test_without_directories_there_is_no_file(probe):
    assert probe("open", "file", "r", "prestat", 3) == ["open 8", "prestat 8"]


def test_files_are_made_changed_and_removed(probe, tree):
    lines = probe(
        "mkdir", "d", "write", "d/f", "hello", "cat", "d/f", "rename", "d/f", "d/g",
        "link", "d/g", "d/h", "symlink", "g", "d/s", "readlink", "d/s", "ls", "d", "rmdir", "d",
        "times", "d/g", 77, dirs={"/": tree},
    )  # fmt: skip
    assert lines[:7] == [
        "mkdir 0", "write 0", "hellocat 0", "rename 0", "link 0", "symlink 0", "g readlink 0",
    ]  # fmt: skip
    assert sorted(lines[7].split()) == sorted([".", "..", "g", "h", "s", "ls", "0"])
    assert lines[8:] == ["rmdir 55", "times 0"]
    assert (tree / "d" / "g").read_text() == "hello"
    assert (tree / "d" / "g").stat().st_mtime == 77


def test_a_large_directory_is_listed_whole(probe, tree):
    names = [f"file-{k:04}" for k in range(500)]
    (tree / "many").mkdir()
    for name in names:
        (tree / "many" / name).touch()
    (line,) = probe("ls", "many", dirs={"/": tree})
    assert sorted(line.split()) == sorted([*names, ".", "..", "ls", "0"])


# ------------------------------------------------------- without the kernel's help


@pytest.mark.slow
def test_the_walk_agrees_with_the_kernel(library: Path, tree: Path) -> None:
    paths = [
        *ESCAPES, "file", "sub/file", "good", "sub/back", "dirlink/file", "loop", "loop1/x", ".",
        "sub", "sub/", "file/", "sub/.", "sub/..", "sub/deep/..", "dangling", "none", "none/x",
        "file/x", "n" * 256, "dirlink", "dirlink/", "dirlink/back", "dirlink/../good", "good/x",
        "sub//file", ".//file", "", "a/" * 2100, "../" * 10, "sub/deep/../../dirlink/deep/../file",
    ]  # fmt: skip
    done = subprocess.run(
        [library / "beneath_agree", tree, *paths], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("0 differ\n"), done.stdout


@pytest.mark.slow
def test_the_walk_is_not_led_out_by_a_link_that_is_flipped(library: Path, tree: Path) -> None:
    done = subprocess.run(
        [library / "beneath_agree", "--race", tree], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
