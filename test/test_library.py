"""The C library: its symbols, its header, its example, its code."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = re.compile(r"^(chi_|wasm_|PyInit_)")
LINKER = {"_init", "_fini", "_edata", "_end", "__bss_start"}


@pytest.fixture(scope="session")
def build(library: Path) -> Path:
    return library / "usr"


def exported(*arguments: str) -> set[str]:
    out = subprocess.run(
        ["nm", "-g", "--defined-only", *arguments], check=True, capture_output=True, text=True
    ).stdout
    return {line.split()[-1] for line in out.splitlines() if len(line.split()) == 3}


def test_the_static_library_shows_only_public_names(build: Path) -> None:
    names = exported(str(build / "lib" / "libchiasm.a"))
    assert "chi_call" in names
    assert {n for n in names if not PUBLIC.match(n)} == set()


def test_the_shared_library_shows_only_public_names(build: Path) -> None:
    names = exported("-D", str(build / "lib" / "libchiasm.so"))
    assert "chi_call" in names
    assert {n for n in names if not PUBLIC.match(n)} <= LINKER


def test_every_declared_function_is_there(build: Path) -> None:
    names = exported("-D", str(build / "lib" / "libchiasm.so"))
    declared = set()
    for header in ("chiasm.h", "chiasm_tools.h", "chiasm_wasi.h"):
        text = (build / "include" / header).read_text()
        declared |= set(re.findall(r"CHI_API [^;]*?\b(chi_\w+)\(", text))
    assert len(declared) > 80
    assert declared - names == set()


def test_the_extension_shows_only_public_names() -> None:
    core = pytest.importorskip("chiasm._core")
    names = exported("-D", core.__file__)
    assert "PyInit__core" in names
    assert {n for n in names if not PUBLIC.match(n)} <= LINKER


def test_the_core_needs_only_the_c_library(build: Path) -> None:
    out = subprocess.run(
        ["ldd", str(build / "lib" / "libchiasm.so")], check=True, capture_output=True, text=True
    ).stdout
    needed = {Path(line.split()[0]).name.split(".so")[0] for line in out.splitlines()}
    assert needed <= {
        "linux-vdso",
        "libc",
        "libm",
        "libpthread",
        "ld-linux-x86-64",
        "ld-linux-aarch64",
    }


@pytest.mark.parametrize("compiler", ["cc", "gcc", "clang-19", "clang"])
@pytest.mark.parametrize("header", ["chiasm.h", "chiasm_tools.h", "chiasm_wasi.h"])
def test_the_headers_are_strict_c11(build: Path, compiler: str, header: str) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    subprocess.run(
        [compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
         f"-I{build / 'include'}", "-x", "c", "-"],
        check=True, input=f"#include <{header}>\nint empty;\n", text=True,
    )  # fmt: skip


@pytest.mark.parametrize("link", ["static", "shared"])
def test_the_example_runs(build: Path, tmp_path: Path, link: str) -> None:
    library = build / "lib"
    how = (
        [str(library / "libchiasm.a"), "-lm", "-lpthread"]
        if link == "static"
        else [f"-L{library}", "-lchiasm", f"-Wl,-rpath,{library}"]
    )
    program = tmp_path / "hello"
    subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
         f"-I{build / 'include'}", str(ROOT / "examples/c/hello.c"), "-o", str(program), *how],
        check=True,
    )  # fmt: skip
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "so far: 4", "so far: 7", "so far: 9", "so far: 10", "triangle(4) = 10"
    ]  # fmt: skip


def test_an_embedders_own_names_do_not_collide(build: Path, tmp_path: Path) -> None:
    source = tmp_path / "own.c"
    source.write_text(
        "#include <chiasm.h>\n#include <stdio.h>\n"
        "void *arena_alloc(void *a, size_t n);\n"
        "void *arena_alloc(void *a, size_t n) { (void)n; return a; }\n"
        "int main(void) { int x = 7; chi_store *s = chi_store_new(0);\n"
        ' printf("%d\\n", *(int *)arena_alloc(&x, 1)); chi_store_free(s); return 0; }\n'
    )
    program = tmp_path / "own"
    subprocess.run(
        ["cc", f"-I{build / 'include'}", str(source), str(build / "lib" / "libchiasm.a"),
         "-lm", "-lpthread", "-o", str(program)],
        check=True,
    )  # fmt: skip
    assert subprocess.run([str(program)], capture_output=True, text=True).stdout == "7\n"


def test_pkg_config_knows_the_library(build: Path) -> None:
    text = (build / "lib" / "pkgconfig" / "chiasm.pc").read_text()
    assert "-lchiasm" in text and "Version:" in text


def test_instructions_end_by_a_jump(build: Path) -> None:
    """Dispatch by tail calls: none of the instructions calls the next one."""
    if not shutil.which("objdump"):
        pytest.skip("no objdump here")
    code = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(build / "bin" / "chiasm")],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    instruction = re.compile(r"^[0-9a-f]+ <((?:op|fast|pair|get|const|slow)_\w+)>:$")
    name, seen, wrong = None, 0, []
    for line in code.splitlines():
        if line.endswith(">:"):
            match = instruction.match(line)
            name = match.group(1) if match else None
            seen += match is not None
        elif name and re.search(
            r"\bcall\s+\*.*\(,%\w+,8\)|\bcall\s+.*<(?:op|fast|pair|get|const|slow)_[A-Z]", line
        ):
            wrong.append(f"{name}: {line.strip()}")
    if seen == 0:
        pytest.skip("symbols are stripped, or dispatch is by switch")
    assert seen > 500 and not wrong, wrong[:10]
