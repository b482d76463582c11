"""Module.disassemble: machine code as text, by whoever is here to read it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import chiasm

SHAPES = Path(__file__).resolve().parents[1] / "wasm" / "source" / "shapes_5.wasm"


@pytest.fixture(params=["capstone", "objdump", "neither"])
def reader(request, monkeypatch):
    """The disassembler that is used."""
    if request.param == "capstone":
        pytest.importorskip("capstone")
    else:
        monkeypatch.setitem(sys.modules, "capstone", None)
    if request.param == "neither":
        monkeypatch.setenv("PATH", "/nothing")
    elif request.param == "objdump":
        import shutil

        if not shutil.which("objdump"):
            pytest.skip("no objdump here")
    return request.param


def test_the_text_has_code_wat_and_source(reader):
    text = chiasm.Module(SHAPES).disassemble("share", tier="baseline")
    assert text.startswith("; bytes only") == (reader == "neither")
    assert re.search(r"^ {10,}0  55( {20,}push +rbp| [0-9a-f ]+)$", text, re.MULTILINE)
    assert (reader == "neither") or re.search(r"i32.div_s\n(.*\n)*.* idiv +r11d\n", text)
    assert "        ; /src/shapes.c:9\n" in text
    assert text.count("bytes only") == (reader == "neither")


def test_a_function_is_named_in_any_way():
    m = chiasm.Module(SHAPES)
    inst = chiasm.instantiate(m)
    texts = {m.disassemble(f, "baseline") for f in ("mean", "$mean", 0, inst.exports.mean)}
    assert len(texts) == 1


def test_what_is_no_function_of_the_module_is_refused():
    m = chiasm.Module(SHAPES)
    other = chiasm.instantiate('(module (func (export "f")))').exports.f
    with pytest.raises(ValueError, match="no function called 'nobody'"):
        m.disassemble("nobody", "baseline")
    with pytest.raises(ValueError, match="of another module"):
        m.disassemble(other, "baseline")
    for index in (-1, 3, 2**70):
        with pytest.raises(IndexError):
            m.disassemble(index, "baseline")
    with pytest.raises(TypeError):
        m.disassemble(1.5, "baseline")
    with pytest.raises(ValueError, match="not one that the module defines"):
        chiasm.Module('(module (import "a" "f" (func)))').disassemble(0, "baseline")
    with pytest.raises(ValueError, match="tier is 'baseline' or 'optimize', not 'interp'"):
        m.disassemble(0, "interp")


def test_the_optimiser_is_named():
    with pytest.raises(NotImplementedError, match="tier='optimize'"):
        chiasm.Module(SHAPES).disassemble(0)
