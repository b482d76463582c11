"""Pages that are made from tables are up to date, and say what the package says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_table_of_instructions_is_up_to_date() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "tool" / "ops.py"), "--check"], check=False)
    assert done.returncode == 0, "run python tool/ops.py"


def test_the_table_of_instructions_has_them_all() -> None:
    import chiasm

    rows = re.findall(
        r"^\| (\w\w)(?: (\d+))? \| `(.*)` \|", (ROOT / "doc/ops.md").read_text(), re.M
    )
    listed = {(text, tuple(filter(None, (code, number)))) for code, number, text in rows}
    known = {(op.name, (f"{op.code[0]:02x}", *map(str, op.code[1:]))) for op in chiasm.ops.values()}
    assert known <= listed
    assert {text for text, _ in listed} == set(chiasm.ops)
