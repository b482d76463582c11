"""Runs the official suite in every way that a store can run its code.

A cell is a tier, a form of memories, whether machine code may leave bounds to
signals, whether fuel is counted, how many registers operands may be in (the
interpreter has none), and whether the heap is collected at each allocation.
One line for each cell: all its assertions must hold, and be as many as in
every other cell.  Options select cells: `matrix.py tier=baseline gc=1`.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))

from where import find_command, suite_scripts  # noqa: E402

# By name: the environment's switch (see src/api/store.c) and its values.
WAYS = {
    "tier": ("CHIASM_TIER", ("interp", "baseline")),
    "memory": ("CHIASM_MEMORY", ("wide", "dense", "explicit")),
    "signals": ("CHIASM_SIGNALS", ("1", "0")),
    "fuel": ("CHIASM_FUEL", ("0", "1")),
    "registers": ("CHIASM_REGISTERS", ("all", "4")),
    "gc": ("CHIASM_GC_STRESS", ("0", "1")),
}
TIMEOUT_S = 600
Cell = dict[str, str]


def cells(only: Cell) -> list[Cell]:
    """All cells that agree with `only`."""
    found = []
    for values in itertools.product(*(values for _, values in WAYS.values())):
        cell = dict(zip(WAYS, values, strict=True))
        applies = cell["tier"] != "interp" or cell["registers"] == "all"
        if applies and cell | only == cell:
            found.append(cell)
    return found


def environment(cell: Cell) -> dict[str, str]:
    switches = {WAYS[name][0]: value for name, value in cell.items()}
    return os.environ | switches | {"CHIASM_VERIFY": "abort"}


def run(command: str, scripts: list[Path], cell: Cell) -> tuple[int, str, list[str]]:
    """How many assertions held, what the cell's line says, and what failed."""
    line = ["nice", "-n", "5", command, "wast", *map(str, scripts)]
    try:
        done = subprocess.run(
            line, env=environment(cell), capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return 0, f"took more than {TIMEOUT_S} s", []
    last = done.stdout.splitlines()[-1:] or [""]
    count, _, failed = last[0].partition(" passed, ")
    if done.returncode == 0 and failed == "0 failed":
        return int(count), last[0], []
    if done.returncode < 0:
        return 0, f"died of signal {-done.returncode}", done.stderr.splitlines()[-5:]
    return 0, last[0], done.stderr.splitlines()[:20]


def parse_options(words: list[str]) -> Cell:
    only = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in WAYS or value not in WAYS[name][1]:
            ways = "\n".join(f"  {name}={'|'.join(values)}" for name, (_, values) in WAYS.items())
            sys.exit(f"{__doc__}\n{ways}")
        only[name] = value
    return only


def main() -> int:
    all_cells = cells(parse_options(sys.argv[1:]))
    command, scripts = find_command(), suite_scripts()
    if not command or not scripts:
        print("no chiasm command" if not command else "no suite: make testdata fetches it")
        print("0 passed, 1 failed")
        return 1
    passed, expected = 0, 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda cell: run(command, scripts, cell), all_cells)
        for cell, (count, line, failures) in zip(all_cells, results, strict=True):
            expected = expected or count
            right = count > 0 and count == expected
            passed += right
            name = " ".join(f"{name}={value}" for name, value in cell.items())
            print(f"{name}: {line if right or failures else line + ', unlike the first'}")
            for failure in failures:
                print(f"    {failure}")
            sys.stdout.flush()
    print(f"{passed} passed, {len(all_cells) - passed} failed")
    return int(passed < len(all_cells))


if __name__ == "__main__":
    sys.exit(main())
