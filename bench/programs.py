"""Compare engines on whole WASI programs: sightglass, those of WAVM, CoreMark.

Each measurement is a process of its own that compiles the program once and runs it a few times,
each time instantiated anew; rounds are interleaved over the engines. Time is CPU time between
``bench.start`` and ``bench.end`` where the program calls them, else of ``_start``; the best of all
runs counts, so that an engine that compiles while it runs has done so. What is printed must be what
the program's files say, or else what the first engine prints. Needs the shared data.
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
    SHARED,
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
    spread,
    worker_command,
    write_raw,
    write_section,
)

ENGINES = (
    "wasmtime",
    "wasmtime-winch",
    "v8-turbofan",
    "v8",
    "v8-liftoff",
    "wasm3",
    "chiasm-interp",
    "chiasm-baseline",
    "chiasm-optimize",
)
UNIT = "wasmtime"
RUNS, BUDGET_MS, TIMEOUT_S = 5, 8000, 120
LEAST_MS = 5  # shorter ones are shown, and not counted in the mean


@dataclass
class Program:
    """A program, and what was measured of it by engine: ns of the best run of each round."""

    name: str
    path: Path
    long: bool = False  # left out of a quick run
    ns: dict[str, list[int]] = field(default_factory=dict)
    first: dict[str, list[int]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    printed: dict[str, str] = field(default_factory=dict)

    def best(self, engine: str) -> int | None:
        times = self.ns.get(engine)
        return min(times) if times and engine not in self.errors else None

    def ratio(self, engine: str, unit: str) -> float | None:
        time, base = self.best(engine), self.best(unit)
        return time / base if time and base else None

    @property
    def counts(self) -> bool:
        base = self.best(UNIT)
        return base is not None and base >= LEAST_MS * 1e6


LONG = {"zlib", "fib2", "heapsort", "minicsv", "coremark-minimal", "ctype", "splay", "base64"}
WAVM = ("binary-trees", "fannkuch-redux", "fasta", "mandelbrot", "nbody", "spectral-norm", "zlib")
SIGHTGLASS = ("blake3-scalar", "blake3-simd", "bz2", "quicksort", "regex", "richards", "rust-json")
SHOOTOUT = ("base64", "ctype", "fib2", "heapsort", "matrix", "minicsv", "random", "sieve", "switch")


def find_programs() -> list[Program]:
    """Return the programs of the shared data that are there."""
    top = SHARED / "bench"
    paths = [(f"wavm/{name}", top / "wavm" / f"{name}.wasm") for name in WAVM]
    paths += [(f"sg/{name}", top / "sightglass" / name / "benchmark.wasm") for name in SIGHTGLASS]
    folder = top / "sightglass" / "shootout"
    paths += [(f"sg/{name}", folder / f"shootout-{name}.wasm") for name in SHOOTOUT]
    paths += [("sg/splay", top / "sightglass" / "splay" / "splay.wasm")]
    paths += [("coremark-minimal", top / "coremark" / "coremark-minimal.wasm")]
    return [
        Program(name, path, name.rpartition("/")[2] in LONG)
        for name, path in paths
        if path.is_file()
    ]


def check_output(program: Program, engine: str, answer: dict[str, Any]) -> None:
    """Raise WorkerError if the engine printed something else than the others."""
    printed = program.printed.setdefault("", str(answer["printed"]))
    if answer["matches"] is False:
        raise WorkerError("printed something else than its files say")
    if str(answer["printed"]) != printed:
        raise WorkerError("printed something else than the first engine")


def measure(program: Program, engine: str, quick: bool) -> None:
    """Add one measurement, or the reason why there is none."""
    runs = 1 if quick else RUNS
    command = worker_command(engine, "run", program.path, runs, BUDGET_MS, worker="program_worker")
    try:
        answer = ask(command, TIMEOUT_S)
        check_output(program, engine, answer)
    except WorkerError as error:
        program.errors[engine] = str(error)
        return
    program.ns.setdefault(engine, []).append(min(answer["ns"]))
    program.first.setdefault(engine, []).append(answer["ns"][0])


def find_engines(wanted: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return version by engine, and why by engine that is missing."""
    found, missing = {}, {}
    for engine in wanted:
        say(f"looking for {engine}")
        try:
            answer = ask(worker_command(engine, "probe", worker="program_worker"), TIMEOUT_S)
            found[engine] = str(answer["version"])
        except WorkerError as error:
            missing[engine] = str(error)
    return found, missing


