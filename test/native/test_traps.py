"""Traps, signals, stacks and forks: programs in C, each in every way that it can run.

A program's own claims are in its source; here are the worlds that it runs in: beside a debugger,
where code may not be made, where addresses are scarce.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from where import suite_folder, suite_scripts

WAYS = {
    "interp": "CHIASM_TIER=interp",
    "baseline": "CHIASM_TIER=baseline",
    "dense": "CHIASM_TIER=baseline CHIASM_MEMORY=dense CHIASM_REGISTERS=4",
    "explicit": "CHIASM_TIER=baseline CHIASM_MEMORY=explicit CHIASM_FUEL=1",
    "unsignalled": "CHIASM_TIER=baseline CHIASM_SIGNALS=0",
}
PROGRAMS = ("trap_bounds", "trap_fork", "trap_handlers", "trap_kinds", "trap_stack")
FEW = 2_000_000 << 10  # bytes of addresses, as by `ulimit -v 2000000`

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="no x86-64 to run machine code on"
)
needs_suite = pytest.mark.skipif(
    suite_folder() is None, reason="the official suite is not here: make testdata fetches it"
)


def limit_addresses() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (FEW, FEW))


def run(
    command: list[str], way: str, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    switches = dict(word.split("=") for word in WAYS[way].split())
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | switches,
        stdin=subprocess.DEVNULL,
        preexec_fn=before,
    )


def must_end_well(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("way", WAYS)
def test_every_claim_of_the_program_holds(name: str, way: str, library: Path) -> None:
    must_end_well(run([str(library / name)], way))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trap_bounds", "trap_handlers", "trap_kinds"])
def test_its_claims_hold_where_addresses_are_few(name: str, library: Path) -> None:
    must_end_well(run([str(library / name)], "baseline", limit_addresses))


@pytest.mark.slow
@needs_suite
@pytest.mark.parametrize("way", ["interp", "baseline"])
def test_the_suite_holds_where_addresses_are_few(way: str, command: str) -> None:
    scripts = map(str, suite_scripts())
    must_end_well(run([command, "wast", *scripts], way, limit_addresses))


@pytest.mark.slow
@needs_suite
@pytest.mark.parametrize("way", ["interp", "baseline"])
def test_the_suite_holds_where_code_may_not_be_made(way: str, library: Path) -> None:
    suite = suite_folder()
    assert suite is not None
    scripts = sorted(map(str, suite.glob("*.wast")))
    must_end_well(run([str(library / "trap_denied"), *scripts], way))


# A debugger stops at signals unless it is told not to.
GDB = """
set confirm off
set pagination off
set breakpoint pending off
handle SIGSEGV SIGBUS nostop noprint pass
{}
run
{}
"""


def debug(library: Path, folder: Path, name: str, before: str, after: str) -> str:
    script = folder / "commands"
    script.write_text(GDB.format(before, after))
    done = run(["gdb", "-q", "-batch", "-x", str(script), str(library / name)], "baseline")
    return done.stdout + done.stderr


needs_gdb = pytest.mark.skipif(shutil.which("gdb") is None, reason="no gdb here")


@pytest.mark.slow
@needs_gdb
@pytest.mark.parametrize("name", ["trap_bounds", "trap_kinds"])
def test_its_claims_hold_under_a_debugger(name: str, library: Path, tmp_path: Path) -> None:
    said = debug(library, tmp_path, name, "", "")
    assert "exited normally" in said, said[-3000:]


@pytest.mark.slow
@needs_gdb
def test_a_debugger_may_stop_where_the_guest_calls_the_host(library: Path, tmp_path: Path) -> None:
    said = debug(
        library, tmp_path, "trap_kinds", "break call_again", "backtrace 3\ndelete\ncontinue"
    )
    assert re.search(r"#0 .*\bcall_again ", said), said[-3000:]
    assert "exited normally" in said, said[-3000:]
