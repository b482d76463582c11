"""Fixtures of all tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from where import ROOT, find_command, shared_folder

# What the access verifier refuses is a bug, though a harmless one.
os.environ.setdefault("CHIASM_VERIFY", "abort")


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


@pytest.fixture(scope="session")
def library() -> Path:
    """A build of the library, installed in its usr/; kept for the next run."""
    folder = ROOT / "build" / "library"
    if not (folder / "build.ninja").exists():
        subprocess.run(
            ["meson", "setup", str(folder), str(ROOT), f"--prefix={folder}/usr", "-Dlibdir=lib",
             "-Dpython=disabled", "-Dbuildtype=release", "-Db_ndebug=true"],
            check=True, capture_output=True,
        )  # fmt: skip
    subprocess.run(
        ["ninja", "-C", str(folder), "--quiet", "install"], check=True, capture_output=True
    )
    return folder
