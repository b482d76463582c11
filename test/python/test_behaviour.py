"""The behaviour that no other binding has right in every row: one test for each row.

The rows are those of a comparison of nine bindings; other files test the same ground in depth.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import time

import pytest

import chiasm

ALL = """(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (import "env" "wide" (func $wide (param i64 f32 f64) (result f64)))
  (memory (export "mem") 1 20000)
  (func (export "nop"))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
  (func (export "two") (result f64 i32) (f64.const 5) (i32.const 7))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "unreachable") unreachable)
  (func $deep (export "deep") (param i32) (result i32)
    (i32.add (call $deep (local.get 0)) (i32.const 1)))
  (func (export "spin") (loop (br 0)))
  (func (export "count") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (i32.const 1)))
      (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
    (local.get 1))
  (func (export "call") (param i32) (result i32) (call $f (local.get 0)))
  (func (export "wide") (param i64 f32 f64) (result f64)
    (call $wide (local.get 0) (local.get 1) (local.get 2))))"""
MODULE = chiasm.Module(ALL)


def make(f=lambda x: x, wide=lambda a, b, c: a + b + c):
    return chiasm.Instance(MODULE, {"env": {"f": f, "wide": wide}})


def test_infinite_loop_and_ctrl_c():
    inst = make()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        inst.exports.spin()
    timer.join()
    assert inst.exports.add(1, 2) == 3


def test_a_runaway_call_is_stopped_by_a_budget():
    inst = make()
    with pytest.raises(TimeoutError), chiasm.timeout(0.1):
        inst.exports.spin()
    metered = chiasm.Instance(
        MODULE, {"env": {"f": int, "wide": max}}, limits=chiasm.Limits(fuel=100_000)
    )
    with pytest.raises(chiasm.OutOfFuel):
        metered.exports.spin()


def test_infinite_recursion():
    with pytest.raises(RecursionError) as caught:
        make().exports.deep(1)
    assert isinstance(caught.value, chiasm.Trap)


@pytest.mark.parametrize("address", [65536, 65533, -4, 1 << 30])
def test_out_of_bounds(address):
    with pytest.raises(chiasm.Trap, match="out of bounds memory access"):
        make().exports.load(address)


def test_unreachable_and_divisions():
    e = make().exports
    with pytest.raises(chiasm.Trap, match="unreachable"):
        e.unreachable()
    with pytest.raises(chiasm.Trap, match="integer divide by zero"):
        e.div(1, 0)
    with pytest.raises(chiasm.Trap, match="integer overflow"):
        e.div(-(2**31), -1)


def test_usable_after_a_trap():
    e = make().exports
    for f in (e.unreachable, lambda: e.load(-1), lambda: e.deep(1), lambda: e.div(1, 0)) * 3:
        with pytest.raises(chiasm.Trap):
            f()
        assert e.add(1, 2) == 3


def test_garbage_truncated_and_ill_typed_modules_are_refused():
    binary = MODULE.to_bytes()
    for source in (
        b"\0asm garbage",
        os.urandom(100),
        binary[:-1],
        binary[: len(binary) // 2],
        "(module (func (result i32) (f64.const 1)))",
    ):
        with pytest.raises(chiasm.CompileError):
            chiasm.Module(source)


def test_wrong_argument_types_are_refused():
    e = make().exports
    for arguments in (("x", 1), (None, 1), (1.5, 1), ([1], 1), (b"1", 1)):
        with pytest.raises(TypeError):
            e.add(*arguments)
    with pytest.raises(TypeError):
        e.half("x")


def test_wrong_argument_counts_are_refused():
    e = make().exports
    for arguments in ((), (1,), (1, 2, 3)):
        with pytest.raises(TypeError):
            e.add(*arguments)


def test_an_integer_beyond_32_bits_is_an_overflow_error():
    with pytest.raises(OverflowError):
        make().exports.add(2**32, 0)


def test_int_for_f64_and_numpy_int32_for_i32():
    e = make().exports
    assert e.half(3) == 1.5
    np = pytest.importorskip("numpy")
    assert e.add(np.int32(1), np.int32(2)) == 3


def test_an_i32_result_is_an_int_and_nop_gives_none():
    e = make().exports
    assert type(e.add(1, 2)) is int
    assert e.nop() is None


def test_a_multi_value_result_is_a_tuple():
    assert make().exports.two() == (5.0, 7)


def test_a_missing_import_is_named_with_its_type():
    with pytest.raises(chiasm.LinkError) as caught:
        chiasm.Instance(MODULE, {"env": {"wide": max}})
    assert "env.f" in str(caught.value)
    assert "(func (param i32) (result i32))" in str(caught.value)


def test_an_exception_from_a_callback_arrives_unchanged():
    error = KeyError("mine")

    def f(x):
        raise error

    with pytest.raises(KeyError) as caught:
        make(f).exports.call(1)
    assert caught.value is error


@pytest.mark.parametrize(
    ("value", "error"), [("x", TypeError), (None, TypeError), (2**40, OverflowError)]
)
def test_a_wrong_result_of_a_callback_is_refused(value, error):
    with pytest.raises(error):
        make(lambda x: value).exports.call(1)


def test_i64_f32_f64_through_a_callback():
    seen = []

    def wide(*values):
        seen.append(values)
        return values[2]

    assert make(wide=wide).exports.wide(2**60, 0.5, 0.1) == 0.1
    assert seen == [(2**60, 0.5, 0.1)]


def test_memory_is_a_buffer():
    mem = make().exports.mem
    view = memoryview(mem)
    view[0:4] = b"abcd"
    assert mem.read(0, 4) == b"abcd"
    assert view.nbytes == 65536


def test_an_old_view_after_growth_is_the_same_memory_at_its_old_length(address_space):
    mem = make().exports.mem
    view = memoryview(mem)
    mem.grow(1000)
    view[0] = 7
    assert mem[0] == 7
    assert len(view) == 65536


def test_a_view_outlives_its_instance():
    view = memoryview(make().exports.mem)
    gc.collect()
    view[65535] = 5
    assert view[65535] == 5


def test_a_fork_calls_and_compiles_anew():
    inst = make()
    binary = MODULE.to_bytes()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            fresh = chiasm.instantiate(binary, {"env": {"f": int, "wide": max}})
            code = 0 if inst.exports.add(1, 2) == fresh.exports.add(2, 1) == 3 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_eight_threads_call_one_instance():
    e = make().exports
    wrong = []

    def work():
        for i in range(3000):
            if e.add(i, 1) != i + 1:
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_another_thread_runs_during_a_long_call():
    e = make().exports
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    with pytest.raises(TimeoutError), chiasm.timeout(0.3):
        e.spin()
    stop.set()
    thread.join()
    assert len(ticks) >= 3


def test_a_module_pickles():
    copy = pickle.loads(pickle.dumps(MODULE))
    assert copy == MODULE
    assert chiasm.Instance(copy, {"env": {"f": int, "wide": max}}).exports.add(1, 2) == 3


def test_two_instances_are_linked_by_function_and_by_memory():
    a = make()
    b = chiasm.instantiate(
        """(module (import "a" "add" (func $add (param i32 i32) (result i32)))
          (import "a" "mem" (memory 1))
          (func (export "sum") (result i32)
            (call $add (i32.load8_u (i32.const 0)) (i32.load8_u (i32.const 1)))))""",
        {"a": a.exports},
    )
    a.memory[0:2] = b"\x03\x04"
    assert b.exports.sum() == 7
    total = b.exports.sum
    del a, b
    gc.collect()
    assert total() == 7


def test_a_thousand_live_one_page_instances():
    module = chiasm.Module('(module (memory (export "m") 1) (func (export "f")))')
    began = time.perf_counter()
    kept = [chiasm.Instance(module) for _ in range(1000)]
    spent = time.perf_counter() - began
    print(f"{spent * 1e3:.1f} us each")
    for i, inst in enumerate(kept):
        inst.memory[0] = i % 256
    assert all(inst.memory[0] == i % 256 for i, inst in enumerate(kept))


def test_no_leak_per_compile_instantiate_call_and_drop(plain_build):
    def rss():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    binary = MODULE.to_bytes()

    def rounds(n):
        for _ in range(n):
            inst = chiasm.instantiate(binary, {"env": {"f": int, "wide": max}})
            assert inst.exports.call(5) == 5

    rounds(500)
    gc.collect()
    before = rss()
    rounds(2000)
    gc.collect()
    grown = (rss() - before) / 2000
    print(f"{grown:.0f} bytes a round")
    assert grown < 1000
