"""Places in the source: what `Module.functions`, traps and tracebacks tell of them."""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path

import pytest

import chiasm

SOURCE = Path(__file__).resolve().parents[1] / "wasm" / "source"


@pytest.fixture(params=["shapes_2", "shapes_4", "shapes_5"])
def shapes(request):
    return chiasm.Module(SOURCE / f"{request.param}.wasm")


def with_source_named(name: str) -> bytes:
    """The C program, its file called otherwise: a name as long as shapes.c."""
    assert len(name) == len("shapes.c")
    return (SOURCE / "shapes_4.wasm").read_bytes().replace(b"shapes.c", name.encode())


@pytest.fixture(params=["interp", "baseline"], autouse=True)
def tier(request, monkeypatch):
    """Whoever runs the code, it tells the same."""
    monkeypatch.setenv("CHIASM_TIER", request.param)
    return request.param


def trap_of(source, tier="auto"):
    inst = chiasm.instantiate(source, tier=tier)
    with pytest.raises(chiasm.Trap, match="divide by zero") as caught:
        inst.exports.mean(0)
    return caught.value


def test_functions_have_a_location(shapes):
    assert {f.name: f.location for f in shapes.functions} == {
        "mean": "/src/shapes.c:13",
        "rectangle": "/src/./shape/area.h:4",
        "share": "/src/shapes.c:8",
    }


def test_frames_of_a_trap_have_file_and_line(shapes):
    frames = trap_of(shapes).frames
    assert [(f.function, f.file, f.line) for f in frames] == [
        ("$share", "/src/shapes.c", 9),
        ("$mean", "/src/shapes.c", 20),
    ]
    assert all(f.offset > 100 for f in frames)


def test_the_traceback_of_a_trap_names_the_lines(shapes):
    summary = traceback.extract_tb(trap_of(shapes).__traceback__)[1:]
    assert [(f.filename, f.lineno, f.name) for f in summary] == [
        ("/src/shapes.c", 20, "$mean"),
        ("/src/shapes.c", 9, "$share"),
    ]


def test_a_program_in_rust_has_its_lines(shapes):
    inst = chiasm.instantiate(SOURCE / "checked.wasm")
    assert inst.exports.digit(7) == 7
    with pytest.raises(chiasm.Trap, match="unreachable") as caught:
        inst.exports.digit(10)
    summary = traceback.extract_tb(caught.value.__traceback__)
    assert [(f.filename, f.lineno) for f in summary if f.filename.startswith("/src/")] == [
        ("/src/checked.rs", 17),
        ("/src/checked.rs", 11),
    ]


def test_without_a_line_table_the_offset_is_the_line():
    trap = trap_of(chiasm.Module(SOURCE / "shapes_4.wasm").strip(names=True))
    summary = traceback.extract_tb(trap.__traceback__)[1:]
    assert [f.lineno for f in summary] == [f.offset for f in reversed(trap.frames)]
    assert [f.filename for f in summary] == ["<wasm shapes_4>"] * 2
    assert [(f.file, f.line) for f in trap.frames] == [(None, None)] * 2


def test_the_line_is_shown_where_the_source_is_here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "shapes.c").write_text((SOURCE / "shapes.c").read_text())
    monkeypatch.syspath_prepend(folder)
    trap = trap_of(with_source_named("shapes.c").replace(b"/src\0", b"here\0"))
    monkeypatch.chdir(tmp_path)
    linecache.clearcache()
    text = "".join(traceback.format_exception(trap))
    assert 'File "here/shapes.c", line 9, in $share\n    return sum / n;\n' in text


@pytest.mark.parametrize("name", ["shapes.y", "secret_k", "conf.env", "set.py__", "appli.py"])
def test_a_module_cannot_show_files_of_other_kinds(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("a secret\n" * 30)
    trap = trap_of(with_source_named(name).replace(b"/src\0", b".\0\0\0\0"))
    linecache.clearcache()
    text = "".join(traceback.format_exception(trap))
    assert f'File "<wasm ./{name}>", line 9, in $share' in text
    assert "a secret" not in text
    assert trap.frames[0].file == f"./{name}"
