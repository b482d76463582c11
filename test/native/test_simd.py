"""Vector and atomic instructions in machine code: each on edge operands in all
places, by processors of all kinds, as the interpreter has them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import simd_access
import simd_matrix

# Features as src/target/x64/cpu.h numbers them: SSE2 alone, then SSSE3, SSE4.1,
# SSE4.2, AVX without AVX2 and FMA.
PROCESSORS = {"whole": "fff", "sse2": "0", "ssse3": "3", "sse41": "7", "sse42": "f", "avx": "10f"}
FEW = {"CHIASM_REGISTERS": "4"}
CONFIGURATIONS = {
    **{name: {"CHIASM_CPU": mask} for name, mask in PROCESSORS.items()},
    "few-registers": FEW,
    "few-registers-sse2": {**FEW, "CHIASM_CPU": "0"},
    "few-registers-sse42": {**FEW, "CHIASM_CPU": "f"},
    "metered": {"CHIASM_FUEL": "1"},
}
FORMS = {
    **{name: CONFIGURATIONS[name] for name in ("whole", "sse2", "ssse3", "avx", "metered")},
    "dense": {"CHIASM_MEMORY": "dense"},
    "explicit": {"CHIASM_MEMORY": "explicit"},
    "explicit-few-registers-sse2": {"CHIASM_MEMORY": "explicit", **FEW, "CHIASM_CPU": "0"},
}


@pytest.fixture(scope="module")
def matrix() -> simd_matrix.Matrix:
    return simd_matrix.make(list(simd_matrix.instructions()))


@pytest.fixture(scope="module")
def expected(command: str, matrix: simd_matrix.Matrix) -> list[int]:
    return simd_matrix.run(command, matrix, CHIASM_TIER="interp")


@pytest.mark.slow
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_every_way_of_running_an_instruction_gives_the_interpreters_results(
    command: str, matrix: simd_matrix.Matrix, expected: list[int], configuration: str
) -> None:
    environment = {"CHIASM_TIER": "baseline", **CONFIGURATIONS[configuration]}
    given = simd_matrix.run(command, matrix, **environment)
    rows = zip(matrix.names, expected, given, strict=True)
    assert [name for name, a, b in rows if a != b] == []


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scripts")
    found = {}
    for memory in simd_access.memories():
        found[memory.name] = folder / f"{memory.name}.wast"
        found[memory.name].write_text(simd_access.script(memory))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("memory", [m.name for m in simd_access.memories()])
@pytest.mark.parametrize("configuration", ["interpreter", *FORMS])
def test_accesses_read_write_and_trap_as_the_model_says(
    command: str, scripts: dict[str, Path], memory: str, configuration: str
) -> None:
    chosen = FORMS.get(configuration, {})
    tier = "interp" if configuration == "interpreter" else "baseline"
    done = subprocess.run(
        [command, "wast", str(scripts[memory])], capture_output=True, text=True, timeout=300,
        env={**os.environ, "CHIASM_TIER": tier, **chosen}, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1].endswith(" 0 failed"), done.stderr[-4000:]
