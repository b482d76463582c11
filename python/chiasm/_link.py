"""The text of a LinkError: all problems, nearest names, and a stub to start from."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable, Sequence

from ._core import (
    FuncType,
    GlobalType,
    Import,
    LinkError,
    MemoryType,
    Module,
    TableType,
    TagType,
)

_PYTHON = {"i32": "int", "i64": "int", "f32": "float", "f64": "float", "v128": "bytes"}


class Problem:
    """One import that cannot be linked.

    Attributes
    ----------
    module, name : str
        The names of the import.
    wanted : FuncType, MemoryType, TableType, GlobalType or TagType
        Its type.
    message : str
        What is wrong, in one sentence.
    nearest : tuple of str
        Names that are there and look alike, nearest first.
    """

    __slots__ = ("message", "module", "name", "nearest", "wanted")

    def __init__(
        self,
        module: str,
        name: str,
        wanted: FuncType | MemoryType | TableType | GlobalType | TagType,
        message: str,
        nearest: Iterable[str] = (),
    ) -> None:
        self.module = module
        self.name = name
        self.wanted = wanted
        self.message = message
        self.nearest = tuple(nearest)

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}: {self.message}"
        if self.nearest:
            text += "; nearest: " + ", ".join(self.nearest)
        return text

    def __repr__(self) -> str:
        return f"<Problem {self}>"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return Problem, (self.module, self.name, self.wanted, self.message, self.nearest)


def error(module: Module, found: Iterable[tuple[int, str, str | None, object]]) -> LinkError:
    """Make the LinkError of (index, what, detail, provider) records."""
    imports = module.imports
    problems = tuple(_problem(imports[i], what, detail, of) for i, what, detail, of in found)
    n = len(problems)
    lines = [f"{n} import{'s' if n > 1 else ''} of {_called(module)} cannot be linked"]
    lines += [f"  {problem}" for problem in problems]
    missing = [p for p in problems if p.message.startswith("missing")]
    if missing:
        lines += ["a stub to start from:", *("  " + line for line in stub(missing))]
    result = LinkError("\n".join(lines))
    result.problems = problems
    return result


def _called(module: Module) -> str:
    return "the module" if module.name is None else repr(module.name)


def _problem(wanted: Import, what: str, detail: str | None, provider: object) -> Problem:
    module, name, kind = wanted.module, wanted.name, wanted.type
    if what == "module":
        message = f"missing, there is no module {module!r}; wanted {kind}"
        return Problem(module, name, kind, message, nearest(module, _names(provider)))
    if what == "name":
        message = f"missing; wanted {kind}"
        return Problem(module, name, kind, message, nearest(name, _names(provider)))
    if what == "value":
        return Problem(module, name, kind, f"{detail}; wanted {kind}")
    return Problem(module, name, kind, str(detail))


def _names(provider: object) -> list[str]:
    """List what a provider has to offer."""
    if provider is None:
        return []
    try:
        names = provider.keys() if hasattr(provider, "keys") else dir(provider)
        return [n for n in names if isinstance(n, str) and not n.startswith("_")]
    except builtins.Exception:
        return []


# ---------------------------------------------------------------- nearest names


def nearest(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Return the names that look like the one asked for, nearest first."""
    limit = max(1, len(name) // 3)
    scored = ((distance(name.lower(), other.lower(), limit), other) for other in names)
    return [other for d, other in sorted(scored) if d <= limit and d < len(other)][:most]


def distance(a: str, b: str, limit: int) -> int:
    """Count the edits between two strings; more than `limit` if they are that many."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def no_export(module: Module, name: str) -> str:
    """Say that a module has no such export."""
    near = nearest(name, [export.name for export in module.exports])
    hint = "; did you mean " + " or ".join(map(repr, near)) + "?" if near else ""
    return f"{_called(module)} has no export {name!r}{hint}"


# ------------------------------------------------------------------------- stubs


def stub(problems: Sequence[Problem]) -> list[str]:
    """Write Python lines that define what is missing."""
    functions: list[str] = []
    modules: dict[str, dict[str, str]] = {}
    for p in problems:
        value = _value(p, functions)
        modules.setdefault(p.module, {})[p.name] = value
    lines = [*functions, "imports = {"]
    for module, names in modules.items():
        lines.append(f"    {module!r}: {{")
        lines += [f"        {name!r}: {value}," for name, value in names.items()]
        lines.append("    },")
    return [*lines, "}"]


def _value(problem: Problem, functions: list[str]) -> str:
    kind = problem.wanted
    if isinstance(kind, FuncType):
        name = _identifier(problem)
        functions += [f"def {name}{_signature(kind)}:", "    raise NotImplementedError", ""]
        return name
    if isinstance(kind, MemoryType):
        more = ", shared=True" if kind.shared else ""
        more += "" if kind.index == "i32" else f", index={kind.index!r}"
        more += "" if kind.page_size == 65536 else f", page_size={kind.page_size}"
        return f"chiasm.Memory({kind.min}, {kind.max}{more})"
    if isinstance(kind, TableType):
        return f"chiasm.Table({kind.type!r}, {kind.min}, {kind.max})"
    if isinstance(kind, GlobalType):
        return f"chiasm.Global({kind.type!r}, mutable={kind.mutable})"
    return f"chiasm.Tag({list(kind.params)!r})"


def _identifier(problem: Problem) -> str:
    text = "".join(c if c.isalnum() else "_" for c in f"{problem.module}_{problem.name}")
    text = text.lstrip("_0123456789") or "function"
    return text + "_" if keyword.iskeyword(text) else text


def _signature(kind: FuncType) -> str:
    params = ", ".join(f"p{i}: {_PYTHON.get(t, 'object')}" for i, t in enumerate(kind.params))
    results = [_PYTHON.get(t, "object") for t in kind.results]
    if not results:
        result = "None"
    elif len(results) == 1:
        result = results[0]
    else:
        result = f"tuple[{', '.join(results)}]"
    return f"({params}) -> {result}"
