"""What debuggers and profilers of the system learn of machine code: CHIASM_PERF, CHIASM_GDB."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOY = """(module $toy (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (func $inner (param $n i32) (result i32) (local $i i32) (local $s i32)
    (loop $l
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (local.get $i)))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $s))
  (func (export "a \\1b[31m name") nop)
  (func $outer (export "outer") (param $k i32) (result i32) (local $r i32)
    (call 2)
    (loop $l
      (local.set $r (i32.add (local.get $r) (call $inner (i32.const 100000))))
      (drop (call $yield))
      (br_if $l (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (local.get $r)))"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    path = tmp_path / "toy.wat"
    path.write_text(TOY)
    return path


def run_with(variable: str, command: str, toy: Path, turns: int = 2) -> str:
    """The map of perf that the run leaves, or ''."""
    child = subprocess.Popen(
        [command, "run", "--tier=baseline", "--invoke", "outer", str(toy), str(turns)],
        env=os.environ | {variable: "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    child.communicate()
    assert child.returncode == 0
    path = Path(f"/tmp/perf-{child.pid}.map")
    if not path.exists():
        return ""
    text = path.read_text()
    path.unlink()
    return text


def test_perf_learns_each_piece_of_code(command: str, toy: Path) -> None:
    text = run_with("CHIASM_PERF", command, toy)
    pieces = {}
    for line in text.splitlines():
        start, size, name = re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) (\S+)", line).groups()
        pieces[name] = range(int(start, 16), int(start, 16) + int(size, 16))
    assert {"toy.$outer", "toy.$inner", "toy.$a??[31m?name", "chiasm_entry"} <= set(pieces)
    ordered = sorted(pieces.values(), key=lambda r: r.start)
    assert all(a.stop <= b.start for a, b in itertools.pairwise(ordered))


def test_nothing_is_written_unasked(command: str, toy: Path) -> None:
    assert run_with("CHIASM_UNHEARD_OF", command, toy) == ""


def test_perf_names_guest_frames(command: str, toy: Path, tmp_path: Path) -> None:
    if not shutil.which("perf"):
        pytest.skip("no perf here")
    data = str(tmp_path / "perf.data")
    run = [command, "run", "--tier=baseline", "--invoke", "outer", str(toy), "2000"]
    done = subprocess.run(
        ["perf", "record", "-e", "cpu-clock:u", "-g", "-o", data, *run],
        env=os.environ | {"CHIASM_PERF": "1"}, stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("perf may not record here")
    script = subprocess.run(
        ["perf", "script", "-i", data, "-F", "ip,sym"], capture_output=True, text=True, check=True
    ).stdout
    stacks = [re.findall(r"[0-9a-f]+ (.+)", sample) for sample in script.split("\n\n")]
    assert ["toy.$inner", "toy.$outer", "chiasm_entry"] in [stack[:3] for stack in stacks]
    for path in Path("/tmp").glob("perf-*.map"):
        if "toy.$outer" in path.read_text(errors="replace"):
            path.unlink()


def test_gdb_walks_through_guest_frames(command: str, toy: Path) -> None:
    if not shutil.which("gdb"):
        pytest.skip("no gdb here")
    done = subprocess.run(
        [
            "gdb", "-q", "-batch", "-nx", "-ex", "set breakpoint pending on",
            "-ex", "break sched_yield", "-ex", "run", "-ex", "bt",
            "--args", command, "run", "--tier=baseline", "--invoke", "outer", str(toy), "2",
        ],
        env=os.environ | {"CHIASM_GDB": "1", "DEBUGINFOD_URLS": ""},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if "Breakpoint 1, " not in done.stdout:
        pytest.skip("gdb may not run programs here")
    names = re.findall(r"^#\d+ +(?:0x\w+ in )?(\S+) \(", done.stdout, re.MULTILINE)
    at = names.index("toy.$outer")
    assert names[at - 1 : at + 2] == ["chiasm_exit", "toy.$outer", "chiasm_entry"]
    assert "chi_call" in names and names[-1] in ("main", "_start")
