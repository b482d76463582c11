"""Compare how fast engines compile real modules: MB of code section in a second, one thread.

What is timed is all from the bytes to machine code of every function, decoding and validating
included; CPU time of the process, the best of a few calls. Each measurement is a process of its
own; rounds are interleaved over the engines. Needs the shared data.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from common import (
    BENCH,
    SHARED,
    WorkerError,
    ask_options,
    format_number,
    geometric_mean,
    machine,
    markdown_table,
    percent,
    pin,
    plot,
    say,
    spread,
    write_raw,
    write_section,
)
from embedders import ask_embedder, command_for, versions
from validate import Subject, find_subjects

ENGINES = ("v8", "v8-liftoff", "wasmtime-winch", "wasmtime", "v8-turbofan", "chiasm-baseline")
MODULES = {
    "python": "python",
    "sqlite3": "sqlite",
    "gofmt": "gofmt",
    "basic.dotnet": "dotnet",
    "lua": "lua",
    "gcc-loops": "gcc-loops",
    "regex": "regex",
    "javy-demo.js.javy": "javy",
}
MEANING = {
    "v8": "node, which only validates: functions are compiled when they are called",
    "v8-liftoff": "node --liftoff-only, nothing lazily",
    "v8-turbofan": "node --no-liftoff, nothing lazily",
    "wasmtime-winch": "Wasmtime's single-pass compiler",
    "wasmtime": "Cranelift",
    "chiasm-baseline": "every function, as it is compiled at its first call",
}
CALLS, BUDGET_MS, TIMEOUT_S = 10, 3000, 180


def measure(subject: Subject, engine: str, command: tuple[list[str], dict[str, str]], quick: bool
            ) -> None:  # fmt: skip
    """Add one measurement, or the reason why there is none."""
    calls, budget = (1, 1) if quick else (CALLS, BUDGET_MS)
    try:
        answer = ask_embedder(command, "compile", subject.path, calls, budget, timeout=TIMEOUT_S)
        subject.ns.setdefault(engine, []).append(int(answer["ns"]))
        subject.memory[engine] = int(answer.get("code") or 0)
    except WorkerError as error:
        subject.errors[engine] = str(error)


def speeds(subjects: list[Subject], engine: str) -> list[float]:
    values = (subject.speed(engine) for subject in subjects)
    return [value for value in values if value is not None]


def table(subjects: list[Subject], engines: list[str]) -> str:
    rows = []
    for subject in subjects:
        cells = [
            "error" if engine in subject.errors else format_number(subject.speed(engine))
            for engine in engines
        ]
        rows.append([subject.name, f"{subject.code_size / 1000:.0f}", *cells])

    def mean(engine: str) -> str:
        values = speeds(subjects, engine)
        partial = f" ({len(values)})" if 0 < len(values) < len(subjects) else ""
        return format_number(geometric_mean(values)) + partial

    def far(engine: str) -> str:
        spreads = [spread(subject.ns.get(engine, [1])) for subject in subjects]
        known = [value for value in spreads if value is not None]
        return percent(statistics.median(known) if known else None)

    rows.append(["geometric mean", "", *map(mean, engines)])
    rows.append(["spread of the rounds", "", *map(far, engines)])
    return markdown_table(["MB/s of code", "code KB", *engines], rows)


def code_note(subjects: list[Subject]) -> str:
    """Return how many bytes of machine code Chiasm makes of one byte of WebAssembly."""
    ratios = [
        subject.memory["chiasm-baseline"] / subject.code_size
        for subject in subjects
        if subject.memory.get("chiasm-baseline")
    ]
    return f"chiasm-baseline makes {geometric_mean(ratios):.1f} bytes of one" if ratios else ""


def main() -> None:
    options = ask_options("compile", __doc__, ENGINES, "one call, one round")
    rounds = options.rounds
    if not (SHARED / "programs").is_dir():
        sys.exit("compile.py: no shared data; set CHIASM_SHARED to its folder")

    commands, missing = {}, {}
    for engine in options.engines:
        say(f"looking for {engine}")
        try:
            commands[engine] = command_for(engine, eager=True)
        except WorkerError as error:
            missing[engine] = str(error)
    pinned = pin(options.cpu)
    with tempfile.TemporaryDirectory() as scratch:
        subjects = [s for s in find_subjects(0, Path(scratch)) if s.name in MODULES]
        for subject in subjects:
            subject.name = MODULES[subject.name]
        for number in range(1, rounds + 1):
            for subject in subjects:
                for engine, command in commands.items():
                    if engine not in subject.errors:
                        say(f"round {number}: {subject.name} {engine}")
                        measure(subject, engine, command, options.quick)
    say("")
    engines = list(commands)
    notes = [code_note(subjects)]
    notes += [f"error: {s.name} by {e}: {text}" for s in subjects for e, text in s.errors.items()]
    notes += [f"missing: {engine}: {text}" for engine, text in missing.items()]
    print(table(subjects, engines), *filter(None, notes), sep="\n")
    raw = {s.name: {"code": s.code_size, "ns": s.ns, "errors": s.errors} for s in subjects}
    write_raw("compile", raw)
    if options.quick:
        return
    groups = {engine: speeds(subjects, engine) for engine in engines}
    label = "MB of code in a second (dots: modules, bars: geometric mean)"
    parts = [
        "## Compiling",
        "MB of code section in a second, on one thread; more is better. Made by "
        "`python bench/compile.py`",
        f"on {machine()}; {pinned}, {rounds} rounds interleaved over the engines, CPU time of the "
        "best call.",
        table(subjects, engines),
        plot(BENCH / "plots" / "compile.svg", groups, label) if options.plot else "",
        "\n".join(f"- **{engine}**: {MEANING[engine]}" for engine in engines),
        "\n".join(f"- {name} {version}" for name, version in versions().items()),
        "\n".join(f"- {line}" for line in notes if line),
    ]
    write_section("compile", "\n\n".join(filter(None, parts)))


if __name__ == "__main__":
    main()
