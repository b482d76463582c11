"""Which tier runs, what may be asked for, and what happens where the system refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

import chiasm

NATIVE = "baseline" in chiasm.features()["tiers"]
TIERS = chiasm.features()["tiers"]
needs_code = pytest.mark.skipif(not NATIVE, reason="no machine code can run here")
on_x86_64_linux = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="a filter for x86-64 Linux"
)

FUNC = '(module (func (export "f") (result i32) (i32.const 7)))'
IMPORT = '(module (import "a" "f" (func (result i32))) (func (export "g") (result i32) (call 0)))'
LOADS = """(module (memory (export "m") 1 4)
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1))))"""

# Refuses memfd_create, and mprotect with PROT_EXEC; with "all" mmap with PROT_EXEC, too, after
# which no library can be loaded.
FILTER = """
import ctypes, struct, sys
def refuse(all=False):
    MMAP, MPROTECT, MEMFD_CREATE = 9, 10, 319
    load = lambda offset: struct.pack("HBBI", 0x20, 0, 0, offset)
    equal = lambda value, yes, no: struct.pack("HBBI", 0x15, yes, no, value)
    bits = lambda value, yes, no: struct.pack("HBBI", 0x45, yes, no, value)
    answer = lambda value: struct.pack("HBBI", 0x06, 0, 0, value)
    program = b"".join([
        load(0), equal(MEMFD_CREATE, 5, 0), equal(MMAP if all else MPROTECT, 1, 0),
        equal(MPROTECT, 0, 2), load(32), bits(4, 1, 0), answer(0x7fff0000), answer(0x50001),
    ])
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.c_char_p(header)) == 0
"""


@pytest.mark.parametrize("tier", TIERS)
def test_the_tier_asked_for_is_what_runs(tier):
    inst = chiasm.instantiate(LOADS, tier=tier)
    assert inst.tier == inst.store.tier == tier
    assert inst.exports.load(0) == 0
    with pytest.raises(chiasm.Trap, match="out of bounds"):
        inst.exports.load(65536)
    assert chiasm.Store(tier=tier).tier == tier


@needs_code
def test_auto_means_machine_code(in_process):
    code = "import chiasm; print(chiasm.instantiate('(module)').tier, chiasm.Store().tier)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CHIASM_")}
    for value, tier in ((None, "baseline"), ("interp", "interp"), ("baseline", "baseline")):
        more = {} if value is None else {"CHIASM_TIER": value}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=environment | more,
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"{tier} {tier}\n", done.stderr


@pytest.mark.parametrize("tier", TIERS)
def test_who_joins_a_store_runs_as_it_does(tier):
    first = chiasm.instantiate(FUNC, tier=tier)
    for options in ({}, {"tier": "auto"}, {"tier": tier}, {"limits": chiasm.Limits()}):
        second = chiasm.instantiate(IMPORT, {"a": first.exports}, **options)
        assert second.tier == tier
        assert second.store is first.store
        assert second.exports.g() == 7
    assert chiasm.instantiate(FUNC, store=first.store).tier == tier


@needs_code
def test_another_tier_than_the_store_has_is_a_link_error():
    for tier, other in (("interp", "baseline"), ("baseline", "interp")):
        first = chiasm.instantiate(FUNC, tier=tier)
        with pytest.raises(chiasm.LinkError, match=f'by tier "{tier}", not "{other}"') as e:
            chiasm.instantiate(IMPORT, {"a": first.exports}, tier=other)
        assert [p.name for p in e.value.problems] == ["f"]
        with pytest.raises(chiasm.LinkError, match=f'by tier "{tier}", not "{other}"'):
            chiasm.instantiate(FUNC, store=first.store, tier=other)
        with pytest.raises(chiasm.LinkError, match=f'by tier "{tier}", not "{other}"'):
            chiasm.instantiate(IMPORT, {"a": first.exports}, store=chiasm.Store(tier=other))
        assert first.exports.f() == 7


@needs_code
def test_instances_of_two_tiers_do_not_meet():
    one = chiasm.instantiate(FUNC, tier="interp")
    other = chiasm.instantiate(FUNC, tier="baseline")
    both = '(module (import "a" "f" (func (result i32))) (import "b" "f" (func (result i32))))'
    with pytest.raises(chiasm.LinkError, match=r"b\.f: its store runs by tier"):
        chiasm.instantiate(both, {"a": one.exports, "b": other.exports})
    table = chiasm.instantiate('(module (table (export "t") 1 funcref))', store=one.store).exports.t
    with pytest.raises(RuntimeError, match="different tiers"):
        table[0] = other.exports.f


@pytest.mark.parametrize("tier", TIERS)
def test_what_python_makes_takes_the_tier_of_whom_it_is_linked_with(tier):
    wat = """(module (import "a" "m" (memory 1)) (import "a" "t" (table 1 funcref))
        (import "a" "g" (global (mut i32))) (import "a" "f" (func (result i32)))
        (func (export "run") (result i32)
          (i32.add (i32.add (global.get 0) (i32.load (i32.const 0)))
                   (i32.add (call 0) (call_indirect (result i32) (i32.const 0))))))"""
    kind = chiasm.FuncType([], ["i32"])
    made = {
        "m": chiasm.Memory(1),
        "t": chiasm.Table("funcref", 1),
        "g": chiasm.Global("i32", 1000, mutable=True),
        "f": chiasm.Func(lambda: 20, kind),
    }
    made["t"][0] = chiasm.Func(lambda: 300, kind)
    made["m"].pack("<i", 0, 4)
    inst = chiasm.instantiate(wat, {"a": made}, tier=tier)
    assert inst.tier == tier
    assert inst.exports.run() == 1324
    first = chiasm.instantiate(FUNC, tier=tier)
    both = '(module (import "a" "m" (memory 1)) (import "a" "f" (func)))'
    module = chiasm.Module(both.replace("(func)", "(func (result i32))"))
    joined = chiasm.instantiate(module, {"a": {"m": chiasm.Memory(1), "f": first.exports.f}})
    assert joined.tier == tier


def test_a_store_that_is_joined_keeps_its_limits():
    limits = chiasm.Limits(memory=1 << 20, fuel=10**6)
    first = chiasm.instantiate(LOADS, limits=limits)
    for options in ({"tier": first.tier}, {"config": chiasm.Config(memory="explicit")}):
        wat = '(module (import "a" "m" (memory 1)) (memory (export "more") 0))'
        second = chiasm.instantiate(wat, {"a": first.exports}, **options)
        assert 0 < second.store.fuel <= 10**6
        with pytest.raises(MemoryError):
            second.exports.more.grow(64)
        first = chiasm.instantiate(LOADS, limits=limits)


@pytest.mark.parametrize("tier", TIERS)
def test_fuel_counts_though_the_store_had_none_before(tier):
    free = chiasm.instantiate(FUNC, tier=tier)
    assert free.store.fuel is None
    metered = chiasm.Store(chiasm.Limits(fuel=1000), tier=tier)
    inst = chiasm.instantiate(IMPORT, {"a": free.exports}, store=metered)
    before = inst.store.fuel
    free.exports.f()
    assert before is not None
    assert inst.store.fuel < before


# ------------------------------------------------------------------------- config


@pytest.mark.parametrize("memory", ["auto", "wide", "dense", "explicit"])
@pytest.mark.parametrize("signals", [True, False])
@pytest.mark.parametrize("tier", TIERS)
def test_bounds_hold_in_every_form(memory, signals, tier):
    config = chiasm.Config(memory=memory, signals=signals)
    inst = chiasm.instantiate(LOADS, tier=tier, config=config)
    for _ in range(2):
        end = len(inst.memory)
        inst.memory.pack("<i", end - 4, 5)
        assert inst.exports.load(end - 4) == 5
        for at in (end - 3, end, 1 << 31, -4):
            with pytest.raises(chiasm.Trap, match="out of bounds"):
                inst.exports.load(at)
        assert inst.exports.grow() == end >> 16


@needs_code
def test_without_signals_no_handler_is_set_and_guarded_memories_are_checked(in_process):
    code = """
    import re, chiasm
    def catches():
        mask = re.search(r"SigCgt:\\s*(\\w+)", open("/proc/self/status").read()).group(1)
        return int(mask, 16) >> 10 & 1
    wat = '''(module (import "a" "m" (memory 1))
        (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))'''
    m = chiasm.Memory(1)  # with guards
    inst = chiasm.instantiate(wat, {"a": {"m": m}}, config=chiasm.Config(signals=False))
    for at in (65533, -1):
        try:
            inst.exports.load(at)
        except chiasm.Trap:
            print("trap")
    print(inst.tier, catches())
    chiasm.instantiate(wat, {"a": {"m": chiasm.Memory(1)}})
    print(catches())
    """
    environment = {"CHIASM_TIER": "baseline", "CHIASM_SIGNALS": "", "CHIASM_MEMORY": ""}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["trap", "trap", "baseline", "0", "1"], done.stderr


@needs_code
def test_code_with_signals_and_code_without_do_not_meet():
    one = chiasm.instantiate(FUNC, tier="baseline", config=chiasm.Config(signals=True))
    with pytest.raises(chiasm.LinkError, match="uses signals"):
        chiasm.instantiate(
            IMPORT,
            {"a": one.exports},
            tier="baseline",
            config=chiasm.Config(signals=False),
        )
    assert one.exports.f() == 7


@pytest.mark.usefixtures("address_space", "plain_build")
def test_the_form_is_what_is_reserved(in_process):
    code = """
    import re, sys, chiasm
    size = lambda: int(re.search(r"VmSize:\\s*(\\d+)", open("/proc/self/status").read()).group(1))
    config = chiasm.Config(memory=sys.argv[1])
    chiasm.instantiate("(module)", config=config)
    before = size()
    kept = chiasm.instantiate("(module (memory 1))", config=config)
    print((size() - before) >> 20)
    """
    wide, dense, explicit = (int(in_process(code, form)) for form in ("wide", "dense", "explicit"))
    assert wide in range(37, 40)
    assert dense in range(7, 10)
    assert explicit < 7


@pytest.mark.parametrize(
    ("name", "value", "config"),
    [
        ("CHIASM_MEMORY", "dense", {"memory": "dense"}),
        ("CHIASM_SIGNALS", "0", {"signals": False}),
        ("CHIASM_SIGNALS", "off", {"signals": False}),
        ("CHIASM_SIGNALS", "", {"signals": True}),
        ("CHIASM_SIGNALS", "1", {"signals": True}),
    ],
)
def test_the_environment_gives_what_is_not_given(name, value, config):
    code = f"""
    import chiasm
    assert chiasm.Config() == chiasm.Config(**{config!r})
    assert chiasm.instantiate({LOADS!r}).exports.load(0) == 0
    assert chiasm.instantiate({LOADS!r}, config=chiasm.Config(signals=True)).exports.load(0) == 0
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=os.environ | {name: value}, check=True
    )


