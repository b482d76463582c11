"""What the x86-64 assembler must emit: commands for emit_rows, and the text
that a disassembler must give for each, in Intel's syntax as capstone writes it.

The text comes from the columns of x64.def and the rules of the assembly
language, never from the encoder.
"""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

AVX = 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11  # with AVX2, FMA and F16C
ALL = (1 << 12) - 1
NO_AVX = ALL & ~AVX
NO_REG = 255
RIP = 9  # the scale that means: the place where the instruction begins

SCRATCH = 7
WIDTH = {"G8": 8, "G16": 16, "G32": 32, "G64": 64, "M1": 8, "M2": 16, "M4": 32, "M8": 64}
POINTER = {
    "G8": "byte", "G16": "word", "G32": "dword", "G64": "qword", "G32M1": "byte",
    "G32M2": "word", "M1": "byte", "M2": "word", "M4": "dword", "M8": "qword", "X1": "byte",
    "X2": "word", "X4": "dword", "X8": "qword", "X16": "xmmword", "U16": "xmmword",
}  # fmt: skip
LEGACY = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]
GENERAL = {
    "G8": ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", *(f"r{n}b" for n in range(8, 16))],
    "G16": [*LEGACY, *(f"r{n}w" for n in range(8, 16))],
    "G32": [*("e" + r for r in LEGACY), *(f"r{n}d" for n in range(8, 16))],
    "G64": [*("r" + r for r in LEGACY), *(f"r{n}" for n in range(8, 16))],
}
CONDITIONS = [
    "o",
    "no",
    "b",
    "ae",
    "e",
    "ne",
    "be",
    "a",
    "s",
    "ns",
    "p",
    "np",
    "l",
    "ge",
    "le",
    "g",
]


@dataclass(frozen=True)
class Mem:
    base: int
    index: int = NO_REG
    scale: int = 0
    disp: int = 0

    def command(self) -> str:
        return f"{self.base} {self.index} {self.scale} {self.disp}"


@dataclass(frozen=True)
class Case:
    row: str
    command: str
    text: str  # with "<END>" for the distance from the instruction's end back to its begin


@dataclass(frozen=True)
class Row:
    number: int
    name: str
    mnemonic: str
    prefix: str
    reg: str
    rm: str
    form: str
    vex: str
    cpu: int

    @property
    def turn(self) -> int:
        """Varies the operands from row to row; other rows do not change it."""
        return zlib.crc32(self.name.encode()) % 1000


