"""Writes doc/ops.md, the table of all instructions, from op.def, imm.def and feature.def.

With --check it writes nothing, and fails if the file is not what it would be.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WASM = ROOT / "src" / "wasm"
OUT = ROOT / "doc" / "ops.md"

HEAD = """# Instructions

Made from `src/wasm/op.def` by `python tool/ops.py`. A code is a byte in hexadecimal, or a prefix
and a number in LEB128. Types are given where they follow from the row; those of the others depend
on what is around them. `addr` is the type of the memory's addresses, i32 or i64. Behind a feature
stands the edition of the specification that took it in, if one has.
"""
EDITIONS = {"10": "1.0", "20": "2.0", "30": "3.0", "99": "none"}

# Shape -> signature, with {0}, {1} ... for what stands in its parentheses.
SHAPES = {
    "UN": "{0} → {0}",
    "BIN": "{0} {0} → {0}",
    "TEST": "{0} → i32",
    "CMP": "{0} {0} → i32",
    "DIV": "{0} {0} → {0}",
    "CONV": "{1} → {0}",
    "TRUNC": "{1} → {0}",
    "LOAD": "addr → {0}",
    "STORE": "addr {0} →",
    "VUN": "v128 → v128",
    "VBIN": "v128 v128 → v128",
    "VTER": "v128 v128 v128 → v128",
    "VTEST": "v128 → i32",
    "VSHIFT": "v128 i32 → v128",
    "VSPLAT": "{0} → v128",
    "VEXTRACT": "v128 → {0}",
    "VREPLACE": "v128 {0} → v128",
    "VLOAD": "addr → v128",
    "VSTORE": "addr v128 →",
    "VLOADLANE": "addr v128 → v128",
    "VSTORELANE": "addr v128 →",
    "ALOAD": "addr → {0}",
    "ASTORE": "addr {0} →",
    "ARMW": "addr {0} → {0}",
    "ACAS": "addr {0} {0} → {0}",
}


@dataclass(frozen=True)
class Op:
    """One row of op.def."""

    name: str
    code: int
    text: str
    imm: str
    shape: str
    arguments: tuple[str, ...]
    feature: str

    def opcode(self) -> str:
        """Return the bytes: one, or a prefix and a number in LEB128."""
        if self.code < 0x1000:
            return f"{self.code:02x}"
        return f"{self.code >> 12:02x} {self.code & 0xFFF:d}"

    def signature(self) -> str:
        if self.shape == "HAND":
            return ""
        if self.shape == "WIDE":
            return " ".join(["i64"] * int(self.arguments[1])) + " → i64 i64"
        return SHAPES[self.shape].format(*self.arguments)


ROW = re.compile(r'OP\((\w+),\s*(0x[0-9a-f]+),\s*"([^"]+)",\s*(\w+),\s*(\w+)\(([^)]*)\),\s*(\w+)\)')


def read_imms() -> dict[str, str]:
    """Return the bytes of each kind of immediates, in words."""
    rows = re.findall(r"^IMM\((\w+)\)(?: */\* (.*) \*/)?$", (WASM / "imm.def").read_text(), re.M)
    return {name: text or ("" if name == "NONE" else name.lower()) for name, text in rows}


def read_features() -> dict[str, tuple[str, str]]:
    """Return name and edition of each feature."""
    text = (WASM / "feature.def").read_text()
    rows = re.findall(r'^FEATURE\((\w+), *"([^"]+)", *(\d+), *\d\)$', text, re.M)
    return {tag: (name, EDITIONS[version]) for tag, name, version in rows}


def read_ops() -> Iterator[str | Op]:
    """Yield the rows, and the headings between them."""
    for line in (WASM / "op.def").read_text().splitlines():
        heading = re.fullmatch(r"/\* (.*) \*/", line)
        if heading:
            yield heading[1]
        elif line.startswith("OP("):
            row = ROW.fullmatch(line)
            assert row, line
            name, code, text, imm, shape, arguments, feature = row.groups()
            words = tuple(a.strip() for a in arguments.split(","))
            yield Op(name, int(code, 16), text, imm, shape, words, feature)


def render() -> str:
    """Return the whole page."""
    imms, features = read_imms(), read_features()
    lines = [HEAD]
    for item in read_ops():
        if isinstance(item, str):
            lines += ["", f"## {item}", "", "| code | instruction | immediates | type | feature |"]
            lines += ["|---|---|---|---|---|"]
            continue
        feature, edition = features[item.feature]
        cells = [item.opcode(), f"`{item.text}`", imms[item.imm], item.signature()]
        lines.append("| " + " | ".join([*cells, f"{feature}, {edition}"]) + " |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        return int(not OUT.exists() or OUT.read_text() != render())
    if sys.argv[1:]:
        print(__doc__)
        return 2
    OUT.write_text(render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
