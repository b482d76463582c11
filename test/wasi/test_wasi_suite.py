"""The WASI test programs, by the command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from where import shared_folder

PROGRAMS = sorted((shared_folder() / "wasi").glob("*/*.wasm"))


def read_specification(program: Path) -> dict[str, object]:
    default = {"args": [], "root": None, "env": {}, "exit_code": 0}
    path = program.with_suffix(".json")
    return default | (json.loads(path.read_text()) if path.exists() else {})


@pytest.mark.skipif(not PROGRAMS, reason="the WASI test programs are not here")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_the_program_passes(command: str, program: Path, tmp_path: Path) -> None:
    spec = read_specification(program)
    options = []
    for name, value in spec["env"].items():
        options += ["--env", f"{name}={value}"]
    if spec["root"]:
        shutil.copytree(program.parent / spec["root"], tmp_path / "root")
        options += ["--dir", f"{tmp_path / 'root'}::/"]
    done = subprocess.run(
        [command, "run", *options, program, *spec["args"]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == spec["exit_code"], done.stderr.decode()
    assert done.stdout.decode() == spec.get("stdout", done.stdout.decode())
    assert done.stderr.decode() == spec.get("stderr", done.stderr.decode())
