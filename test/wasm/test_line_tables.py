"""Line tables (DWARF) say what llvm-symbolizer says, and broken ones say little.

The modules in source/ are made by build.sh there; beside each stands what llvm-symbolizer 19 says
of every byte of its code section.  UPDATE=1 in the environment writes that anew.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "source"
MODULES = sorted(SOURCE.glob("*.wasm"))
NOTHING = "??:0:0"


def code_size(module: bytes) -> int:
    at = 8
    while at < len(module):
        kind, at, size, shift = module[at], at + 1, 0, 0
        while True:
            size |= (module[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if module[at - 1] < 0x80:
                break
        if kind == 10:
            return size
        at += size
    return 0


def symbolize(module: Path) -> str:
    """Ask LLVM about each byte; a line where the answer changes."""
    size = code_size(module.read_bytes())
    done = subprocess.run(
        ["llvm-symbolizer-19", f"--obj={module}", "--no-inlines", "-f=none"],
        input="".join(f"{at:#x}\n" for at in range(size)),
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines, last = [], None
    for at, text in enumerate(done.stdout.split("\n\n")[:size]):
        place = text.strip()
        if place != last:
            lines.append(f"{at:#x} {place}\n")
        last = place
    return "".join(lines)


def read(text: str) -> dict[int, str]:
    return {int(at, 16): place for at, place in (line.split(" ", 1) for line in text.splitlines())}


def without_line_0(places: dict[int, str]) -> dict[int, str]:
    """The line before holds where LLVM says 0: what no line is told of belongs to it."""
    result: dict[int, str] = {}
    last = None
    for at, place in places.items():
        if place != NOTHING and place.rsplit(":", 2)[1] == "0":
            place = last or NOTHING
        if place != last:
            result[at] = place
        last = place
    return result


@pytest.mark.parametrize("module", MODULES, ids=lambda p: p.name)
def test_every_byte_of_code_has_the_place_that_llvm_gives_it(module: Path, library: Path) -> None:
    golden = module.with_suffix(".lines")
    if os.environ.get("UPDATE"):
        golden.write_text(symbolize(module))
    done = subprocess.run(
        [str(library / "source_lines"), str(module)], check=True, capture_output=True, text=True
    )
    assert read(done.stdout) == without_line_0(read(golden.read_text()))


def test_mutated_tables_say_something_else_or_nothing(library: Path) -> None:
    subprocess.run(
        [str(library / "source_lines"), "--mutate", "300", *map(str, MODULES)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip


def test_objdump_shows_places_as_comments(command: str) -> None:
    done = subprocess.run(
        [command, "objdump", str(SOURCE / "shapes_5.wasm")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    comments = [line.strip() for line in done.stdout.splitlines() if line.startswith("        ; ")]
    assert comments[:3] == [
        "; /src/shapes.c:13", "; /src/shapes.c:15", "; /src/./shape/area.h:2"
    ]  # fmt: skip


def test_a_trap_of_the_command_names_lines(command: str) -> None:
    done = subprocess.run(
        [command, "run", "--invoke", "mean", str(SOURCE / "shapes_4.wasm"), "0"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 134
    lines = done.stderr.splitlines()
    assert lines[0].endswith("trap: integer divide by zero")
    assert lines[1].endswith("in $share, /src/shapes.c:9")
    assert lines[2].endswith("in $mean, /src/shapes.c:20")


# ------------------------------------------------------------ tables made to hurt

CODE = 20_000  # instructions in the function that they speak of


def leb(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + leb(len(content)) + content


def custom(name: str, content: bytes) -> bytes:
    return section(0, leb(len(name)) + name.encode() + content)


def module(**sections: bytes) -> bytes:
    body = b"\x00" + b"\x01" * CODE + b"\x0b"
    return (
        b"\0asm\1\0\0\0"
        + section(1, b"\1\x60\0\0")
        + section(3, b"\1\0")
        + section(10, b"\1" + leb(len(body)) + body)
        + b"".join(custom("." + name, data) for name, data in sections.items())
    )


def line_unit(program: bytes, tables: bytes = b"\0a.c\0\0\0\0\0") -> bytes:
    lengths = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])
    head = bytes([1, 1, 0xFB, 14, 13]) + lengths + tables
    rest = (4).to_bytes(2, "little") + len(b"\1" + head).to_bytes(4, "little") + b"\1" + head
    return (len(rest) + len(program)).to_bytes(4, "little") + rest + program


START = b"\0\5\2" + (8).to_bytes(4, "little") + b"\1"
END = b"\0\1\1"


def bombs() -> dict[str, bytes]:
    forms = bytes([0, 0, 5]) + (4).to_bytes(2, "little")
    unit_5 = b"\5\0\4\0" + (4).to_bytes(4, "little")
    info = b"\x0b\0\0\0" + b"\4\0" + bytes(4) + b"\4" + b"\x63" + bytes(3)
    abbrev = b"".join(bytes([k, 0x11, 0]) + b"\3\x0b" * 60 + b"\0\0" for k in range(1, 100))
    return {
        "a row, then no other": module(
            debug_line=line_unit(START + b"\3\1" * 2_000_000 + b"\2\xff\xff\x7f" + END)
        ),
        "rows of line 0": module(
            debug_line=line_unit(START + b"\3\x7f\1" * 1_000_000 + b"\2\xff\xff\x7f" + END)
        ),
        "tiny sequences": module(
            debug_line=line_unit((b"\2\10\1\2\1" + END) * 500_000)
        ),
        "addresses that fall": module(
            debug_line=line_unit((START + b"\2\x7f\1") * 300_000 + END)
        ),
        "addresses past 32 bits": module(
            debug_line=line_unit(
                START + b"\0\x09\2" + bytes([0, 0, 0, 0, 1, 0, 0, 0]) + b"\3\1" * 2_000_000 + END
            )
        ),
        "empty units": module(debug_line=line_unit(b"") * 40_000),
        "files": module(
            debug_line=line_unit(START + b"\2\x7f" + END, b"\0" + b"a\0\0\0\0" * 500_000 + b"\0")
        ),
        "entries of nothing": module(
            debug_line=(len(unit_5 + forms) + 9).to_bytes(4, "little")
            + unit_5 + bytes([1, 1, 1, 0xFB, 14, 1]) + b"\0" + leb(2**32 - 1) + forms
        ),
        "units of one long abbreviation table": module(
            debug_line=line_unit(START + b"\2\x7f" + END),
            debug_info=info * 200_000, debug_abbrev=abbrev,
        ),
        "an unending string": module(
            debug_line=line_unit(START + b"\2\x7f" + END, b"\0" + b"a" * 2_000_000),
            debug_str=b"a" * 2_000_000,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", bombs())
def test_a_table_cannot_take_long(name: str, command: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.wasm"
    path.write_bytes(bombs()[name])
    subprocess.run([command, "objdump", str(path)], check=True, capture_output=True, timeout=20)


def test_a_path_has_no_control_characters_and_an_end(command: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.wasm"
    name = b"/\x1b[31m\x9b\xff/" + "é".encode() * 100 + b".c"
    path.write_bytes(
        module(debug_line=line_unit(START + b"\2\x7f" + END, b"\0" + name + b"\0\0\0\0\0"))
    )
    done = subprocess.run([command, "objdump", str(path)], check=True, capture_output=True)
    line = next(x for x in done.stdout.decode().splitlines() if x.startswith("        ; "))
    assert line == "        ; /?[31m??/" + "é" * 100 + ".c:1"


def test_of_a_long_path_the_end_is_kept(command: str, tmp_path: Path) -> None:
    path = tmp_path / "long.wasm"
    tables = b"/" + b"d" * 600 + b"\0\0" + b"file.c\0\1\0\0\0"
    path.write_bytes(module(debug_line=line_unit(START + b"\2\x7f" + END, tables)))
    done = subprocess.run([command, "objdump", str(path)], check=True, capture_output=True)
    line = next(x for x in done.stdout.decode().splitlines() if x.startswith("        ; "))
    assert line == "        ; ..." + "d" * (511 - 3 - len("/file.c")) + "/file.c:1"
