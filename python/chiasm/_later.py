"""Names that are promised and not built yet: using one says so."""


def stand_in(name):
    """Return something of that name whose every call raises NotImplementedError."""

    def later(*args, **kwargs):
        raise NotImplementedError(f"chiasm.{name} is not built yet")

    later.__name__ = later.__qualname__ = name
    later.__doc__ = "Not built yet."
    return later
