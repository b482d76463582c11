"""Machine code as text: `chiasm objdump --native`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from where import ROOT

SHAPES = ROOT / "test" / "wasm" / "source" / "shapes_5.wasm"
KERNELS = sorted((ROOT / "bench" / "kernels" / "wasm").glob("*.wasm"))
TABLE = """(module (func $pick (export "p") (param i32) (result f64)
  (block $a (block $b (br_table $a $b (local.get 0))) (return (f64.const 1.5)))
  (f64.const 7.75)))"""

needs_objdump = pytest.mark.skipif(not shutil.which("objdump"), reason="no objdump here")


def listing(command: str, *arguments: str | Path, path: str | None = None, text: str = "") -> str:
    environment = os.environ | ({} if path is None else {"PATH": path})
    done = subprocess.run(
        [command, "objdump", "--native", *map(str, arguments)],
        input=text, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


def code_bytes(text: str) -> bytes:
    rows = re.findall(r"^ {7,}([0-9a-f]+)((?:  ?[0-9a-f]{2})+)", text, re.MULTILINE)
    code = bytearray()
    for at, row in rows:
        assert int(at, 16) == len(code)
        code += bytes.fromhex(row)
    return bytes(code)


def wat_lines(text: str) -> list[str]:
    found = re.findall(r"^ ([0-9a-f]{6}  .*)$", text, re.MULTILINE)
    return [line for line in found if not line.endswith("; out of line")]


@needs_objdump
def test_wat_and_source_lines_stand_between(command: str) -> None:
    text = listing(command, "--func", "share", SHAPES)
    assert re.search(r"; /src/shapes.c:9\n(.*\n)+ \w+  i32.div_s\n(.*\n)+?.*\bidiv\b", text)
    assert text.startswith('func 2 "share" (param i32 i32) (result i32)  ; 28 bytes, ')


@pytest.mark.parametrize("path", [None, "/nothing"])
def test_each_byte_and_each_instruction_is_there_once(command: str, path: str | None) -> None:
    text = listing(command, SHAPES, path=path)
    sizes = re.findall(r"; \d+ bytes, (\d+) of machine code", text)
    assert len(sizes) == 3
    assert len(code_bytes(text)) == sum(map(int, sizes))
    plain = subprocess.run(
        [command, "objdump", str(SHAPES)], check=True, capture_output=True, text=True
    ).stdout
    offsets = re.findall(r"^ ([0-9a-f]{6})  [0-9a-f]{2}", plain, re.MULTILINE)
    assert [line[:6] for line in wat_lines(text)] == offsets


def test_without_a_disassembler_bytes_are_shown_and_a_remark(command: str) -> None:
    text = listing(command, SHAPES, path="/nothing")
    assert text.splitlines()[0] == "; bytes only: objdump, of the binutils, is not here"
    assert text.count("bytes only") == 1


@needs_objdump
def test_tables_and_constants_are_data(command: str) -> None:
    text = listing(command, "--func", "0", "-", text=TABLE)
    data = [line for line in text.splitlines() if line.endswith("  (data)")]
    assert "00 00 00 00 00 00 f8 3f" in data[-2] and "00 00 00 00 00 00 1f 40" in data[-1]
    assert len(data[0].split()) == 6  # the table has one entry
    assert "(bad)" not in text


@needs_objdump
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda p: p.stem)
def test_real_code_is_disassembled_whole(command: str, kernel: Path) -> None:
    text = listing(command, kernel)
    assert "(bad)" not in text
    assert len(code_bytes(text)) == sum(
        map(int, re.findall(r"; \d+ bytes, (\d+) of machine code", text))
    )


def test_a_name_that_is_not_there_is_an_error(command: str) -> None:
    done = subprocess.run(
        [command, "objdump", "--native", "--func=sharp", str(SHAPES)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith('error: no function "sharp" is defined\n')


def test_func_goes_with_native(command: str) -> None:
    done = subprocess.run(
        [command, "objdump", "--func=0", str(SHAPES)], capture_output=True, text=True
    )
    assert done.returncode == 2 and "--func goes with --native" in done.stderr
