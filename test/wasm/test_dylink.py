"""What a dynamically linked module wants, in `chiasm show --sections`."""

from __future__ import annotations

import subprocess

import pytest

MEMORY = r"\01\04\2c\04\01\00"  # subsection 1 of 4 bytes
WHOLE = (
    MEMORY
    + r"\02\14\02\06lib.so\0b\e2\98\83 name.so"  # needed
    + r"\03\0a\02\01f\00\03tls\84\02"  # exports
    + r"\04\10\01\03env\07counter\91\80\10"  # imports
    + r"\05\05\01\03\3a\3a\3a"  # paths
)
SAID = [
    "memory 44 bytes at a multiple of 2^4, table 1 elements at a multiple of 2^0",
    'needs "lib.so"',
    'needs "☃ name.so"',
    'looks in ":::"',
    'import "env" "counter" weak undefined 0x40011',
    'export "f"',
    'export "tls" hidden TLS',
]


def show(command: str, wat: str) -> list[str]:
    done = subprocess.run(
        [command, "show", "--sections", "-"], input=wat, check=True, capture_output=True, text=True
    )
    return [line.strip() for line in done.stdout.splitlines() if line.startswith(" " * 21)]


def section(content: str, place: str = "before first") -> str:
    return f'(module (@custom "dylink.0" ({place}) "{content}") (func))'


def test_all_of_it_is_shown(command: str) -> None:
    assert show(command, section(WHOLE)) == SAID


def test_a_subsection_of_a_later_version_is_skipped(command: str) -> None:
    assert show(command, section(r"\63\02\01\02" + MEMORY)) == SAID[:1]


def test_another_section_says_nothing(command: str) -> None:
    assert show(command, section(WHOLE).replace("dylink.0", "dylink.1")) == []


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        (MEMORY + r"\02\04\01\06li", "unexpected end: 6 bytes wanted, 2 left"),
        (MEMORY + r"\02\40\01", "unexpected end: 64 bytes wanted, 1 left"),
        (MEMORY + r"\02\05\ff\ff\ff\ff\0f", "4294967295 entries, at most 1000000 are read"),
        (MEMORY + r"\03\02\40\00", "64 entries in 1 bytes"),
        (MEMORY + MEMORY, "subsection 1 twice"),
        (MEMORY + r"\02\04\01\01a\00", "1 bytes too many in subsection 2"),
        (MEMORY + r"\02\03\01\01\ff", "malformed UTF-8 encoding"),
        (MEMORY + r"\80", "unexpected end"),
    ],
)
def test_what_is_broken_is_a_remark(content: str, remark: str, command: str) -> None:
    lines = show(command, section(content))
    assert lines[0] == SAID[0]
    assert lines[-1].startswith("remark: at 0x") and lines[-1].endswith(": " + remark)


def test_a_section_in_the_wrong_place_is_remarked_on(command: str) -> None:
    lines = show(command, section(MEMORY, "after func"))
    assert lines == [SAID[0], lines[-1]]
    assert lines[-1].endswith("the section does not come first")
