"""Each instruction that Chiasm knows is in a module of these tests."""

from __future__ import annotations

import re

import pytest
import test_control
import test_memory_access
import test_numeric
import test_reference
import test_vector
from modules import REGISTERED, Text, compiled

import chiasm

MODULES = (test_control, test_memory_access, test_numeric, test_reference, test_vector)

# Where two instructions have one name, their operand tells them apart.
FORMS = {
    "select": r"\bselect$",
    "select t": r"\bselect \(result ",
    "ref.test": r"\bref\.test \(ref (?!null)",
    "ref.test null": r"\bref\.test (\(ref null |\w+ref$)",
    "ref.cast": r"\bref\.cast \(ref (?!null)",
    "ref.cast null": r"\bref\.cast (\(ref null |\w+ref$)",
}


def lines(text: Text) -> set[str]:
    """An instruction begins each, unless it begins with a parenthesis."""
    printed = compiled(text).to_wat(names=False)
    return {re.sub(r" [\w.=-]+$", "", line.strip()) for line in printed.splitlines()}


@pytest.fixture(scope="module")
def used() -> set[str]:
    """The lines of the modules, the small ones first, until no instruction is missing."""
    found: set[str] = set()
    for text in sorted(REGISTERED, key=lambda text: len(text())):
        found |= lines(text)
        if not missing(found):
            break
    return found


def missing(found: set[str]) -> set[str]:
    return set(chiasm.ops) - {line.split(" ")[0] for line in found}


def test_every_instruction_is_tested_here(used: set[str]) -> None:
    assert all(m.__name__ for m in MODULES) and len(REGISTERED) > 20
    assert not missing(used)


@pytest.mark.parametrize("form", FORMS)
def test_both_instructions_of_one_name_are_tested_here(form: str, used: set[str]) -> None:
    assert any(re.match(FORMS[form], line) for line in used)


def test_all_four_clauses_of_try_table_are_tested_here(used: set[str]) -> None:
    clauses = {c for line in used for c in re.findall(r"\((catch\w*)", line)}
    assert clauses == {"catch", "catch_ref", "catch_all", "catch_all_ref"}
