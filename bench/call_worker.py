"""The rows of ``call.py`` as one engine runs them: ``call_worker.py ENGINE``.

Reads the name of a row per line and answers each with a line of JSON: ``{"ns": ...}``, the least
time of one operation in ns, or ``{"error": ...}``.
"""

from __future__ import annotations

import importlib
import json
import os
import struct
import sys
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tiny_wasm
from common import BUILD

MEGABYTE = 1 << 20
PAGES = 32
SPINS = 1_000_000
CALLBACKS = 1000

# How long one timing is, and how many are made of which the best counts.
TIMING_S, TIMINGS = 0.01, 3


@dataclass
class Statement:
    """Python code to be timed, the names it uses, and how many operations it is."""

    code: str
    names: dict[str, Any] = field(default_factory=dict)
    operations: int = 1
    repeat: int = 10

    def time_ns(self) -> float:
        """Return the least CPU time of one operation in ns."""
        timer = timeit.Timer(
            "; ".join([self.code] * self.repeat),
            setup="; ".join(f"{name} = _{name}" for name in self.names) or "pass",
            timer=time.process_time,
            globals={f"_{name}": value for name, value in self.names.items()},
        )
        number, taken = 1, timer.timeit(1)
        while taken < TIMING_S:
            number *= 2 if taken * 4 > TIMING_S else 8
            taken = timer.timeit(number)
        best = min(taken, *timer.repeat(TIMINGS - 1, number))
        return best * 1e9 / (number * self.repeat * self.operations)


@dataclass
class Growth:
    """Memories that grow in steps: `make` returns a fresh one's method, called `steps` times."""

    make: Callable[[], Callable[[int], Any]]
    pages: int
    steps: int

    def time_ns(self) -> float:
        best = float("inf")
        for _ in range(TIMINGS):
            grow = self.make()
            steps = range(self.steps)
            start = time.process_time_ns()
            for _ in steps:
                grow(self.pages)
            best = min(best, (time.process_time_ns() - start) / self.steps)
        return best


Timed = Statement | Growth


def identity(x: int) -> int:
    return x


class Calls:
    """The rows that only need functions; an engine supplies `function` and `namespace`."""

    def function(self, name: str) -> Callable[..., Any]:
        raise NotImplementedError

    def namespace(self) -> tuple[str, Any]:
        """Return how to write the look-up of ``add``, and the object it starts from."""
        raise NotImplementedError

    def each(self) -> tuple[str, dict[str, Any]]:
        """Return the statement that makes `CALLBACKS` calls of `identity`."""
        raise NotImplementedError

    def nop(self) -> Timed:
        return Statement("f()", {"f": self.function("nop")})

    def add(self) -> Timed:
        return Statement("f(1, 2)", {"f": self.function("add")})

    def exports_add(self) -> Timed:
        look_up, thing = self.namespace()
        return Statement(f"{look_up}(1, 2)", {"thing": thing})

    def add_i64(self) -> Timed:
        return Statement("f(1099511627776, 2)", {"f": self.function("add_i64")})

    def add_f64(self) -> Timed:
        return Statement("f(1.5, 2.5)", {"f": self.function("add_f64")})

    def add6(self) -> Timed:
        return Statement("f(1, 2, 3, 4, 5, 6)", {"f": self.function("add6")})

    def callback(self) -> Timed:
        code, names = self.each()
        return Statement(code, names, operations=CALLBACKS, repeat=1)

    def spin(self) -> Timed:
        return Statement("f(n)", {"f": self.function("spin"), "n": SPINS}, repeat=1)


class CExtension(Calls):
    def __init__(self) -> None:
        sys.path.insert(0, str(BUILD))
        self.module = importlib.import_module("yardstick")

    def function(self, name: str) -> Callable[..., Any]:
        return getattr(self.module, name)  # type: ignore[no-any-return]

    def namespace(self) -> tuple[str, Any]:
        return "thing.add", self.module

    def each(self) -> tuple[str, dict[str, Any]]:
        return f"each(f, {CALLBACKS})", {"each": self.module.each, "f": identity}


