"""Modules: sources, what they tell of themselves, errors, copies."""

from __future__ import annotations

import copy
import io
import os
import pickle
import sys
from pathlib import Path

import pytest

import chiasm

WAT = """(module $demo
  (import "env" "f" (func $f (param i32)))
  (import "env" "m" (memory 1 2))
  (import "env" "t" (table 1 funcref))
  (import "env" "g" (global (mut i64)))
  (import "env" "e" (tag (param f32)))
  (func $start (call $f (i32.const 1)))
  (func $answer (export "answer") (result i32) (i32.const 42))
  (export "mem" (memory 0)))"""


@pytest.fixture
def m():
    return chiasm.Module(WAT)


def test_all_kinds_of_sources(m, tmp_path: Path):
    binary = m.to_bytes()
    path = tmp_path / "demo.wasm"
    path.write_bytes(binary)
    text = tmp_path / "demo.wat"
    text.write_text(WAT)
    for source in (
        binary,
        bytearray(binary),
        memoryview(binary),
        WAT.encode(),
        "  \n\t" + WAT,
        ";; a comment\n" + WAT,
        path,
        str(path),
        text,
        io.BytesIO(binary),
        io.StringIO(WAT),
    ):
        assert chiasm.Module(source) == m
    with open(path, "rb") as file:
        assert chiasm.Module(file) == m
    with pytest.raises(FileNotFoundError):
        chiasm.Module(tmp_path / "none.wasm")
    for wrong in (5, None, object(), 1.5, ["x"]):
        with pytest.raises(TypeError):
            chiasm.Module(wrong)
    with pytest.raises(TypeError):
        chiasm.Module()


def test_names(m, tmp_path: Path):
    assert m.name == "demo"
    assert chiasm.Module(WAT, name="other").name == "other"
    assert chiasm.Module("(module)").name is None
    path = tmp_path / "game.v2.wasm"
    path.write_bytes(m.to_bytes())
    assert chiasm.Module(path).name == "game.v2"


def test_imports_and_exports(m):
    assert m.imports == (
        chiasm.Import("env", "f", chiasm.FuncType(["i32"])),
        chiasm.Import("env", "m", chiasm.MemoryType(1, 2)),
        chiasm.Import("env", "t", chiasm.TableType("funcref", 1)),
        chiasm.Import("env", "g", chiasm.GlobalType("i64", mutable=True)),
        chiasm.Import("env", "e", chiasm.TagType(["f32"])),
    )
    assert m.exports == (
        chiasm.Export("answer", chiasm.FuncType((), ["i32"])),
        chiasm.Export("mem", chiasm.MemoryType(1, 2)),
    )
    assert m.imports is m.imports


def test_functions(m):
    assert [(f.index, f.name, f.imported) for f in m.functions] == [
        (0, "f", True),
        (1, "start", False),
        (2, "answer", False),
    ]
    assert m.functions[2].type == chiasm.FuncType((), ["i32"])
    assert m.functions[2].size > 0
    assert m.functions[2].location is None


def test_equal_by_content_and_hashable(m):
    other = chiasm.Module(m.to_bytes(), name="x")
    assert other == m
    assert hash(other) == hash(m)
    assert m != chiasm.Module("(module)")
    assert m != 5
    assert {m: 1}[other] == 1


def test_copies(m):
    assert copy.copy(m) is m
    assert copy.deepcopy(m) is m
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(m, protocol))
        assert back == m
        assert back.name == "demo"
    named = chiasm.Module("(module)", name="n", features="1.0")
    assert pickle.loads(pickle.dumps(named)).name == "n"


def test_save(m, tmp_path: Path):
    m.save(tmp_path / "x.wasm")
    assert (tmp_path / "x.wasm").read_bytes() == m.to_bytes()
    with pytest.raises(OSError):
        m.save(tmp_path / "none" / "x.wasm")


def test_save_wants_a_name_and_leaves_open_files_alone(m, tmp_path: Path):
    with open(tmp_path / "mine", "w+b") as mine:
        with pytest.raises(TypeError):
            m.save(mine.fileno())
        assert os.fstat(mine.fileno()).st_size == 0


def test_text_round_trips(m):
    for fold in (False, True):
        text = m.to_wat(fold=fold)
        assert chiasm.Module(text).to_bytes() == m.to_bytes()
    assert "$answer" in m.to_wat()
    assert "$answer" not in m.to_wat(names=False)


