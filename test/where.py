"""Where things are that tests need, and whether they are here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shared_folder() -> Path:
    """Suites, programs and benchmarks beside the project."""
    return Path(os.environ.get("CHIASM_SHARED", ROOT.parent / "shared"))


def suite_folder() -> Path | None:
    """The official suite: beside the project, or fetched by make testdata."""
    for folder in (shared_folder() / "spec", ROOT / ".testdata" / "testsuite"):
        if (folder / "i32.wast").is_file():
            return folder
    return None


FOLDERS = (
    "",
    "custom",
    "legacy",
    "proposals/threads",
    "proposals/custom-page-sizes",
    "proposals/wide-arithmetic",
)
DEEP = ("custom", "legacy")  # with folders of their own


def suite_scripts() -> list[Path]:
    """The scripts of the official suite that must hold; none if it is not here."""
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


def find_command() -> str | None:
    """The chiasm command under test: $CHIASM_COMMAND, or the one on PATH."""
    return os.environ.get("CHIASM_COMMAND") or shutil.which("chiasm")
