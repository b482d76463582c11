"""Programs as subprocesses: chiasm.run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Literal

from . import _core
from ._wasi import WASI, Path, update

if TYPE_CHECKING:
    from ._core import _Source


def run(
    program: _core.Module | _Source,
    args: Iterable[Path] = (),
    *,
    env: Mapping[str, str] | None = None,
    dirs: Mapping[str, object] | None = None,
    input: str | bytes | None = None,
    capture_output: bool = False,
    text: bool | None = None,
    timeout: float | None = None,
    check: bool = False,
    limits: _core.Limits | None = None,
    stdin: object = None,
    stdout: object = None,
    stderr: object = None,
    encoding: str | None = None,
    errors: str | None = None,
    imports: Mapping[str, object] | None = None,
    tier: Literal["auto", "interp", "baseline", "optimize"] = "auto",
    config: _core.Config | None = None,
    clock: float | None = None,
    random: int | None = None,
) -> subprocess.CompletedProcess[Any]:
    """Run a WASI program, as `subprocess.run` runs one of the system's.

    Parameters
    ----------
    program : Module, bytes-like, str, path or binary file
        The module, or what `Module` makes one of. Its ``_start`` is called; of a library,
        ``_initialize``.
    args : iterable of str
        The arguments after the program's name.
    env, dirs, stdin, stdout, stderr, clock, random
        As for `WASI`; nothing is granted by default. ``subprocess.PIPE``, ``DEVNULL`` and
        ``STDOUT`` are understood. Dicts in `dirs` hold afterwards what the program left in them.
    input : bytes or str, optional
        What the program reads.
    capture_output : bool
        Whether output is kept, for ``stdout`` and ``stderr`` of the result.
    text : bool, optional
        Whether what is kept is given as `str`; so do ``encoding`` (default UTF-8) and ``errors``.
    timeout : float, optional
        Seconds after which the program is ended.
    check : bool
        Whether a status other than 0 raises.
    limits : Limits, optional
        What its store may use; what is kept of each output, and each tree of dicts, is limited by
        ``memory``, too.
    imports, tier, config
        As for `instantiate`.

    Returns
    -------
    subprocess.CompletedProcess
        With ``args``, ``returncode`` (the low 8 bits of the status), ``stdout``, ``stderr``.

    Raises
    ------
    subprocess.CalledProcessError
        With `check`, if the status is not 0.
    subprocess.TimeoutExpired
        The time is over.
    CompileError, LinkError
        The program is no valid module, or wants what is not there.
    Trap
        The program was ended by the engine; what was captured is in its attributes ``stdout``
        and ``stderr``.

    Notes
    -----
    Other Python threads run meanwhile, unless `imports` has Python functions.

    Examples
    --------
    >>> import chiasm
    >>> hello = '''(module
    ...   (import "wasi_snapshot_preview1" "fd_write"
    ...     (func $write (param i32 i32 i32 i32) (result i32)))
    ...   (memory (export "memory") 1)
    ...   (data (i32.const 0) "\\\\08\\\\00\\\\00\\\\00\\\\06\\\\00\\\\00\\\\00hello\\\\n")
    ...   (func (export "_start")
    ...     (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))'''
    >>> chiasm.run(hello, capture_output=True, text=True).stdout
    'hello\\n'
    """
    stdin = _choose_input(input, stdin)
    stdout, stderr = _choose_outputs(capture_output, stdout, stderr)
    module = program if isinstance(program, _core.Module) else _core.Module(program)
    command = [_name(program, module), *args]
    memory = (limits or _core.Limits()).memory
    wasi = WASI(
        command, env, dirs, stdin, stdout, stderr, clock, random,
        _keep=sys.maxsize if memory is None else min(memory, sys.maxsize),
    )  # fmt: skip
    output = _Output(wasi, stdout, stderr, text, encoding, errors)
    deadline = None if timeout is None else _core.timeout(timeout)
    status = 0
    try:
        with deadline or contextlib.nullcontext():
            _start(module, imports, wasi, limits, tier, config)
    except _core.Exit as e:
        status = (e.code or 0) & 0xFF
    except TimeoutError as e:
        if timeout is None or getattr(e, "timeout", None) is not deadline:
            raise
        kept = output.raw(1), output.raw(2)
        raise subprocess.TimeoutExpired(command, timeout, *kept) from None
    except (_core.Trap, _core.Exception) as e:
        vars(e).update(stdout=output.get(1), stderr=output.get(2))
        raise
    finally:
        for guest, tree in (dirs or {}).items():
            if isinstance(tree, MutableMapping):
                update(tree, wasi.tree(guest))
    done = subprocess.CompletedProcess(command, status, output.get(1), output.get(2))
    if check:
        done.check_returncode()
    return done


def _start(
    module: _core.Module,
    imports: Mapping[str, object] | None,
    wasi: WASI,
    limits: _core.Limits | None,
    tier: Literal["auto", "interp", "baseline", "optimize"],
    config: _core.Config | None,
) -> None:
    instance = _core.instantiate(
        module, imports, wasi=wasi, limits=limits, tier=tier, config=config
    )
    if "_start" in instance.exports:
        instance.exports["_start"]()
    elif "_initialize" not in instance.exports:
        raise _core.LinkError("no program: the module exports neither _start nor _initialize")


def _name(program: object, module: _core.Module) -> str:
    if isinstance(program, os.PathLike):
        return os.path.basename(os.fsdecode(program))
    if isinstance(program, str) and not program.lstrip().startswith(("(", ";")):
        return os.path.basename(program)
    return module.name or "program"


def _choose_input(data: str | bytes | None, stdin: object) -> object:
    if data is None:
        return stdin
    if stdin is not None:
        raise ValueError("stdin and input may not both be used")
    return data


def _choose_outputs(capture: bool, stdout: object, stderr: object) -> tuple[object, object]:
    if not capture:
        return stdout, stderr
    if stdout is not None or stderr is not None:
        raise ValueError("stdout and stderr may not be used with capture_output")
    return subprocess.PIPE, subprocess.PIPE


class _Output:
    """What a process has kept of its output, as the caller wants it."""

    def __init__(
        self,
        wasi: WASI,
        stdout: object,
        stderr: object,
        text: bool | None,
        encoding: str | None,
        errors: str | None,
    ) -> None:
        self._wasi = wasi
        self._kept = {1: stdout == subprocess.PIPE, 2: stderr == subprocess.PIPE}
        self._text = bool(text or encoding or errors)
        self._encoding = encoding or "utf-8"
        self._errors = errors or "strict"

    def raw(self, fd: int) -> bytes | None:
        return self._wasi._kept(fd) if self._kept[fd] else None

    def get(self, fd: int) -> str | bytes | None:
        data = self.raw(fd)
        if data is None or not self._text:
            return data
        text = data.decode(self._encoding, self._errors)
        return text.replace("\r\n", "\n").replace("\r", "\n")
