"""How a Module looks in a notebook: its interface and a map of its sizes."""

from __future__ import annotations

from html import escape

from ._core import Module


def module(m: Module) -> str:
    """Write HTML for a module."""
    name = "WebAssembly module" if m.name is None else m.name
    size = len(m.to_bytes())
    parts = [f"<div><b>{escape(name)}</b>, {size:,} bytes", _interface(m), _sizes(m, size)]
    return "".join(parts) + "</div>"


def _interface(m: Module) -> str:
    rows = [("import", f"{i.module}.{i.name}", i.type) for i in m.imports]
    rows += [("export", e.name, e.type) for e in m.exports]
    cells = "".join(
        f"<tr><td>{kind}</td><td><code>{escape(name)}</code></td>"
        f"<td><code>{escape(str(type))}</code></td></tr>"
        for kind, name, type in rows
    )
    return f"<table>{cells}</table>" if rows else ""


def _sizes(m: Module, size: int, most: int = 20) -> str:
    """Draw the largest functions as bars in proportion to their sizes."""
    functions = sorted((f for f in m.functions if not f.imported), key=lambda f: -f.size)[:most]
    bars = "".join(
        f'<div title="{f.size} bytes"><span style="display:inline-block;background:#69c;'
        f'height:0.7em;width:{max(1, 300 * f.size // max(1, size))}px"></span> '
        f"<code>{escape(f.name or f'${f.index}')}</code> {f.size:,}</div>"
        for f in functions
    )
    return f"<details><summary>sizes</summary>{bars}</details>" if bars else ""
