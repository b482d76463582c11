"""What the Python tests share."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CHIASM_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of programs that nobody here wrote."""
    folder = SHARED / "programs"
    if not folder.is_dir():
        pytest.skip(f"no programs: {folder} is missing (set CHIASM_SHARED)")
    return folder


@pytest.fixture
def address_space() -> None:
    """Large memories, and growth under a view, need room to be reserved."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < 16 << 30:
        pytest.skip("small address space")


@pytest.fixture
def plain_build() -> None:
    """What is measured, or crashes on purpose, differs under a sanitizer."""
    if "asan" in os.environ.get("LD_PRELOAD", "") or "tsan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("under a sanitizer")


@pytest.fixture(scope="session")
def in_process():
    """Run code in a Python process of its own; its output, once it has ended well."""

    def run(
        code: str,
        *arguments: str,
        timeout: float = 60,
        status: int = 0,
        options: tuple[str, ...] = (),
    ) -> str:
        done = subprocess.run(
            [sys.executable, *options, "-c", textwrap.dedent(code), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    return run
