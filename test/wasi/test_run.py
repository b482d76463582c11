"""chiasm.run: programs as subprocesses."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import chiasm
from chiasm import run


def test_output_is_captured_as_bytes_or_text(program):
    done = run(program, ["say", "é"], capture_output=True)
    assert done.stdout == "ésay 0\n".encode()
    assert done.stderr == b""
    assert done.returncode == 0
    assert done.args == ["probe", "say", "é"]
    assert run(program, ["say", "é"], capture_output=True, text=True).stdout == "ésay 0\n"
    assert run(program, ["say", "x"], stdout=subprocess.PIPE).stderr is None
    with pytest.raises(ValueError, match="capture_output"):
        run(program, capture_output=True, stdout=subprocess.PIPE)


def test_newlines_are_translated_in_text(program):
    assert run(program, ["say", "a\r\nb\r"], capture_output=True, text=True).stdout.startswith(
        "a\nb\n"
    )
    done = run(program, ["say", "é"], capture_output=True, encoding="latin-1")
    assert done.stdout.startswith("Ã©")


def test_output_goes_to_the_parents_descriptors(program, capfd):
    assert run(program, ["say", "hello"]).stdout is None
    assert capfd.readouterr().out == "hellosay 0\n"


@pytest.mark.parametrize("data", [b"abc", "abc"])
def test_input_is_read(program, data):
    assert run(program, ["read", "0"], input=data, capture_output=True).stdout == b"abcread 0\n"


def test_input_is_at_its_end_unless_given(program):
    assert run(program, ["read", "0"], capture_output=True).stdout == b"read 0\n"
    with pytest.raises(ValueError, match="stdin and input"):
        run(program, input=b"", stdin=b"")


def test_the_status_is_that_of_proc_exit(program):
    done = run(program, ["exit", "3"], capture_output=True)
    assert done.returncode == 3
    assert run(program, ["exit", "-1"]).returncode == 255
    assert run(program, ["exit", "0"]).returncode == 0


def test_check_raises_called_process_error(program):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run(program, ["say", "x", "exit", "3"], check=True, capture_output=True)
    assert caught.value.returncode == 3
    assert caught.value.stdout == b"xsay 0\n"
    assert run(program, ["exit", "0"], check=True).returncode == 0


@pytest.mark.parametrize("operation", [["spin"], ["sleep", "60000"]])
def test_a_timeout_raises_timeout_expired(program, operation):
    begin = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        run(program, ["say", "x", *operation], timeout=0.1, capture_output=True)
    assert time.monotonic() - begin < 2
    assert caught.value.timeout == 0.1
    assert caught.value.output == b"xsay 0\n"


def test_a_timeout_ends_a_read_of_a_pipe(program):
    read, write = os.pipe()
    begin = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        run(program, ["read", "0"], stdin=read, timeout=0.1)
    assert 0.1 <= time.monotonic() - begin < 1
    os.close(read)
    os.close(write)


def test_a_timeout_ends_a_write_to_a_full_pipe(program):
    read, write = os.pipe()
    with pytest.raises(subprocess.TimeoutExpired):
        run(program, ["fill", "1", "x" * 1000, "1000"], stdout=write, timeout=0.2)
    os.close(read)
    os.close(write)


def test_the_outer_timeout_is_not_taken_for_its_own(program):
    with pytest.raises(TimeoutError), chiasm.timeout(0.05):
        run(program, ["spin"], timeout=10)


def test_a_trap_has_what_was_captured(program):
    with pytest.raises(chiasm.Trap, match="unreachable") as caught:
        run(program, ["say", "x", "trap"], capture_output=True)
    assert caught.value.stdout == b"xsay 0\n"


def test_nothing_is_granted_by_default(program):
    os.environ["CHIASM_TEST_SECRET"] = "1"
    done = run(program, ["env", "open", "x", "r", "clock", "2"], capture_output=True, text=True)
    assert done.stdout == "env 0\nopen 8\nclock 28\n"


def test_the_environment_is_what_is_given(program):
    done = run(program, ["env"], env={"A": "1", "B": "=x"}, capture_output=True, text=True)
    assert done.stdout == "A=1 B==x env 0\n"
    for wrong in ({"A=": "1"}, {"": "1"}, {"A\0": "1"}, {"A": "\0"}):
        with pytest.raises(ValueError):
            run(program, env=wrong)


def test_directories_are_preopened_in_order(program, tmp_path):
    (tmp_path / "b").mkdir()
    done = run(
        program, ["prestat", "3", "prestat", "4", "prestat", "5"], capture_output=True, text=True,
        dirs={"/a": str(tmp_path), "/b/c": tmp_path / "b"},
    )  # fmt: skip
    assert done.stdout == "/a prestat 0\n/b/c prestat 0\nprestat 8\n"


def test_a_directory_that_is_missing_is_an_os_error(program, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run(program, dirs={"/": tmp_path / "nowhere"})
    with pytest.raises(NotADirectoryError):
        run(program, dirs={"/": __file__})
    with pytest.raises(TypeError, match="dirs"):
        run(program, dirs={"/": 3})


def test_the_programs_name_is_that_of_its_file(tmp_path):
    path = tmp_path / "named.wat"
    path.write_text(
        """(module
          (import "wasi_snapshot_preview1" "args_sizes_get" (func $s (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "args_get" (func $g (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write"
            (func $w (param i32 i32 i32 i32) (result i32)))
          (memory 1)
          (func (export "_start")
            (drop (call $s (i32.const 0) (i32.const 12)))
            (drop (call $g (i32.const 100) (i32.const 200)))
            (i32.store (i32.const 8) (i32.const 200))
            (drop (call $w (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"""
    )
    done = run(path, ["a", b"b"], capture_output=True)
    assert done.stdout == b"named.wat\0a\0b\0"
    assert run(str(path), capture_output=True).stdout == b"named.wat\0"
    with pytest.raises(TypeError, match="iterable of strings"):
        chiasm.WASI("a")


def test_what_is_no_program_is_a_link_error():
    with pytest.raises(chiasm.LinkError, match="_start"):
        run("(module)")
    with pytest.raises(chiasm.LinkError, match="env"):
        run('(module (import "env" "f" (func)) (func (export "_start")))')
    assert run('(module (func (export "_initialize")))').returncode == 0


def test_standard_error_may_go_where_output_goes(program):
    wat = """(module
      (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (memory 1) (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00") (data (i32.const 16) "x")
      (func (export "_start")
        (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store8 (i32.const 16) (i32.const 121))
        (drop (call $w (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
    done = run(wat, capture_output=True)
    assert (done.stdout, done.stderr) == (b"x", b"y")
    done = run(wat, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (done.stdout, done.stderr) == (b"xy", None)
    done = run(wat, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert (done.stdout, done.stderr) == (None, b"y")
    out: list[bytes] = []
    run(wat, stdout=out.append, stderr=subprocess.STDOUT)
    assert out == [b"x", b"y"]


def test_streams_are_files_and_callables(program, tmp_path):
    with open(tmp_path / "out", "w") as file:
        file.write("before ")
        run(program, ["say", "x"], stdout=file)
    assert (tmp_path / "out").read_text() == "before xsay 0\n"
    with open(tmp_path / "out") as file:
        done = run(program, ["read", "0"], stdin=file, capture_output=True)
    assert done.stdout == b"before xsay 0\nread 0\n"
    binary, text = io.BytesIO(), io.StringIO()
    run(program, ["read", "0"], stdin=io.BytesIO(b"abc"), stdout=binary)
    run(program, ["read", "0"], stdin=io.StringIO("é" * 5000), stdout=text)
    assert binary.getvalue() == b"abcread 0\n"
    assert text.getvalue() == "é" * 5000 + "read 0\n"
    for wrong in (3.5, [], {}):
        with pytest.raises(TypeError):
            run(program, stdin=wrong)
        with pytest.raises(TypeError):
            run(program, stdout=wrong)


def test_an_exception_of_a_stream_comes_through(program):
    class Mine(Exception):
        pass

    def fail(data):
        raise Mine(data)

    with pytest.raises(Mine, match="x"):
        run(program, ["say", "x"], stdout=fail)

    class Source:
        def read(self, n):
            raise Mine(n)

    with pytest.raises(Mine):
        run(program, ["read", "0"], stdin=Source())

    class Greedy:
        def read(self, n):
            return b"x" * (n + 1)

    with pytest.raises(ValueError, match="more than was asked"):
        run(program, ["read", "0"], stdin=Greedy())


def test_what_is_kept_is_limited(program):
    limits = chiasm.Limits(memory=1 << 20)
    done = run(program, ["fill", "1", "x" * 1000, "2000"], capture_output=True, limits=limits)
    assert len(done.stdout) <= 1 << 20
    assert len(done.stdout) > 1_000_000


def test_a_seed_and_a_clock_make_runs_repeatable(program):
    def once(**options):
        operations = [
            "random",
            "random",
            "clock",
            "0",
            "clock",
            "1",
            "sleep",
            "3600000",
            "clock",
            "1",
        ]
        return run(program, operations, capture_output=True, text=True, **options).stdout

    assert once(random=1, clock=1e9) == once(random=1, clock=1e9)
    assert once(random=1, clock=1e9) != once(random=2, clock=1e9)
    lines = once(random=1, clock=1e9).splitlines()
    assert lines[2] == "1000000000000001000 clock 0"
    assert int(lines[5].split()[0]) - int(lines[3].split()[0]) >= 3600 * 10**9
    assert run(program, ["random"], capture_output=True) != run(
        program, ["random"], capture_output=True
    )


def test_what_is_not_built_says_so(program):
    with pytest.raises(NotImplementedError, match="clock"):
        run(program, clock=time.time)


def test_poll_tells_what_is_ready(program):
    read, write = os.pipe()
    options = {"stdin": read, "capture_output": True, "text": True}
    assert run(program, ["wait", "1", "0", "50"], **options).stdout == "2 wait 0\n"
    os.write(write, b"x")
    assert run(program, ["wait", "1", "0", "5000"], **options).stdout == "1 wait 0\n"
    assert run(program, ["wait", "2", "1", "5000"], **options).stdout == "1 wait 0\n"
    assert run(program, ["wait", "1", "77", "5000"], **options).stdout == "1 wait 0\n"
    os.close(read)
    os.close(write)


def test_other_threads_run_while_the_guest_computes(program):
    counted = 0
    stop = threading.Event()

    def count():
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    with pytest.raises(subprocess.TimeoutExpired):
        run(program, ["spin"], timeout=0.2)
    stop.set()
    thread.join()
    assert counted > 50


def test_a_guest_that_has_the_gil_gives_it_away_while_it_waits(program):
    counted = 0
    stop = threading.Event()

    def count():
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0.001)

    wasi = chiasm.WASI(["x", "sleep", "300"], stdout=lambda data: None)
    inst = chiasm.instantiate(program, wasi=wasi, gil=True)
    thread = threading.Thread(target=count)
    thread.start()
    inst.exports["_start"]()
    stop.set()
    thread.join()
    assert counted > 50


INTERRUPTED = """
import chiasm, os, signal, sys, threading, time
m = chiasm.Module(sys.argv[1])
read, write = os.pipe()
sent = []
def interrupt():
    time.sleep(0.3)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    chiasm.run(m, sys.argv[2:], stdin=read)
except KeyboardInterrupt:
    print("late by", round((time.monotonic() - sent[0]) * 1000), "ms")
"""


@pytest.mark.parametrize(
    "operations", [["read", "0"], ["sleep", "60000"], ["wait", "1", "0", "60000"]]
)
def test_ctrl_c_ends_what_waits(operations):
    from pathlib import Path

    late = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, Path(__file__).parent / "probe.wasm", *operations],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        late.append(int(done.stdout.split()[2]))
    assert min(late) <= 10


def test_cancel_ends_what_waits(program):
    read, write = os.pipe()
    inst = chiasm.instantiate(program, wasi=chiasm.WASI(["x", "read", "0"], stdin=read))
    threading.Timer(0.1, inst.cancel).start()
    with pytest.raises(chiasm.Cancelled):
        inst.exports["_start"]()
    os.close(read)
    os.close(write)


def test_the_python_process_survives_a_closed_pipe(program):
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    read, write = os.pipe()
    os.close(read)
    assert run(program, ["say", "x"], stdout=write).returncode == 0
    os.close(write)