# ------------------------------------------------- where the system does not let code run

PROGRAM = """
import warnings, chiasm, chiasm._link
refuse(all=True)
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    chiasm.Memory(1)
    assert not caught
    a = chiasm.instantiate('(module (func (export "f") (result i32) (i32.const 7)))')
    b = chiasm.instantiate("(module)")
    chiasm.instantiate("(module)", tier="interp")
assert [w.category for w in caught] == [RuntimeWarning], caught
assert "memfd_create" in str(caught[0].message), caught[0].message
assert caught[0].filename == "<string>", caught[0].filename
assert a.exports.f() == 7
assert a.tier == b.tier == chiasm.Store().tier == "interp"
features = chiasm.features()
assert features["tiers"] == ("interp",)
assert "PROT_EXEC" in features["refused"]["baseline"]
for make in (chiasm.Store, lambda tier: chiasm.instantiate("(module)", tier=tier)):
    try:
        make(tier="baseline")
    except RuntimeError as e:
        assert type(e) is RuntimeError and "PROT_EXEC" in str(e), e
    else:
        raise SystemExit("not refused")
print("done")
"""


@on_x86_64_linux
def test_without_machine_code_the_interpreter_runs_and_one_warning_tells(in_process, monkeypatch):
    monkeypatch.delenv("CHIASM_TIER", raising=False)
    assert in_process(FILTER + PROGRAM) == "done\n"


