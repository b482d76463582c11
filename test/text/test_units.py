"""Units of src/text in C, and: every module comes back from its text."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from where import ROOT, shared_folder, suite_folder


@pytest.mark.parametrize("program", ["test_number", "test_script"])
def test_the_unit_tests_pass(program: str, library: Path) -> None:
    done = subprocess.run([str(library / program)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def come_back(library: Path, files: list[Path]) -> str:
    command = [str(library / "round_trip"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-4000:]
    return done.stdout


def test_the_modules_of_the_project_come_back(library: Path) -> None:
    files = sorted((ROOT / "bench").rglob("*.wasm")) + sorted((ROOT / "examples").rglob("*.wasm"))
    assert len(files) >= 22
    print(come_back(library, files))


@pytest.mark.skipif(suite_folder() is None, reason="the official suite is not here")
def test_the_modules_of_the_suite_come_back(library: Path) -> None:
    suite = suite_folder()
    assert suite is not None
    scripts = [p for p in sorted(suite.rglob("*.wast")) if "custom-descriptors" not in str(p)]
    print(come_back(library, [p for p in scripts if "proposals/threads" not in str(p)]))


def test_modules_that_nobody_here_wrote_come_back(library: Path) -> None:
    folder = shared_folder()
    if not folder.is_dir():
        pytest.skip("the folder of shared programs is not here")
    files = sorted((folder / "programs").rglob("*.wasm")) + sorted(folder.glob("bench/**/*.wasm"))
    print(come_back(library, files))
