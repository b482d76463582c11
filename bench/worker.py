"""One measurement in one process: ``worker.py ENGINE COMMAND ...``.

    probe                          can it run a module?       → {"version": ...}
    probe-module                   can it validate one?       → {"version": ...}
    run FILE N CALLS BUDGET_MS     calls ``kernel(N)``        → {"ns": ..., "checksum": ..., ...}
    validate FILE CALLS BUDGET_MS  decodes and validates      → {"ns": ..., "memory": ..., ...}

The result is the last line of standard output, in JSON.  Times are CPU time of the process, the
best of CALLS calls; no call begins after BUDGET_MS.  ``worker.mjs`` speaks the same protocol.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[[int], Any]

TIERS = {
    "chiasm": "auto",
    "chiasm-interp": "interp",
    "chiasm-baseline": "baseline",
    "chiasm-optimize": "optimize",
}

# The empty module.
EMPTY = b"\0asm\1\0\0\0"


def version_of(distribution: str, module: Any) -> str:
    """Return a package's version, whether it is installed or imported from a checkout."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(module, "__version__", "of this checkout"))


def probe(engine: str, run: bool) -> dict[str, Any]:
    """Import the engine and make it do something small."""
    if engine == "wasm3":
        wasm3 = importlib.import_module("wasm3")
        return {"version": f"pywasm3 {version_of('pywasm3', wasm3)}, wasm3 {wasm3.M3_VERSION}"}
    if engine == "wasmtime":
        wasmtime = importlib.import_module("wasmtime")
        wasmtime.Module(wasmtime.Engine(), EMPTY)
        return {"version": f"wasmtime {version_of('wasmtime', wasmtime)}"}
    chiasm = importlib.import_module("chiasm")
    if run:
        chiasm.instantiate(EMPTY, tier=TIERS[engine])
    else:
        chiasm.Module(EMPTY)
    return {"version": f"chiasm {version_of('chiasm', chiasm)}"}


def load_native(path: Path) -> Call:
    function = ctypes.CDLL(str(path)).kernel
    function.argtypes = [ctypes.c_uint32]
    function.restype = ctypes.c_uint32
    return function


def load_wasm3(path: Path) -> Call:
    wasm3 = importlib.import_module("wasm3")
    environment = wasm3.Environment()
    runtime = environment.new_runtime(1 << 18)
    runtime.load(environment.parse_module(path.read_bytes()))
    function = runtime.find_function("kernel")
    # The function does not keep these alive.
    function_parts.extend([environment, runtime])
    return function  # type: ignore[no-any-return]


def load_wasmtime(path: Path) -> Call:
    wasmtime = importlib.import_module("wasmtime")
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    instance = wasmtime.Instance(store, wasmtime.Module.from_file(engine, str(path)), [])
    function = instance.exports(store)["kernel"]
    return lambda n: function(store, n)


def load_chiasm(path: Path, tier: str) -> Call:
    chiasm = importlib.import_module("chiasm")
    instance = chiasm.instantiate(str(path), tier=tier)
    return instance.exports.kernel  # type: ignore[no-any-return]


function_parts: list[Any] = []


def load(engine: str, path: Path) -> Call:
    """Return the kernel of a file as a function of this engine."""
    if engine == "wasm3":
        return load_wasm3(path)
    if engine == "wasmtime":
        return load_wasmtime(path)
    if engine in TIERS:
        return load_chiasm(path, TIERS[engine])
    return load_native(path)


def validator_of_wasmtime() -> Callable[[bytes], None]:
    wasmtime = importlib.import_module("wasmtime")
    config = wasmtime.Config()
    for feature in ("gc", "exceptions", "function_references", "tail_call", "threads", "memory64"):
        setattr(config, f"wasm_{feature}", True)
    engine = wasmtime.Engine(config)

    def check(data: bytes) -> None:
        wasmtime.Module.validate(engine, data)

    return check


def validator(engine: str) -> Callable[[bytes], None]:
    """Return a function that decodes and validates a module, and raises if it is refused."""
    if engine == "wasmtime":
        return validator_of_wasmtime()
    chiasm = importlib.import_module("chiasm")

    def check(data: bytes) -> None:
        chiasm.Module(data)

    return check


def best_of(function: Callable[[], Any], calls: int, budget_ms: int) -> tuple[int, int, Any]:
    """Return the least CPU time of a call in ns, the number of calls, and the last result."""
    best, done, result = sys.maxsize, 0, None
    end = time.monotonic_ns() + budget_ms * 1_000_000
    while done == 0 or (done < calls and time.monotonic_ns() < end):
        start = time.process_time_ns()
        result = function()
        best = min(best, time.process_time_ns() - start)
        done += 1
    return best, done, result


def run(engine: str, path: Path, n: int, calls: int, budget_ms: int) -> dict[str, Any]:
    function = load(engine, path)
    ns, done, result = best_of(lambda: function(n), calls, budget_ms)
    return {"ns": ns, "calls": done, "checksum": result & 0xFFFFFFFF}


def status_bytes(field: str) -> int | None:
    """Return a size from /proc/self/status in bytes, where there is one."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def peak_growth(function: Callable[[], Any]) -> int | None:
    """Return by how many bytes the resident memory grew at most during one call."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    before = status_bytes("VmRSS")
    function()
    peak = status_bytes("VmHWM")
    return None if before is None or peak is None else max(0, peak - before)


def validate(engine: str, path: Path, calls: int, budget_ms: int) -> dict[str, Any]:
    data = path.read_bytes()
    check = validator(engine)
    check(EMPTY)
    memory = peak_growth(lambda: check(data))
    ns, done, _ = best_of(lambda: check(data), calls, budget_ms)
    return {"ns": ns, "calls": done, "memory": memory}


def answer(engine: str, command: str, *words: str) -> dict[str, Any]:
    """Do what the command line says."""
    if command.startswith("probe"):
        return probe(engine, run=command == "probe")
    path, *rest = words
    numbers = [int(word) for word in rest]
    if command == "run":
        return run(engine, Path(path), *numbers)
    return validate(engine, Path(path), *numbers)


def main() -> None:
    try:
        result = answer(*sys.argv[1:])
    except BaseException as error:
        first_line = str(error).strip().partition("\n")[0]
        result = {"error": f"{type(error).__name__}: {first_line}"[:200]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