class PlainPython(Calls):
    """``def`` functions, and a bytearray in place of a memory."""

    def __init__(self) -> None:
        self.bytes = bytearray(PAGES << 16)
        self.data = bytes(MEGABYTE)

    @staticmethod
    def nop_function() -> None:
        pass

    @staticmethod
    def add_function(a: Any, b: Any) -> Any:
        return a + b

    @staticmethod
    def add6_function(a: int, b: int, c: int, d: int, e: int, f: int) -> int:
        return a + b + c + d + e + f

    @staticmethod
    def spin_function(n: int) -> int:
        acc = 0
        for i in range(n):
            acc = ((acc ^ i) * 31 + i) & 0xFFFFFFFF
        return acc

    def function(self, name: str) -> Callable[..., Any]:
        base = name.partition("_")[0]
        return getattr(self, f"{base}_function")  # type: ignore[no-any-return]

    def namespace(self) -> tuple[str, Any]:
        return "thing.add_function", self

    def each(self) -> tuple[str, dict[str, Any]]:
        def loop(f: Callable[[int], int], n: int) -> int:
            acc = 0
            for i in range(n):
                acc += f(i)
            return acc

        return f"loop(f, {CALLBACKS})", {"loop": loop, "f": identity}

    def copy_out(self) -> Timed:
        names = {"view": memoryview(self.bytes), "n": MEGABYTE}
        return Statement("bytes(view[:n])", names)

    def copy_in(self) -> Timed:
        # By a view: bytearray's own assignment of bytes copies twice.
        names = {"view": memoryview(self.bytes), "data": self.data, "n": MEGABYTE}
        return Statement("view[0:n] = data", names)

    def numpy_view(self) -> Timed:
        return numpy_statement(self.bytes)

    def read_i32(self) -> Timed:
        return Statement(
            "unpack(b, 4096)", {"unpack": struct.Struct("<i").unpack_from, "b": self.bytes}
        )


def numpy_statement(buffer: Any) -> Statement:
    numpy = importlib.import_module("numpy")
    names = {"view": numpy.frombuffer, "b": buffer, "f4": numpy.dtype("<f4")}
    return Statement("view(b, f4, 1024, 4096)", names)


class Wasm3(Calls):
    def __init__(self) -> None:
        self.wasm3 = importlib.import_module("wasm3")
        self.environment = self.wasm3.Environment()
        self.runtime = self.load(tiny_wasm.CALLS_MODULE)
        self.others: list[Any] = []

    def load(self, wasm: bytes) -> Any:
        runtime = self.environment.new_runtime(65536)
        runtime.load(self.environment.parse_module(wasm))
        return runtime

    def function(self, name: str) -> Callable[..., Any]:
        return self.runtime.find_function(name)  # type: ignore[no-any-return]

    def namespace(self) -> tuple[str, Any]:
        return 'thing.find_function("add")', self.runtime

    def each(self) -> tuple[str, dict[str, Any]]:
        runtime = self.environment.new_runtime(65536)
        module = self.environment.parse_module(tiny_wasm.CALLBACK_MODULE)
        runtime.load(module)
        module.link_function("env", "f", "i(i)", identity)
        self.others += [runtime, module]
        return f"each({CALLBACKS})", {"each": runtime.find_function("each")}

    def compile_instantiate(self) -> Timed:
        names = {"load": self.load, "wasm": tiny_wasm.ADD_MODULE}
        return Statement("load(wasm)", names, repeat=1)

    def memory(self) -> Any:
        runtime = self.load(tiny_wasm.memory_module(PAGES, PAGES))
        self.others.append(runtime)
        return runtime.get_memory(0)

    def copy_out(self) -> Timed:
        return Statement("bytes(view[:n])", {"view": self.memory(), "n": MEGABYTE})

    def copy_in(self) -> Timed:
        names = {"view": self.memory(), "data": bytes(MEGABYTE), "n": MEGABYTE}
        return Statement("view[0:n] = data", names)

    def numpy_view(self) -> Timed:
        return numpy_statement(self.memory())

    def read_i32(self) -> Timed:
        names = {"unpack": struct.Struct("<i").unpack_from, "b": self.memory()}
        return Statement("unpack(b, 4096)", names)

    def fresh_grow(self) -> Callable[[int], Any]:
        runtime = self.load(tiny_wasm.memory_module(1, 65536))
        self.others = [runtime]
        return runtime.find_function("grow")  # type: ignore[no-any-return]

    def grow_1(self) -> Timed:
        return Growth(self.fresh_grow, 1, steps=20)

    def grow_1000(self) -> Timed:
        return Growth(self.fresh_grow, 1000, steps=2)


