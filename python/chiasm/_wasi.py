"""What a WASI program may use: arguments, environment, directories, streams."""

from __future__ import annotations

import builtins
import codecs
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, cast

from ._core import Process

Tree = Mapping[str, Any]  # of bytes, str and trees
Files = dict[str, Any]  # of bytes and Files
Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_PIPE, _STDOUT, _DEVNULL = -1, -2, -3  # as in subprocess
_Stream = int | bool | bytes | Callable[[int], object] | Callable[[bytes], object] | None


class ReadOnly:
    """A directory that the guest may read and not change.

    Parameters
    ----------
    path : str, os.PathLike or mapping
        The directory of the host, or a tree as `WASI` takes it.

    Examples
    --------
    >>> import chiasm
    >>> chiasm.ReadOnly("/usr/share")
    chiasm.ReadOnly('/usr/share')
    """

    __slots__ = ("path",)

    def __init__(self, path: Path | Tree) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"chiasm.ReadOnly({self.path!r})"


class WASI(Process):
    """A process for WASI programs: what they see, and what they may do.

    Parameters
    ----------
    args : iterable of str
        The arguments, the program's name first.
    env : mapping of str to str, optional
        The environment; default: empty.
    dirs : mapping of str to path, mapping or ReadOnly, optional
        From paths of the guest to directories of the host, or to trees in memory: mappings from
        names to bytes (or `str`, as UTF-8) and further mappings. The guest reaches what is beneath
        them, and nothing else, whatever links it finds or makes.
    stdin : bytes, str, int or file, optional
        What the guest reads; default: nothing. A file with a descriptor is read by it; others by
        their ``read``.
    stdout, stderr : file, callable or int, optional
        Where output goes; default: where this process's goes. A file with a descriptor is flushed
        and then written by it; others by their ``write``; a callable is called with bytes.
    clock : float, optional
        Seconds since 1970 at which the guest's clocks begin; each look at them takes a
        microsecond, and sleeping takes no time but the guest's. Default: the system's clocks.
    random : int, optional
        The seed of repeatable random numbers; default: the system's.

    Attributes
    ----------
    exit_code : int or None
        The status that the guest has ended itself with.

    Raises
    ------
    OSError
        A directory or descriptor cannot be opened.
    ValueError
        A string holds a null character, or a variable's name ``=``.

    Notes
    -----
    One object is one process: instances that share it share its open files. It may be used by
    several threads.

    References
    ----------
    WebAssembly/WASI, preview 1, snapshot 1.

    Examples
    --------
    >>> import chiasm
    >>> wasi = chiasm.WASI(["program"], env={"LANG": "C"}, stdout=print)
    >>> wasi.exit_code
    """

    __slots__ = ()

    def tree(self, guest: str) -> Files:
        """Return what is now in a directory that was given as a mapping.

        Parameters
        ----------
        guest : str
            The guest's path of it, as in `dirs`.

        Returns
        -------
        dict
            From names to bytes, and to dicts for directories.

        Raises
        ------
        KeyError
            There is no such directory.

        Examples
        --------
        >>> import chiasm
        >>> chiasm.WASI(dirs={"/mem": {"a.txt": "hello"}}).tree("/mem")
        {'a.txt': b'hello'}
        """
        return _grow(self._entries(os.fsencode(guest)))

    def __new__(
        cls,
        args: Iterable[Path] = (),
        env: Mapping[str, str] | None = None,
        dirs: Mapping[str, object] | None = None,
        stdin: object = None,
        stdout: object = None,
        stderr: object = None,
        clock: float | None = None,
        random: int | None = None,
        *,
        _keep: int = 4 << 30,
    ) -> WASI:
        """Prepare the arguments for the extension module."""
        if isinstance(args, (str, bytes)):
            raise TypeError("args must be an iterable of strings, not one")
        return super().__new__(
            cls,
            tuple(os.fsencode(a) for a in args),
            tuple(_variable(name, value) for name, value in (env or {}).items()),
            tuple(_directory(guest, host) for guest, host in (dirs or {}).items()),
            (_input(stdin), _output(stdout, 1), _output(stderr, 2)),
            _keep,
            None if random is None else random & 0xFFFF_FFFF_FFFF_FFFF,
            _clock(clock),
        )


def _variable(name: str, value: str) -> bytes:
    if not name or "=" in name:
        raise ValueError(f"no name of a variable: {name!r}")
    return os.fsencode(name) + b"=" + os.fsencode(value)


