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


DEEP = ("custom", "legacy")  # with folders of their own
NO_SUITE = "the official suite is not here: make testdata fetches it"


def scripts() -> list[Path]:
    suite = suite_folder()
    if suite is None:
        return []
    return [
        p
        for folder in FOLDERS
        for p in sorted(
            (suite / folder).rglob("*.wast") if folder in DEEP else (suite / folder).glob("*.wast")
        )
    ]


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
    scripts() or [pytest.param(None, marks=pytest.mark.skip(reason=NO_SUITE))],
    ids=name_of,
)
def test_every_assertion_of_the_script_holds(script: Path, command: str) -> None:
    done = subprocess.run(
        [command, "wast", str(script)], capture_output=True, text=True, timeout=300
    )
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    assert last.endswith(" 0 failed") and done.returncode == 0, done.stderr[-4000:] + done.stdout