def read_rows(program: Path) -> list[Row]:
    listed = subprocess.run([str(program), "list"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [Row(i, *r[:7], int(r[7])) for i, r in enumerate(rows)]  # type: ignore[arg-type]


def number(v: int) -> str:
    return f"{v:#x}" if v > 9 else str(v)


def register(kind: str, n: int) -> str:
    if kind[0] in "XU":
        return f"xmm{n}"
    return GENERAL.get(kind, GENERAL["G32"])[n]


def memory(kind: str, m: Mem) -> str:
    pointer = POINTER[kind] + " ptr " if kind in POINTER else ""
    if m.scale == RIP:
        return f"{pointer}[rip - <END>]"
    parts = [GENERAL["G64"][m.base]] if m.base != NO_REG else []
    if m.index != NO_REG:
        name = GENERAL["G64"][m.index]
        parts.append(name if m.scale == 0 and parts else f"{name}*{1 << m.scale}")
    text = " + ".join(parts)
    if not text:
        return f"{pointer}[{number(m.disp)}]"
    if m.disp:
        text += f" {'-' if m.disp < 0 else '+'} {number(abs(m.disp))}"
    return f"{pointer}[{text}]"


class Writer:
    """Cases of one row on one processor."""

    def __init__(self, row: Row, cpu: int, registers: Sequence[int] = range(16)) -> None:
        self.row, self.cpu, self.registers = row, cpu, registers
        avx = bool(cpu & AVX)
        self.vex = row.vex[0] == "O" or (avx and row.vex != "NO")
        self.xmm = row.reg[0] == "X" or row.rm[0] in "XU"
        name = row.name
        self.rm_first = (
            name.endswith(("_ST", "_MR"))
            or name.startswith(("XCHG", "TEST", "SHLD", "SHRD", "PEXTR", "LOCK"))
            or row.form == "BT"
            or name in ("EXTRACTPS", "VCVTPS2PH")
        )
        self.v_last = row.mnemonic in ("shlx", "sarx", "shrx", "bzhi")
        self.mnemonic = ("lock " if row.prefix[0] == "L" else "") + (
            "v" if self.vex and self.xmm else ""
        )
        self.mnemonic += row.mnemonic

    def possible(self) -> bool:
        return self.row.vex[0] != "O" or not self.xmm or bool(self.cpu & AVX)

    def three(self, in_memory: bool) -> bool:
        vex = self.row.vex
        if self.row.form == "VR":
            return False
        return self.vex and (vex in ("V3", "C3", "O3", "O3I") or (vex == "L3" and not in_memory))

    def case(self, function: str, operands: str, text: str) -> Case:
        return Case(
            self.row.name, f"{self.cpu} {function} {self.row.number} {operands}", text.rstrip()
        )

    def rm(self, rm: int | Mem) -> tuple[str, str]:
        """An operand as a command has it, and as text."""
        if isinstance(rm, Mem):
            return rm.command(), memory(self.row.rm, rm)
        return str(rm), register(self.row.rm, rm)

    def join(self, reg: str, v: str | None, rm: str, *more: str) -> str:
        operands = [rm, reg] if self.rm_first else [reg, rm]
        if v is not None:
            operands.insert(2 if self.v_last else 1, v)
        if self.row.vex == "NO" and "BLENDV" in self.row.name:
            more = (*more, "xmm0")
        return f"{self.mnemonic} {', '.join([*operands, *more])}"

    def through_scratch(self, rm: int | Mem) -> bool:
        """Without AVX, 16 bytes at any address are loaded first."""
        return isinstance(rm, Mem) and self.row.rm == "X16" and not self.vex and rm.scale != RIP

    def plain(self, reg: int, rm: int | Mem, imm: int | None = None) -> Case:
        """reg, rm [, imm8]: x64_rr, x64_rm, x64_rri, x64_rmi."""
        command, text = self.rm(rm)
        first = ""
        if self.through_scratch(rm):
            first = f"movups xmm{SCRATCH}, {text}; "
            text = f"xmm{SCRATCH}"
        v = reg if self.three(isinstance(rm, Mem)) else None
        imms = () if imm is None else (number(imm & 0xFF),)
        v_text = None if v is None else register(self.row.reg, v)
        function = "r" + ("m" if isinstance(rm, Mem) else "r") + ("" if imm is None else "i")
        return self.case(
            function,
            f"{reg} {command}" + ("" if imm is None else f" {imm}"),
            first + self.join(register(self.row.reg, reg), v_text, text, *imms),
        )

    def three_operands(self, reg: int, v: int, rm: int | Mem, imm: int | None = None) -> Case:
        command, text = self.rm(rm)
        function = "rv" + ("m" if isinstance(rm, Mem) else "r") + ("" if imm is None else "i")
        imms = () if imm is None else (number(imm & 0xFF),)
        if self.row.vex == "O3I" and imm is not None:
            imms = (f"xmm{imm >> 4}",)
        return self.case(
            function,
            f"{reg} {v} {command}" + ("" if imm is None else f" {imm}"),
            self.join(register(self.row.reg, reg), register(self.row.reg, v), text, *imms),
        )

    def immediate(self, rm: int | Mem, imm: int) -> Case:
        """rm, imm: x64_ri, x64_mi."""
        command, text = self.rm(rm)
        function = "mi" if isinstance(rm, Mem) else "ri"
        if not isinstance(rm, Mem) and imm >= 0:  # the short forms
            if self.row.form == "TEST" and imm <= 127:
                text = register("G8", rm)
            if self.row.name in ("MOV64", "MOV64_ST"):
                text = register("G32", rm)
        if self.row.form == "XI" and self.vex:
            text = f"{text}, {text}"
        return self.case(function, f"{command} {imm}", f"{self.mnemonic} {text}, {number_of(imm)}")

    def single(self, rm: int | Mem) -> Case:
        command, text = self.rm(rm)
        count = ", cl" if self.row.form == "SHIFT" else ""
        function = "m" if isinstance(rm, Mem) else "r"
        return self.case(function, command, f"{self.mnemonic} {text}{count}")


def number_of(imm: int) -> str:
    return number(imm) if imm >= 0 else f"-{number(-imm)}"


# ---- which operands ----

REGISTERS = range(16)
DISPLACEMENTS = (0, 8, -128, 127, 128, -0x12345678)


def memories(turn: int, registers: Sequence[int]) -> list[Mem]:
    """Every base without and with an index, in every length of displacement."""
    some = [Mem(NO_REG, scale=RIP), Mem(NO_REG, disp=0x1234)]
    for base in registers:
        index = [r for r in REGISTERS if r != 4][(base * 7 + turn) % 15]
        for disp in (0, 8, 0x12345678):
            some += [Mem(base, disp=disp), Mem(base, index, (base + turn) % 4, disp)]
        some.append(Mem(NO_REG, index, turn % 4, -0x1234))
    return some


def all_memories() -> Iterator[Mem]:
    for base in [*REGISTERS, NO_REG]:
        for index in [*REGISTERS, NO_REG]:
            if index == 4:
                continue
            for scale in range(4) if index != NO_REG else [0]:
                for disp in DISPLACEMENTS:
                    if base != NO_REG or index != NO_REG or disp >= 0:
                        yield Mem(base, index, scale, disp)


# One row of each shape of code before ModRM gets every memory operand.
THOROUGH = {"MOV32", "MOV8_ST", "MOVSD", "PSHUFB", "ADD64_MR", "LOCK_XADD16", "SHLX64", "PINSRQ"}


def immediates(row: Row) -> list[int]:
    if row.form in ("SHIFT", "BT", "XI"):
        return [0, 1, 2, 31]
    width = WIDTH[row.rm]
    values = [0, 1, -1, 127, 128, -128, -129, 0x1234, -0x7FFF, 0x12345678, -0x80000000]
    return [v for v in values if -(1 << width - 1) <= v < 1 << width - 1]


def cases_of(row: Row, cpu: int, registers: Sequence[int] = REGISTERS) -> Iterator[Case]:
    w = Writer(row, cpu, registers)
    if not w.possible():
        return
    in_registers, in_memory = row.rm[0] != "M", row.rm != "X"
    ms = memories(row.turn, registers)
    if row.name in THOROUGH and registers == REGISTERS:
        ms += list(all_memories())
    pick = [(m, (i * 5 + row.turn) % 16) for i, m in enumerate(ms)] if in_memory else []
    rms: list[int | Mem] = [*registers] if in_registers else []
    rms += [m for m, _ in pick]
    imm8s = [0, 3, 7] if "CMP" in row.name else [0, 1, 0x5A, 0xFF]
    only_v = row.vex in ("O3", "O3I") and row.form != "VR"
    if row.form in ("RR", "ALU", "MOV", "TEST", "IMUL", "BT", "VR") and not only_v:
        if in_registers:
            yield from (w.plain(reg, rm) for reg in registers for rm in registers)
        for m, reg in pick:
            if not (w.through_scratch(m) and reg == SCRATCH):
                yield w.plain(reg, m)
    if row.form == "RRI" and not only_v:
        if in_registers:
            for reg in registers:
                yield from (w.plain(reg, rm, imm8s[(reg + rm) % len(imm8s)]) for rm in registers)
        for m, reg in pick:
            if not (w.through_scratch(m) and reg == SCRATCH):
                yield w.plain(reg, m, imm8s[(reg + 1) % len(imm8s)])
    if w.three(False) and row.form in ("RR", "RRI"):
        yield from three_operand_cases(w, imm8s, in_registers, pick)
    if row.form in ("ALU", "MOV", "TEST", "SHIFT", "BT", "XI"):
        for imm in immediates(row):
            for rm in rms if imm in (1, 127, 0x12345678) else rms[::5]:
                yield w.immediate(rm, imm)
    if row.form in ("R", "SHIFT", "PUSH"):
        yield from (w.single(rm) for rm in rms)
    if row.form == "IMUL":
        yield from imul_cases(w, pick)
    if row.form == "XI":
        yield from shift_cases(w)


def three_operand_cases(
    w: Writer, imm8s: list[int], in_registers: bool, pick: list[tuple[Mem, int]]
) -> Iterator[Case]:
    imms: list[int | None] = [None] if w.row.form == "RR" else [*imm8s]
    if w.row.vex == "O3I":
        imms = [r << 4 for r in REGISTERS]
    triples = [(a, b, (a * 3 + b * 5) % 16) for a in w.registers for b in w.registers]
    for i, (reg, v, rm) in enumerate(triples if in_registers else []):
        yield w.three_operands(reg, v, rm, imms[i % len(imms)])
    for i, (m, reg) in enumerate(pick if w.three(True) else []):
        yield w.three_operands(reg, (reg * 3 + i) % 16, m, imms[i % len(imms)])


def imul_cases(w: Writer, pick: list[tuple[Mem, int]]) -> Iterator[Case]:
    for imm in (0, 1, -1, 127, 128, -128, -129, 0x12345678):
        for reg in w.registers:
            rm = (reg * 7 + imm) % 16
            texts = register(w.row.reg, reg), register(w.row.rm, rm)
            text = f"imul {texts[0]}, {texts[1]}, {number_of(imm)}"
            yield w.case("rri", f"{reg} {rm} {imm}", text)
            text = f"imul {texts[0]}, {texts[0]}, {number_of(imm)}"
            yield w.case("ri", f"{reg} {imm}", text)
        for m, reg in pick:
            text = f"imul {register(w.row.reg, reg)}, {memory(w.row.rm, m)}, {number_of(imm)}"
            yield w.case("rmi", f"{reg} {m.command()} {imm}", text)


def shift_cases(w: Writer) -> Iterator[Case]:
    for dst in w.registers:
        for src in w.registers:
            if w.vex:
                text = f"{w.mnemonic} xmm{dst}, xmm{src}, 3"
            else:
                move = f"movaps xmm{dst}, xmm{src}; " if dst != src else ""
                text = f"{move}{w.mnemonic} xmm{dst}, 3"
            yield w.case("shift", f"{dst} {src} 3", text)


def rowless_cases() -> Iterator[Case]:
    def case(name: str, operands: str, text: str) -> Case:
        return Case(name, f"{ALL} {name} {operands}", text)

    for cc, suffix in enumerate(CONDITIONS):
        for reg in REGISTERS:
            yield case("setcc", f"{cc} {reg}", f"set{suffix} {GENERAL['G8'][reg]}")
            other = (reg * 5 + cc) % 16
            for size in "32", "64":
                names = GENERAL["G" + size]
                text = f"cmov{suffix} {names[reg]}, "
                yield case(f"cmov{size}", f"{cc} {reg} {other}", text + names[other])
                m = Mem(other, reg if reg != 4 else NO_REG, cc % 4 if reg != 4 else 0, 8)
                in_memory = memory("G" + size, m)
                yield case(f"cmov{size}_m", f"{cc} {reg} {m.command()}", text + in_memory)
    for reg in REGISTERS:
        for v in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            yield case("mov_imm64", f"0 {reg} {v}", f"mov {GENERAL['G32'][reg]}, {number(v)}")
        for v in (-1, -0x80000000):
            text = f"mov {GENERAL['G64'][reg]}, {number_of(v)}"
            yield case("mov_imm64", f"0 {reg} {v + (1 << 64)}", text)
        for v in (1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 0x80000001):
            yield case("mov_imm64", f"0 {reg} {v}", f"movabs {GENERAL['G64'][reg]}, {v:#x}")
    yield case("ret_n", "0 0 16", "ret 0x10")
    yield case("ret_n", "0 0 65528", "ret 0xfff8")
    for name in "ret", "cdq", "cqo", "ud2", "int3", "pause", "mfence", "lfence", "vzeroupper":
        yield case(name, "0 0", name)


def golden_cases(rows: list[Row]) -> Iterator[tuple[str, list[Case]]]:
    """Few of each row; the memory operands need no disassembler to be read."""
    for row in rows:
        for cpu in NO_AVX, ALL:
            cases = [c for c in cases_of(row, cpu, (1, 5, 12, 14)) if "rip" not in c.text]
            changed = cpu == NO_AVX or (Writer(row, cpu).vex and Writer(row, cpu).xmm)
            if cases and changed:
                step = len(cases) // 4 | 1
                yield row.name, [cases[row.turn % min(16, step)], *cases[step // 2 :: step]]
    rowless = list(rowless_cases())
    for name in dict.fromkeys(case.row for case in rowless):
        yield name, [case for case in rowless if case.row == name][::37]


def all_cases(rows: list[Row]) -> Iterator[Case]:
    for row in rows:
        yield from cases_of(row, NO_AVX)
        if Writer(row, ALL).vex and Writer(row, ALL).xmm:
            yield from cases_of(row, ALL)
    yield from rowless_cases()
