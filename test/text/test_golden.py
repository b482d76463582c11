"""Golden files: the command, its input and what it must print, in one file.

`;; run:` gives the command, in which % is the input: the file up to
`;; expect:`, under the file's own name.  What follows is its output and its
messages.  With UPDATE=1 in the environment the expectation is written anew.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
MARK = ";; expect:\n"


def golden_files() -> list[Path]:
    return sorted(p for p in HERE.glob("*.wa*") if p.read_text().startswith(";; run:"))


@pytest.mark.parametrize("golden", golden_files(), ids=lambda p: p.name)
def test_the_command_prints_what_the_file_expects(
    golden: Path, command: str, tmp_path: Path
) -> None:
    text, _, expected = golden.read_text().partition(MARK)
    (tmp_path / golden.name).write_text(text)
    line = text.splitlines()[0].removeprefix(";; run:").replace("%", golden.name)
    program, *args = shlex.split(line)
    assert program == "chiasm"
    done = subprocess.run(
        [command, *args],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=60,
    )
    if os.environ.get("UPDATE"):
        golden.write_text(text + MARK + done.stdout)
        return
    assert done.stdout == expected