class Chiasm(Calls):
    """One tier, which the environment chooses, so that the code is what users write."""

    def __init__(self, tier: str) -> None:
        os.environ |= {"CHIASM_TIER": tier, "CHIASM_CACHE": "0"}
        self.chiasm = importlib.import_module("chiasm")
        self.instance = self.chiasm.instantiate(tiny_wasm.CALLS_MODULE)
        if self.instance.tier != tier:
            raise RuntimeError(f"{tier}: {self.chiasm.features()['refused'][tier]}")

    def function(self, name: str) -> Callable[..., Any]:
        return self.instance.exports[name]  # type: ignore[no-any-return]

    def namespace(self) -> tuple[str, Any]:
        return "thing.exports.add", self.instance

    def each(self) -> tuple[str, dict[str, Any]]:
        imports = {"env": {"f": identity}}
        instance = self.chiasm.instantiate(tiny_wasm.CALLBACK_MODULE, imports)
        return f"each({CALLBACKS})", {"each": instance.exports.each}

    def compile_instantiate(self) -> Timed:
        names = {"instantiate": self.chiasm.instantiate, "wasm": tiny_wasm.ADD_MODULE}
        return Statement("instantiate(wasm)", names)

    def compile_all(self) -> Timed:
        # Functions are compiled when they are first called.
        names = {"instantiate": self.chiasm.instantiate, "wasm": tiny_wasm.MANY_MODULE}
        return Statement("for f in instantiate(wasm).exports.values(): f(1)", names, repeat=1)

    def instantiate(self) -> Timed:
        module = self.chiasm.Module(tiny_wasm.ADD_MODULE)
        return Statement("Instance(module)", {"Instance": self.chiasm.Instance, "module": module})

    def memory(self) -> Any:
        return self.chiasm.instantiate(tiny_wasm.memory_module(PAGES, PAGES)).memory

    def copy_out(self) -> Timed:
        return Statement("read(0, n)", {"read": self.memory().read, "n": MEGABYTE})

    def copy_in(self) -> Timed:
        return Statement("write(0, data)", {"write": self.memory().write, "data": bytes(MEGABYTE)})

    def numpy_view(self) -> Timed:
        return numpy_statement(self.memory())

    def read_i32(self) -> Timed:
        return Statement('unpack("<i", 4096)', {"unpack": self.memory().unpack})

    def fresh_grow(self) -> Callable[[int], Any]:
        memory = self.chiasm.instantiate(tiny_wasm.memory_module(1, 65536)).memory
        return memory.grow  # type: ignore[no-any-return]

    def grow_1(self) -> Timed:
        return Growth(self.fresh_grow, 1, steps=200)

    def grow_1000(self) -> Timed:
        return Growth(self.fresh_grow, 1000, steps=50)


ENGINES: dict[str, Callable[[], Calls]] = {
    "c": CExtension,
    "python": PlainPython,
    "wasm3": Wasm3,
    "interp": lambda: Chiasm("interp"),
    "baseline": lambda: Chiasm("baseline"),
}


def answer(engine: Calls, row: str) -> dict[str, Any]:
    """Time one row; a row that the engine has no method for is None."""
    make: Callable[[], Timed] | None = getattr(engine, row, None)
    try:
        return {"ns": make().time_ns() if make else None}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:200]}


def main() -> None:
    try:
        engine = ENGINES[sys.argv[1]]()
    except Exception as error:
        print(json.dumps({"missing": f"{type(error).__name__}: {error}"[:200]}), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(engine, line.strip())), flush=True)


if __name__ == "__main__":
    main()
