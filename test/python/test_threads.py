"""Threads: one instance from many, many instances at once, shared memories."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import chiasm

COUNT = """(module
  (global $n (mut i32) (i32.const 0))
  (func (export "inc") (global.set $n (i32.add (global.get $n) (i32.const 1))))
  (func (export "many") (param i32)
    (loop
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "get") (result i32) (global.get $n)))"""

SPIN = """(module (func (export "spin") (param i32) (result i32)
  (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 7)))"""

ATOMIC = """(module (import "env" "m" (memory 1 1 shared))
  (func (export "add") (param i32)
    (loop
      (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "wait") (param i64) (result i32)
    (memory.atomic.wait32 (i32.const 8) (i32.const 0) (local.get 0)))
  (func (export "wake") (result i32) (memory.atomic.notify (i32.const 8) (i32.const 100))))"""


def run_all(functions):
    """Run each in a thread of its own; raise what one raised."""
    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result() for future in [pool.submit(f) for f in functions]]


@pytest.mark.parametrize("gil", [True, False])
def test_eight_threads_call_one_instance(gil):
    e = chiasm.instantiate(COUNT, gil=gil).exports

    def work():
        for _ in range(100):
            e.inc()
            e.many(50)
            e.get()

    run_all([work] * 8)
    assert e.get() == 8 * 100 * 51


def test_no_thread_that_waits_for_a_store_starves():
    spin = chiasm.instantiate(SPIN).exports.spin
    counts = [0] * 3
    end = time.monotonic() + 1

    def work(k):
        while time.monotonic() < end:
            spin(1000)
            counts[k] += 1

    run_all([lambda k=k: work(k) for k in range(3)])
    print(counts)
    assert min(counts) >= 10


@pytest.mark.parametrize("gil", [True, False, None])
def test_eight_threads_call_one_instance_that_calls_back(gil):
    seen = []

    def f(x):
        seen.append(x)
        if x % 10 == 0:
            time.sleep(0.0005)
        return x

    e = chiasm.instantiate(
        """(module (import "env" "f" (func $f (param i32) (result i32)))
          (func (export "g") (param i32) (result i32)
            (i32.add (call $f (local.get 0)) (call $f (local.get 0)))))""",
        {"env": {"f": f}},
        gil=gil,
    ).exports

    def work():
        return [e.g(i) for i in range(100)]

    for got in run_all([work] * 8):
        assert got == [2 * i for i in range(100)]
    assert len(seen) == 1600


def test_callbacks_raise_and_call_back_in_without_the_gil():
    def f(x):
        if x == 0:
            raise KeyError(x)
        if x < 0:
            raise KeyboardInterrupt
        return e.g(x - 1) if x > 5 else x

    e = chiasm.instantiate(
        """(module (import "env" "f" (func $f (param i32) (result i32)))
          (func (export "g") (param i32) (result i32) (call $f (local.get 0))))""",
        {"env": {"f": f}},
        gil=False,
    ).exports

    def work():
        for _ in range(50):
            assert e.g(30) == 5
            with pytest.raises(KeyError):
                e.g(0)
            with pytest.raises(KeyboardInterrupt):
                e.g(-1)

    run_all([work] * 4)


def test_small_stacks_are_a_recursion_error_not_a_crash():
    def f():
        e.g()

    e = chiasm.instantiate(
        '(module (import "env" "f" (func $f)) (func (export "g") (call $f)))', {"env": {"f": f}}
    ).exports
    errors = []

    def work():
        try:
            e.g()
        except RecursionError as error:
            errors.append(error)

    old_size = threading.stack_size(256 << 10)
    old_limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(old_size)
        sys.setrecursionlimit(old_limit)
    assert len(errors) == 1


def test_references_passed_from_eight_threads_keep_their_identity():
    e = chiasm.instantiate(
        """(module
          (func (export "f") (param externref externref) (result externref externref)
            (loop (br_if 0 (i32.const 0)))
            (local.get 1) (local.get 0)))"""
    ).exports

    def work():
        for _ in range(300):
            a, b = object(), object()
            assert e.f(a, b) == (b, a)

    run_all([work] * 8)


PING = """(module (import "env" "m" (memory 1 1 shared))
  (func (export "play") (param $mine i32) (param $rounds i32)
    (loop $round
      (loop $wait
        (br_if $wait
          (i32.ne (i32.and (i32.atomic.load (i32.const 0)) (i32.const 1)) (local.get $mine))))
      (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
      (br_if $round
        (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))))"""


def test_two_guests_run_at_the_same_time():
    """Each waits for the other inside the guest, so neither can end alone."""
    mem = chiasm.Memory(1, 1, shared=True)
    module = chiasm.Module(PING)
    first, second = (chiasm.Instance(module, {"env": {"m": mem}}).exports.play for _ in range(2))

    def limited(play, mine):
        with chiasm.timeout(60):
            play(mine, 300)

    run_all([lambda: limited(first, 0), lambda: limited(second, 1)])
    assert mem.unpack("<i") == (600,)


def test_eight_instances_scale_with_the_cores():
    """Printed, not judged: other work may share the cores."""
    module = chiasm.Module(SPIN)
    spins = [chiasm.Instance(module).exports.spin for _ in range(8)]
    n = 1_000_000

    def measure(functions):
        began = time.perf_counter()
        assert set(run_all(functions)) == {7}
        return time.perf_counter() - began

    one = min(measure([lambda: spins[0](n)]) for _ in range(3))
    eight = min(measure([lambda spin=spin: spin(n) for spin in spins]) for _ in range(3))
    cores = len(os.sched_getaffinity(0))
    print(f"8 instances run {8 * one / eight:.2f} times as fast as one, on {cores} cores")


def test_another_thread_runs_during_a_long_call():
    spin = chiasm.instantiate(SPIN).exports.spin
    counts = []
    stop = threading.Event()

    def count():
        n = 0
        while not stop.is_set():
            n += 1
        counts.append(n)

    thread = threading.Thread(target=count)
    thread.start()
    with pytest.raises(TimeoutError), chiasm.timeout(0.3):
        spin(0)
    stop.set()
    thread.join()
    assert counts[0] > 1000


def test_a_second_thread_waits_for_the_store():
    inst = chiasm.instantiate(
        """(module (func (export "long") (loop (br 0)))
          (func (export "ok") (result i32) (i32.const 1)))"""
    )
    began = threading.Event()

    def long():
        with pytest.raises(TimeoutError), chiasm.timeout(0.2):
            began.set()
            inst.exports.long()

    thread = threading.Thread(target=long)
    thread.start()
    began.wait()
    time.sleep(0.02)
    t = time.monotonic()
    assert inst.exports.ok() == 1
    assert time.monotonic() - t > 0.05
    thread.join()


def test_a_thread_inside_a_store_does_not_wait_for_another():
    busy = chiasm.instantiate('(module (func (export "long") (loop (br 0))) (func (export "ok")))')
    ok = busy.exports.ok
    inst = chiasm.instantiate(
        '(module (import "env" "f" (func $f)) (func (export "g") (call $f)))', {"env": {"f": ok}}
    )
    other = chiasm.instantiate(
        '(module (import "env" "f" (func $f)) (func (export "g") (call $f)))',
        {"env": {"f": lambda: ok()}},
    )

    def long():
        with pytest.raises(chiasm.Cancelled):
            busy.exports.long()

    thread = threading.Thread(target=long)
    thread.start()
    time.sleep(0.05)
    with pytest.raises(RuntimeError, match="in use by another thread"):
        other.exports.g()
    busy.cancel()
    thread.join()
    assert other.exports.g() is None
    assert inst.exports.g() is None


def test_shared_memory_loses_no_increment():
    mem = chiasm.Memory(1, 1, shared=True)
    m = chiasm.Module(ATOMIC)
    adds = [chiasm.Instance(m, {"env": {"m": mem}}).exports.add for _ in range(4)]
    run_all([lambda add=add: add(1_000_000) for add in adds])
    assert mem.unpack("<i") == (4_000_000,)


def test_wait_and_notify_between_threads():
    mem = chiasm.Memory(1, 1, shared=True)
    m = chiasm.Module(ATOMIC)
    first, second = (chiasm.Instance(m, {"env": {"m": mem}}).exports for _ in range(2))
    assert first.wait(1_000_000) == 2
    results = []
    thread = threading.Thread(target=lambda: results.append(first.wait(-1)))
    thread.start()
    deadline = time.monotonic() + 10
    while second.wake() == 0:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    thread.join()
    assert results == [0]


def test_a_shared_memory_is_looked_at_while_guests_run():
    mem = chiasm.Memory(1, 1, shared=True)
    inst = chiasm.instantiate(ATOMIC, {"env": {"m": mem}})
    thread = threading.Thread(target=inst.exports.add, args=(3_000_000,))
    thread.start()
    seen = set()
    while thread.is_alive():
        seen.add(mem.unpack("<i")[0])
        memoryview(mem).release()
    thread.join()
    assert mem.unpack("<i") == (3_000_000,)
    assert len(seen) > 2


def test_objects_are_dropped_while_their_store_runs_elsewhere():
    inst = chiasm.instantiate(
        """(module (memory (export "m") 1) (table (export "t") 2 externref)
          (func (export "a")) (func (export "b"))
          (func (export "long") (loop (br 0))))"""
    )
    kept = [inst.exports.a, inst.exports.b, inst.exports.t]
    kept[2][0] = object()
    view = memoryview(inst.exports.m)

    def long():
        with pytest.raises(chiasm.Cancelled):
            inst.exports.long()

    thread = threading.Thread(target=long)
    thread.start()
    time.sleep(0.05)
    kept.clear()
    view.release()
    inst.cancel()
    thread.join()
    assert inst.exports.a() is None


def test_store_use_from_many_threads_at_once():
    """Tables, globals and memories of one store, while a guest in it runs without the GIL."""
    inst = chiasm.instantiate(
        """(module (memory (export "m") 1 100) (table (export "t") 4 externref)
          (global (export "g") (mut i64) (i64.const 0))
          (func (export "work") (param i32)
            (loop (i32.store (i32.const 8) (local.get 0))
              (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
    )
    e = inst.exports

    def guest():
        for _ in range(60):
            e.work(2000)

    def python(k):
        for i in range(200):
            e.t[k] = (k, i)
            e.g.value = i
            e.m[100 + k] = i % 256
            assert e.t[k] == (k, i)
            assert e.m[100 + k] == i % 256
            if i % 50 == 0:
                e.m.grow(1)

    run_all([guest, guest, *(lambda k=k: python(k) for k in range(4))])
    assert len(e.m) == 65536 * (1 + 4 * 4)


def test_instances_are_made_and_dropped_in_many_threads():
    m = chiasm.Module(
        """(module (import "env" "f" (func $f (param i32) (result i32))) (memory 1)
          (func (export "g") (param i32) (result i32) (call $f (local.get 0))))"""
    )

    def work():
        for i in range(300):
            assert chiasm.Instance(m, {"env": {"f": lambda x: x + 1}}).exports.g(i) == i + 1

    run_all([work] * 8)


def structs(n):
    """A module whose `many` returns n fresh structs; before it ends it calls `last`."""
    made = " ".join(f"(struct.new $s (i32.const {i}))" for i in range(n))
    return f"""(module (type $s (struct (field i32)))
      (import "env" "last" (func $last))
      (func (export "many") (result {"anyref " * n}) {made} (call $last))
      (func (export "junk") (loop (result i32)
        (drop (struct.new $s (i32.const -1)))
        (br_if 0 (i32.const 0)) (i32.const 0)) (drop)))"""


class Trash:
    """A cycle; when Python's collector finds it, `act` is called."""

    def __init__(self, act):
        self.me = self
        self.act = act

    def __del__(self):
        self.act()


@pytest.fixture
def collect_next():
    """A function that makes Python's collector run at the next allocation."""
    gc.collect()
    old = gc.get_threshold()
    gc.disable()
    gc.set_threshold(1)
    yield gc.enable
    gc.set_threshold(*old)
    gc.enable()


@pytest.mark.parametrize("gil", [True, False])
def test_results_live_until_they_are_converted(collect_next, gil):
    """Making Python objects of them may run destructors, and those this or other threads."""

    def collect():
        inst.store.collect()
        inst.exports.junk()

    def act():
        collect()
        time.sleep(0.001)

    def last():
        Trash(act)
        collect_next()

    def disturb():
        while not stop.is_set():
            collect()
            time.sleep(0.0005)

    n = 30
    inst = chiasm.instantiate(structs(n), {"env": {"last": last}}, gil=gil)
    stop = threading.Event()
    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(20):
            assert [s[0] for s in inst.exports.many()] == list(range(n))
            gc.disable()
    finally:
        stop.set()
        thread.join()


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="this Python collects between instructions only"
)
def test_code_that_runs_between_a_call_and_its_results_waits_for_no_other_store(collect_next):
    """Or two threads might wait for each other."""

    def act():
        try:
            busy.exports.spin(1)
        except RuntimeError as error:
            seen.append(str(error))

    def last():
        Trash(act)
        collect_next()

    def long():
        with pytest.raises(chiasm.Cancelled):
            busy.exports.spin(0)

    seen = []
    busy = chiasm.instantiate(SPIN)
    inst = chiasm.instantiate(structs(30), {"env": {"last": last}})
    thread = threading.Thread(target=long)
    thread.start()
    while not busy.store.running:
        time.sleep(0.001)
    results = inst.exports.many()
    gc.disable()
    busy.cancel()
    thread.join()
    assert len(results) == 30
    assert len(seen) == 1
    assert "in use by another thread" in seen[0]
