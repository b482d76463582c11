"""What machine code means: asked of capstone, or of objdump."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import tempfile


def lines(code: bytes) -> list[tuple[int, str]] | None:
    """Disassemble x86-64 code: the offset and text of each instruction; None: nobody can."""
    try:
        return _by_capstone(code)
    except ImportError:
        return _by_objdump(code)


def _by_capstone(code: bytes) -> list[tuple[int, str]]:
    capstone = importlib.import_module("capstone")
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.skipdata = True
    return [
        (at, f"{name:<6} {operands}".rstrip())
        for at, _, name, operands in engine.disasm_lite(code, 0)
    ]


def _by_objdump(code: bytes) -> list[tuple[int, str]] | None:
    program = shutil.which("objdump")
    if program is None:
        return None
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        command = [program, "-D", "-z", "-b", "binary", "-m", "i386:x86-64", "-M", "intel"]
        done = subprocess.run(
            [*command, "--no-show-raw-insn", file.name], capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        return None
    found = re.findall(r"^ *([0-9a-f]+):\t(.*)$", done.stdout, re.MULTILINE)
    return [(int(at, 16), text.rstrip()) for at, text in found]
