"""Libraries that switch C stacks under a running guest: refused in time, never a crash."""

from __future__ import annotations

import contextlib
import gc

import pytest

import chiasm

greenlet = pytest.importorskip("greenlet")
TIERS = chiasm.features()["tiers"]

CALLS = """(module (import "env" "f" (func $f (param i32) (result i32)))
    (func $deep (param $n i32) (param $x i32) (result i32)
      (if (result i32) (local.get $n)
        (then (call $deep (i32.sub (local.get $n) (i32.const 1)) (local.get $x)))
        (else (call $f (local.get $x)))))
    (func (export "call") (param i32) (result i32)
      (i32.add (call $f (local.get 0)) (i32.const 1)))
    (func (export "deep") (param i32 i32) (result i32)
      (call $deep (local.get 0) (local.get 1)))
    (func (export "leaf") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))"""

HEAP = """(module (type $box (struct (field i32)))
    (import "env" "f" (func $f))
    (func (export "keep") (param i32) (result i32) (local $b (ref null $box))
      (local.set $b (struct.new $box (local.get 0)))
      (call $f)
      (struct.get $box 0 (local.get $b)))
    (func (export "litter") (param $n i32)
      (loop $l
        (drop (struct.new $box (i32.const -1)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"""


@pytest.fixture(params=TIERS)
def tier(request):
    return request.param


def test_guests_of_two_stacks_take_turns_as_long_as_they_nest(tier):
    main = greenlet.getcurrent()

    def f(x):
        return greenlet.greenlet(lambda: inst.exports.leaf(x), main).switch() if x else 0

    inst = chiasm.instantiate(CALLS, {"env": {"f": f}}, tier=tier)
    for depth in (0, 1, 50):
        assert inst.exports.deep(depth, 7) == 14
    assert inst.exports.call(4) == 9


def test_who_would_return_under_another_guest_is_refused(tier):
    """One guest waits in a greenlet, another returns to where it called from."""
    main = greenlet.getcurrent()

    def f(x):
        if x == 1:  # in the greenlet: go back to the main one, which is in a guest as well
            main.switch(5)
            return 10
        return other.switch()

    inst = chiasm.instantiate(CALLS, {"env": {"f": f}}, tier=tier)
    for _ in range(20):
        other = greenlet.greenlet(lambda: inst.exports.call(1))
        with pytest.raises(RuntimeError):
            inst.exports.call(2)
        assert other.switch() == 11
        assert inst.exports.leaf(3) == 6


def test_a_suspended_guest_goes_on_after_others_have_run(tier):
    main = greenlet.getcurrent()

    def f(x):
        main.switch()
        return x

    inst = chiasm.instantiate(CALLS, {"env": {"f": f}}, tier=tier)
    other = chiasm.instantiate(CALLS, {"env": {"f": lambda x: x + 1}}, tier=tier)
    for depth in (0, 3, 100):
        suspended = greenlet.greenlet(lambda d=depth: inst.exports.deep(d, 8))
        suspended.switch()
        # Either it runs, above what is suspended, or it is refused.
        for call in (inst.exports.leaf, other.exports.leaf, other.exports.call):
            with contextlib.suppress(RuntimeError):
                assert call(4) in (8, 6)
        assert suspended.switch() == 8
        assert suspended.dead
        assert inst.exports.leaf(4) == 8


def test_what_a_suspended_guest_holds_is_not_collected(tier):
    main = greenlet.getcurrent()

    def f():
        if greenlet.getcurrent() is not main:
            main.switch()

    limits = chiasm.Limits(heap=1 << 20)
    inst = chiasm.instantiate(HEAP, {"env": {"f": f}}, tier=tier, limits=limits)
    for n in range(5):
        suspended = greenlet.greenlet(inst.exports.keep)
        suspended.switch(n)
        with contextlib.suppress(RuntimeError):
            inst.exports.litter(200)
        inst.store.collect()
        gc.collect()
        assert suspended.switch() == n
    inst.exports.litter(200_000)


def test_a_greenlet_that_is_thrown_away_in_a_guest_leaves_it(tier):
    main = greenlet.getcurrent()

    def f(x):
        main.switch()
        return x

    inst = chiasm.instantiate(CALLS, {"env": {"f": f}}, tier=tier)
    for _ in range(10):
        suspended = greenlet.greenlet(lambda: inst.exports.deep(5, 1))
        suspended.switch()
        suspended.throw()
        assert suspended.dead
        assert not inst.store.running
        assert inst.exports.leaf(1) == 2


def test_deep_and_shallow_stacks_alternate(tier):
    """Stacks that begin at different depths overwrite each other."""
    main = greenlet.getcurrent()

    def f(x):
        main.switch(x)
        return x

    inst = chiasm.instantiate(CALLS, {"env": {"f": f}}, tier=tier)

    def at_depth(n, do):
        return do() if n == 0 else at_depth(n - 1, do)

    for depth in (0, 10, 200):
        suspended = at_depth(depth, lambda: greenlet.greenlet(lambda: inst.exports.call(6)))
        assert at_depth(depth, suspended.switch) == 6
        for again in (0, 300):
            with contextlib.suppress(RuntimeError):
                assert at_depth(again, lambda: inst.exports.leaf(2)) == 4
        assert suspended.switch() == 7