def test_strip(m):
    assert "name" in m.custom_sections
    bare = m.strip()
    assert bare.custom_sections == {}
    assert len(bare.to_bytes()) < len(m.to_bytes())
    assert bare.exports == m.exports
    assert m.strip(names=True).custom_sections.keys() == {"name"}


def test_custom_sections():
    wat = '(module (@custom "a" "one") (@custom "b" "x") (@custom "a" "two"))'
    assert chiasm.Module(wat).custom_sections == {"a": (b"one", b"two"), "b": (b"x",)}


def test_shows(m, capsys):
    m.show()
    assert "i32.const 42" in capsys.readouterr().out
    m.show_interface()
    assert capsys.readouterr().out.splitlines()[0] == '(import "env" "f" (func (param i32)))'
    m.show_bytes()
    out = capsys.readouterr().out
    assert "00 61 73 6d" in out
    assert "section export" in out
    html = m._repr_html_()
    assert "env.f" in html
    assert "answer" in html


def test_html_is_escaped():
    m = chiasm.Module('(module (func (export "<script>")))', name="<b>")
    html = m._repr_html_()
    assert "<script>" not in html
    assert "<b><b>" not in html
    assert "&lt;script&gt;" in html


def test_the_first_error_of_text_has_its_place():
    with pytest.raises(chiasm.CompileError) as caught:
        chiasm.Module("(module\n  (func (result i32)\n    (i32.ad)))")
    e = caught.value
    assert isinstance(e, SyntaxError)
    assert (e.filename, e.lineno, e.offset) == ("<wat>", 3, 6)
    assert e.text == "    (i32.ad)))"
    assert "i32.add" in e.msg


def test_the_first_error_of_a_binary_has_its_place():
    binary = bytearray(chiasm.Module("(module (func $f (result i32) (i32.const 1)))").to_bytes())
    at = binary.index(b"\x41\x01")
    binary[at] = 0x42
    with pytest.raises(chiasm.CompileError) as caught:
        chiasm.Module(binary)
    e = caught.value
    assert e.byte_offset == at + 2
    assert e.function == 0
    assert "expected i32, found i64" in str(e)
    assert "$f" in str(e)
    assert f"at byte {at + 2:#x}" in str(e)
    assert "42 01 0b" in str(e)
    assert "^" in str(e)


@pytest.mark.parametrize(
    "source", [b"", b"\0", b"\0asm", b"\0asm\2\0\0\0", b"\0asm\1\0\0\0\1", b"garbage", b"\xff\xfe"]
)
def test_garbage_is_refused(source):
    with pytest.raises(chiasm.CompileError):
        chiasm.Module(source)
    assert chiasm.Module.validate(source)


def test_validate_gives_all_errors():
    wat = """(module
      (func (result i32))
      (func (result i32) (i64.const 1))
      (func (result i32) (i32.const 1))
      (func (local.get 5) drop))"""
    found = chiasm.Module.validate(wat)
    assert [d.function for d in found] == [0, 1, 3]
    assert [d.line for d in found] == [2, 3, 5]
    for d in found:
        assert d.code == "invalid"
        assert d.message
        assert "^" in d.text
        assert str(d).startswith(f"{d.line}:{d.column}: error: ")
    binary = chiasm.Module("(module)").to_bytes()
    assert chiasm.Module.validate(binary) == []
    found = chiasm.Module.validate(binary + b"\1\2")
    assert found[0].code == "malformed"
    assert found[0].byte_offset is not None


def test_features():
    simd = "(module (func (param v128)))"
    assert chiasm.Module(simd, features="2.0")
    assert chiasm.Module(simd, features={"simd", "mvp"})
    for features in ("1.0", {"mvp"}, ()):
        with pytest.raises(chiasm.CompileError):
            chiasm.Module(simd, features=features)
    assert chiasm.Module.validate(simd, features="1.0")
    with pytest.raises(ValueError):
        chiasm.Module(simd, features="4.0")
    with pytest.raises(ValueError):
        chiasm.Module(simd, features={"nonsense"})
    with pytest.raises(TypeError):
        chiasm.Module(simd, features=[1])


def test_later_steps_raise_not_implemented(m):
    with pytest.raises(NotImplementedError, match=r"Module\.optimize"):
        m.optimize()
    with pytest.raises(NotImplementedError, match=r"Module\.disassemble"):
        m.disassemble("answer")


