"""Results overwrite the frame they come from: no word of it is read later."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def module(n: int) -> str:
    values = " ".join(f"(i64.const {k})" for k in range(n))
    return f"""(module
      (func $many (result {"i64 " * n}) {values})
      (func (export "run") (result i32)
        (call $many) {"(drop) " * n}
        (if (i32.const 0) (then (unreachable)))
        (if (i32.const 1) (then nop) (else unreachable))
        (i32.const 7)))"""


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 8, 100, 1000])
def test_a_call_of_many_results_returns_to_its_caller(n: int, command: str, tmp_path: Path) -> None:
    path = tmp_path / "m.wat"
    path.write_text(module(n))
    done = subprocess.run(
        [command, "run", "--invoke", "run", str(path)], capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, b"7\n")
