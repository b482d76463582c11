"""Compare how long engines take to begin: a process to its first result, and an instance.

A process reads a module of 41 bytes, compiles it, calls ``add(40, 2)`` and prints the result; wall
time of processes one after another, interleaved over the engines. ``floor`` is a C program that
only prints. An instance is made of a module that is compiled already, with its store, in one
process: the module of 41 bytes, one with 43 MB of zero memory, and CPython (shared data).
"""

from __future__ import annotations

import lzma
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common import (
    BENCH,
    SHARED,
    WorkerError,
    ask_options,
    format_number,
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
from tiny_wasm import ADD_MODULE, memory_module

ENGINES = (
    "floor",
    "wasmtime-winch",
    "wasmtime",
    "v8",
    "v8-liftoff",
    "chiasm-interp",
    "chiasm-baseline",
)
PROCESSES, CALLS, BUDGET_MS, TIMEOUT_S = 40, 2000, 2000, 120
PAGES = 688  # 43 MB
Command = tuple[list[str], dict[str, str]]


def make_modules(folder: Path) -> dict[str, Path]:
    """Return the modules by the name of their row."""
    modules = {"tiny": folder / "tiny.wasm", "43 MB of zeros": folder / "memory.wasm"}
    modules["tiny"].write_bytes(ADD_MODULE)
    modules["43 MB of zeros"].write_bytes(memory_module(PAGES, PAGES))
    packed = SHARED / "programs" / "cpython" / "python.wasm.xz"
    if packed.is_file():
        modules["python"] = folder / "python.wasm"
        modules["python"].write_bytes(lzma.decompress(packed.read_bytes()))
    return modules


def run_process(command: Command, words: list[str]) -> int:
    """Return the wall time of one process in ns.

    Raises
    ------
    WorkerError
        It failed, or printed something else than 42.
    """
    line = [*command[0], *words]
    reading, writing = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_CLOSE, reading)]
    began = time.monotonic_ns()
    child = os.posix_spawnp(line[0], line, command[1], file_actions=actions)
    _, status = os.waitpid(child, 0)
    ns = time.monotonic_ns() - began
    os.close(writing)
    with os.fdopen(reading, "rb") as output:
        printed = output.read()
    if status or printed.strip() != b"42":
        raise WorkerError(f"status {status}, printed {printed[:100]!r}")
    return ns


def time_processes(
    commands: dict[str, Command], module: Path, count: int, errors: dict[str, str]
) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {engine: [] for engine in commands}
    for number in range(count):
        for engine, command in commands.items():
            if engine in errors:
                continue
            say(f"process {number + 1}: {engine}")
            words = [] if engine == "floor" else ["start", str(module)]
            try:
                times[engine].append(run_process(command, words))
            except WorkerError as error:
                errors[engine] = f"process: {error}"
    return times


def time_instances(
    commands: dict[str, Command], modules: dict[str, Path], rounds: int, quick: bool,
    errors: dict[str, str],
) -> dict[str, dict[str, list[dict[str, int]]]]:  # fmt: skip
    """Return the answers of the embedders, by module and engine, one for each round."""
    answers: dict[str, dict[str, list[dict[str, int]]]] = {name: {} for name in modules}
    calls, budget = (20, 200) if quick else (CALLS, BUDGET_MS)
    for number in range(rounds):
        for name, module in modules.items():
            for engine, command in commands.items():
                if engine == "floor":
                    continue
                say(f"round {number + 1}: {name} {engine}")
                words = ("instantiate", module, calls, budget)
                try:
                    answer = ask_embedder(command, *words, timeout=TIMEOUT_S)
                except WorkerError as error:
                    errors[f"{name} by {engine}"] = str(error)
                    continue
                answers[name].setdefault(engine, []).append(answer)
    return answers


def pair(best: float | None, median: float | None) -> str:
    return "–" if best is None else f"{format_number(best)} / {format_number(median)}"


def process_table(times: dict[str, list[int]]) -> str:
    rows = []
    for engine, all_ns in times.items():
        if all_ns:
            best, median = min(all_ns), statistics.median(all_ns)
            half = len(all_ns) // 2 or 1
            halves = [min(all_ns[:half]), min(all_ns[half:] or all_ns)]
            rows.append([engine, pair(best / 1e6, median / 1e6), percent(spread(halves))])
    return markdown_table(["process to result", "ms, best / median", "spread of halves"], rows)


def instance_table(answers: dict[str, dict[str, list[dict[str, int]]]], engines: list[str]) -> str:
    rows = []
    for name, by_engine in answers.items():
        cells = []
        for engine in engines:
            found = by_engine.get(engine)
            best = min(a["ns"] for a in found) / 1e3 if found else None
            median = min(a["median"] for a in found) / 1e3 if found else None
            cells.append(pair(best, median))
        rows.append([name, *cells])
    return markdown_table(["instance, µs, best / median", *engines], rows)


def main() -> None:
    options = ask_options("start", __doc__, ENGINES, "few processes and instances, one round")
    rounds = options.rounds
    count = 5 if options.quick else PROCESSES

    commands: dict[str, Command] = {}
    missing, errors = {}, {}
    for engine in options.engines:
        say(f"looking for {engine}")
        try:
            commands[engine] = command_for(engine)
        except WorkerError as error:
            missing[engine] = str(error)
    pinned = pin(options.cpu)
    with tempfile.TemporaryDirectory() as scratch:
        modules = make_modules(Path(scratch))
        times = time_processes(commands, modules["tiny"], count, errors)
        answers = time_instances(commands, modules, rounds, options.quick, errors)
    say("")
    engines = [engine for engine in commands if engine != "floor"]
    notes = [f"error: {name}: {text}" for name, text in errors.items()]
    notes += [f"missing: {engine}: {text}" for engine, text in missing.items()]
    tables = [process_table(times), instance_table(answers, engines)]
    print(*tables, *notes, sep="\n")
    write_raw("start", {"processes": times, "instances": answers, "errors": errors})
    if options.quick:
        return
    groups = {engine: [ns / 1e6 for ns in all_ns] for engine, all_ns in times.items()}
    label = "process to result, ms (dots: processes, bars: geometric mean)"
    parts = [
        "## Starting",
        "Wall time; less is better. Made by `python bench/start.py`",
        f"on {machine()}; {pinned}, {count} processes and {rounds} rounds of instances, "
        "interleaved over the engines. “spread of halves”: how far the best of the first and of "
        "the second half of the processes lie apart.",
        *tables,
        plot(BENCH / "plots" / "start.svg", groups, label) if options.plot else "",
        "\n".join(f"- {name} {version}" for name, version in versions().items()),
        "\n".join(f"- {line}" for line in notes),
    ]
    write_section("start", "\n\n".join(filter(None, parts)))


if __name__ == "__main__":
    sys.exit(main())
