"""Cycles through guests: freed when nothing else reaches them, while their store lives."""

from __future__ import annotations

import gc
import random
import threading
import weakref

import pytest

import chiasm

CALLS = """(module (import "env" "f" (func $f (result i32)))
  (func (export "g") (result i32) (call $f)))"""


class Thing:
    """Something that weak references can watch, and attributes be set of."""


class Env:
    """A provider that holds what is made of it."""

    def __init__(self, store=None, wat=CALLS, **more):
        self.__dict__.update(more)
        self.inst = chiasm.Instance(wat, {"env": self}, store=store)

    def f(self):
        return 5 if self.inst else 0


@pytest.fixture
def store():
    """A store that lives through something else than what the test makes in it."""
    s = chiasm.Store()
    keep = chiasm.Instance('(module (memory (export "m") 1))', store=s)
    yield s
    assert keep.memory[0] == 0


def is_freed(ref):
    gc.collect()
    return ref() is None


def test_an_instance_that_refers_to_itself_is_freed(store):
    env = Env(store)
    assert env.inst.exports.g() == 5
    ref = weakref.ref(env)
    gc.collect()
    assert env.inst.exports.g() == 5
    del env
    assert is_freed(ref)
    store.collect()
    assert store.usage()["instances"] == 1


def test_it_stays_as_long_as_one_of_its_functions(store):
    env = Env(store)
    ref = weakref.ref(env)
    g = env.inst.exports.g
    del env
    for _ in range(3):
        gc.collect()
        assert g() == 5
    del g
    assert is_freed(ref)


def test_ten_thousand_plug_ins_beside_one_memory_leak_nothing(plain_build):
    wat = """(module (import "env" "m" (memory 1)) (import "env" "f" (func $f (result i32)))
      (func (export "g") (result i32) (call $f)))"""
    memory = chiasm.Memory(1)
    module = chiasm.Module(wat)
    count = [0]

    def plug_in():
        env = Env(wat=module, m=memory)
        assert env.inst.exports.g() == 5
        weakref.finalize(env, lambda: count.__setitem__(0, count[0] + 1))
        return env

    last = plug_in()
    for _ in range(10_000):
        plug_in()
    gc.collect()
    assert count[0] == 10_000
    usage = last.inst.store.usage()
    assert usage["instances"] < 3000
    assert last.inst.exports.g() == 5
    memory[0] = 1


def test_one_that_a_table_reaches_stays(store):
    table = chiasm.Table("funcref", 1)
    keep = chiasm.Instance('(module (import "e" "t" (table 1 funcref)))', {"e": {"t": table}},
                           store=store)  # fmt: skip
    env = Env(store)
    ref = weakref.ref(env)
    table[0] = env.inst.exports.g
    del env
    for _ in range(3):
        gc.collect()
        assert table[0]() == 5
    assert ref() is not None
    table[0] = None
    assert is_freed(ref)
    del keep


def test_one_that_another_instance_imports_stays_and_both_are_freed(store):
    env = Env(store)
    user = Env(store, more=env)
    user.inst = chiasm.Instance(CALLS, {"env": {"f": env.inst.exports.g}}, store=store)
    first, second = weakref.ref(env), weakref.ref(user)
    del env
    user.more = None
    gc.collect()
    assert user.inst.exports.g() == 5
    assert first() is not None
    store.collect()  # of the instance that `user` had at first
    del user
    assert is_freed(first)
    assert is_freed(second)


def test_a_chain_of_instances_is_freed(store):
    first = env = Env(store)
    refs = [weakref.ref(env)]
    for _ in range(50):
        env = Env(store, f=env.inst.exports.g, before=env)
        refs.append(weakref.ref(env))
    first.last = env
    assert env.inst.exports.g() == 5
    del first, env
    assert is_freed(refs[0])
    assert [r() for r in refs] == [None] * 51


TABLE = """(module (import "env" "f" (func $f (result i32)))
  (table (export "t") 4 funcref) (table (export "x") 4 externref)
  (global (export "g") (mut externref) (ref.null extern))
  (elem (i32.const 1) $f $own)
  (func $own (export "own") (result i32) (call $f)))"""


def test_its_own_table_and_globals_reach_it_but_do_not_keep_it(store):
    env = Env(store, TABLE)
    e = env.inst.exports
    assert e.t[2]() == 5
    e.x[0] = env
    e.g.value = (env, e)
    ref = weakref.ref(env)
    t, x, g = e.t, e.x, e.g
    del env, e
    gc.collect()
    assert ref() is not None
    assert t[1]() == 5
    assert x[0].inst.exports.own() == 5
    del t, x
    gc.collect()
    assert g.value[0].f() == 5
    del g
    assert is_freed(ref)


