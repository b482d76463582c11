"""Fuzzes the engine: builds the targets, makes a corpus, runs each in turn.

    fuzz.py [--seconds N] [--runs N] [--target NAME]... [--standalone]

With clang and libFuzzer under address and undefined-behaviour sanitizers;
where those are missing, with the compiler at hand and a driver without
coverage.  The corpus is made of the official suite's scripts, the kernels and
the examples, as far as they are here, and kept in build/fuzz/corpus; failing
inputs are kept in build/fuzz/found.  Inputs that failed once are in
fuzz/corpus and are run first.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "build" / "fuzz"
CORPUS = FUZZ / "corpus"
FOUND = FUZZ / "found"
TARGETS = ("module", "text", "generated", "differential")
COVERAGE = "-fsanitize-coverage=inline-8bit-counters,pc-table"
ENVIRONMENT = {
    "ASAN_OPTIONS": "quarantine_size_mb=1:detect_leaks=0:detect_stack_use_after_return=0"
    ":malloc_context_size=2:max_malloc_fill_size=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


def find_clang() -> str | None:
    """A clang that links libFuzzer and the address sanitizer."""
    source = "int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n)"
    source += " { return d && n > 9; }"
    for name in ("clang-19", "clang-20", "clang-18", "clang"):
        if not shutil.which(name):
            continue
        command = [name, "-fsanitize=fuzzer,address", "-x", "c", "-", "-o", os.devnull]
        if subprocess.run(command, input=source, text=True, capture_output=True).returncode == 0:
            return name
    return None


def has_sanitizer(compiler: str) -> bool:
    command = [compiler, "-fsanitize=address,undefined", "-x", "c", "-", "-o", os.devnull]
    done = subprocess.run(command, input="int main(void) { return 0; }", text=True,
                          capture_output=True)  # fmt: skip
    return done.returncode == 0


def build(folder: Path, compiler: str, coverage: bool) -> bool:
    if not (folder / "build.ninja").exists():
        arguments = [COVERAGE, "-fno-sanitize=function"] if coverage else []
        setup = ["meson", "setup", str(folder), str(ROOT), "-Dfuzz=true", "-Dpython=disabled"]
        setup += ["-Dbuildtype=debugoptimized", f"-Dc_args={arguments!r}"]
        if has_sanitizer(compiler):
            setup += ["-Db_sanitize=address,undefined", "-Db_lundef=false"]
        else:
            print(f"{compiler} has no address sanitizer: only what crashes is found")
        done = subprocess.run(setup, env=os.environ | {"CC": compiler}, capture_output=True,
                              text=True)  # fmt: skip
        if done.returncode:
            print(done.stdout[-3000:] + done.stderr[-3000:])
            return False
    programs = [f"fuzz/fuzz_{name}" for name in (*TARGETS, "seeds")]
    return subprocess.run(["ninja", "-C", str(folder), "--quiet", *programs]).returncode == 0


def sources() -> list[Path]:
    shared = Path(os.environ.get("CHIASM_SHARED", ROOT.parent / "shared"))
    suites = (shared / "spec", ROOT / ".testdata" / "testsuite")
    suite = next((s for s in suites if (s / "i32.wast").is_file()), None)
    files = sorted(suite.rglob("*.wast")) if suite else []
    if not suite:
        print("the official suite is not here: the corpus is small (make testdata fetches it)")
    files = [f for f in files if "custom-descriptors" not in str(f)]
    files += sorted((ROOT / "bench" / "kernels" / "wasm").glob("*.wasm"))
    files += sorted((ROOT / "examples").rglob("*.wasm"))
    return files


def make_corpus(seeds: Path) -> None:
    if (CORPUS / "made").exists():
        return
    for name in TARGETS:
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
    subprocess.run([str(seeds), str(CORPUS), *map(str, sources())], check=True)
    random_bytes = random.Random(1)
    for k in range(200):
        for name in ("generated", "differential"):
            (CORPUS / name / f"random-{k}").write_bytes(random_bytes.randbytes(4 * k + 4))
    (CORPUS / "made").touch()


def options(name: str, seconds: int, runs: int | None, seed: int) -> list[str]:
    found = ["-max_len=1024", f"-max_total_time={seconds}", f"-seed={seed}", "-timeout=20"]
    found += ["-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={FOUND}/{name}-"]
    return found + ([f"-runs={runs}"] if runs is not None else [])


def run(program: Path, name: str, arguments: list[str], coverage: bool) -> bool:
    """One target, one line; what it says is shown when it fails."""
    kept = ROOT / "fuzz" / "corpus" / name
    folders = [str(CORPUS / name)] + ([str(kept)] if kept.is_dir() else [])
    if coverage:
        new = CORPUS / f"{name}.new"
        new.mkdir(exist_ok=True)
        folders.insert(0, str(new))
    start = time.monotonic()
    done = subprocess.run([str(program), *arguments, *folders], env=os.environ | ENVIRONMENT,
                          capture_output=True, text=True, errors="replace")  # fmt: skip
    output = done.stdout + done.stderr
    counts = re.findall(r"^(?:Done (\d+) runs|#(\d+)\s)", output, re.M)
    count = max((int(a or b) for a, b in counts), default=0)
    rate = count / max(time.monotonic() - start, 0.001)
    crashes = int(done.returncode != 0)
    print(f"{name}: {count} executions, {rate:.0f} a second, {crashes} crashes", flush=True)
    if crashes:
        report = [line for line in output.splitlines() if not re.match(r"#\d+\t|\s+NEW_FUNC", line)]
        print("\n".join(report[-60:]))
    return not crashes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="in all (default: 60)")
    parser.add_argument("--runs", type=int, help="of each target, at most")
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--standalone", action="store_true", help="without libFuzzer")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    clang = None if given.standalone else find_clang()
    compiler = clang or next(filter(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang")), "")
    if not compiler:
        print("left out: fuzzing needs a C compiler\n0 passed, 0 failed")
        return 0
    if not clang and not given.standalone:
        print("clang with libFuzzer is missing: fuzzing without coverage")
    folder = FUZZ / ("clang" if clang else "standalone")
    FOUND.mkdir(parents=True, exist_ok=True)
    if not build(folder, compiler, bool(clang)):
        print("0 passed, 1 failed")
        return 1
    make_corpus(folder / "fuzz" / "fuzz_seeds")
    names = given.target or TARGETS
    share = max(1, given.seconds // len(names))
    print(f"seed {given.seed}, inputs that fail go to {FOUND.relative_to(ROOT)}", flush=True)
    passed = 0
    for name in names:
        arguments = options(name, share, given.runs, given.seed)
        passed += run(folder / "fuzz" / f"fuzz_{name}", name, arguments, bool(clang))
    print(f"{passed} passed, {len(names) - passed} failed")
    return int(passed < len(names))


if __name__ == "__main__":
    sys.exit(main())
