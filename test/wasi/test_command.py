"""`chiasm run`: options and exit status."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("probe.wasm")


@pytest.fixture
def run(command):
    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, "run", *map(str, arguments)], capture_output=True, text=True, timeout=30,
            **options,
        )  # fmt: skip

    return run


def test_arguments_and_environment_are_the_programs(run):
    done = run("--env", "A=1", "--env=B=2", PROBE, "env", "say", "--env", "exit", "7")
    assert (done.stdout, done.returncode) == ("A=1 B=2 env 0\n--envsay 0\n", 7)


def test_standard_input_is_the_programs(run):
    assert run(PROBE, "read", 0, input="hello").stdout == "helloread 0\n"


def test_directories_are_granted_by_name(run, tmp_path):
    (tmp_path / "f").write_text("x")
    done = run("--dir", f"{tmp_path}::/data", "--dir", tmp_path, PROBE, "prestat", 3, "prestat", 4,
               "cat", "f", "cat", "../f")  # fmt: skip
    assert done.stdout == f"/data prestat 0\n{tmp_path} prestat 0\nxcat 0\ncat 63\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((PROBE, "exit", "300"), 44, ""),
        ((PROBE, "trap"), 134, "trap: unreachable"),
        (("--timeout", "0.2", PROBE, "spin"), 124, "timed out"),
        (("--timeout", "0.2", PROBE, "sleep", "60000"), 124, "timed out"),
        (("--timeout", "x", PROBE), 2, "--timeout wants seconds"),
        (("--env", "A", PROBE), 2, "--env wants NAME=VALUE"),
        (("--dir", "/nonexistent", PROBE), 2, "/nonexistent: No such file"),
        (("/nonexistent.wasm",), 1, "No such file"),
    ],
)
def test_the_exit_status_tells_what_happened(run, arguments, status, message):
    done = run(*arguments)
    assert done.returncode == status
    assert message in done.stderr


def test_a_timeout_ends_a_read_of_a_pipe(run):
    read, write = os.pipe()
    begin = time.monotonic()
    assert run("--timeout", "0.2", PROBE, "read", 0, stdin=read).returncode == 124
    assert time.monotonic() - begin < 5
    os.close(read)
    os.close(write)


def test_a_wrong_import_is_told(run, tmp_path):
    path = tmp_path / "m.wat"
    path.write_text("""(module (import "wasi_snapshot_preview1" "fd_close" (func))
      (import "wasi_snapshot_preview1" "fd_x" (func)) (import "env" "f" (func)))""")
    done = run(path)
    assert done.returncode == 1
    assert [line.partition("error: ")[2] for line in done.stderr.splitlines()] == [
        "fd_close has another type: (i:i) in WASI, I being i64",
        "WASI preview 1 has no function fd_x",
        'import "env" "f" (func) is missing',
    ]


def test_a_library_is_initialised_before_its_functions_are_invoked(run, tmp_path):
    path = tmp_path / "m.wat"
    path.write_text("""(module (global $g (mut i32) (i32.const 1))
      (func (export "_initialize") (global.set $g (i32.const 42)))
      (func (export "f") (result i32) (global.get $g)))""")
    assert run("--invoke", "f", path).stdout == "42\n"
    assert run(path).returncode == 0
