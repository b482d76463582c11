"""Python embraces WebAssembly: load, inspect, validate, run and bind modules.

>>> import chiasm
>>> inst = chiasm.instantiate('''(module
...   (func (export "add") (param i32 i32) (result i32)
...     (i32.add (local.get 0) (local.get 1))))''')
>>> inst.exports.add(40, 2)
42

Classes and functions that need nothing else are in the extension module; conveniences are loaded
when they are first used, so that importing the package takes less than a millisecond.
"""

from ._core import (
    Array,
    Cancelled,
    CompileError,
    Config,
    Diagnostic,
    Error,
    Exit,
    Export,
    Exports,
    Frame,
    Func,
    Function,
    FuncType,
    Global,
    GlobalType,
    Import,
    Instance,
    Limits,
    LinkError,
    Memory,
    MemoryType,
    Module,
    Op,
    OutOfFuel,
    StackOverflow,
    Store,
    Struct,
    Table,
    TableType,
    Tag,
    TagType,
    Trap,
    __version__,
    features,
    instantiate,
    timeout,
)
from ._core import (
    Exception as Exception,
)

# Exception is left out: `from chiasm import *` must not hide Python's own.
__all__ = [
    "Array",
    "Cancelled",
    "CompileError",
    "Config",
    "Diagnostic",
    "Error",
    "Exit",
    "Export",
    "Exports",
    "Frame",
    "Func",
    "FuncType",
    "Function",
    "Global",
    "GlobalType",
    "Import",
    "Instance",
    "Limits",
    "LinkError",
    "Memory",
    "MemoryType",
    "Module",
    "Op",
    "OutOfFuel",
    "StackOverflow",
    "Store",
    "Struct",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "Trap",
    "__version__",
    "features",
    "instantiate",
    "timeout",
]

_LATER = frozenset(
    (
        "ReadOnly",
        "WASI",
        "build",
        "cache",
        "compile",
        "hook",
        "install_import_hook",
        "link",
        "run",
        "types",
    )
)


def __getattr__(name):
    if name == "ops":
        from ._core import _ops

        globals()["ops"] = value = _ops()
        return value
    if name in _LATER:
        from ._later import stand_in

        return stand_in(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*__all__, "Exception", "ops"]
