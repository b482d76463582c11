"""chiasm.WASI as a provider of imports."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

import chiasm

MODULE = "wasi_snapshot_preview1"
EXIT = f"""(module (import "{MODULE}" "proc_exit" (func $exit (param i32)))
  (func (export "f") (param i32) (call $exit (local.get 0))))"""


def test_proc_exit_raises_exit_and_leaves_the_instance_usable():
    wasi = chiasm.WASI(["x"])
    inst = chiasm.instantiate(EXIT, wasi=wasi)
    assert wasi.exit_code is None
    for code in (0, 7, -1):
        with pytest.raises(chiasm.Exit) as caught:
            inst.exports.f(code)
        assert caught.value.code == code & 0xFFFFFFFF
        assert str(caught.value) == f"exit status {code & 0xFFFFFFFF}"
    assert wasi.exit_code == 0xFFFFFFFF
    assert isinstance(caught.value, chiasm.Error)
    assert not isinstance(caught.value, SystemExit)


def test_no_handler_of_the_guest_sees_an_exit():
    wat = f"""(module (import "{MODULE}" "proc_exit" (func $exit (param i32)))
      (func (export "f") (block $b (try_table (catch_all $b) (call $exit (i32.const 3))))))"""
    with pytest.raises(chiasm.Exit):
        chiasm.instantiate(wat, wasi=chiasm.WASI()).exports.f()


def test_initialize_is_called_once():
    wat = f"""(module (import "{MODULE}" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (memory 1) (data (i32.const 0) "\\08\\00\\00\\00\\01\\00\\00\\00x")
      (func (export "_initialize")
        (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"""
    out: list[bytes] = []
    chiasm.instantiate(wat, wasi=chiasm.WASI(stdout=out.append))
    assert out == [b"x"]


def test_initialize_is_not_called_without_wasi():
    wat = '(module (func (export "_initialize") unreachable))'
    chiasm.instantiate(wat)
    with pytest.raises(chiasm.Trap):
        chiasm.instantiate(wat, wasi=chiasm.WASI())


def test_imports_that_are_given_come_first():
    seen: list[int] = []
    inst = chiasm.instantiate(EXIT, {MODULE: {"proc_exit": seen.append}}, wasi=chiasm.WASI())
    inst.exports.f(3)
    assert seen == [3]
    inst = chiasm.instantiate(EXIT, {MODULE: {}}, wasi=chiasm.WASI())
    with pytest.raises(chiasm.Exit):
        inst.exports.f(3)


def test_a_wrong_import_is_told():
    wat = f'(module (import "{MODULE}" "proc_exit" (func (param i64))) ' \
        f'(import "{MODULE}" "fd_frobnicate" (func)))'  # fmt: skip
    with pytest.raises(chiasm.LinkError, match="fd_frobnicate") as caught:
        chiasm.instantiate(wat, wasi=chiasm.WASI())
    assert len(caught.value.problems) == 2
    assert "another type" in str(caught.value)
    with pytest.raises(chiasm.LinkError, match="missing"):
        chiasm.instantiate(EXIT)
    with pytest.raises(TypeError, match=r"chiasm\.WASI"):
        chiasm.instantiate(EXIT, wasi={})


def test_instances_share_the_process_that_they_are_given(tmp_path):
    (tmp_path / "file").write_text("abc")
    wat = f"""(module
      (import "{MODULE}" "path_open"
        (func $o (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "{MODULE}" "fd_close" (func $c (param i32) (result i32)))
      (memory 1) (data (i32.const 0) "file")
      (func (export "open") (result i32)
        (drop (call $o (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))) (i32.load (i32.const 8)))
      (func (export "close") (param i32) (result i32) (call $c (local.get 0))))"""
    wasi = chiasm.WASI(dirs={"/": tmp_path})
    a, b = (chiasm.instantiate(wat, wasi=wasi).exports for _ in range(2))
    assert a.open() == 4
    assert b.open() == 5
    assert b.close(4) == 0
    assert a.close(4) == 8
    assert chiasm.instantiate(wat, wasi=chiasm.WASI(dirs={"/": tmp_path})).exports.open() == 4


def test_threads_share_a_process(tmp_path):
    (tmp_path / "file").write_text("abc")
    wat = f"""(module
      (import "{MODULE}" "path_open"
        (func $o (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "{MODULE}" "fd_close" (func $c (param i32) (result i32)))
      (memory 1) (data (i32.const 0) "file")
      (func (export "run") (param $n i32) (result i32) (local $bad i32)
        (loop $l
          (local.set $bad (i32.add (local.get $bad)
            (call $o (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
              (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))))
          (local.set $bad (i32.add (local.get $bad) (call $c (i32.load (i32.const 8)))))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $bad)))"""
    wasi = chiasm.WASI(dirs={"/": tmp_path})
    m = chiasm.Module(wat)
    bad: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: bad.append(chiasm.instantiate(m, wasi=wasi).exports.run(3000))
        )
        for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert bad == [0] * 4


def test_a_cycle_through_a_stream_is_collected():
    class Sink:
        def write(self, data):
            return len(data)

    sink = Sink()
    sink.wasi = chiasm.WASI(stdout=sink)  # type: ignore[attr-defined]
    gone = weakref.ref(sink)
    del sink
    gc.collect()
    assert gone() is None


def test_the_process_lives_as_long_as_its_functions():
    inst = chiasm.instantiate(EXIT, wasi=chiasm.WASI())
    gc.collect()
    f = inst.exports.f
    del inst
    gc.collect()
    with pytest.raises(chiasm.Exit):
        f(1)


def test_a_stream_that_enters_the_guest_again():
    wat = f"""(module (import "{MODULE}" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (memory 1) (data (i32.const 0) "\\08\\00\\00\\00\\01\\00\\00\\00x")
      (func (export "say") (result i32)
        (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
      (func (export "seven") (result i32) (i32.const 7)))"""
    got: list[int] = []
    inst = chiasm.instantiate(
        wat, wasi=chiasm.WASI(stdout=lambda d: got.append(inst.exports.seven()))
    )
    assert inst.exports.say() == 0
    assert got == [7]


def test_the_repr_of_a_read_only_directory():
    assert repr(chiasm.ReadOnly("x")) == "chiasm.ReadOnly('x')"
