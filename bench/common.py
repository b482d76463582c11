"""What the benchmark programs share: places, pinning, processes, numbers and tables."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
BUILD = ROOT / "build" / "bench"
SHARED = Path(os.environ.get("CHIASM_SHARED") or ROOT.parent / "shared")

# node's flags by engine.  The default starts in Liftoff and moves hot functions to TurboFan.
NODE_FLAGS: dict[str, list[str]] = {
    "v8": [],
    "v8-turbofan": ["--no-liftoff", "--no-wasm-lazy-compilation"],
    "v8-liftoff": ["--liftoff-only"],
}


class WorkerError(Exception):
    """A worker ended without a result; the text says why in a few words."""


def pin(cpu: int | None) -> str:
    """Bind this process and its children to one CPU.

    Parameters
    ----------
    cpu
        The CPU, or None for the last one allowed.

    Returns
    -------
    str
        A sentence for the report.
    """
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned"
    if cpu is None:
        cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    return "pinned to one CPU"


def environment() -> dict[str, str]:
    """Return the environment of a worker, in which the package of this checkout can be imported."""
    env = dict(os.environ)
    if importlib.util.find_spec("chiasm") is None:
        paths = [str(ROOT / "python"), env.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return env


def worker_command(engine: str, *arguments: object) -> list[str]:
    """Return the command line of the worker for one engine."""
    words = [str(argument) for argument in arguments]
    if engine in NODE_FLAGS:
        return ["node", *NODE_FLAGS[engine], str(BENCH / "worker.mjs"), *words]
    return [sys.executable, str(BENCH / "worker.py"), engine, *words]


def exit_reason(status: int) -> str:
    """Return in words how a process ended."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def ask(command: Sequence[str], timeout: float) -> dict[str, Any]:
    """Run a worker and return the JSON object that it prints last.

    Raises
    ------
    WorkerError
        It failed, was killed, took more than `timeout` seconds or printed no result.
    """
    try:
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=timeout
        )
    except FileNotFoundError:
        raise WorkerError(f"no {Path(command[0]).name} in PATH") from None
    except subprocess.TimeoutExpired:
        raise WorkerError(f"no answer in {timeout:.0f} s") from None
    if done.returncode < 0:
        raise WorkerError(exit_reason(done.returncode))
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        lines = done.stderr.strip().splitlines() or [exit_reason(done.returncode)]
        raise WorkerError(lines[-1][:200]) from None
    if "error" in answer:
        raise WorkerError(str(answer["error"]))
    return answer


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean, NaN for no values."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def format_number(value: float | None) -> str:
    """Return about three significant digits, as the tables show them."""
    if value is None or math.isnan(value):
        return "–"
    decimals = next((d for d, least in enumerate((99.5, 9.95, 0.0995)) if value >= least), 3)
    return f"{value:.{decimals}f}"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table that is aligned in plain text too."""
    widths = [max(3, *(len(row[i]) for row in [head, *rows])) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        words = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
        return "| " + " | ".join(words) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine() -> str:
    """Return one line that says what the numbers were measured on."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{cpu_model()} ({os.cpu_count()} CPUs), {system}, Python {platform.python_version()}"


def comma_list(known: Sequence[str]) -> Any:
    """Return an argparse type: names separated by commas, each of them known."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                message = f"{name!r} is none of {', '.join(known)}"
                raise argparse.ArgumentTypeError(message)
        return names

    return parse


def say(text: str) -> None:
    """Show progress on a terminal; a pipe gets nothing."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
