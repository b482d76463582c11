"""Modules that nobody here wrote, from other languages' compilers, run from Python."""

from __future__ import annotations

import hashlib
import zlib

import pytest

import chiasm

DATA = b"The quick brown fox jumps over the lazy dog. " * 1000
HASHES = {
    "md5": lambda d: hashlib.md5(d).digest(),
    "sha1": lambda d: hashlib.sha1(d).digest(),
    "sha224": lambda d: hashlib.sha224(d).digest(),
    "sha256": lambda d: hashlib.sha256(d).digest(),
    "sha384": lambda d: hashlib.sha384(d).digest(),
    "sha512": lambda d: hashlib.sha512(d).digest(),
    "sha3": lambda d: hashlib.sha3_256(d).digest(),
    "blake2b": lambda d: hashlib.blake2b(d).digest(),
    "blake2s": lambda d: hashlib.blake2s(d).digest(),
    "crc32": lambda d: zlib.crc32(d).to_bytes(4, "big"),
    "adler32": lambda d: zlib.adler32(d).to_bytes(4, "big"),
}
INIT = {"sha224": 224, "sha256": 256, "sha384": 384, "sha512": 512, "sha3": 256,
        "blake2b": 512, "blake2s": 256, "crc32": 0xEDB88320}  # fmt: skip


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("data", [b"", b"abc", DATA], ids=["nothing", "abc", "45 kB"])
def test_hashes_in_c_agree_with_python(programs, name, data):
    e = chiasm.instantiate(programs / "hash-wasm" / f"{name}.wasm").exports
    memory = next(v for v in e.values() if isinstance(v, chiasm.Memory))
    buffer = e.Hash_GetBuffer()
    e.Hash_Init(*([INIT[name]] if name in INIT else []))
    for i in range(0, len(data), 16384):
        chunk = data[i : i + 16384]
        memory.write(buffer, chunk)
        e.Hash_Update(len(chunk))
    e.Hash_Final(*([6] if name == "sha3" else []))
    want = HASHES[name](data)
    assert memory.read(buffer, len(want)) == want


def test_the_zig_formatter_formats(programs):
    e = chiasm.instantiate(programs / "zigfmt" / "zig_fmt.wasm").exports
    source = b"const  x=1;\nfn f()void{return;}\n"
    at = e.alloc(len(source))
    e.memory.write(at, source)
    out, n = e.format(at, len(source))
    assert e.memory.string(out & 0xFFFFFFFF, n) == ("const x = 1;\nfn f() void {\n    return;\n}\n")
    e.free_all()


def test_the_go_formatter_formats(programs):
    inst = chiasm.instantiate(programs / "gofmt-tinygo" / "gofmt.wasm")
    e = inst.exports
    e["_initialize"]()
    source = b"package main\nfunc  main( ){\nx:=1\n_=x}\n"
    at = e.alloc(len(source))
    inst.memory.write(at, source)
    e.format()
    out = inst.memory.read(e.output_ptr(), e.output_len())
    assert out.decode() == "package main\n\nfunc main() {\n\tx := 1\n\t_ = x\n}\n"


def test_the_rust_source_map_decoder_calls_back(programs):
    seen = []
    inst = chiasm.instantiate(
        programs / "source-map" / "mappings.wasm",
        {"env": {"mapping_callback": lambda *fields: seen.append(fields)}},
    )
    e = inst.exports
    text = b"AAAA,SAASA;AACA,CAAC"
    at = e.allocate_mappings(len(text))
    inst.memory.write(at, text)
    mappings = e.parse_mappings(at)
    assert mappings != 0
    assert e.get_last_error() == 0
    e.by_generated_location(mappings)
    e.free_mappings(mappings)
    generated = [(line & 0xFFFFFFFF, column & 0xFFFFFFFF) for line, column, *_ in seen]
    assert generated == [(0, 0), (0, 9), (1, 0), (1, 1)]
    assert len(seen) == 4


@pytest.mark.parametrize("folder", ["lua", "sqlite", "kotlin-gc", "dotnet", "chicory"])
def test_others_are_read_and_told_of(programs, folder):
    paths = sorted((programs / folder).glob("*.wasm"))
    assert paths
    for path in paths:
        m = chiasm.Module(path)
        assert m.exports
        assert chiasm.Module.validate(path) == []
        assert m.functions
        if m.imports:
            with pytest.raises(chiasm.LinkError) as caught:
                chiasm.instantiate(m)
            assert len(caught.value.problems) == len(m.imports)


def imports_by_name(m, found):
    """Fill in the imports that `found` lacks with functions that fail."""
    result = {}
    for i in m.imports:
        default = None
        if isinstance(i.type, chiasm.FuncType):

            def default(*_, name=i.name):
                raise NotImplementedError(name)

        elif isinstance(i.type, chiasm.MemoryType):
            default = chiasm.Memory(i.type.min, i.type.max)
        result.setdefault(i.module, {})[i.name] = found.get(i.name, default)
    return result


def test_kotlin_on_the_gc_heap_prints(programs):
    path = next((programs / "kotlin-gc").glob("hello-world*.wasm"))
    m = chiasm.Module(path)
    out = []

    def zero(*_):
        return 0

    def fd_write(fd, iovs, n, written):
        total = 0
        for k in range(n):
            at, size = inst.memory.unpack("<II", iovs + 8 * k)
            out.append(inst.memory.read(at, size))
            total += size
        inst.memory.pack("<I", written, total)
        return 0

    inst = chiasm.instantiate(
        m, imports_by_name(m, {"fd_write": fd_write, "random_get": zero, "clock_time_get": zero})
    )
    for name in ("_initialize", "_start", "main"):
        if name in inst.exports:
            inst.exports[name]()
            break
    assert b"Hello" in b"".join(out)
