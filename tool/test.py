"""Runs the tests and says what was left out and why; ends with the counts.

`make test` and `make check` call it; options that it does not know go to
pytest.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
QUICK = ["-m", "not slow", "-x", "--deselect", "test/test_suite.py"]


class Count:
    """Counts outcomes as pytest reports them."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.skipped: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed += 1
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "?"
            self.skipped[reason.removeprefix("Skipped: ")] += 1
        elif report.when == "call":
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed += 1


def main() -> int:
    arguments = sys.argv[1:]
    options = ["-q", "--no-header", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    if "--quick" in arguments:
        arguments.remove("--quick")
        options += QUICK
    count = Count()
    status = pytest.main([*options, *(arguments or [str(ROOT / "test")])], plugins=[count])
    for reason, n in count.skipped.most_common():
        print(f"left out ({n}): {reason}")
    if status not in (0, 1) and count.failed == 0:
        count.failed = 1
    print(f"{count.passed} passed, {count.failed} failed")
    return int(count.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
