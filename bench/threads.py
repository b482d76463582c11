"""Measure how calls from eight threads, each to an instance of its own, scale against one thread.

A row's ratio is how many times as much eight threads get done as one in the same time; no machine
gives more than its cores, and what this one gives now is the first row's: ``hashlib``, which works
without the GIL.  Rounds are interleaved over the rows.  The ratio is that of the best times; the
spread is that of the ratios within one round.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from common import BUILD, ROOT, machine, markdown_table, say

try:
    import chiasm
except ImportError:
    sys.path.insert(0, str(ROOT / "python"))
    import chiasm

SPIN = """(module (func (export "f") (param i32)
  (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
CALLBACK = """(module (import "env" "f" (func $f (param i32) (result i32)))
  (func (export "f") (param i32)
    (loop (local.set 0 (call $f (local.get 0))) (br_if 0 (local.get 0)))))"""
ATOMIC = """(module (import "env" "m" (memory 1 1 shared))
  (func (export "f") (param i32)
    (loop
      (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""

Work = Callable[[], object]


def hashing(threads: int) -> list[Work]:
    data = b"\0" * (1 << 20)
    return [lambda: hashlib.sha256(data)] * threads


def spinning(turns: int, gil: bool | None = None) -> Callable[[int], list[Work]]:
    """Return what makes a call of so many turns, per thread, each of its own instance."""

    def make(threads: int) -> list[Work]:
        module = chiasm.Module(SPIN)
        functions = [chiasm.Instance(module, gil=gil).exports.f for _ in range(threads)]
        return [lambda f=f: f(turns) for f in functions]  # type: ignore[misc]

    return make


def calling_back(threads: int) -> list[Work]:
    module = chiasm.Module(CALLBACK)
    env = {"env": {"f": lambda x: x - 1}}
    functions = [chiasm.Instance(module, env).exports.f for _ in range(threads)]
    return [lambda f=f: f(1000) for f in functions]  # type: ignore[misc]


def sharing(threads: int) -> list[Work]:
    module = chiasm.Module(ATOMIC)
    env = {"env": {"m": chiasm.Memory(1, 1, shared=True)}}
    functions = [chiasm.Instance(module, env).exports.f for _ in range(threads)]
    return [lambda f=f: f(10_000) for f in functions]  # type: ignore[misc]


@dataclass
class Row:
    """One kind of work, and the times that one and many threads took for as much each."""

    text: str
    make: Callable[[int], list[Work]]
    repeat: int = 0
    one: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)

    def prepare(self, threads: int, seconds: float) -> None:
        """Make the work, and find how often it fits into the time on one thread."""
        self.work = self.make(threads)
        self.repeat = 1
        while (taken := self.measure(1)) < seconds / 2:
            self.repeat *= 2 if taken * 8 > seconds else 8

    def measure(self, threads: int) -> float:
        """Return the wall time from the first thread's start to the last one's end."""

        def run(work: Work) -> None:
            barrier.wait()
            for _ in range(self.repeat):
                work()

        barrier = threading.Barrier(threads + 1)
        running = [threading.Thread(target=run, args=[work]) for work in self.work[:threads]]
        for thread in running:
            thread.start()
        barrier.wait()
        start = time.perf_counter()
        for thread in running:
            thread.join()
        return time.perf_counter() - start

    def ratio(self, threads: int) -> float:
        return threads * min(self.one) / min(self.many)

    def spread(self, threads: int) -> tuple[float, float]:
        ratios = [threads * one / many for one, many in zip(self.one, self.many, strict=True)]
        return min(ratios), max(ratios)

    def cells(self, threads: int) -> list[str]:
        low, high = self.spread(threads)
        each = min(self.one) / self.repeat * 1e6
        return [self.text, f"{each:.3g}", f"{self.ratio(threads):.2f}", f"{low:.2f} – {high:.2f}"]


def rows() -> list[Row]:
    return [
        Row("hashlib, 1 MiB (yardstick)", hashing),
        Row("a loop of 1,000,000 turns", spinning(1_000_000)),
        Row("a loop of 10,000 turns", spinning(10_000)),
        Row("a loop of 100 turns", spinning(100)),
        Row("10,000 atomic additions to one word", sharing),
        Row("1,000 callbacks (the GIL is kept)", calling_back),
        Row("a loop of 1,000,000 turns, gil=True", spinning(1_000_000, gil=True)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add: Callable[..., Any] = parser.add_argument
    add("--threads", type=int, default=8)
    add("--rounds", type=int, default=7)
    add("--seconds", type=float, default=0.2, help="of one thread's part of a round (0.2)")
    options = parser.parse_args()

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{machine()}; {options.threads} threads on {cores} CPUs, best of {options.rounds}")
    table = rows()
    for row in table:
        say(row.text)
        row.prepare(options.threads, options.seconds)
    for number in range(1, options.rounds + 1):
        for row in table:
            say(f"round {number}: {row.text}")
            row.one.append(row.measure(1))
            row.many.append(row.measure(options.threads))
    say("")
    head = ["each thread repeats", "µs each", "ratio", "spread"]
    print(markdown_table(head, [row.cells(options.threads) for row in table]))
    BUILD.mkdir(parents=True, exist_ok=True)
    raw = {row.text: {"repeat": row.repeat, "one": row.one, "many": row.many} for row in table}
    (BUILD / "threads.json").write_text(json.dumps(raw, indent=1) + "\n")


if __name__ == "__main__":
    main()
