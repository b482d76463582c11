"""Imports: where they are looked up, and what is said of those that fail."""

from __future__ import annotations

import gc
import math
import types
import weakref

import pytest

import chiasm

ONE = (
    '(module (import "env" "f" (func $f (result i32))) (func (export "g") (result i32) (call $f)))'
)


def test_providers_may_be_mappings_objects_modules_and_exports():
    class Env:
        def f(self):
            return 3

    class Attributes:
        f = staticmethod(lambda: 4)

    module = types.ModuleType("env")
    module.f = lambda: 5
    proxy = types.MappingProxyType({"f": lambda: 6})
    first = chiasm.instantiate('(module (func (export "f") (result i32) (i32.const 7)))')
    for provider, want in (
        ({"f": lambda: 2}, 2),
        (Env(), 3),
        (Attributes, 4),
        (module, 5),
        (proxy, 6),
        (first.exports, 7),
        (first, 7),
    ):
        assert chiasm.instantiate(ONE, {"env": provider}).exports.g() == want


def test_a_python_module_serves():
    inst = chiasm.instantiate(
        """(module (import "math" "hypot" (func $h (param f64 f64) (result f64)))
          (import "math" "pi" (global $pi f64))
          (func (export "h") (result f64) (call $h (f64.const 3) (f64.const 4)))
          (func (export "pi") (result f64) (global.get $pi)))""",
        {"math": math},
    )
    assert inst.exports.h() == 5.0
    assert inst.exports.pi() == math.pi


def test_names_that_are_no_identifiers():
    class Env:
        def wasi_foo_bar(self):
            return 1

    wat = ONE.replace('"f"', '"wasi:foo-bar"')
    assert chiasm.instantiate(wat, {"env": Env()}).exports.g() == 1
    assert chiasm.instantiate(wat, {"env": {"wasi:foo-bar": lambda: 2}}).exports.g() == 2
    with pytest.raises(chiasm.LinkError):
        chiasm.instantiate(wat, {"env": {"wasi_foo_bar": lambda: 2}})


@pytest.mark.parametrize("name", ["_private", "__class__", "__init__", "-private", "", "9"])
def test_private_names_are_never_looked_up_on_objects(name):
    looked_up = []

    class Env:
        def __getattr__(self, name):
            looked_up.append(name)
            return lambda: 1

        def _private(self):
            return 1

    wat = ONE.replace('"f"', f'"{name}"')
    with pytest.raises(chiasm.LinkError):
        chiasm.instantiate(wat, {"env": Env()})
    assert [n for n in looked_up if n != "keys"] == []
    assert chiasm.instantiate(wat, {"env": {name: lambda: 5}}).exports.g() == 5


def test_exceptions_of_look_ups_pass():
    class Env:
        @property
        def f(self):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        chiasm.instantiate(ONE, {"env": Env()})

    class Imports(dict):
        def __getitem__(self, key):
            raise ZeroDivisionError(key)

    with pytest.raises(ZeroDivisionError, match="env"):
        chiasm.instantiate(ONE, Imports())


