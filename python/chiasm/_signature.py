"""Signatures of functions, for `Func.__signature__`."""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence

from ._core import FuncType

_PYTHON: dict[str, type] = {"i32": int, "i64": int, "f32": float, "f64": float, "v128": bytes}


def make(func: FuncType, names: Sequence[str | None]) -> inspect.Signature:
    """Make the signature of a function type, with the names of parameters that are known."""
    taken: set[str] = set()
    parameters = []
    for i, (kind, given) in enumerate(zip(func.params, names, strict=True)):
        name = given if given and given.isidentifier() and given not in taken else f"p{i}"
        taken.add(name)
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_ONLY, annotation=_PYTHON.get(kind, object)
            )
        )
    return inspect.Signature(parameters, return_annotation=_result(func.results))


def _result(results: Sequence[str]) -> object:
    kinds = tuple(_PYTHON.get(kind, object) for kind in results)
    if not kinds:
        return None
    return kinds[0] if len(kinds) == 1 else types.GenericAlias(tuple, kinds)