@pytest.mark.parametrize("make", ["table", "global", "func"])
def test_what_python_made_may_hold_itself(store, make):
    thing = Thing()
    if make == "table":
        own = chiasm.Table("externref", 1)
        own[0] = thing
        wat = '(module (import "e" "x" (table 1 externref)))'
    elif make == "global":
        own = chiasm.Global("externref", thing, mutable=True)
        wat = '(module (import "e" "x" (global (mut externref))))'
    else:
        own = chiasm.Func(lambda t=thing: t.n, chiasm.FuncType((), ("i32",)))
        wat = '(module (import "e" "x" (func (result i32))))'
    thing.own = own
    ref = weakref.ref(thing)
    inst = chiasm.Instance(wat, {"e": {"x": own}}, store=store)
    del thing, own
    gc.collect()
    assert ref() is not None
    del inst
    assert is_freed(ref)


STRUCT = """(module (type $s (struct (field (mut externref)) (field (mut funcref))))
  (import "env" "f" (func $f (result i32)))
  (func (export "g") (result i32) (call $f))
  (func (export "new") (param externref funcref) (result anyref)
    (struct.new $s (local.get 0) (local.get 1))))"""


def test_what_a_struct_reaches_stays(store):
    env = Env(store, STRUCT)
    ref = weakref.ref(env)
    struct = env.inst.exports.new(env, env.inst.exports.g)
    del env
    for _ in range(3):
        gc.collect()
        assert struct[1]() == 5
        assert struct[0].f() == 5
    del struct
    gc.collect()
    store.collect()
    assert is_freed(ref)


def test_a_collection_in_a_callback_frees_nothing_that_runs(store):
    class Collects(Env):
        def f(self):
            holder.clear()
            gc.collect()
            return self.inst.exports.h()

    wat = """(module (import "env" "f" (func $f (result i32)))
      (func (export "h") (result i32) (i32.const 9))
      (func (export "g") (result i32) (i32.add (call $f) (call $f))))"""
    holder = {"env": Collects(store, wat)}
    ref = weakref.ref(holder["env"])
    g = holder["env"].inst.exports.g
    assert g() == 18
    del g
    assert is_freed(ref)


def test_a_collection_while_another_thread_runs_the_store_frees_nothing(store):
    spin = chiasm.Instance('(module (func (export "spin") (loop (br 0))))', store=store)
    env = Env(store)
    ref = weakref.ref(env)

    def run():
        with pytest.raises(chiasm.Cancelled):
            spin.exports.spin()

    thread = threading.Thread(target=run)
    thread.start()
    while not store.running:
        pass
    del env
    gc.collect()
    assert ref() is not None
    spin.cancel()
    thread.join()
    assert is_freed(ref)


def test_a_finaliser_may_bring_one_back(store):
    class Clings(Env):
        def __del__(self):
            saved.append(self.inst.exports.g)

    saved = []
    table = chiasm.Table("funcref", 1)
    keep = chiasm.Instance('(module (import "e" "t" (table 1 funcref)))', {"e": {"t": table}},
                           store=store)  # fmt: skip
    Clings(store)
    gc.collect()
    assert saved[0]() == 5
    gc.collect()
    assert saved.pop()() == 5

    class Installs(Env):
        def __del__(self):
            table[0] = self.inst.exports.g

    Installs(store)
    gc.collect()
    assert table[0]() == 5
    gc.collect()
    assert table[0]() == 5
    del keep


def test_merged_stores_keep_and_free_the_same():
    env, other = Env(wat=TABLE), Env(wat=TABLE)
    refs = weakref.ref(env), weakref.ref(other)
    gc.collect()
    user = chiasm.Instance(
        '(module (import "e" "t" (table 4 funcref)) (import "e" "u" (table 4 funcref)))',
        {"e": {"t": env.inst.exports.t, "u": other.inst.exports.t}},
    )
    assert env.inst.store is other.inst.store
    t = other.inst.exports.t
    del env, other
    gc.collect()
    assert refs[0]().f() == 5
    del user
    assert is_freed(refs[0])
    assert t[1]() == 5
    del t
    assert is_freed(refs[1])


NODE = """(module
  (import "env" "f" (func $f (result i32)))
  (import "env" "t" (table $t 4 funcref)) (import "env" "x" (table $x 4 externref))
  (import "env" "g" (global $g (mut externref)))
  (table $own (export "own") 4 funcref) (table $keep (export "keep") 4 externref)
  (global $mine (export "mine") (mut externref) (ref.null extern))
  (elem (table $own) (i32.const 0) func $f $call)
  (export "f" (func $f)) (export "t" (table $t)) (export "x" (table $x))
  (export "g" (global $g))
  (func $call (export "call") (result i32) (call $f)))"""


KINDS = ("thing", "func", "export", "inst", "funcref", "externref", "global")


