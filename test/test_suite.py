"""The official suite, one test a file and way to run it: every assertion holds, none skipped.

tool/matrix.py runs it in all ways that there are.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from where import suite_folder, suite_scripts

NO_SUITE = "the official suite is not here: make testdata fetches it"
WAYS = {
    "interp": "CHIASM_TIER=interp",
    "baseline": "CHIASM_TIER=baseline",
    "checked": "CHIASM_TIER=baseline CHIASM_MEMORY=explicit CHIASM_FUEL=1 CHIASM_REGISTERS=4",
    "collecting": "CHIASM_TIER=baseline CHIASM_GC_STRESS=1",
}


def name_of(script: Path | None) -> str:
    if script is None:
        return "none"
    suite = suite_folder()
    assert suite is not None
    return str(script.relative_to(suite))


@pytest.mark.skipif(suite_folder() is None, reason=NO_SUITE)
def test_the_suite_is_whole() -> None:
    suite = suite_folder()
    assert suite is not None
    assert len(list(suite.glob("*.wast"))) >= 257


@pytest.mark.parametrize(
    "script",
    suite_scripts() or [pytest.param(None, marks=pytest.mark.skip(reason=NO_SUITE))],
    ids=name_of,
)
@pytest.mark.parametrize("way", WAYS)
def test_every_assertion_of_the_script_holds(script: Path, way: str, command: str) -> None:
    switches = dict(word.split("=") for word in WAYS[way].split())
    done = subprocess.run(
        [command, "wast", str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | switches,
    )
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    assert last.endswith(" 0 failed") and done.returncode == 0, done.stderr[-4000:] + done.stdout
