"""Compare how fast engines decode and validate real modules, in MB/s of code section.

The modules are those of the shared data (``$CHIASM_SHARED``, by default ``../shared``) whose code
section is large enough to be timed.  Each measurement is a process of its own; rounds are
interleaved over the engines, and the best call counts.  The second table is the growth of resident
memory during one call, divided by the size of the module.
"""

from __future__ import annotations

import argparse
import json
import lzma
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from common import (
    BUILD,
    SHARED,
    WorkerError,
    ask,
    comma_list,
    format_number,
    geometric_mean,
    machine,
    markdown_table,
    pin,
    say,
    worker_command,
)

ENGINES = ("chiasm", "wasmtime", "v8")
CALLS, BUDGET_MS, TIMEOUT_S = 50, 500, 120
GATE_MB_PER_S = 150.0
CODE_SECTION = 10


@dataclass
class Subject:
    """A module, and what was measured of it by engine."""

    name: str
    path: Path
    size: int
    code_size: int
    ns: dict[str, list[int]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def speed(self, engine: str) -> float | None:
        """Return bytes of code section per microsecond, which is MB/s."""
        times = self.ns.get(engine)
        return self.code_size * 1000 / min(times) if times and engine not in self.errors else None


def read_leb(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned LEB128 number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def code_section_size(data: bytes) -> int:
    """Return the size of a module's code section in bytes, 0 if it has none."""
    at = 8
    while at < len(data):
        section = data[at]
        size, at = read_leb(data, at + 1)
        if section == CODE_SECTION:
            return size
        at += size
    return 0


def unpack(source: Path, folder: Path) -> Path:
    """Return the path of an xz file's content, written to `folder`."""
    target = folder / source.stem
    with lzma.open(source) as packed, target.open("wb") as out:
        shutil.copyfileobj(packed, out)
    return target


def find_subjects(least: int, scratch: Path) -> list[Subject]:
    """Return the modules of the shared data with at least `least` bytes of code, largest first."""
    paths = [path for top in ("programs", "bench") for path in (SHARED / top).rglob("*.wasm")]
    paths += [unpack(path, scratch) for path in (SHARED / "programs").rglob("*.wasm.xz")]
    subjects = []
    for path in paths:
        data = path.read_bytes()
        plain = path.stem in ("benchmark", "glue")
        name = path.parent.name if plain else path.stem
        code = code_section_size(data)
        if code >= least:
            subjects.append(Subject(name, path, len(data), code))
    return sorted(subjects, key=lambda subject: -subject.code_size)


def measure(subject: Subject, engine: str) -> None:
    """Add one measurement, or the reason why there is none."""
    try:
        command = worker_command(engine, "validate", subject.path, CALLS, BUDGET_MS)
        answer = ask(command, TIMEOUT_S)
    except WorkerError as error:
        subject.errors[engine] = str(error)
        return
    subject.ns.setdefault(engine, []).append(int(answer["ns"]))
    if answer["memory"] is not None:
        before = subject.memory.get(engine, sys.maxsize)
        subject.memory[engine] = min(before, int(answer["memory"]))


def speed_table(subjects: list[Subject], engines: list[str]) -> str:
    rows = []
    for subject in subjects:
        cells = [
            "error" if engine in subject.errors else format_number(subject.speed(engine))
            for engine in engines
        ]
        rows.append([subject.name, f"{subject.code_size / 1000:.0f}", *cells])
    means = [geometric_mean(speeds(subjects, engine)) for engine in engines]
    rows.append(["geometric mean", "", *map(format_number, means)])
    return markdown_table(["MB/s of code", "code KB", *engines], rows)


def speeds(subjects: list[Subject], engine: str) -> list[float]:
    values = (subject.speed(engine) for subject in subjects)
    return [value for value in values if value is not None]


def memory_table(subjects: list[Subject], engines: list[str]) -> str:
    rows = []
    for subject in subjects:
        growths = [subject.memory.get(engine) for engine in engines]
        cells = [format_number(None if g is None else g / subject.size) for g in growths]
        rows.append([subject.name, f"{subject.size / 1000:.0f}", *cells])
    return markdown_table(["memory ÷ module", "module KB", *engines], rows)


def find_engines(wanted: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the engines that answer, and why by engine that does not."""
    found, missing = {}, {}
    for engine in wanted:
        try:
            found[engine] = ask(worker_command(engine, "probe-module"), TIMEOUT_S)["version"]
        except WorkerError as error:
            missing[engine] = str(error)
    print(*(f"{engine}: {version}" for engine, version in found.items()), sep="\n")
    return list(found), missing


def print_report(subjects: list[Subject], engines: list[str], missing: dict[str, str]) -> None:
    print(speed_table(subjects, engines), "", memory_table(subjects, engines), "", sep="\n")
    if "chiasm" in engines:
        mean = geometric_mean(speeds(subjects, "chiasm"))
        verdict = "pass" if mean >= GATE_MB_PER_S else "fail"
        print(f"{verdict}: chiasm validates {mean:.0f} MB/s, the gate is {GATE_MB_PER_S:.0f}")
    for subject in subjects:
        for engine, text in subject.errors.items():
            print(f"error: {subject.name} by {engine}: {text}")
    for engine, text in missing.items():
        print(f"missing: {engine}: {text}")


def write_raw(subjects: list[Subject]) -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    raw = {
        subject.name: {
            "size": subject.size,
            "code_size": subject.code_size,
            "ns": subject.ns,
            "memory": subject.memory,
            "errors": subject.errors,
        }
        for subject in subjects
    }
    (BUILD / "validate.json").write_text(json.dumps(raw, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--engines", type=comma_list(ENGINES), default=list(ENGINES), metavar="A,B")
    add("--modules", default="", metavar="WORD", help="only modules whose name contains WORD")
    add("--least", type=int, default=60_000, metavar="BYTES", help="least code size (60000)")
    add("--rounds", type=int, default=3)
    add("--cpu", type=int, help="the CPU to use (default: the last)")
    options = parser.parse_args()

    if not (SHARED / "programs").is_dir():
        sys.exit("validate.py: no shared data; set CHIASM_SHARED to its folder")
    print(f"{machine()}; {pin(options.cpu)}, best of {options.rounds} rounds, CPU time")
    engines, missing = find_engines(options.engines)
    with tempfile.TemporaryDirectory() as scratch:
        subjects = find_subjects(options.least, Path(scratch))
        subjects = [subject for subject in subjects if options.modules in subject.name]
        for number in range(1, options.rounds + 1):
            for subject in subjects:
                for engine in engines:
                    say(f"round {number}: {subject.name} {engine}")
                    measure(subject, engine)
    say("")
    print_report(subjects, engines, missing)
    write_raw(subjects)


if __name__ == "__main__":
    main()
