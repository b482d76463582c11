from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from ._cache import cache as cache
from ._core import Array as Array
from ._core import Cancelled as Cancelled
from ._core import CompileError as CompileError
from ._core import Config as Config
from ._core import Diagnostic as Diagnostic
from ._core import Error as Error
from ._core import Exception as Exception
from ._core import Exit as Exit
from ._core import Export as Export
from ._core import Exports as Exports
from ._core import Frame as Frame
from ._core import Func as Func
from ._core import Function as Function
from ._core import FuncType as FuncType
from ._core import Global as Global
from ._core import GlobalType as GlobalType
from ._core import Import as Import
from ._core import Instance as Instance
from ._core import Limits as Limits
from ._core import LinkError as LinkError
from ._core import Memory as Memory
from ._core import MemoryType as MemoryType
from ._core import Module as Module
from ._core import Op as Op
from ._core import OutOfFuel as OutOfFuel
from ._core import StackOverflow as StackOverflow
from ._core import Store as Store
from ._core import Struct as Struct
from ._core import Table as Table
from ._core import TableType as TableType
from ._core import Tag as Tag
from ._core import TagType as TagType
from ._core import Trap as Trap
from ._core import __version__ as __version__
from ._core import features as features
from ._core import instantiate as instantiate
from ._core import timeout as timeout
from ._run import run as run
from ._wasi import WASI as WASI
from ._wasi import ReadOnly as ReadOnly

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

ops: MappingProxyType[str, Op]

# Not built yet: calling one raises NotImplementedError.
build: Callable[..., Any]
compile: Callable[..., Any]
install_import_hook: Callable[..., Any]
link: Callable[..., Any]
types: Callable[..., Any]

def __dir__() -> list[str]: ...
