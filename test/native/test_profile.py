"""`chiasm run --profile`: where guest code spends its time, in speedscope's format."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from where import ROOT

SPIN = """(func $spin (param $n i32) (result i32) (local $s i32)
    (loop $l
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (local.get $n)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))"""
TREE = f"""(module $tree (memory 16)
  {SPIN}
  (func $left (param i32) (result i32) (call $spin (i32.mul (local.get 0) (i32.const 3))))
  (func $right (param i32) (result i32)
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000000))
    (call $spin (local.get 0)))
  (func (export "run") (param i32) (result i32)
    (i32.add (call $left (local.get 0)) (call $right (local.get 0)))))"""
DEEP = f"""(module $deep
  {SPIN}
  (func $down (export "run") (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (call $down (i32.sub (local.get $n) (i32.const 1))))
      (else (call $spin (i32.const 100000000))))))"""
TRAP = f"""(module $trap {SPIN}
  (func (export "run") (param i32) (drop (call $spin (local.get 0))) unreachable))"""
TURNS = "100000000"


def profile(
    command: str, folder: Path, wat: str, argument: str = TURNS, status: int = 0
) -> tuple[dict[str, Any], str]:
    (folder / "program.wat").write_text(wat)
    done = subprocess.run(
        [command, "run", "--tier=baseline", "--profile=out.json", "--invoke", "run",
         "program.wat", argument],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return json.loads((folder / "out.json").read_text()), done.stderr


def stacks(data: dict[str, Any]) -> Counter[tuple[str, ...]]:
    """Microseconds by stack, outermost first."""
    names = [frame["name"] for frame in data["shared"]["frames"]]
    (one,) = data["profiles"]
    result: Counter[tuple[str, ...]] = Counter()
    for sample, weight in zip(one["samples"], one["weights"], strict=True):
        result[tuple(names[k] for k in sample)] += weight
    return result


def test_time_goes_to_the_functions_that_spend_it(command: str, tmp_path: Path) -> None:
    data, said = profile(command, tmp_path, TREE)
    found = stacks(data)
    left = found["tree.$run", "tree.$left", "tree.$spin"]
    right = found["tree.$run", "tree.$right", "tree.$spin"]
    assert 1.5 < left / right < 6
    assert left + right > 0.8 * sum(found.values())
    assert said.endswith("samples in out.json, for speedscope.app\n")


def test_the_file_is_as_speedscope_wants_it(command: str, tmp_path: Path) -> None:
    data, _ = profile(command, tmp_path, TREE)
    (one,) = data["profiles"]
    assert data["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert one["type"] == "sampled" and one["unit"] == "microseconds"
    assert one["startValue"] == 0 and one["endValue"] == sum(one["weights"])
    assert len(one["samples"]) == len(one["weights"])
    names = [frame["name"] for frame in data["shared"]["frames"]]
    assert len(set(names)) == len(names)


def test_functions_have_their_place_in_the_source(command: str, tmp_path: Path) -> None:
    shapes = ROOT / "test" / "wasm" / "source" / "shapes_5.wasm"
    done = subprocess.run(
        [command, "run", "--tier=baseline", "--profile=out.json", "--invoke", "mean",
         str(shapes), "300000000"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    frames = json.loads((tmp_path / "out.json").read_text())["shared"]["frames"]
    mean = next(frame for frame in frames if frame["name"].endswith("$mean"))
    assert (mean["file"], mean["line"]) == ("/src/shapes.c", 13)


@pytest.mark.parametrize("depth", [1, 100, 2000])
def test_deep_stacks_keep_their_innermost_functions(
    command: str, tmp_path: Path, depth: int
) -> None:
    data, _ = profile(command, tmp_path, DEEP, str(depth))
    most, _ = stacks(data).most_common(1)[0]
    assert most[-1] == "deep.$spin"
    assert most.count("deep.$down") == min(depth + 1, 511)


def test_a_program_that_traps_has_a_profile(command: str, tmp_path: Path) -> None:
    data, said = profile(command, tmp_path, TRAP, status=134)
    assert "unreachable" in said
    assert ("trap.$run", "trap.$spin") in stacks(data)


def test_what_the_interpreter_runs_is_refused(command: str, tmp_path: Path) -> None:
    (tmp_path / "program.wat").write_text(TRAP)
    done = subprocess.run(
        [command, "run", "--tier=interp", "--profile", "--invoke", "run", "program.wat", "1"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--profile: the interpreter is not profiled" in done.stderr
    assert not (tmp_path / "profile.json").exists()
