"""Fixtures of all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from where import find_command, shared_folder


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