def means(programs: list[Program], engine: str) -> list[float]:
    ratios = (program.ratio(engine, UNIT) for program in programs if program.counts)
    return [ratio for ratio in ratios if ratio is not None]


def table(programs: list[Program], engines: list[str]) -> str:
    """Return milliseconds by program and engine, the mean ratios and the spreads."""
    rows = []
    for program in programs:
        bests = {engine: program.best(engine) for engine in engines}
        cells = [
            "error" if engine in program.errors else format_number(best / 1e6 if best else None)
            for engine, best in bests.items()
        ]
        rows.append([program.name, *cells])
    counted = sum(program.counts for program in programs)

    def mean(engine: str) -> str:
        ratios = means(programs, engine)
        partial = f" ({len(ratios)})" if 0 < len(ratios) < counted else ""
        return format_number(geometric_mean(ratios)) + partial

    def far(engine: str) -> str:
        spreads = [spread(program.ns[engine]) for program in programs if program.best(engine)]
        known = [value for value in spreads if value is not None]
        return percent(statistics.median(known) if known else None)

    rows.append([f"geometric mean ÷ {UNIT}", *map(mean, engines)])
    rows.append(["spread of the rounds", *map(far, engines)])
    return markdown_table(["CPU ms", *engines], rows)


def notes(programs: list[Program], missing: dict[str, str]) -> list[str]:
    lines = [
        f"error: {program.name} by {engine}: {text}"
        for program in programs
        for engine, text in program.errors.items()
    ]
    return lines + [f"missing: {engine}: {text}" for engine, text in missing.items()]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="the short programs, one run, one round")
    add("--engines", type=comma_list(ENGINES), default=list(ENGINES), metavar="A,B")
    add("--programs", default="", metavar="WORD", help="only programs whose name contains WORD")
    add("--rounds", type=int, help="default 3, or 1 with --quick")
    add("--cpu", type=int, help="the CPU to use (default: the last)")
    add("--plot", action="store_true", help="also draw plots/programs.svg")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    rounds = options.rounds or (1 if options.quick else 3)
    programs = [p for p in find_programs() if options.programs in p.name]
    programs = [p for p in programs if not (options.quick and p.long)]
    if not programs:
        sys.exit("programs.py: no shared data; set CHIASM_SHARED to its folder")
    pinned = pin(options.cpu)
    found, missing = find_engines(options.engines)
    engines = list(found)
    for number in range(1, rounds + 1):
        for program in programs:
            for engine in engines:
                if engine not in program.errors:
                    say(f"round {number}: {program.name} {engine}")
                    measure(program, engine, options.quick)
    say("")
    print(table(programs, engines), *notes(programs, missing), sep="\n")
    write_raw(
        "programs",
        {
            program.name: {"ns": program.ns, "first": program.first, "errors": program.errors}
            for program in programs
        },
    )
    if options.quick or options.programs:
        return
    ratios = {engine: means(programs, engine) for engine in engines if engine != UNIT}
    label = f"time ÷ {UNIT} (dots: programs, bars: geometric mean)"
    parts = [
        "## Programs",
        "CPU time of execution in milliseconds; less is better. CoreMark: µs for an iteration. Made"
        f" by `python bench/programs.py {' '.join(sys.argv[1:])}`".rstrip(" `")
        + "`",
        f"on {machine()}; {pinned}, {rounds} rounds interleaved over the engines, {RUNS} runs in a "
        f"process, the best counts. The mean is over programs that take {UNIT} {LEAST_MS} ms.",
        table(programs, engines),
        plot(BENCH / "plots" / "programs.svg", ratios, label) if options.plot else "",
        "\n".join(f"- **{engine}**: {version}" for engine, version in found.items()),
        "\n".join(f"- {line}" for line in notes(programs, missing)),
    ]
    write_section("programs", "\n\n".join(filter(None, parts)))


if __name__ == "__main__":
    main()
