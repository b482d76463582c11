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

from . import _core
from ._core import (
    Cancelled,
    CompileError,
    Error,
    Exit,
    Exports,
    Func,
    Instance,
    LinkError,
    Memory,
    Module,
    OutOfFuel,
    StackOverflow,
    Store,
    Trap,
    __version__,
    features,
    instantiate,
)
from ._core import Exception as Exception

# Exception is left out: `from chiasm import *` must not hide Python's own.
__all__ = [
    "WASI",
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
    "ReadOnly",
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
    "run",
    "timeout",
]

# Where conveniences are.
_MODULES = {"ReadOnly": "_wasi", "WASI": "_wasi", "run": "_run", "cache": "_cache"}

_LATER = frozenset(
    (
        "build",
        "compile",
        "install_import_hook",
        "link",
        "types",
    )
)


def __getattr__(name):
    if name in _MODULES:
        from importlib import import_module

        value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    elif name in __all__:  # a class that is made when it is first needed
        value = getattr(_core, name)
    elif name == "ops":
        value = _core._ops()
    elif name in _LATER:
        from ._later import stand_in

        value = stand_in(name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return [*__all__, "Exception", "ops"]


def _stay_on_top(function):
    """Wrap a function that sets handlers of signals which machine code needs, too."""

    def wrapper(*args, **options):
        _core._signals(False)
        try:
            return function(*args, **options)
        finally:
            _core._signals(True)

    wrapper.__name__ = function.__name__
    wrapper.__doc__ = function.__doc__
    wrapper.__wrapped__ = function
    return wrapper


def _watch_faulthandler():
    try:
        import faulthandler
    except ImportError:  # an interpreter with a lock of its own, where none can be
        return
    for name in ("enable", "disable"):
        function = getattr(faulthandler, name)
        if not hasattr(function, "__wrapped__"):
            setattr(faulthandler, name, _stay_on_top(function))


_watch_faulthandler()