def test_one_error_lists_all_problems():
    m = chiasm.Module(
        """(module $game
          (import "env" "draw_line" (func (param i32 f64) (result i64)))
          (import "env" "mem" (memory 2))
          (import "env" "small" (memory 2))
          (import "env" "g" (global (mut i32)))
          (import "env" "n" (global i32))
          (import "other" "f" (func))
          (import "env" "typed" (func (param i32)))
          (import "env" "ok" (func)))"""
    )
    with pytest.raises(chiasm.LinkError) as caught:
        chiasm.instantiate(
            m,
            {
                "env": {
                    "drawline": print,
                    "mem": 5,
                    "small": chiasm.Memory(1),
                    "g": 5,
                    "n": 2**40,
                    "ok": print,
                    "typed": chiasm.Func(print, chiasm.FuncType(["i64"])),
                }
            },
        )
    text = str(caught.value)
    problems = caught.value.problems
    assert len(problems) == 7
    assert "7 imports of 'game' cannot be linked" in text
    assert problems[0].module == "env"
    assert problems[0].name == "draw_line"
    assert problems[0].wanted == chiasm.FuncType(["i32", "f64"], ["i64"])
    assert problems[0].nearest == ("drawline",)
    assert "(func (param i32 f64) (result i64))" in str(problems[0])
    assert "must be a chiasm.Memory, not int" in str(problems[1])
    assert "(memory 2)" in str(problems[2])
    assert "must be a chiasm.Global, not int" in str(problems[3])
    assert "from -2**31 to 2**32 - 1" in str(problems[4])
    assert "no module 'other'" in str(problems[5])
    assert "i64" in str(problems[6])
    assert "i32" in str(problems[6])
    assert "def env_draw_line(p0: int, p1: float) -> int:" in text


def test_the_stub_can_be_pasted():
    m = chiasm.Module(
        """(module (import "env" "a-b" (func (param i32) (result f64 i32)))
          (import "env" "class" (func))
          (import "x" "m" (memory 1 2 shared)) (import "x" "t" (table 1 funcref))
          (import "x" "g" (global (mut i32))) (import "x" "e" (tag (param i32))))"""
    )
    with pytest.raises(chiasm.LinkError) as caught:
        chiasm.instantiate(m)
    text = str(caught.value).split("a stub to start from:\n")[1]
    scope = {"chiasm": chiasm}
    exec("\n".join(line[2:] for line in text.splitlines()), scope)
    assert chiasm.instantiate(m, scope["imports"])


def test_extra_providers_are_ignored():
    assert chiasm.instantiate("(module)", {"x": 5, "y": {}})


@pytest.mark.parametrize("imports", [5, [1], object()])
def test_imports_must_be_a_mapping(imports):
    with pytest.raises((TypeError, chiasm.LinkError)):
        chiasm.instantiate(ONE, imports)


def test_functions_go_from_one_instance_to_another():
    a = chiasm.instantiate(
        """(module (global $n (mut i32) (i32.const 0))
          (func (export "f") (result i32)
            (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"""
    )
    b = chiasm.instantiate(ONE, {"env": a.exports})
    assert b.exports.g() == 1
    assert a.exports.f() == 2
    assert a.store is b.store


def test_idle_stores_become_one():
    a = chiasm.instantiate('(module (func (export "f") (result i32) (i32.const 1)))')
    b = chiasm.instantiate('(module (memory (export "m") 1))')
    f, mem = a.exports.f, b.exports.m
    mem[0] = 9
    assert a.store is not b.store
    c = chiasm.instantiate(
        """(module (import "a" "f" (func (result i32))) (import "b" "m" (memory 1))
          (export "f" (func 0)) (export "m" (memory 0)))""",
        {"a": a.exports, "b": b.exports},
    )
    assert a.store is b.store is c.store
    assert c.exports.f is f is a.exports.f
    assert c.exports.m is mem is b.exports.m
    assert mem[0] == 9
    assert f() == 1


def test_a_running_store_is_a_link_error():
    def f():
        chiasm.instantiate(
            '(module (import "a" "f" (func)) (import "b" "f" (func)))',
            {"a": other.exports, "b": inst.exports},
        )

    other = chiasm.instantiate('(module (func (export "f")))')
    inst = chiasm.instantiate(
        '(module (import "env" "f" (func $f)) (func (export "f") (call $f)))', {"env": {"f": f}}
    )
    with pytest.raises(chiasm.LinkError, match="running"):
        inst.exports.f()
    assert other.store is not inst.store