def _directory(
    guest: str, host: object
) -> tuple[bytes, bytes | None, tuple[tuple[bytes, bytes | None], ...], bool]:
    read_only = isinstance(host, ReadOnly)
    path = host.path if isinstance(host, ReadOnly) else host
    if isinstance(path, Mapping):
        return os.fsencode(guest), None, tuple(_entries(path, b"")), read_only
    if isinstance(path, (str, bytes, os.PathLike)):
        return os.fsencode(guest), os.fsencode(path), (), read_only
    raise TypeError(
        f"dirs[{guest!r}] must be a path, a mapping or ReadOnly, not {type(path).__name__}"
    )


# ------------------------------------------------------------------------- trees


def _entries(tree: Mapping[str, object], above: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the paths of a tree with the content of files, and None for directories."""
    for name, value in tree.items():
        if not name or "/" in name or name in (".", ".."):
            raise ValueError(f"no name of a file: {name!r}")
        path = above + os.fsencode(name)
        if isinstance(value, Mapping):
            yield path, None
            yield from _entries(value, path + b"/")
        else:
            yield path, _content(value)


def _content(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"a file of a tree must be bytes or a str, not {type(value).__name__}")


def _grow(entries: Iterable[tuple[bytes, bytes | None]]) -> Files:
    """Make a tree of dicts; directories come before what is in them."""
    root: Files = {}
    directories = {b"": root}
    for path, data in entries:
        above, _, name = path.rpartition(b"/")
        value: bytes | Files = {} if data is None else data
        directories[above][os.fsdecode(name)] = value
        if isinstance(value, dict):
            directories[path] = value
    return root


def update(tree: MutableMapping[str, Any], new: Files) -> None:
    """Change what differs in a tree, so that it holds what the new one does."""
    for name in [name for name in tree if name not in new]:
        del tree[name]
    for name, value in new.items():
        old = tree.get(name)
        if isinstance(value, dict):
            if not isinstance(old, MutableMapping):
                tree[name] = old = {}
            update(old, value)
        elif old is None or isinstance(old, Mapping) or _content(old) != value:
            tree[name] = value


def _clock(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    if not isinstance(seconds, (int, float)):
        raise NotImplementedError("clock: what is no number is not built yet")
    return round(seconds * 1e9) if isinstance(seconds, float) else seconds * 10**9


# ----------------------------------------------------------------------- streams


def _descriptor(file: object) -> int | None:
    """Return the descriptor of a file that has one."""
    try:
        fd = file.fileno()  # type: ignore[attr-defined]
    except (AttributeError, io.UnsupportedOperation):
        return None
    return fd if isinstance(fd, int) else None


def _input(source: object) -> _Stream:
    if source is None:
        return None
    if isinstance(source, int):
        return None if source == _DEVNULL else source
    if isinstance(source, str):
        return source.encode()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    fd = _descriptor(source)
    if fd is not None:
        return fd
    read = getattr(source, "read", None)
    if read is None:
        raise TypeError(f"stdin must be bytes, a str or a file, not {type(source).__name__}")
    return _TextInput(read) if isinstance(source, io.TextIOBase) else _reader(read)


def _reader(read: Callable[[int], object]) -> Callable[[int], object]:
    def read_bytes(n: int) -> object:
        data = read(n)
        return data.encode() if isinstance(data, str) else b"" if data is None else data

    return read_bytes


class _TextInput:
    """Reads text as UTF-8; a character may be longer than what is asked for."""

    def __init__(self, read: Callable[[int], str]) -> None:
        self._read = read
        self._rest = b""

    def __call__(self, n: int) -> bytes:
        data = self._rest or self._read(n).encode()
        self._rest = data[n:]
        return data[:n]


def _output(target: object, fd: int) -> _Stream:
    if target is None:
        return fd
    if isinstance(target, int):
        special: dict[int, _Stream] = {_PIPE: True, _STDOUT: False, _DEVNULL: None}
        return special.get(target, target)
    own = _descriptor(target)
    if own is not None:
        target.flush()  # type: ignore[attr-defined]
        return own
    write = getattr(target, "write", None)
    if write is not None:
        return _TextOutput(write) if isinstance(target, io.TextIOBase) else _writer(write)
    if isinstance(target, Callable):  # type: ignore[arg-type]
        return cast(Callable[[bytes], object], target)
    raise TypeError(f"an output must be a file or a callable, not {type(target).__name__}")


def _writer(write: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Write all: a raw file may take less than it is given."""

    def write_all(data: bytes) -> None:
        while data:
            n = write(data)
            data = data[n:] if isinstance(n, int) else b""
            if n == 0:
                raise BlockingIOError("the stream takes no output")

    return write_all


class _TextOutput:
    """Writes UTF-8 as text; a character may come in pieces."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __call__(self, data: builtins.bytes) -> None:
        text = self._decoder.decode(data)
        if text:
            self._write(text)
