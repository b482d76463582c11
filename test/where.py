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


def find_command() -> str | None:
    """The chiasm command under test: $CHIASM_COMMAND, or the one on PATH."""
    return os.environ.get("CHIASM_COMMAND") or shutil.which("chiasm")
