"""Compiled code is kept, found again, and does without where it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

WAT = '(module (func (export "f") (result i32) (i32.const 42)))'
CODE = f"""
import chiasm
print(chiasm.instantiate({WAT!r}).exports.f(), chiasm.cache.size > 0)
"""


def run(in_process, folder: object) -> str:
    os.environ["CHIASM_CACHE"] = str(folder)
    os.environ["CHIASM_TIER"] = "baseline"
    try:
        return in_process(CODE).strip()
    finally:
        del os.environ["CHIASM_CACHE"], os.environ["CHIASM_TIER"]


def test_code_is_kept_and_found(in_process, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert run(in_process, folder) == "42 True"
    (image,) = folder.glob("*.aot")
    inode = image.stat().st_ino
    assert folder.stat().st_mode & 0o777 == 0o700
    assert image.stat().st_mode & 0o777 == 0o600
    assert run(in_process, folder) == "42 True"
    assert image.stat().st_ino == inode


def test_damaged_images_are_ignored(in_process, tmp_path: Path) -> None:
    assert run(in_process, tmp_path) == "42 True"
    (image,) = tmp_path.glob("*.aot")
    good = image.read_bytes()
    header = 200
    for at in [*range(0, header, 16), *range(header, len(good), len(good) // 12 + 1)]:
        bad = bytearray(good)
        bad[at] ^= 0xFF
        image.unlink()
        image.write_bytes(bad[: len(bad) - at % 2])
        image.chmod(0o600)
        # Beyond the tables only the code could differ, which is trusted; so it is cut off.
        if at < header or at % 2:
            assert run(in_process, tmp_path) == "42 True"
    image.unlink()
    image.write_bytes(b"")
    assert run(in_process, tmp_path) == "42 True"


def test_what_others_may_write_is_ignored(in_process, tmp_path: Path) -> None:
    assert run(in_process, tmp_path) == "42 True"
    (image,) = tmp_path.glob("*.aot")
    image.chmod(0o666)
    before = image.stat().st_ino
    assert run(in_process, tmp_path) == "42 True"
    assert image.stat().st_ino != before, "it is written anew"


def test_no_folder_no_cache(in_process, tmp_path: Path) -> None:
    assert run(in_process, 0) == "42 False"
    assert run(in_process, "/proc/nowhere") == "42 False"


def test_clear(in_process, tmp_path: Path) -> None:
    assert run(in_process, tmp_path) == "42 True"
    os.environ["CHIASM_CACHE"] = str(tmp_path)
    try:
        code = "import chiasm; chiasm.cache.clear(); print(chiasm.cache.path, chiasm.cache.size)"
        assert in_process(code).strip() == f"{tmp_path} 0"
    finally:
        del os.environ["CHIASM_CACHE"]
    assert not list(tmp_path.glob("*.aot"))
