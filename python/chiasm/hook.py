"""Importing it is to install the import hook, as ``chiasm.install_import_hook()`` does."""

from __future__ import annotations

raise NotImplementedError("chiasm.hook is not built yet")
