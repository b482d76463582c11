"""Builds the command with ASan and UBSan, and runs the suite under them.

The compiler is instrumented, the code that it makes is not.

sanitize.py build
sanitize.py test [TEST...]    as pytest names them; default: the suite, in all ways of test_suite.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "sanitize"


def build() -> int:
    if not (BUILD / "build.ninja").exists():
        setup = ["meson", "setup", str(BUILD), str(ROOT), "-Dpython=disabled"]
        setup += [
            "-Dbuildtype=debugoptimized",
            "-Db_sanitize=address,undefined",
            "-Db_lundef=false",
        ]
        done = subprocess.run(setup, check=False)
        if done.returncode:
            return done.returncode
    return subprocess.run(["ninja", "-C", str(BUILD), "--quiet"], check=False).returncode


def test(arguments: list[str]) -> int:
    environment = os.environ | {
        "CHIASM_COMMAND": str(BUILD / "chiasm"),
        "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }
    tests = arguments or ["test/test_suite.py", "test/wasi/test_wasi_suite.py"]
    command = [sys.executable, str(ROOT / "tool" / "test.py"), *tests]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


def main() -> int:
    if sys.argv[1:2] == ["build"]:
        return build()
    if sys.argv[1:2] == ["test"]:
        return test(sys.argv[2:])
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