@on_x86_64_linux
def test_nobody_is_warned_who_asked_for_the_interpreter(in_process, monkeypatch):
    code = """
    import chiasm
    refuse(all=True)
    chiasm.instantiate("(module)", tier="interp")
    inst = chiasm.instantiate("(module)", store=chiasm.Store(tier="interp"))
    """
    monkeypatch.delenv("CHIASM_TIER", raising=False)
    in_process(FILTER + textwrap.dedent(code), options=("-W", "error"))
    monkeypatch.setenv("CHIASM_TIER", "interp")
    code = "import chiasm; refuse(all=True); chiasm.instantiate('(module)')"
    in_process(FILTER + code, options=("-W", "error"))


@on_x86_64_linux
def test_without_a_second_view_code_is_protected_instead(in_process):
    """Where only memfd_create is refused."""
    only_memfd = FILTER.replace("MPROTECT, 0, 2", "0xFFFF, 0, 2").replace(
        "MMAP if all else MPROTECT", "0xFFFF"
    )
    code = f"""
    import chiasm
    refuse()
    inst = chiasm.instantiate({LOADS!r}, tier="baseline")
    assert inst.tier == "baseline" and inst.exports.load(0) == 0
    try:
        inst.exports.load(-1)
    except chiasm.Trap:
        print("trap")
    """
    assert in_process(only_memfd + textwrap.dedent(code)) == "trap\n"


