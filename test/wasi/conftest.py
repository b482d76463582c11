"""What the tests of WASI share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def program():
    chiasm = pytest.importorskip("chiasm")
    return chiasm.Module(HERE / "probe.wasm")


@pytest.fixture
def probe(program) -> Callable[..., list[str]]:
    """Run operations of probe.c; the lines that it writes."""
    import chiasm

    def run(*operations: object, **options: object) -> list[str]:
        done = chiasm.run(
            program, [str(o) for o in operations], capture_output=True, text=True, timeout=30,
            **options,
        )  # fmt: skip
        assert done.returncode == 0, done
        return done.stdout.splitlines()

    return run
