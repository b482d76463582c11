"""Names that are promised and not built yet: using one says so."""

from __future__ import annotations

from collections.abc import Callable


def stand_in(name: str) -> Callable[..., object]:
    """Return something of that name whose every call raises NotImplementedError."""

    def later(*args: object, **kwargs: object) -> object:
        raise NotImplementedError(f"chiasm.{name} is not built yet")

    later.__name__ = later.__qualname__ = name
    later.__doc__ = "Not built yet."
    return later