def test_instances_may_be_made_in_a_callback():
    def f():
        inner = chiasm.instantiate(ONE, {"env": {"f": lambda: 41}})
        joined = chiasm.instantiate(
            '(module (import "a" "one" (func $f (result i32))) (export "f" (func $f)))',
            {"a": inst.exports},
        )
        return inner.exports.g() + joined.exports.f()

    inst = chiasm.instantiate(
        """(module (import "env" "f" (func $f (result i32)))
          (func (export "one") (result i32) (i32.const 1))
          (func (export "g") (result i32) (call $f)))""",
        {"env": {"f": f}},
    )
    assert inst.exports.g() == 42


def test_a_store_may_be_chosen():
    store = chiasm.Store(chiasm.Limits(memory=2 * 65536))
    a = chiasm.instantiate("(module (memory 1))", store=store)
    b = chiasm.instantiate("(module (memory 1))", store=store)
    assert a.store is b.store is store
    with pytest.raises(MemoryError):
        chiasm.instantiate("(module (memory 1))", store=store)
    with pytest.raises(ValueError):
        chiasm.instantiate("(module)", store=store, limits=chiasm.Limits())
    with pytest.raises(TypeError):
        chiasm.instantiate("(module)", store=5)
    with pytest.raises(TypeError):
        chiasm.instantiate("(module)", limits=5)


def test_fuel_is_used_up():
    limits = chiasm.Limits(fuel=1000)
    inst = chiasm.instantiate(
        """(module (func (export "spin") (loop (br 0)))
          (func (export "ok") (result i32) (i32.const 1)))""",
        limits=limits,
    )
    with pytest.raises(chiasm.OutOfFuel) as caught:
        inst.exports.spin()
    assert isinstance(caught.value, chiasm.Trap)
    inst.store.fuel = 1000
    assert inst.exports.ok() == 1
    assert 0 < inst.store.fuel < 1000


def test_exports_are_found_by_attribute_and_item():
    inst = chiasm.instantiate(
        """(module (func (export "f")) (func (export "keys") (result i32) (i32.const 1))
          (func (export "_x")) (func (export "a-b")) (func (export "")) (memory (export "m") 1))"""
    )
    e = inst.exports
    assert len(e) == 6
    assert list(e) == ["f", "keys", "_x", "a-b", "", "m"]
    assert list(e.keys()) == list(e)
    assert dict(e.items())["a-b"] is e["a-b"]
    assert e.values()[0] is e.f
    assert e["keys"]() == 1
    assert callable(e.keys)
    assert e["_x"]() is None
    assert e[""]() is None
    assert "f" in e
    assert "nope" not in e
    assert {"f", "m"} <= set(dir(e))
    assert not {"_x", "a-b", ""} & set(dir(e))
    with pytest.raises(AttributeError, match="the module has no export 'nope'"):
        _ = e.nope
    with pytest.raises(AttributeError):
        _ = e._x
    with pytest.raises(KeyError):
        e["nope"]
    with pytest.raises(KeyError):
        e[5]
    with pytest.raises((AttributeError, TypeError)):
        e.f = 5
    assert inst.memory is e.m
    assert chiasm.instantiate("(module)").memory is None


def test_a_misspelled_export_is_told_the_nearest():
    e = chiasm.instantiate('(module (func (export "update")) (func (export "draw")))').exports
    with pytest.raises(AttributeError, match="did you mean 'update'"):
        e.updated()


def test_an_exported_function_keeps_its_instance_alive():
    f = chiasm.instantiate(
        '(module (memory 1) (data (i32.const 0) "A") (func (export "f") (result i32) '
        "(i32.load8_u (i32.const 0))))"
    ).exports.f
    gc.collect()
    assert f() == 65


def test_the_start_function_runs_and_initialize_does_not():
    seen = []
    chiasm.instantiate(
        """(module (import "env" "f" (func $f (param i32)))
          (func $s (call $f (i32.const 1))) (start $s)
          (func (export "_initialize") (call $f (i32.const 2))))""",
        {"env": {"f": seen.append}},
    )
    assert seen == [1]


