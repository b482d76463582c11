"""What the tests of instructions share: modules, their instances, outcomes.

Whoever makes a module's text says so with `register`, and test_coverage.py
looks into all of them.  Each module runs by both dispatch tables: `fast`, and
`metered`, which counts fuel and knows no pairs of instructions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import chiasm

Text = Callable[[], str]

DISPATCHES = {"fast": None, "metered": chiasm.Limits(fuel=10**9)}
REGISTERED: list[Text] = []

# Everything that is pushed before what is tested must still be there after it.
GUARD = 0x5A5A5A5A


def register(make: Text) -> Text:
    """Notes what makes the text of a module; it is called once at most."""
    cached = functools.cache(make)
    REGISTERED.append(cached)
    return cached


def register_text(text: str) -> Text:
    return register(lambda: text)


@functools.cache
def compiled(text: Text) -> chiasm.Module:
    return chiasm.Module(text())


def instance(text: Text, dispatch: str, imports: Any = None) -> chiasm.Instance:
    return chiasm.instantiate(compiled(text), imports, limits=DISPATCHES[dispatch])


@functools.cache
def shared_instance(text: Text, dispatch: str) -> chiasm.Instance:
    """For functions that leave no traces."""
    return instance(text, dispatch)


def outcome(f: Callable[..., Any], *args: Any) -> Any:
    """The results, or the trap's code."""
    try:
        return f(*args)
    except chiasm.Trap as trap:
        return trap.code
