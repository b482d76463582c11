"""Checks (or, with --fix, makes) the format of all C files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "include", "python/ext", "fuzz", "test", "bench", "examples")


def main() -> int:
    files = sorted(str(p) for f in FOLDERS for p in (ROOT / f).rglob("*.[ch]"))
    mode = ["-i"] if "--fix" in sys.argv else ["--dry-run", "--Werror"]
    return subprocess.run(["clang-format", *mode, *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
