"""Compare the cost of crossing between Python and WebAssembly with yardsticks, in one run.

The yardsticks are a C extension that makes the same checks and has no WebAssembly behind it, plain
Python (``def``, ``bytearray``), and pywasm3.  Each engine is one process; rounds are interleaved
over the engines row by row, and the best counts.

A gate is a time on the machine of reference.  It is scaled by what the row's yardstick reads here
against what it read there; rows without a yardstick of their own are scaled by the geometric mean
over the rows of the C extension.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from common import (
    BENCH,
    BUILD,
    comma_list,
    environment,
    exit_reason,
    format_number,
    geometric_mean,
    machine,
    markdown_table,
    pin,
    say,
)

ENGINES = ("c", "python", "wasm3", "interp", "baseline")
HEADS = {"c": "C ext", "python": "Python", "wasm3": "pywasm3"}
PACKAGES = {"wasm3": "wasm3", "interp": "chiasm", "baseline": "chiasm"}

# Chiasm's tiers, best first: of those that run, the first one is judged.
TIERS = ("baseline", "interp")
TIMEOUT_S = 60
UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `gate` must be reached and `goal` is what "clearly ahead" takes, both in `unit` on the machine
    of reference, where `yardstick` read `reference`.  Without a reference they are multiples of
    the yardstick; without a yardstick they are scaled by the machine's factor.
    """

    key: str
    text: str
    unit: str = "ns"
    gate: float | None = None
    goal: float | None = None
    yardstick: str | None = None
    reference: float | None = None


# fmt: off
ROWS = (
    Row("nop", "call nop()", goal=25, yardstick="c", reference=10.9),
    Row("add", "call add(1, 2), i32", gate=40, goal=40, yardstick="c", reference=21.0),
    Row("exports_add", "by instance.exports.add", gate=55, goal=55, yardstick="c", reference=21.0),
    Row("add_i64", "call add(2**40, 2), i64", goal=60, yardstick="c", reference=36.8),
    Row("add_f64", "call add(1.5, 2.5), f64", goal=45, yardstick="c", reference=27.8),
    Row("add6", "call with six i32", goal=65, yardstick="c", reference=41.3),
    Row("callback", "callback to Python, each", gate=70, goal=70, yardstick="c", reference=42.0),
    Row("importtime", "import, by -X importtime", "ms", gate=1, goal=1),
    Row("import", "import, process minus pass", "ms", gate=1, goal=1),
    Row("compile_instantiate", "compile and instantiate 41 bytes", "us", gate=30, goal=30),
    Row("compile_all", "850 bytes, 15 functions, each called", "us", gate=300, goal=300),
    Row("instantiate", "instantiate what is compiled", "us", gate=3, goal=1.5),
    Row("copy_out", "copy 1 MB out", "us", gate=1.1, goal=1.0, yardstick="python"),
    Row("copy_in", "copy 1 MB in", "us", gate=1.1, goal=1.0, yardstick="python"),
    Row("numpy_view", "make a NumPy view", gate=1.1, goal=1.0, yardstick="python"),
    Row("read_i32", "read one i32", goal=1.0, yardstick="python"),
    Row("grow_1", "memory.grow(1)", "us", gate=2, goal=1.5),
    Row("grow_1000", "memory.grow(1000)", "us", gate=2, goal=3),
    Row("spin", "loop of a million turns", "ms", goal=1.0, yardstick="c"),
)
# fmt: on

# The rows of the C extension by which the machine's speed is judged.
FACTOR_ROWS = ("nop", "add", "add_i64", "add_f64", "add6", "callback")


@dataclass
class Results:
    """Times in ns by row and engine, and what went wrong."""

    ns: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, row: str, engine: str, ns: float) -> None:
        self.ns.setdefault(row, {}).setdefault(engine, []).append(ns)

    def best(self, row: str, engine: str | None) -> float | None:
        """Return the least time in ns, None if there is none."""
        times = self.ns.get(row, {}).get(engine or "")
        return min(times) if times else None

    def factor(self) -> float:
        """Return how much slower than the machine of reference this one is."""
        references = {row.key: row.reference for row in ROWS}
        ratios = []
        for key in FACTOR_ROWS:
            ns, reference = self.best(key, "c"), references[key]
            if ns and reference:
                ratios.append(ns / reference)
        return geometric_mean(ratios) if ratios else 1.0

    def scaled(self, row: Row, target: float | None) -> float | None:
        """Return a gate or goal in ns on this machine."""
        if target is None:
            return None
        if row.yardstick is None:
            return target * UNITS[row.unit] * self.factor()
        ns = self.best(row.key, row.yardstick)
        return None if ns is None else target * ns / (row.reference or 1.0)


