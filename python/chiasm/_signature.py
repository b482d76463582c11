"""Signatures of functions, for `Func.__signature__`."""

import inspect

_PYTHON = {"i32": int, "i64": int, "f32": float, "f64": float, "v128": bytes}


def make(type, names):
    """Make the inspect.Signature of a FuncType, with the names that are known."""
    taken = set()
    parameters = []
    for i, (kind, name) in enumerate(zip(type.params, names, strict=True)):
        if name is None or not name.isidentifier() or name in taken:
            name = f"p{i}"
        taken.add(name)
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_ONLY, annotation=_PYTHON.get(kind, object)
            )
        )
    return inspect.Signature(parameters, return_annotation=_result(type.results))


def _result(results):
    kinds = tuple(_PYTHON.get(kind, object) for kind in results)
    if not kinds:
        return None
    return kinds[0] if len(kinds) == 1 else tuple[kinds]
