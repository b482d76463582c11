"""`python -m chiasm` is the command `chiasm`."""

from __future__ import annotations

import os
import shutil
import sys


def main() -> int:
    """Run the command in place of this process."""
    command = shutil.which("chiasm")
    if command is None or _is_this(command):
        print("chiasm: the command is not installed beside this package", file=sys.stderr)
        return 2
    os.execv(command, ["chiasm", *sys.argv[1:]])


def _is_this(command: str) -> bool:
    """Tell a script that only runs this package from the command itself."""
    with open(command, "rb") as file:
        return file.read(2) == b"#!"


if __name__ == "__main__":
    sys.exit(main())
