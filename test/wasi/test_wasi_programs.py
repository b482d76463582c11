"""Programs that nobody here wrote.

Left out, since an interpreter takes them longer than a few seconds: the benchmarks zlib,
spectral-norm and coremark of `bench/wavm`, and most of `bench/sightglass`; by their imports:
sieve-primes (threads) and calculator.swift of `programs/chicory`.
"""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

import chiasm

PLAIN = {
    "programs/chicory/hello-wasi.rs.wasm": "Hello, World!\n",
    "programs/chicory/hello-world.swift.wasm": "Hello, Swift world!\n",
    "programs/chicory/main.go.wasm": "Hello, WebAssembly!\n",
    "programs/dotnet/basic.dotnet.wasm": "Hello, Wasi Console!\n",
    "bench/wavm/nbody.wasm": "-0.169075164\n-0.169075164\n",
    "bench/wavm/fannkuch-redux.wasm": "228\nPfannkuchen(7) = 16\n",
    "bench/wavm/binary-trees.wasm": "stretch tree of depth 7\t check: 255\n"
    "64\t trees of depth 4\t check: 1984\n16\t trees of depth 6\t check: 2032\n"
    "long lived tree of depth 6\t check: 127\n",
}
SIGHTGLASS = ["noop", "quicksort", "richards"]
SHOOTOUT = ["gimli", "keccak", "random", "ratelimit", "xblabla20", "xchacha20"]


@pytest.mark.parametrize("path", PLAIN)
def test_the_program_prints_what_it_should(shared, path):
    done = chiasm.run(shared / path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == (PLAIN[path], "", 0)


@pytest.mark.parametrize("name", ["hello-world.kt", "kotlin_wasm_wasi_example_wasm_wasi_prod"])
def test_kotlin_prints_when_it_is_initialised(shared, name):
    path = shared / "programs" / "kotlin-gc" / f"{name}.wasm"
    done = chiasm.run(path, capture_output=True, text=True, clock=1e9)
    assert done.stdout.startswith("Hello from Kotlin via WASI\n")
    assert "'realtime' timestamp is: 10000000000000" in done.stdout


def test_javascript_runs_in_a_program(shared):
    done = chiasm.run(
        shared / "programs/chicory/javy-demo.js.javy.wasm", input='{"n": 2, "bar": "baz"}',
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.startswith("{")


def test_a_greeting_has_the_name_from_the_input(shared):
    path = shared / "programs/chicory/greet-wasi.rs.wasm"
    assert chiasm.run(path, input="Benjamin", capture_output=True).stdout == b"Hello, Benjamin!\n"


@pytest.fixture(scope="module")
def cpython(shared, tmp_path_factory) -> Path:
    packed = shared / "programs" / "cpython" / "python.wasm.xz"
    path = tmp_path_factory.mktemp("cpython") / "python.wasm"
    path.write_bytes(lzma.decompress(packed.read_bytes()))
    return path


SCRIPT = """
import hashlib, json, math, os, sys, zlib
print(hashlib.sha256(b"abc").hexdigest())
print(json.dumps({"a": [1, 2.5, None]}), zlib.crc32(b"hello"), math.pi)
print(sorted(os.listdir("/w")), sys.argv[1:], os.environ["NAME"], sys.stdin.read())
with open("/w/out.txt", "w") as f:
    f.write("written")
for path in ("/w/../x", "/etc/passwd"):
    try:
        open(path)
    except OSError as e:
        print(type(e).__name__)
sys.exit(5)
"""
ANSWER = """\
ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
{"a": [1, 2.5, null]} 907060870 3.141592653589793
['script.py'] ['one', 'two'] value input
PermissionError
FileNotFoundError
"""


def test_cpython_runs_a_script(cpython, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = chiasm.run(
        cpython, ["/w/script.py", "one", "two"], dirs={"/w": tmp_path}, env={"NAME": "value"},
        input="input", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == ANSWER
    assert done.returncode == 5
    assert (tmp_path / "out.txt").read_text() == "written"


def test_cpython_runs_by_the_command(command, cpython, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [command, "run", "--dir", f"{tmp_path}::/w", "--env", "NAME=value", cpython, "/w/script.py",
         "one", "two"],
        input="input", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == (ANSWER, "", 5)


def bench(path: Path, folder: Path):
    imports = {"bench": {"start": lambda: None, "end": lambda: None}}
    return chiasm.run(
        path, dirs={".": chiasm.ReadOnly(folder)}, imports=imports, capture_output=True, timeout=60
    )


@pytest.mark.parametrize("name", SIGHTGLASS)
def test_sightglass_agrees_with_what_is_expected(shared, name):
    folder = shared / "bench" / "sightglass" / name
    done = bench(folder / "benchmark.wasm", folder)
    for stream, got in (("stdout", done.stdout), ("stderr", done.stderr)):
        expected = folder / f"benchmark.{stream}.expected"
        if expected.exists():
            assert got == expected.read_bytes()
    assert done.returncode == 0


@pytest.mark.parametrize("name", SHOOTOUT)
def test_shootout_agrees_with_what_is_expected(shared, name):
    folder = shared / "bench" / "sightglass" / "shootout"
    done = bench(folder / f"shootout-{name}.wasm", folder)
    assert done.stdout == (folder / f"shootout-{name}.stdout.expected").read_bytes()
    assert done.stderr == (folder / f"shootout-{name}.stderr.expected").read_bytes()