def test_types_are_value_objects():
    t = chiasm.FuncType(("i32",), ("f64",))
    assert t == chiasm.FuncType(["i32"], iter(["f64"]))
    assert hash(t) == hash(chiasm.FuncType(["i32"], ["f64"]))
    assert str(t) == "(func (param i32) (result f64))"
    assert t != chiasm.FuncType(["i32"])
    assert eval(repr(t)) == t
    assert pickle.loads(pickle.dumps(t)) == t
    assert copy.copy(t) == t
    assert str(chiasm.FuncType()) == "(func)"
    assert str(chiasm.MemoryType(1)) == "(memory 1)"
    assert str(chiasm.MemoryType(1, 2, shared=True)) == "(memory 1 2 shared)"
    assert str(chiasm.MemoryType(1, index="i64")) == "(memory i64 1)"
    assert str(chiasm.MemoryType(1, page_size=1)) == "(memory 1 (pagesize 1))"
    assert str(chiasm.TableType("funcref", 1, 2)) == "(table 1 2 funcref)"
    assert str(chiasm.GlobalType("i32")) == "(global i32)"
    assert str(chiasm.GlobalType("i32", mutable=True)) == "(global (mut i32))"
    assert str(chiasm.TagType(["i32"])) == "(tag (param i32))"
    assert str(chiasm.Import("a", "b", t)) == f'(import "a" "b" {t})'
    assert str(chiasm.Export("b", t)) == f'(export "b" {t})'
    assert chiasm.FuncType(["(ref null func)"]) == chiasm.FuncType(["funcref"])
    assert chiasm.FuncType(["(ref null 3)"]).params == ("(ref null 3)",)
    for wrong in ("i33", "", "(ref 3", "(ref null -1)"):
        with pytest.raises(ValueError):
            chiasm.FuncType([wrong])
    for wrong in ("i32", 5, [5], [None]):
        with pytest.raises(TypeError):
            chiasm.FuncType(wrong)
    with pytest.raises(AttributeError):
        t.params = ()


def test_types_with_indices_are_spelled_as_in_the_module():
    m = chiasm.Module(
        """(module (type $s (struct)) (type $p (struct (field i32)))
          (func (export "f") (param (ref null $p)) (result (ref $s)) unreachable))"""
    )
    assert m.exports[0].type == chiasm.FuncType(["(ref null 1)"], ["(ref 0)"])


def test_limits_and_config_are_value_objects(monkeypatch):
    limits = chiasm.Limits()
    assert limits.memory == 4 << 30
    assert limits.table == 10**7
    assert limits.heap == 1 << 30
    assert limits.stack == 1 << 20
    assert limits.fuel is None
    assert chiasm.Limits(memory=None).memory is None
    assert chiasm.Limits(fuel=5) == chiasm.Limits(fuel=5) != limits
    with pytest.raises(ValueError):
        chiasm.Limits(memory=-1)
    with pytest.raises(TypeError):
        chiasm.Limits(memory="1")
    with pytest.raises(TypeError):
        chiasm.Limits(rubbish=1)
    config = chiasm.Config()
    assert (config.signals, config.spectre, config.deterministic) == (True, False, False)
    assert (config.memory, config.passes) == ("auto", None)
    monkeypatch.setenv("CHIASM_SIGNALS", "0")
    monkeypatch.setenv("CHIASM_SPECTRE", "1")
    assert not chiasm.Config().signals
    assert chiasm.Config().spectre
    assert chiasm.Config(spectre=False).spectre is False
    assert chiasm.instantiate("(module)", config=chiasm.Config(spectre=False))
    with pytest.raises(NotImplementedError, match="spectre"):
        chiasm.instantiate("(module)", config=chiasm.Config())


def test_big_modules_are_decoded_from_all_threads():
    from concurrent.futures import ThreadPoolExecutor

    functions = "".join(f"(func (result i32) (i32.const {i}))" for i in range(3000))
    binary = chiasm.Module(f"(module {functions})").to_bytes()
    with ThreadPoolExecutor(4) as pool:
        modules = list(pool.map(chiasm.Module, [binary] * 8))
    assert len(set(modules)) == 1
    assert sys.getrefcount(modules[0]) < 20
