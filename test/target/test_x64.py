"""The x86-64 assembler: its bytes against a disassembler and the golden file,
and units in C that run what it emits."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from x64_cases import Case, all_cases, golden_cases, read_rows

GOLDEN = Path(__file__).parent / "x64_golden.txt"


def emit(program: Path, commands: list[str]) -> list[bytes]:
    done = subprocess.run(
        [str(program)],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr + done.stdout[-200:]
    return [bytes.fromhex(line) for line in done.stdout.splitlines()]


# ---- disassemblers: text per instruction, by address ----

Disassembly = dict[int, tuple[int, str]]
HAS_CAPSTONE = importlib.util.find_spec("capstone") is not None
HAS_OBJDUMP = shutil.which("objdump") is not None


def by_capstone(code: bytes) -> Disassembly:
    import capstone

    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    return {
        address: (size, f"{mnemonic} {operands}".rstrip())
        for address, size, mnemonic, operands in engine.disasm_lite(code, 0)
    }


def by_objdump(code: bytes) -> Disassembly:
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        command = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "-w"]
        done = subprocess.run([*command, file.name], capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        parts = line.split("\t")
        if len(parts) == 3:
            address, digits, text = int(parts[0].rstrip(": "), 16), parts[1], parts[2]
            found[address] = len(digits.split()), text
    return found


PREDICATES = ["eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"]
COMPARE = re.compile(rf"^(v?cmp)({'|'.join(PREDICATES)})([ps][sd]) (.*)$")
BACKWARD = re.compile(r"rip\+(0xf{8}[0-9a-f]{8})")
ABSOLUTE = re.compile(r"ds:(0x[0-9a-f]+)")
NUMBER = re.compile(r"(?<![\w])0x[0-9a-f]+|(?<![\w])\d+(?![\w*])")


def normal(text: str) -> str:
    """One spelling of what disassemblers spell differently."""
    text = text.lower().replace(" ", "").replace("*1", "").replace("+0x0]", "]")
    text = ABSOLUTE.sub(r"[\1]", text)
    text = BACKWARD.sub(lambda m: f"rip-{(1 << 64) - int(m.group(1), 16)}", text)
    return NUMBER.sub(lambda m: str(int(m.group(), 0)), text)


def same(expected: str, found: str) -> bool:
    if expected == found:
        return True
    found = found.split("#")[0].strip()
    named = COMPARE.match(found)
    if named:
        predicate = PREDICATES.index(named.group(2))
        found = f"{named.group(1)}{named.group(3)} {named.group(4)}, {predicate}"
    expected, found = normal(expected), normal(found)
    if expected == found:
        return True
    # A negative immediate may be shown as what it is without a sign.
    head, _, last = expected.rpartition(",")
    head_found, _, last_found = found.rpartition(",")
    if head != head_found or not last.startswith("-") or not last_found.isdigit():
        return False
    return int(last_found) + -int(last) in (1 << 8, 1 << 16, 1 << 32, 1 << 64)


def wrong_cases(cases: list[Case], codes: list[bytes], found: Disassembly) -> Iterator[str]:
    at = 0
    for case, code in zip(cases, codes, strict=True):
        end = at + len(code)
        for text in case.text.split("; "):
            size, is_text = found.get(at, (1, "nothing"))
            at += size
            text = text.replace("<END>", hex(size) if size > 9 else str(size))
            if not same(text, is_text):
                yield f"{case.command}: {code.hex()} is {is_text!r}, not {text!r}"
        if at != end:
            yield f"{case.command}: {code.hex()} has another length"
        at = end


def compare(library: Path, disassemble: Callable[[bytes], Disassembly]) -> None:
    cases = list(all_cases(read_rows(library / "emit_rows")))
    codes = emit(library / "emit_rows", [case.command for case in cases])
    wrong = list(wrong_cases(cases, codes, disassemble(b"".join(codes))))
    print(len(cases), "instructions")
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:100])


@pytest.mark.skipif(not HAS_CAPSTONE and not HAS_OBJDUMP, reason="no disassembler is here")
def test_a_disassembler_reads_what_was_meant(library: Path) -> None:
    compare(library, by_capstone if HAS_CAPSTONE else by_objdump)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CAPSTONE or not HAS_OBJDUMP, reason="no second disassembler is here")
def test_another_disassembler_agrees(library: Path) -> None:
    compare(library, by_objdump)


# ---- without a disassembler ----


def test_the_bytes_are_those_of_the_golden_file(library: Path) -> None:
    """With UPDATE=1 in the environment the file is written anew."""
    program = library / "emit_rows"
    chosen = list(golden_cases(read_rows(program)))
    codes = iter(emit(program, [case.command for _, cases in chosen for case in cases]))
    lines = ["# One row of x64.def a line: its name, and pairs of meaning = bytes.\n"]
    for name, cases in chosen:
        pairs = (f"{case.text} = {next(codes).hex()}" for case in cases)
        lines.append(f"{name}:  {'  |  '.join(pairs)}\n")
    if os.environ.get("UPDATE"):
        GOLDEN.write_text("".join(lines))
    assert GOLDEN.read_text().splitlines(keepends=True) == lines


@pytest.mark.skipif(platform.machine() != "x86_64", reason="this machine is no x86-64")
def test_what_the_assembler_emits_runs(library: Path) -> None:
    done = subprocess.run([str(library / "test_asm")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
