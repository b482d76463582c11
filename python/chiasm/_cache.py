"""Compiled code that is kept between processes."""

from __future__ import annotations

from . import _core


class Cache:
    """The folder of compiled code: ``chiasm.cache``.

    Modules with much code are compiled once on a machine; their code is found again by their
    content, the build of Chiasm and the processor.  The environment variable ``CHIASM_CACHE``
    names the folder, and 0 switches it off.  The oldest files go when there are more than 512 MB.
    """

    @property
    def path(self) -> str | None:
        """The folder, or None: nothing is kept."""
        return _core._cache_folder()

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return _core._cache_size()

    def clear(self) -> None:
        """Remove all that is kept.  What is in use stays so."""
        _core._cache_clear()

    def __repr__(self) -> str:
        return f"<chiasm.cache {self.path!r}, {self.size} bytes>"


cache = Cache()