def test_a_failing_start_is_raised():
    with pytest.raises(chiasm.Trap, match="unreachable"):
        chiasm.instantiate("(module (func $f unreachable) (start $f))")

    def boo():
        raise KeyError("boo")

    with pytest.raises(KeyError, match="boo"):
        chiasm.instantiate('(module (import "env" "f" (func $f)) (start $f))', {"env": {"f": boo}})
    with pytest.raises(chiasm.Trap, match="out of bounds"):
        chiasm.instantiate('(module (memory 1) (data (i32.const 65536) "x"))')


def test_instance_and_instantiate_are_the_same():
    m = chiasm.Module(ONE)
    inst = chiasm.Instance(m, {"env": {"f": lambda: 1}}, name="i")
    assert type(chiasm.instantiate(m, {"env": {"f": lambda: 1}})) is chiasm.Instance
    assert inst.module is m
    assert inst.name == "i"
    assert "'i'" in repr(inst)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tier": "optimize"}, NotImplementedError),
        ({"tier": "fast"}, ValueError),
        ({"wasi": object()}, TypeError),
        ({"name": 5}, TypeError),
        ({"config": 5}, TypeError),
        ({"rubbish": 5}, TypeError),
        ({"config": chiasm.Config(deterministic=True)}, NotImplementedError),
        ({"config": chiasm.Config(passes="x")}, NotImplementedError),
        ({"config": chiasm.Config(memory="small")}, ValueError),
        ({"config": chiasm.Config(memory=5)}, ValueError),
        ({"config": chiasm.Config(), "store": chiasm.Store()}, ValueError),
    ],
)
def test_options_that_do_not_work_say_so(options, error):
    with pytest.raises(error):
        chiasm.instantiate("(module)", **options)


def test_an_exception_of_gil_passes():
    class Bad:
        def __bool__(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        chiasm.instantiate("(module)", gil=Bad())


@pytest.mark.parametrize(
    "options", [{"tier": "auto"}, {"tier": "interp"}, {"gil": True}, {"gil": False}]
)
def test_options_that_work(options):
    assert chiasm.instantiate(ONE, {"env": {"f": lambda: 3}}, **options).exports.g() == 3


def test_an_instance_is_freed_when_nothing_reaches_it_though_its_store_lives():
    store = chiasm.Store()
    keep = chiasm.instantiate('(module (memory (export "m") 1))', store=store)
    before = store.usage()["instances"]
    for _ in range(50):
        chiasm.instantiate(
            '(module (import "a" "m" (memory 1)) (func (export "f")))', {"a": keep.exports}
        ).exports.f()
    store.collect()
    assert store.usage()["instances"] == before


def test_a_cycle_through_a_host_function_is_collected():
    class Env:
        def f(self):
            return 1

    env = Env()
    env.inst = chiasm.instantiate(ONE, {"env": env})
    assert env.inst.exports.g() == 1
    ref = weakref.ref(env), weakref.ref(env.inst), weakref.ref(env.inst.exports.g)
    del env
    gc.collect()
    assert [r() for r in ref] == [None, None, None]


def test_a_cycle_through_an_externref_is_collected():
    class Box:
        pass

    box = Box()
    box.table = chiasm.Table("externref", 1)
    box.table[0] = box
    box.glob = chiasm.Global("externref", box, mutable=True)
    ref = weakref.ref(box)
    del box
    gc.collect()
    assert ref() is None


def test_a_recursive_group_of_types_can_be_imported():
    m = chiasm.Module(
        """(module
          (rec (type $f (func (param i32) (result i32))) (type $s (struct (field (ref null $f)))))
          (import "env" "f" (func $f (type $f)))
          (func (export "g") (param i32) (result i32) (call $f (local.get 0))))"""
    )
    assert chiasm.instantiate(m, {"env": {"f": lambda x: x + 1}}).exports.g(1) == 2
