"""The C tests of src/os and src/runtime: each program is built and run, plain and sanitized."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = sorted(p.stem for p in Path(__file__).parent.glob("test_*.c"))
SOURCES = [
    *sorted(
        p
        for folder in ("base", "os/linux", "wasm", "text", "runtime")
        for p in (ROOT / "src" / folder).glob("*.c")
    ),
    *(ROOT / "src/interp" / name for name in ("frames.c", "interp.c", "dispatch_switch.c")),
]
FLAGS = [
    "-std=gnu11",
    "-D_GNU_SOURCE",
    "-I",
    str(ROOT / "src"),
    "-I",
    str(ROOT / "include"),
    "-g",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
    "-w",
]
LIBRARIES = ["-lpthread", "-lm"]
KINDS = {
    "plain": ["-O1"],
    "address": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"],
    "thread": ["-O1", "-fsanitize=thread"],
}
ENVIRONMENT = {
    # A forked child starts a thread, and leaves without joining it.
    "TSAN_OPTIONS": "halt_on_error=1:report_thread_leaks=0:die_after_fork=0",
}
COMPILER = os.environ.get("CC") or next(
    (c for c in ("clang-19", "clang", "gcc", "cc") if shutil.which(c)), None
)

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


def compile_one(folder: Path, flags: list[str], source: Path) -> Path:
    out = folder / (source.stem + ".o")
    if source.stem == "dispatch_switch":  # takes minutes to optimise when sanitized
        flags = [*flags, "-O0"]
    subprocess.run(
        [str(COMPILER), *FLAGS, *flags, "-c", str(source), "-o", str(out)], check=True, timeout=600
    )
    return out


@pytest.fixture(scope="session", params=[pytest.param(k, marks=pytest.mark.slow) for k in KINDS])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Path], Path]:
    kind: str = request.param
    folder = tmp_path_factory.mktemp("c_" + kind)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda s: compile_one(folder, KINDS[kind], s), SOURCES))
    return kind, objects, folder


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_claim_of_the_program_holds(built: tuple[str, list[Path], Path], name: str) -> None:
    kind, objects, folder = built
    source, program = Path(__file__).parent / (name + ".c"), folder / name
    subprocess.run(
        [str(COMPILER), *FLAGS, *KINDS[kind], "-o", program, source, *objects, *LIBRARIES],
        check=True,
        timeout=600,
    )
    # An argument: addresses cannot be made scarce under a sanitizer.
    command = [str(program)] if kind == "plain" else [str(program), kind]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, **ENVIRONMENT}
    )
    assert run.returncode == 0, run.stdout + run.stderr