class Worker:
    """A process of ``call_worker.py``, started anew if it dies."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.missing: str | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(BENCH / "call_worker.py"), self.engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            text=True,
        )
        first = self.read()
        self.missing = first.get("missing") or first.get("error")

    def read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        return {"error": exit_reason(self.process.wait())}

    def ask(self, row: str) -> dict[str, Any]:
        """Return the worker's answer for a row; one that hangs is killed."""
        assert self.process.stdin
        alarm = threading.Timer(TIMEOUT_S, self.process.kill)
        alarm.start()
        self.process.stdin.write(row + "\n")
        self.process.stdin.flush()
        answer = self.read()
        alarm.cancel()
        if self.process.poll() is not None:
            self.start()
        return answer

    def stop(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def build_yardstick() -> str | None:
    """Compile ``yardstick.c``; return why it cannot be, or None."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return "no cc in PATH"
    target = BUILD / f"yardstick{sysconfig.get_config_var('EXT_SUFFIX')}"
    source = BENCH / "yardstick.c"
    if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return None
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-O2", "-fPIC", "-shared", f"-I{sysconfig.get_path('include')}"]
    if sys.platform == "darwin":
        command += ["-undefined", "dynamic_lookup"]
    done = subprocess.run(
        [*command, str(source), "-o", str(target)], capture_output=True, text=True
    )
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[0]


def process_ns(*arguments: str) -> tuple[float, str]:
    """Return the CPU time of a fresh Python process in ns, and what it wrote to stderr."""
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    text = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(text.strip().splitlines()[-1])
    return (usage.ru_utime + usage.ru_stime) * 1e9, text


def importtime_ns(text: str, package: str) -> float:
    """Return the cumulative time of a package in the report of -X importtime."""
    for line in text.splitlines():
        fields = line.split("|")
        if fields[-1].strip() == package:
            return float(fields[1]) * 1e3
    raise RuntimeError(f"{package} is not in the report")


def measure_imports(results: Results, engines: list[str], processes: int) -> None:
    """Add the two rows of import time, interleaved over packages and ``pass``."""
    plain: list[float] = []
    whole: dict[str, list[float]] = {}
    for number in range(processes):
        plain.append(process_ns("-c", "pass")[0])
        for engine in engines:
            say(f"import {number + 1}: {engine}")
            package = PACKAGES[engine]
            statement = f"import {package}"
            try:
                whole.setdefault(engine, []).append(process_ns("-c", statement)[0])
                text = process_ns("-X", "importtime", "-c", statement)[1]
                results.add("importtime", engine, importtime_ns(text, package))
            except RuntimeError as error:
                results.errors.setdefault("importtime", {})[engine] = str(error)
    for engine, times in whole.items():
        if times:
            results.add("import", engine, max(0.0, min(times) - min(plain)))


def measure_rows(results: Results, workers: dict[str, Worker], rounds: int) -> None:
    """Time all rows of the workers, round by round."""
    for number in range(1, rounds + 1):
        for row in ROWS:
            for engine, worker in workers.items():
                errors = results.errors.setdefault(row.key, {})
                if engine in errors:
                    continue
                say(f"round {number}: {row.key} {engine}")
                answer = worker.ask(row.key)
                if "error" in answer:
                    errors[engine] = answer["error"]
                elif answer["ns"] is not None:
                    results.add(row.key, engine, answer["ns"])


def start_workers(results: Results, engines: list[str]) -> dict[str, Worker]:
    """Start the engines; those that cannot are noted as missing."""
    workers = {}
    for engine in engines:
        reason = build_yardstick() if engine == "c" else None
        if reason is None:
            worker = Worker(engine)
            reason = worker.missing
        if reason is None:
            workers[engine] = worker
        else:
            results.missing[engine] = reason
    return workers


def verdict(results: Results, row: Row, limit: float | None) -> str:
    """Return whether Chiasm's best tier keeps within a limit; a row that erred does not."""
    measured = results.ns.get(row.key, {})
    errors = results.errors.get(row.key, {})
    tier = next((tier for tier in TIERS if tier in measured or tier in errors), None)
    ns = results.best(row.key, tier)
    if tier in errors and limit is not None:
        return "fail"
    if ns is None or limit is None:
        return "–"
    return "pass" if ns <= limit else "fail"


def row_cells(results: Results, row: Row, engines: list[str]) -> list[str]:
    errors = results.errors.get(row.key, {})

    def cell(ns: float | None) -> str:
        return format_number(None if ns is None else ns / UNITS[row.unit])

    cells = [row.text, row.unit]
    for engine in engines:
        cells.append("error" if engine in errors else cell(results.best(row.key, engine)))
    for target in (row.gate, row.goal):
        limit = results.scaled(row, target)
        cells += [cell(limit), verdict(results, row, limit)]
    return cells


def table(results: Results, engines: list[str]) -> str:
    """Return the rows: time by engine, gate and goal scaled to this machine, verdicts."""
    heads = [HEADS.get(engine, f"chiasm, {engine}") for engine in engines]
    head = ["", "unit", *heads, "gate", "", "goal", ""]
    return markdown_table(head, [row_cells(results, row, engines) for row in ROWS])


def print_report(results: Results, engines: list[str]) -> bool:
    """Print the table; return whether all gates that could be judged are passed."""
    print(table(results, engines))
    print(f"\nThis machine takes {results.factor():.2f} × the time of the machine of reference.")
    for key, errors in results.errors.items():
        for engine, text in errors.items():
            print(f"error: {key} by {engine}: {text}")
    for engine, text in results.missing.items():
        print(f"missing: {engine}: {text}")
    judged = [verdict(results, row, results.scaled(row, row.gate)) for row in ROWS]
    print(f"gates: {judged.count('pass')} passed, {judged.count('fail')} failed")
    return "fail" not in judged and not any(results.errors.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add: Callable[..., Any] = parser.add_argument
    add("--engines", type=comma_list(ENGINES), default=list(ENGINES), metavar="A,B")
    add("--rounds", type=int, default=7)
    add("--processes", type=int, default=20, help="fresh processes per package for import (20)")
    add("--quick", action="store_true", help="two rounds, four processes")
    add("--cpu", type=int, help="the CPU to use (default: the last)")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.processes = 2, 4

    print(f"{machine()}; {pin(options.cpu)}, best of {options.rounds} rounds, CPU time")
    results = Results()
    workers = start_workers(results, options.engines)
    measure_rows(results, workers, options.rounds)
    measure_imports(
        results, [engine for engine in workers if engine in PACKAGES], options.processes
    )
    for worker in workers.values():
        worker.stop()
    say("")
    passed = print_report(results, list(workers))
    raw = {"machine": machine(), "ns": results.ns, "errors": results.errors}
    (BUILD / "call.json").write_text(json.dumps(raw, indent=1) + "\n")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
