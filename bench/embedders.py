"""The small programs in C that compile.py and start.py time, and how each engine is asked."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
from pathlib import Path
from typing import Any

from common import (
    BENCH,
    BUILD,
    NODE_FLAGS,
    ROOT,
    WorkerError,
    ask,
    environment,
    node,
    worker_command,
)
from native import gcc

LIBRARY = ROOT / "build" / "library"  # as the tests build it: release, no assertions
TIERS = {"chiasm-interp": "interp", "chiasm-baseline": "baseline"}
STRATEGIES = {"wasmtime": "cranelift", "wasmtime-winch": "winch"}


def run_tool(*command: object) -> None:
    """Run a build tool.

    Raises
    ------
    WorkerError
        It is missing, or failed.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        raise WorkerError(f"no {words[0]} in PATH") from None
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise WorkerError(f"{words[0]} failed: {lines[-1] if lines else ''}"[:200])


def build_chiasm() -> Path:
    """Return the embedder of Chiasm, built with the static library."""
    if not (LIBRARY / "build.ninja").exists():
        options = ["-Dpython=disabled", "-Dbuildtype=release", "-Db_ndebug=true", "-Dlibdir=lib"]
        run_tool("meson", "setup", LIBRARY, ROOT, f"--prefix={LIBRARY}/usr", *options)
    run_tool("ninja", "-C", LIBRARY, "--quiet", "embed")
    return LIBRARY / "embed"


def wasmtime_library() -> Path:
    spec = importlib.util.find_spec("wasmtime")
    places = spec.submodule_search_locations if spec else None
    found = [path for place in places or [] for path in Path(place).rglob("_libwasmtime.so")]
    if not found:
        raise WorkerError("the package wasmtime is not installed")
    return found[0]


def build_with_gcc(source: str, target: Path, *more: object) -> Path:
    compiler = gcc()
    if compiler is None:
        raise WorkerError("no gcc in PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    run_tool(compiler, "-O2", "-std=gnu11", BENCH / source, "-o", target, *more)
    return target


def build_wasmtime() -> Path:
    library = wasmtime_library()
    target = BUILD / "embed_wasmtime"
    return build_with_gcc("embed_wasmtime.c", target, library, f"-Wl,-rpath,{library.parent}")


def build_floor() -> Path:
    """Return a program that prints a number and ends."""
    source = BUILD / "floor.c"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text('#include <stdio.h>\nint main(void) { puts("42"); return 0; }\n')
    return build_with_gcc(str(source), BUILD / "floor")


def command_for(engine: str, eager: bool = False) -> tuple[list[str], dict[str, str]]:
    """Return the words in front of ``start``, ``compile`` or ``instantiate``, and the environment.

    Parameters
    ----------
    eager
        Whether V8's Liftoff compiles all of a module at once, as its other tiers do here.

    Raises
    ------
    WorkerError
        The engine is not here.
    """
    env = environment()
    if engine == "floor":
        return [str(build_floor())], env
    if engine in TIERS:
        return [str(build_chiasm())], env | {"CHIASM_TIER": TIERS[engine]}
    if engine in STRATEGIES:
        return [str(build_wasmtime()), STRATEGIES[engine]], env
    if engine in NODE_FLAGS:
        probe(engine)
        flags = list(NODE_FLAGS[engine])
        if eager and engine == "v8-liftoff":
            flags.append("--no-wasm-lazy-compilation")
        return [node(), "--no-warnings", *flags, str(BENCH / "worker.mjs")], env
    raise WorkerError("no embedder for it")


def probe(engine: str) -> str:
    """Return the version of V8."""
    return str(ask(worker_command(engine, "probe"), 60)["version"])


def versions() -> dict[str, str]:
    """Return what is known of the engines' versions."""
    known = {}
    with contextlib.suppress(WorkerError):
        known["V8"] = probe("v8")
    if importlib.util.find_spec("wasmtime"):
        known["Wasmtime"] = importlib.import_module("importlib.metadata").version("wasmtime")
    return known


def ask_embedder(
    command: tuple[list[str], dict[str, str]], *words: object, timeout: float
) -> dict[str, Any]:
    """Run an embedder and return the JSON object that it prints."""
    line, env = command
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        return ask([*line, *map(str, words)], timeout)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