@needs_code
@pytest.mark.parametrize("tier", TIERS)
def test_two_gigabytes_of_address_space_are_enough(tier):
    code = f"""
    import chiasm
    insts = [chiasm.instantiate({LOADS!r}, tier={tier!r}) for _ in range(300)]
    assert {{i.tier for i in insts}} == {{{tier!r}}}
    traps = 0
    for i in insts:
        assert i.exports.load(0) == 0
        try:
            i.exports.load(-1)
        except chiasm.Trap:
            traps += 1
    assert insts[-1].exports.grow() == 1
    print(traps)
    """
    done = subprocess.run(
        ["sh", "-c", 'ulimit -v 2000000 && exec "$@"', "sh", sys.executable, "-W", "error", "-c",
         textwrap.dedent(code)],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.stdout == "300\n", done.stderr


# ------------------------------------------------------------------------ the command


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "f.wat"
    path.write_text(FUNC)
    return str(path)


def run_command(*arguments: str, refused: bool = False) -> subprocess.CompletedProcess[str]:
    command = os.environ.get("CHIASM_COMMAND") or shutil.which("chiasm")
    if command is None:
        pytest.skip("no chiasm command")
    words = [command, *arguments]
    if refused:
        code = FILTER + f"import os; refuse(); os.execv({command!r}, {words!r})"
        words = [sys.executable, "-c", code]
    environment = {k: v for k, v in os.environ.items() if k != "CHIASM_TIER"}
    return subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment
    )


@pytest.mark.parametrize("tier", ["auto", *TIERS])
def test_the_command_takes_a_tier(file, tier):
    done = run_command("run", "--tier", tier, "--invoke", "f", file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")


@pytest.mark.parametrize("tier", ["optimize", "fast"])
def test_the_command_refuses_a_tier_that_is_none(file, tier):
    done = run_command("run", f"--tier={tier}", "--invoke", "f", file)
    assert done.returncode == 2
    assert "tier" in done.stderr


@on_x86_64_linux
def test_the_command_says_in_one_line_that_it_interprets(file):
    done = run_command("run", "--invoke", "f", file, refused=True)
    assert (done.returncode, done.stdout) == (0, "7\n")
    assert done.stderr.startswith("chiasm: warning: interpreting")
    assert done.stderr.count("\n") == 1
    done = run_command("run", "--tier", "interp", "--invoke", "f", file, refused=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
    done = run_command("run", "--tier", "baseline", "--invoke", "f", file, refused=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "memfd_create" in done.stderr
