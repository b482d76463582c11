"""Compare engines on the 20 kernels, in one interleaved run on one CPU.

Each measurement is a process of its own: kernel, engine and round. A round goes through all
kernels and, for each, through all engines, so that a slow moment of the machine meets them alike.
The result is the best of all calls of all rounds; the spread is the median over the kernels of
(slowest round's best ÷ best - 1). A full run over all kernels writes its section of ``RESULTS.md``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import (
    BENCH,
    NODE_FLAGS,
    WorkerError,
    ask,
    comma_list,
    format_number,
    geometric_mean,
    machine,
    markdown_table,
    percent,
    pin,
    plot,
    say,
    worker_command,
    write_raw,
    write_section,
)
from native import build_all, native_compilers, version
from suite import BY_NAME, KERNELS, Kernel

NATIVE = ("gcc", "clang", "clang-scalar")
CHIASM = ("chiasm-interp", "chiasm-baseline", "chiasm-optimize", "chiasm")
ENGINES = (*NATIVE, "wasmtime", "v8-turbofan", "v8", "v8-liftoff", "wasm3", *CHIASM)

MEANING = {
    "gcc": "gcc -O2 on the same C source, which may use SSE2: the unit of the table",
    "clang": "clang -O2, native",
    "clang-scalar": "clang -O2 without its vectorisers: what scalar WebAssembly could reach",
    "wasmtime": "Cranelift, from Python",
    "v8-turbofan": f"node {' '.join(NODE_FLAGS['v8-turbofan'])}",
    "v8": "node, Liftoff at first, TurboFan when hot",
    "v8-liftoff": f"node {' '.join(NODE_FLAGS['v8-liftoff'])}",
    "wasm3": "interpreter, from Python",
    "chiasm-interp": 'tier="interp"',
    "chiasm-baseline": 'tier="baseline"',
    "chiasm-optimize": 'tier="optimize"',
    "chiasm": 'tier="auto"',
}

# What each tier must reach: the engine it is divided by, and the greatest geometric mean allowed.
GATES = {
    "chiasm-interp": ("wasm3", 1 / 0.6),
    "chiasm-baseline": ("gcc", 2.0),
    "chiasm-optimize": ("gcc", 1.15),
}

CALLS, BUDGET_MS, TIMEOUT_S = 5, 1500, 120


@dataclass
class Results:
    """What was measured: times by kernel and engine, one per round, and what went wrong."""

    engines: dict[str, str]
    missing: dict[str, str]
    kernels: list[Kernel]
    times: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """The engine that all are divided by: gcc, or the first if gcc is missing."""
        return "gcc" if "gcc" in self.engines else next(iter(self.engines))

    @property
    def others(self) -> list[str]:
        return [engine for engine in self.engines if engine != self.unit]

    def best(self, kernel: str, engine: str) -> int | None:
        """Return the least time in ns, None if there is none or the engine erred."""
        times = self.times.get(kernel, {}).get(engine)
        return min(times) if times and engine not in self.errors.get(kernel, {}) else None

    def ratio(self, kernel: str, engine: str, unit: str) -> float | None:
        """Return the engine's time divided by that of `unit`."""
        time, base = self.best(kernel, engine), self.best(kernel, unit)
        return time / base if time and base else None

    def ratios(self, engine: str, unit: str) -> list[float]:
        """Return the ratios of all kernels that both ran."""
        values = (self.ratio(kernel.name, engine, unit) for kernel in self.kernels)
        return [value for value in values if value is not None]

    def spread(self, engine: str) -> float | None:
        """Return the median over the kernels of how far the rounds lie apart."""
        samples = [self.times.get(kernel.name, {}).get(engine, []) for kernel in self.kernels]
        spreads = [max(times) / min(times) - 1 for times in samples if len(times) > 1]
        return statistics.median(spreads) if spreads else None


def probe_native(engine: str) -> str:
    commands = native_compilers()
    if engine not in commands:
        raise WorkerError(f"no {engine.partition('-')[0]} in PATH")
    return version(commands[engine][0])


def probe(engine: str) -> str:
    """Return the engine's version.

    Raises
    ------
    WorkerError
        The engine is not there, or does not work.
    """
    if engine in NATIVE:
        return probe_native(engine)
    return str(ask(worker_command(engine, "probe"), TIMEOUT_S)["version"])


