"""Building modules by hand, and judging what the command makes of them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

HANG_SECONDS = 60  # far beyond what any of them takes
ALLOWED = 64 << 20  # bytes, besides ten for each byte of input
BASE = 16 << 20  # of a process that does nothing
SANITIZED = "ASAN_OPTIONS" in os.environ
PLACE = re.compile(rb"^[^\n]*:(\d+:\d+|0x[0-9a-f]+): error: ", re.M)
HEADER = b"\0asm\1\0\0\0"


def leb(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def sized(content: bytes) -> bytes:
    return leb(len(content)) + content


def section(number: int, content: bytes) -> bytes:
    return bytes([number]) + sized(content)


def vector(items: list[bytes]) -> bytes:
    return leb(len(items)) + b"".join(items)


def module(*sections: bytes) -> bytes:
    return HEADER + b"".join(sections)


def of_body(code: bytes, type_: bytes = b"\x60\0\0", locals_: bytes = b"\0") -> bytes:
    """One function, of that type; `end` is added."""
    body = sized(locals_ + code + b"\x0b")
    return module(section(1, b"\1" + type_), section(3, b"\1\0"), section(10, b"\1" + body))


@dataclass
class Outcome:
    status: int
    stdout: bytes
    stderr: bytes


def run(command: str, arguments: list[str], size: int, folder: Path) -> Outcome:
    """Runs it within the memory that is allowed; a signal or a hang fails."""
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as o, err.open("wb") as e:
        process = subprocess.Popen([command, *arguments], stdout=o, stderr=e)
        timer = HANG_SECONDS
        try:
            process.wait(timer)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    outcome = Outcome(process.returncode, out.read_bytes(), err.read_bytes())
    assert outcome.status >= 0, outcome.stderr[-3000:]
    return outcome


def judge(command: str, data: bytes | str, folder: Path, verb: str = "validate") -> bool:
    """True: accepted; False: refused, with a place.  Anything else fails."""
    raw = data.encode() if isinstance(data, str) else data
    path = folder / ("m.wat" if isinstance(data, str) else "m.wasm")
    path.write_bytes(raw)
    arguments = [verb, str(path)] if verb == "validate" else [verb, "-o", os.devnull, str(path)]
    limit = (BASE + ALLOWED + 10 * len(raw)) // 1024
    if SANITIZED:
        outcome = run(command, arguments, len(raw), folder)
    else:
        # Address space bounds what is resident, and more.
        shell = f'ulimit -v {limit + 65536}; exec "$@"'
        outcome = run("/bin/sh", ["-c", shell, "sh", command, *arguments], len(raw), folder)
    if outcome.status == 0:
        return True
    assert PLACE.search(outcome.stderr), outcome.stderr[:3000]
    return False
