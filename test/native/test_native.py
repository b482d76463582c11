"""Machine code: the access verifier's programs, and scripts that both tiers agree on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = sorted(p.stem for p in HERE.glob("verify_*.c"))
SCRIPTS = sorted(p.name for p in HERE.glob("*.wast"))
WAYS = [
    "CHIASM_TIER=interp",
    *(f"CHIASM_TIER=baseline CHIASM_MEMORY={form}" for form in ("wide", "dense", "explicit")),
]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="no x86-64 to run it on")
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_claim_of_the_program_holds(name: str, library: Path) -> None:
    done = subprocess.run([str(library / name)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("way", WAYS)
def test_every_assertion_of_the_script_holds(name: str, way: str, command: str) -> None:
    done = subprocess.run(
        [command, "wast", str(HERE / name)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | dict(word.split("=") for word in way.split()),
    )
    assert done.returncode == 0, done.stderr + done.stdout
