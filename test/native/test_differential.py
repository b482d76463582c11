"""Machine code and the interpreter agree: modules that differed once, random ones.

`fuzz/two_tiers.c` says what is compared, and in which configurations.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

AGREE = Path(__file__).parent / "agree"


@pytest.fixture(scope="module")
def program(library: Path) -> Path:
    path = library / "differential"
    if not path.exists():
        pytest.skip("there is no compiler for this processor")
    return path


def run(program: Path, *arguments: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(program), *map(str, arguments)], env=os.environ | environment,
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if done.stdout.startswith("left out: "):
        pytest.skip(done.stdout.removeprefix("left out: ").strip())
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(p.stem for p in AGREE.glob("*.wat")))
@pytest.mark.parametrize("cpu", ["fff", "0"])
def test_modules_that_differed_once_agree(program: Path, name: str, cpu: str) -> None:
    run(program, AGREE / f"{name}.wat", CHIASM_CPU=cpu)


@pytest.mark.slow
@pytest.mark.parametrize(("cpu", "first"), [("fff", 0), ("0", 1_000_000)])
def test_random_modules_agree(program: Path, cpu: str, first: int) -> None:
    assert run(program, "--random", str(first), "4000", CHIASM_CPU=cpu) == "4000 modules agree\n"
