"""What the tests share: where things are, and what is missing here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_folder() -> Path:
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


@pytest.fixture(scope="session")
def command() -> str:
    found = find_command()
    assert found, "no chiasm command: run the tests by make test"
    return found


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = shared_folder()
    if not folder.is_dir():
        pytest.skip("the folder of shared programs is not here")
    return folder