class Web:
    """Things, instances, tables and globals that refer to each other at random, and a model.

    A node of the model is a number with edges to others; `pins` are the objects that the test
    itself holds, by name of their node.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.store = chiasm.Store()
        self.module = chiasm.Module(NODE)
        self.edges: dict[int, dict[object, int]] = {}
        self.things: dict[int, weakref.ref] = {}
        self.pins: list[tuple[str, int, object]] = []

    def node(self):
        self.edges[len(self.edges)] = {}
        return len(self.edges) - 1

    def pick(self, *kinds):
        found = [pin for pin in self.pins if pin[0] in kinds]
        return self.random.choice(found) if found else None

    def pin(self, kind, node, value):
        self.pins.append((kind, node, value))

    def new_thing(self):
        class Call(Thing):
            def __call__(self):
                return self.number

        node, thing = self.node(), Call()
        thing.number, thing.refs = node, {}
        self.things[node] = weakref.ref(thing)
        self.pin("thing", node, thing)

    def new_func(self):
        found = self.pick("thing")
        if found:
            node = self.node()
            self.edges[node][0] = found[1]
            self.pin("func", node, chiasm.Func(found[2], chiasm.FuncType((), ("i32",))))

    def new_table(self):
        kind = self.random.choice(["funcref", "externref"])
        table = chiasm.Table(kind, 4)
        self.pin(kind, self.node(), table)

    def new_global(self):
        self.pin("global", self.node(), chiasm.Global("externref", mutable=True))

    def new_instance(self):
        given = [self.pick("thing", "func", "export"), self.pick("funcref"),
                 self.pick("externref"), self.pick("global")]  # fmt: skip
        if None in given:
            return
        node, own, keep, mine = (self.node() for _ in range(4))
        env = dict(zip("ftxg", (value for _, _, value in given), strict=True))
        store = None if self.random.random() < 0.5 else self.store
        inst = chiasm.Instance(self.module, {"env": env}, store=store)
        self.edges[node] = {
            **dict(zip("ftxg", (n for _, n, _ in given), strict=True)),
            "own": own, "keep": keep, "mine": mine,
        }  # fmt: skip
        self.edges[own] = {"home": node, 0: given[0][1], 1: node}
        self.edges[keep] = {"home": node}
        self.edges[mine] = {"home": node}
        self.pin("inst", node, inst)

    def look(self):
        """Make a wrapper of one of an instance's exports."""
        found = self.pick("inst")
        if not found:
            return
        _, node, inst = found
        name = self.random.choice(["call", "f", "t", "x", "g", "own", "keep", "mine"])
        kind = {"call": "export", "f": "export", "t": "funcref", "own": "funcref",
                "g": "global", "mine": "global"}.get(name, "externref")  # fmt: skip
        if name == "f":
            value = inst.exports.f
            node = self.edges[node]["f"]
            kind = "export"
        else:
            value = inst.exports[name]
            node = node if name == "call" else self.edges[node][name]
        if self.random.random() < 0.5:
            self.pin(kind, node, value)

    def put(self):
        """Let one object refer to another."""
        holder = self.pick("thing", "funcref", "externref", "global")
        if not holder:
            return
        kind, node, value = holder
        place = self.random.randrange(4)
        other = self.pick(*(("func", "export") if kind == "funcref" else KINDS))
        if other is None or self.random.random() < 0.2:
            other = (None, None, None)
        if kind == "thing":
            value.refs[place] = other[2]
        elif kind == "global":
            value.value, place = other[2], "value"
        else:
            value[place] = other[2]
        self.edges[node].pop(place, None)
        if other[1] is not None:
            self.edges[node][place] = other[1]

    def unpin(self):
        if self.pins:
            self.pins.pop(self.random.randrange(len(self.pins)))

    def call(self):
        for kind, _, value in self.pins:
            if kind in ("export", "func"):
                assert value() in self.things
            elif kind == "inst":
                assert value.exports.call() in self.things
            elif kind == "funcref":
                for f in value:
                    assert f is None or f() in self.things

    def reachable(self):
        found, todo = set(), [node for _, node, _ in self.pins]
        while todo:
            node = todo.pop()
            if node not in found:
                found.add(node)
                todo += self.edges[node].values()
        return found

    def check(self):
        for node in self.reachable():
            if node in self.things:
                assert self.things[node]() is not None, node
        self.call()

    def lost(self):
        """How many things live that nothing reaches."""
        found = self.reachable()
        return sum(ref() is not None and n not in found for n, ref in self.things.items())


@pytest.mark.parametrize("seed", range(20))
def test_a_random_web_keeps_what_is_reachable(seed):
    web = Web(seed)
    steps = [web.new_thing, web.new_func, web.new_table, web.new_global, web.new_instance,
             web.look, web.look, web.put, web.put, web.put, web.unpin, web.unpin]  # fmt: skip
    for i in range(400):
        web.random.choice(steps)()
        if i % 25 == 24:
            if i % 50 == 49:
                web.store.collect()
            gc.collect()
            web.check()
    things = web.things
    web.pins.clear()
    gc.collect()
    web.store.collect()
    gc.collect()
    print(f"{web.lost()} of {len(things)} live as long as the store")
    del web
    del steps
    gc.collect()
    assert [ref() for ref in things.values()] == [None] * len(things)
