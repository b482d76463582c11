"""The official suite, one test a file: every assertion holds, none skipped."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from where import suite_folder

FOLDERS = (
    "",
    "custom",
    "legacy",
    "proposals/threads",
    "proposals/custom-page-sizes",
    "proposals/wide-arithmetic",
)


def scripts() -> list[Path]:
    suite = suite_folder()
    if suite is None:
        return []
    return [p for folder in FOLDERS for p in sorted((suite / folder).glob("**/*.wast" if folder in ("custom", "legacy") else "*.wast"))]


def name_of(script: Path) -> str:
    suite = suite_folder()
    assert suite is not None
    return str(script.relative_to(suite))


@pytest.mark.skipif(suite_folder() is None, reason="the official suite is not here: make testdata fetches it")
def test_the_suite_is_whole() -> None:
    suite = suite_folder()
    assert suite is not None
    assert len(list(suite.glob("*.wast"))) >= 257


@pytest.mark.parametrize("script", scripts(), ids=name_of)
def test_every_assertion_of_the_script_holds(script: Path, command: str) -> None:
    done = subprocess.run(
        [command, "wast", str(script)], capture_output=True, text=True, timeout=300
    )
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    assert last.endswith(" 0 failed") and done.returncode == 0, done.stderr[-4000:] + done.stdout
