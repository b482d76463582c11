"""Runs one WASI program in one process: ``program_worker.py ENGINE COMMAND ...``.

    probe                      → {"version": ...}
    run FILE RUNS BUDGET_MS    → {"ns": [...], "printed": ..., "matches": ...}

Like ``worker.py``; ``program_worker.mjs`` speaks the same protocol. `ns` has the CPU time of each
run, `printed` a hash of what the last one printed, `matches` whether that is what the files beside
the program say (null: there are none).
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from worker import EMPTY, TIERS, version_of

Run = Callable[["Window"], None]


class Window:
    """The time between the first start and the last end, and where a run prints."""

    def __init__(self, folder: Path) -> None:
        self.began = self.ended = 0
        self.out, self.err = folder / "stdout", folder / "stderr"

    def start(self) -> None:
        self.began = time.process_time_ns()

    def end(self) -> None:
        self.ended = time.process_time_ns()

    def clock_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 & 0x7FFFFFFF

    def whole(self, call: Callable[[], object]) -> None:
        """Run; the window is all of it, unless the program sets one."""
        before = time.process_time_ns()
        call()
        after = time.process_time_ns()
        if not self.ended:
            self.began, self.ended = before, after

    def score(self, iterations_per_second: float) -> None:
        """CoreMark measures itself: let an iteration's time be a run's."""
        self.began, self.ended = 0, round(1e9 / iterations_per_second)
        self.out.write_bytes(b"")
        self.err.write_bytes(b"")


def chiasm_run(path: Path, tier: str) -> Run:
    chiasm = importlib.import_module("chiasm")
    module = chiasm.Module(path.read_bytes())

    def run(w: Window) -> None:
        with w.out.open("wb") as out, w.err.open("wb") as err:
            folder = chiasm.ReadOnly(path.parent)
            wasi = chiasm.WASI([path.name], dirs={".": folder}, stdout=out, stderr=err)
            imports = {
                "bench": {"start": w.start, "end": w.end},
                "env": {"clock_ms": w.clock_ms},
            }
            exports = chiasm.instantiate(module, imports, wasi=wasi, tier=tier).exports
            if not hasattr(exports, "_start"):
                return w.score(exports.run())
            try:
                w.whole(exports._start)
            except chiasm.Exit as end:
                if end.code:
                    raise
        return None

    return run


def wasmtime_config(engine: str) -> Any:
    wasmtime = importlib.import_module("wasmtime")
    config = wasmtime.Config()
    if engine == "wasmtime-winch":
        api = importlib.import_module("wasmtime._ffi")
        api.wasmtime_config_strategy_set(config.ptr(), 2)  # the package has no name for it
        return config
    for feature in ("gc", "function_references", "tail_call", "exceptions"):
        setattr(config, f"wasm_{feature}", True)
    return config


def wasmtime_run(path: Path, engine_name: str) -> Run:
    wasmtime = importlib.import_module("wasmtime")
    engine = wasmtime.Engine(wasmtime_config(engine_name))
    module = wasmtime.Module(engine, path.read_bytes())
    nothing = wasmtime.FuncType([], [])
    number = wasmtime.FuncType([], [wasmtime.ValType.i32()])

    def run(w: Window) -> None:
        store = wasmtime.Store(engine)
        wasi = wasmtime.WasiConfig()
        wasi.argv = (path.name,)
        wasi.preopen_dir(str(path.parent), ".")
        wasi.stdout_file, wasi.stderr_file = str(w.out), str(w.err)
        store.set_wasi(wasi)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        linker.define_func("bench", "start", nothing, w.start)
        linker.define_func("bench", "end", nothing, w.end)
        linker.define_func("env", "clock_ms", number, w.clock_ms)
        exports = linker.instantiate(store, module).exports(store)
        if exports.get("_start") is None:
            return w.score(exports["run"](store))
        try:
            w.whole(lambda: exports["_start"](store))
        except wasmtime.ExitTrap as end:
            if end.code:
                raise
        return None

    return run


class SmallWasi:
    """WASI as far as programs without files need it, for a binding that has none."""

    BAD_FD, NO_SYSTEM = 8, 52

    def __init__(self, runtime: Any, window: Window, name: bytes) -> None:
        self.runtime, self.name = runtime, name + b"\0"
        self.files = {1: window.out.open("wb"), 2: window.err.open("wb")}
        self.exited: int | None = None

    def put(self, at: int, value: int, size: int = 4) -> int:
        self.runtime.get_memory(0)[at : at + size] = value.to_bytes(size, "little")
        return 0

    def get(self, at: int) -> int:
        return int.from_bytes(self.runtime.get_memory(0)[at : at + 4], "little")

    def fd_write(self, fd: int, vector: int, count: int, written: int) -> int:
        if fd not in self.files:
            return self.BAD_FD
        total = 0
        for at in range(vector, vector + 8 * count, 8):
            start, size = self.get(at), self.get(at + 4)
            self.files[fd].write(bytes(self.runtime.get_memory(0)[start : start + size]))
            total += size
        return self.put(written, total)

    def proc_exit(self, status: int) -> None:
        self.exited = status
        raise SystemExit(status)

    def args_sizes_get(self, count: int, size: int) -> int:
        return self.put(count, 1) or self.put(size, len(self.name))

    def args_get(self, pointers: int, data: int) -> int:
        self.runtime.get_memory(0)[data : data + len(self.name)] = self.name
        return self.put(pointers, data)

    def environ_sizes_get(self, count: int, size: int) -> int:
        return self.put(count, 0) or self.put(size, 0)

    def clock_time_get(self, _clock: int, _precision: int, out: int) -> int:
        return self.put(out, time.time_ns(), 8)

    def random_get(self, at: int, size: int) -> int:
        self.runtime.get_memory(0)[at : at + size] = bytes(size)
        return 0

    def fd_fdstat_get(self, fd: int, out: int) -> int:
        if fd > 2:
            return self.BAD_FD
        self.runtime.get_memory(0)[out : out + 24] = bytes([2]) + bytes(7) + b"\xff" * 16
        return 0

    # fmt: off
    FUNCTIONS: ClassVar = {
        "fd_write": "i(iiii)", "proc_exit": "v(i)", "args_sizes_get": "i(ii)", "args_get": "i(ii)",
        "environ_sizes_get": "i(ii)", "clock_time_get": "i(iIi)", "random_get": "i(ii)",
        "fd_fdstat_get": "i(ii)",
    }
    REFUSED: ClassVar = {
        "environ_get": "i(ii)", "fd_prestat_get": "i(ii)", "fd_prestat_dir_name": "i(iii)",
        "fd_close": "i(i)", "fd_seek": "i(iIii)", "fd_read": "i(iiii)", "sched_yield": "i()",
        "path_open": "i(iiiiiIIii)", "fd_filestat_get": "i(ii)", "poll_oneoff": "i(iiii)",
        "fd_fdstat_set_flags": "i(ii)", "path_filestat_get": "i(iiiii)",
        "clock_res_get": "i(ii)", "fd_tell": "i(ii)", "fd_pread": "i(iiiIi)",
        "fd_readdir": "i(iiiIi)", "fd_filestat_set_size": "i(iI)",
    }
    # fmt: on


def wasm3_link(module: Any, namespace: str, name: str, signature: str, function: Any) -> None:
    try:
        module.link_function(namespace, name, signature, function)
    except RuntimeError as error:
        if "lookup failed" not in str(error):
            raise


def wasm3_run(path: Path) -> Run:
    wasm3 = importlib.import_module("wasm3")
    data = path.read_bytes()

    def run(w: Window) -> None:
        environment = wasm3.Environment()
        runtime = environment.new_runtime(1 << 20)
        module = environment.parse_module(data)
        runtime.load(module)
        wasi = SmallWasi(runtime, w, path.name.encode())
        for name, signature in wasi.FUNCTIONS.items():
            for version in ("wasi_snapshot_preview1", "wasi_unstable"):
                wasm3_link(module, version, name, signature, getattr(wasi, name))
        for name, signature in wasi.REFUSED.items():
            for version in ("wasi_snapshot_preview1", "wasi_unstable"):
                wasm3_link(module, version, name, signature, lambda *_: wasi.BAD_FD)
        wasm3_link(module, "bench", "start", "v()", w.start)
        wasm3_link(module, "bench", "end", "v()", w.end)
        wasm3_link(module, "env", "clock_ms", "i()", w.clock_ms)
        try:
            start = runtime.find_function("_start")
        except RuntimeError:
            return w.score(runtime.find_function("run")())
        try:
            w.whole(start)
        except BaseException:
            if wasi.exited != 0:
                raise
            w.ended = w.ended or time.process_time_ns()
        finally:
            for file in wasi.files.values():
                file.close()
        return None

    return run


def runner(engine: str, path: Path) -> Run:
    """Compile the program, and return a function that runs it once."""
    if engine in TIERS:
        return chiasm_run(path, TIERS[engine])
    return wasm3_run(path) if engine == "wasm3" else wasmtime_run(path, engine)


def probe(engine: str) -> dict[str, Any]:
    """Import the engine and make it do something small."""
    if engine in TIERS:
        chiasm = importlib.import_module("chiasm")
        chiasm.instantiate(EMPTY, tier=TIERS[engine])
        return {"version": f"chiasm {version_of('chiasm', chiasm)}, tier {TIERS[engine]}"}
    if engine == "wasm3":
        wasm3 = importlib.import_module("wasm3")
        return {"version": f"wasm3 {wasm3.M3_VERSION}, WASI without files"}
    wasmtime = importlib.import_module("wasmtime")
    wasmtime.Module(wasmtime.Engine(wasmtime_config(engine)), EMPTY)
    return {"version": f"wasmtime {version_of('wasmtime', wasmtime)}, {engine}"}


def expected(path: Path, stream: str) -> bytes | None:
    """Return what the files beside the program say that it prints."""
    file = path.with_name(f"{path.stem}.{stream}.expected")
    return file.read_bytes() if file.is_file() else None


def run(engine: str, path: Path, runs: int, budget_ms: int) -> dict[str, Any]:
    once, times = runner(engine, path), []
    end = time.monotonic_ns() + budget_ms * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        while not times or (len(times) < runs and time.monotonic_ns() < end):
            window = Window(Path(folder))
            once(window)
            times.append(max(1, window.ended - window.began))
        out, err = window.out.read_bytes(), window.err.read_bytes()
    wanted = expected(path, "stdout"), expected(path, "stderr")
    matches = None if None in wanted else wanted == (out, err)
    return {"ns": times, "matches": matches, "printed": hashlib.sha256(out).hexdigest()}


def main() -> None:
    engine, command, *words = sys.argv[1:]
    try:
        if command == "probe":
            result = probe(engine)
        else:
            result = run(engine, Path(words[0]), int(words[1]), int(words[2]))
    except BaseException as error:
        first_line = str(error).strip().partition("\n")[0]
        result = {"error": f"{type(error).__name__}: {first_line}"[:200]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