def find_engines(wanted: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return version by engine, and why by engine that is missing."""
    found, missing = {}, {}
    for engine in wanted:
        say(f"looking for {engine}")
        try:
            found[engine] = probe(engine)
        except WorkerError as error:
            missing[engine] = str(error)
    return found, missing


def measure(engine: str, kernel: Kernel, quick: bool) -> int:
    """Return the best time of one process in ns.

    Raises
    ------
    WorkerError
        The kernel failed or returned a wrong checksum.
    """
    n, checksum = kernel.size(quick)
    path = kernel.library(engine) if engine in NATIVE else kernel.wasm
    answer = ask(worker_command(engine, "run", path, n, CALLS, BUDGET_MS), TIMEOUT_S)
    if answer["checksum"] != checksum:
        raise WorkerError(f"returned {answer['checksum']:#010x}, not {checksum:#010x}")
    return int(answer["ns"])


def run_round(results: Results, number: int, quick: bool) -> None:
    """Measure every kernel with every engine once."""
    for kernel in results.kernels:
        errors = results.errors.setdefault(kernel.name, {})
        times = results.times.setdefault(kernel.name, {})
        for engine in results.engines:
            if engine in errors:
                continue
            say(f"round {number}: {kernel.name} {engine}")
            try:
                times.setdefault(engine, []).append(measure(engine, kernel, quick))
            except WorkerError as error:
                errors[engine] = str(error)


def kernel_row(results: Results, kernel: Kernel) -> list[str]:
    errors = results.errors.get(kernel.name, {})
    base = results.best(kernel.name, results.unit)

    def cell(engine: str) -> str:
        ratio = results.ratio(kernel.name, engine, results.unit)
        return "error" if engine in errors else format_number(ratio)

    return [kernel.name, format_number(base / 1e6 if base else None), *map(cell, results.others)]


def mean_row(results: Results, unit: str) -> list[str]:
    """Return the row of geometric means; a number in brackets counts the kernels, if not all."""

    def cell(engine: str) -> str:
        ratios = results.ratios(engine, unit)
        partial = f" ({len(ratios)})" if 0 < len(ratios) < len(results.kernels) else ""
        return format_number(geometric_mean(ratios)) + partial

    return [f"geometric mean ÷ {unit}", "", *map(cell, results.others)]


def spread_row(results: Results) -> list[str]:
    def cell(engine: str) -> str:
        return percent(results.spread(engine))

    return ["spread of the rounds", cell(results.unit), *map(cell, results.others)]


def table(results: Results) -> str:
    """Return the table of ratios to the unit."""
    head = ["kernel", f"{results.unit} ms", *results.others]
    rows = [kernel_row(results, kernel) for kernel in results.kernels]
    rows.append(mean_row(results, results.unit))
    if "wasm3" in results.others:
        rows.append(mean_row(results, "wasm3"))
    rows.append(spread_row(results))
    return markdown_table(head, rows)


def notes(results: Results) -> list[str]:
    """Return the lines below the table: gates, errors, what is missing."""
    lines = []
    for engine, (unit, limit) in GATES.items():
        ratios = results.ratios(engine, unit)
        if engine in results.engines and ratios:
            mean, wrong = geometric_mean(ratios), len(ratios) < len(results.kernels)
            verdict = "fail" if mean > limit or wrong else "pass"
            lines.append(f"{verdict}: {engine} is {mean:.2f} × {unit}, the gate is {limit:.2f}")
    for kernel, errors in results.errors.items():
        lines += [f"error: {kernel} on {engine}: {text}" for engine, text in errors.items()]
    lines += [f"missing: {engine}: {reason}" for engine, reason in results.missing.items()]
    return lines


def report(results: Results, command: str, pinned: str, rounds: int, picture: str) -> str:
    """Return the section of ``RESULTS.md``."""
    engines = [
        f"- **{engine}**: {MEANING[engine]}; {version}"
        for engine, version in results.engines.items()
    ]
    parts = [
        "## The 20 kernels",
        f"Time of each engine divided by that of {results.unit}; less is better. Made by",
        f"```\npython bench/build.py\n{command}\n```",
        f"on {machine()}; {pinned}, {rounds} rounds interleaved over the engines, CPU time of the "
        f"best call. “spread” is the median over the kernels of how far the rounds lie apart.",
        table(results),
        picture,
        "\n".join(engines),
        "\n".join(f"- {line}" for line in notes(results)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def raw_data(results: Results) -> dict[str, Any]:
    return {
        "machine": machine(),
        "engines": results.engines,
        "missing": results.missing,
        "ns": results.times,
        "errors": {kernel: errors for kernel, errors in results.errors.items() if errors},
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    names = [kernel.name for kernel in KERNELS]
    add("--quick", action="store_true", help="a tenth of the work, one round")
    add("--engines", type=comma_list(ENGINES), default=list(ENGINES), metavar="A,B")
    add("--kernels", type=comma_list(names), default=names, metavar="A,B")
    add("--rounds", type=int, help="default 3, or 1 with --quick")
    add("--cpu", type=int, help="the CPU to use (default: the last)")
    add("--output", type=Path, help="where to write the section (default: RESULTS.md, if full)")
    add(
        "--plot",
        action="store_true",
        help="also draw plots/kernels.svg, if matplotlib is installed",
    )
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    rounds = options.rounds or (1 if options.quick else 3)
    pinned = pin(options.cpu)
    engines, missing = find_engines(options.engines)
    if not engines:
        sys.exit("\n".join(f"missing: {engine}: {why}" for engine, why in missing.items()))
    results = Results(engines, missing, [BY_NAME[name] for name in options.kernels])
    build_all([name for name in NATIVE if name in engines])
    for number in range(1, rounds + 1):
        run_round(results, number, options.quick)
    say("")

    print(table(results), *notes(results), sep="\n")
    write_raw("kernels", raw_data(results))
    full = not options.quick and len(results.kernels) == len(KERNELS)
    picture = ""
    if options.plot:
        ratios = {engine: results.ratios(engine, results.unit) for engine in results.others}
        label = f"time ÷ {results.unit} (dots: kernels, bars: geometric mean)"
        picture = plot(BENCH / "plots" / "kernels.svg", ratios, label)
    if full or options.output:
        words = [word for word in sys.argv[1:] if not word.startswith("--output")]
        command = " ".join(["python bench/run.py", *words])
        section = report(results, command, pinned, rounds, picture)
        if options.output:
            options.output.write_text(section)
        else:
            write_section("kernels", section)
    if any(results.errors.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
