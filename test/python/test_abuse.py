"""What must neither crash nor leak: misuse, cycles, fork, faulthandler, exit with all alive."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import sys
import weakref

import pytest

import chiasm

LEAKY = """(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (import "env" "r" (func $r (param externref) (result externref)))
  (memory (export "m") 1) (table (export "t") 2 externref)
  (global (export "g") (mut externref) (ref.null extern))
  (tag $e (export "e") (param externref))
  (type $s (struct (field (mut externref))))
  (func (export "call") (param i32) (result i32) (call $f (local.get 0)))
  (func (export "ref") (param externref) (result externref) (call $r (local.get 0)))
  (func (export "new") (param externref) (result anyref) (struct.new $s (local.get 0)))
  (func (export "throw") (param externref) (throw $e (local.get 0)))
  (func (export "trap") unreachable))"""


class Thing:
    """Something that weak references can watch."""


def one_round(module):
    class Env:
        def f(self, x):
            if x < 0:
                raise KeyError(x)
            return x + len(self.inst.exports.t)

        def r(self, thing):
            return thing

    env = Env()
    env.inst = inst = chiasm.Instance(module, {"env": env})
    e = inst.exports
    thing = Thing()
    assert e.call(1) == 3
    assert e.ref(thing) is thing
    e.t[0] = thing
    e.g.value = (thing, inst)
    struct = e.new(thing)
    assert struct[0] is thing
    struct[0] = struct
    memoryview(e.m)[0] = 1
    for act, error in (
        (lambda: e.call(-1), KeyError),
        (lambda: e.throw(thing), chiasm.Exception),
        (e.trap, chiasm.Trap),
        (lambda: e.call("x"), TypeError),
    ):
        with pytest.raises(error):
            act()
    return weakref.ref(thing), weakref.ref(env), weakref.ref(inst)


def rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_ten_thousand_rounds_leak_nothing(plain_build):
    """All kinds of objects, in cycles through the guest, and every way out of it."""
    module = chiasm.Module(LEAKY)
    watched = one_round(module)
    for _ in range(1000):
        one_round(module)
    gc.collect()
    assert [ref() for ref in watched] == [None] * 3
    before, size = len(gc.get_objects()), rss()
    for _ in range(10_000):
        one_round(module)
    gc.collect()
    after, grown = len(gc.get_objects()), rss() - size
    print(f"objects +{after - before}, memory +{grown / 1024:.0f} KiB")
    assert after - before < 100
    assert grown < 8 << 20


def test_ten_thousand_modules_and_instances_leak_nothing(plain_build):
    binary = chiasm.Module(
        '(module (memory 1) (func (export "f") (result i32) (i32.const 1)))'
    ).to_bytes()

    def rounds(n):
        for _ in range(n):
            assert chiasm.instantiate(binary).exports.f() == 1
            with pytest.raises(chiasm.CompileError):
                chiasm.Module(binary[:-3])
            with pytest.raises(chiasm.LinkError):
                chiasm.instantiate(b"\0asm\1\0\0\0\1\4\1\x60\0\0\2\7\1\1a\1b\0\0")

    rounds(1000)
    gc.collect()
    before, size = len(gc.get_objects()), rss()
    rounds(10_000)
    gc.collect()
    grown = rss() - size
    print(f"objects +{len(gc.get_objects()) - before}, memory +{grown / 1024:.0f} KiB")
    assert len(gc.get_objects()) - before < 100
    assert grown < 4 << 20


def test_references_of_a_callable_are_balanced():
    def f(x):
        return x

    before = sys.getrefcount(f)
    for _ in range(100):
        inst = chiasm.instantiate(
            '(module (import "e" "f" (func $f (param i32) (result i32)))'
            ' (func (export "g") (param i32) (result i32) (call $f (local.get 0))))',
            {"e": {"f": f}},
        )
        inst.exports.g(5)
    del inst
    gc.collect()
    assert sys.getrefcount(f) == before


def test_a_thousand_live_instances_are_cheap(plain_build):
    module = chiasm.Module('(module (memory (export "m") 1) (func (export "f")))')
    gc.collect()
    size = rss()
    kept = [chiasm.Instance(module) for _ in range(1000)]
    grown = rss() - size
    print(f"{grown / 1000:.0f} bytes each")
    assert grown < 12 << 20
    kept[500].memory[0] = 1
    assert kept[501].memory[0] == 0


def test_classes_that_are_only_given_cannot_be_made():
    for cls in (chiasm.Exports, chiasm.Struct, chiasm.Array):
        with pytest.raises(TypeError):
            cls()
    for cls in (chiasm.Memory, chiasm.Table, chiasm.Global, chiasm.Tag, chiasm.Func):
        with pytest.raises(TypeError):
            cls()
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})


def test_live_objects_cannot_be_pickled():
    inst = chiasm.instantiate('(module (memory (export "m") 1) (func (export "f")))')
    for o in (inst, inst.exports, inst.exports.f, inst.exports.m, inst.store):
        with pytest.raises(TypeError):
            pickle.dumps(o)


def test_attributes_cannot_be_set():
    inst = chiasm.instantiate('(module (func (export "f")))')
    for o, name in ((inst, "exports"), (inst.exports.f, "type"), (inst.module, "name")):
        with pytest.raises((AttributeError, TypeError)):
            setattr(o, name, None)
    with pytest.raises((AttributeError, TypeError)):
        inst.anything = 1
    with pytest.raises(TypeError):
        chiasm.Func.map = None


def test_a_callback_that_drops_everything_it_runs_in():
    holder = {}

    def f():
        holder.clear()
        gc.collect()

    holder["g"] = chiasm.instantiate(
        '(module (import "e" "f" (func $f)) (memory 1) (func (export "g") (call $f)))',
        {"e": {"f": f}},
    ).exports.g
    assert holder["g"]() is None


def test_a_destructor_that_calls_the_guest():
    inst = chiasm.instantiate(
        '(module (table (export "t") 1 externref) (func (export "f") (result i32) (i32.const 5)))'
    )
    seen = []

    class Last:
        def __del__(self):
            seen.append(inst.exports.f())

    inst.exports.t[0] = Last()
    inst.exports.t[0] = None
    inst.exports.f()
    inst.store.collect()
    assert seen == [5]


def test_index_that_calls_the_guest_while_arguments_are_converted():
    class Sly:
        def __index__(self):
            inst.exports.t[0] = object()
            inst.store.collect()
            return 5

    inst = chiasm.instantiate(
        """(module (table (export "t") 1 externref)
          (func (export "f") (param externref i32 externref) (result externref i32 externref)
            (local.get 0) (local.get 1) (local.get 2)))"""
    )
    a, b = object(), object()
    for _ in range(100):
        assert inst.exports.f(a, Sly(), b) == (a, 5, b)


def test_a_callback_collects_while_the_guest_holds_references():
    def f():
        inst.store.collect()
        gc.collect()
        for _ in range(100):
            inst.exports.id(object())

    inst = chiasm.instantiate(
        """(module (import "e" "f" (func $f))
          (func (export "id") (param externref) (result externref) (local.get 0))
          (func (export "keep") (param externref) (result externref)
            (call $f) (local.get 0)))""",
        {"e": {"f": f}},
    )
    for _ in range(20):
        thing = Thing()
        assert inst.exports.keep(thing) is thing


def test_a_memory_grows_in_a_callback_and_views_stay_valid(address_space):
    def f():
        view = memoryview(inst.memory)
        inst.memory.grow(10)
        view[0] = 9
        views.append(view)

    views = []
    inst = chiasm.instantiate(
        """(module (import "e" "f" (func $f)) (memory (export "m") 1)
          (func (export "g") (result i32) (call $f) (i32.load8_u (i32.const 0))))""",
        {"e": {"f": f}},
    )
    for _ in range(10):
        assert inst.exports.g() == 9
    assert [len(v) for v in views] == [65536 * (1 + 10 * i) for i in range(10)]


def test_exit_with_everything_alive(in_process):
    out = in_process("""
        import chiasm, threading
        def f(x): return x
        inst = chiasm.instantiate('''(module (import "e" "f" (func $f (param externref)
          (result externref))) (memory (export "m") 1) (table (export "t") 1 externref)
          (func (export "g") (param externref) (result externref) (call $f (local.get 0))))''',
          {"e": {"f": f}})
        inst.exports.t[0] = inst
        inst.exports.g(inst)
        view = memoryview(inst.memory)
        class Late:
            def __del__(self):
                print(inst is None or inst.exports.g(5))
        late = Late()
        inst.exports.t[0] = late
        print("done")
    """)
    assert out.startswith("done\n")


def test_exit_while_a_daemon_thread_runs_a_guest(in_process):
    for gil in ("True", "False"):
        out = in_process(f"""
            import chiasm, threading, time
            inst = chiasm.instantiate('(module (func (export "f") (loop (br 0))))', gil={gil})
            threading.Thread(target=inst.exports.f, daemon=True).start()
            time.sleep(0.1)
            print("done", flush=True)
        """)
        assert out == "done\n"


def test_exit_out_of_a_callback(in_process):
    out = in_process(
        """
        import chiasm, sys
        def f():
            sys.exit(7)
        chiasm.instantiate('(module (import "e" "f" (func $f)) (start $f))', {"e": {"f": f}})
        """,
        status=7,
    )
    assert out == ""


def test_a_fork_calls_and_compiles_anew(in_process):
    out = in_process("""
        import chiasm, os, threading, time
        m = chiasm.Module('(module (func (export "f") (result i32) (i32.const 5)) '
                          '(func (export "spin") (loop (br 0))))')
        inst = chiasm.Instance(m)
        with_ticks = chiasm.Instance(m)
        try:
            with chiasm.timeout(0.02):
                with_ticks.exports.spin()
        except TimeoutError:
            pass
        other = chiasm.Instance(m)
        thread = threading.Thread(target=lambda: other.exports.spin(), daemon=True)
        thread.start()
        time.sleep(0.05)
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                code = inst.exports.f() + chiasm.instantiate(m.to_bytes()).exports.f()
                try:
                    with chiasm.timeout(0.05):
                        inst.exports.spin()
                except TimeoutError:
                    code += 1
                os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 11
        print(inst.exports.f())
    """)
    assert out == "5\n"


def has_semaphores():
    try:
        multiprocessing.get_context("fork").Lock()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_semaphores(), reason="no semaphores to be had: /dev/shm is missing")
def test_multiprocessing_sends_modules(in_process):
    out = in_process("""
        import chiasm, multiprocessing
        def work(m):
            return chiasm.Instance(m).exports.f()
        if __name__ == "__main__":
            m = chiasm.Module('(module (func (export "f") (result i32) (i32.const 5)))')
            with multiprocessing.get_context("fork").Pool(2) as pool:
                print(pool.map(work, [m] * 4))
    """)
    assert out == "[5, 5, 5, 5]\n"


@pytest.mark.parametrize("order", ["before", "after", "after and disabled"])
def test_faulthandler(in_process, order):
    out = in_process(f"""
        import faulthandler
        if {order == "before"}:
            faulthandler.enable()
        import chiasm
        inst = chiasm.instantiate('''(module (memory 1) (func (export "f") (param i32)
          (result i32) (i32.load (local.get 0))))''')
        if {order != "before"}:
            faulthandler.enable()
        if {order == "after and disabled"}:
            faulthandler.disable()
        for _ in range(3):
            try:
                inst.exports.f(-4)
            except chiasm.Trap as e:
                print(e)
        print(inst.exports.f(0))
    """)
    assert out.endswith("\n0\n")
    assert out.count("out of bounds memory access") == 3


def test_a_real_crash_is_still_a_crash(plain_build, in_process):
    in_process(
        """
        import faulthandler
        faulthandler.enable()
        import chiasm, os, signal
        chiasm.instantiate("(module (memory 1))")
        os.kill(os.getpid(), signal.SIGSEGV)
        """,
        status=-11,
    )


def test_huge_and_hostile_modules_are_errors():
    for source in (
        "(module (memory 65537))",
        "(module (table 4294967295 funcref))",
        '(module (memory 1) (data (i32.const -1) "x"))',
        "(" * 200_000,
        b"\0asm\1\0\0\0\1\xff\xff\xff\xff\x0f",
        b"\0asm\1\0\0\0\x0a\x06\xff\xff\xff\xff\x0f\0",
        "(module (func (local " + "i32 " * 60_000 + ")))",
    ):
        with pytest.raises((chiasm.Error, MemoryError)):
            chiasm.instantiate(source)


def test_wrong_kinds_everywhere(tmp_path, monkeypatch):
    """Every public callable, with all kinds of wrong arguments: exceptions, never a crash."""
    monkeypatch.chdir(tmp_path)
    inst = chiasm.instantiate(LEAKY, {"env": {"f": int, "r": lambda x: x}})
    callables = [
        chiasm.Module,
        chiasm.Module.validate,
        chiasm.Instance,
        chiasm.instantiate,
        chiasm.Memory,
        chiasm.Table,
        chiasm.Global,
        chiasm.Tag,
        chiasm.Func,
        chiasm.Store,
        chiasm.Limits,
        chiasm.Config,
        chiasm.timeout,
        chiasm.FuncType,
        chiasm.MemoryType,
        chiasm.TableType,
        chiasm.GlobalType,
        chiasm.TagType,
        chiasm.Exception,
        inst.exports.call,
        inst.exports.ref,
        inst.exports.m.read,
        inst.exports.m.write,
        inst.exports.m.string,
        inst.exports.m.pack,
        inst.exports.m.unpack,
        inst.exports.m.grow,
        inst.exports.t.grow,
        inst.exports.m.__getitem__,
        inst.exports.m.__setitem__,
        inst.exports.t.__getitem__,
        inst.exports.t.__setitem__,
        inst.exports.__getitem__,
        inst.module.to_wat,
        inst.module.strip,
        inst.module.save,
    ]
    values = [
        None, -1, 0, 2**31, 2**64, -(2**70), 1.5, float("nan"), "", "x", "i32", b"", b"\0asm",
        [], {}, (), object(), Ellipsis, slice(None), slice(5, -3, 2), len, inst, inst.exports.m,
        inst.exports.t, inst.exports.call, inst.store, chiasm, range(3), "\ud800", "(module",
    ]  # fmt: skip
    allowed = (TypeError, ValueError, LookupError, OverflowError, OSError, MemoryError,
               AttributeError, chiasm.Error)  # fmt: skip
    import struct

    for f in callables:
        for n in range(3):
            for a in values:
                arguments = (a, values[7], a)[:n] if n else ()
                try:
                    f(*arguments)
                except (*allowed, struct.error):
                    pass
                except NotImplementedError:
                    pass
        for a in values:
            for b in values:
                try:
                    f(a, b)
                except (*allowed, struct.error, NotImplementedError):
                    pass
    assert inst.exports.call(3) == 3
