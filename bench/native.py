"""The kernels compiled for this machine, as shared libraries in build/."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

from suite import KERNELS, Kernel

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wmissing-prototypes"]

# WebAssembly has neither errno nor contraction: without these flags the native code would do more,
# or other, work than the module.
SAME_MEANING = ["-fno-math-errno", "-ffp-contract=off"]

NATIVE = ["-O2", "-fPIC", "-shared", "-fvisibility=hidden", *SAME_MEANING]


def gcc() -> str | None:
    """Return the gcc to use (``GCC`` overrides)."""
    return shutil.which(os.environ.get("GCC", "gcc"))


def clang() -> str | None:
    """Return the clang to use (``CLANG`` overrides)."""
    names = [os.environ.get("CLANG", ""), "clang-19", "clang"]
    return next(filter(None, map(shutil.which, filter(None, names))), None)


def native_compilers() -> dict[str, list[str]]:
    """Return the native compilers present, as name → command with its flags."""
    commands: dict[str, list[str]] = {}
    if path := gcc():
        commands["gcc"] = [path, *NATIVE]
    if path := clang():
        commands["clang"] = [path, *NATIVE]
        commands["clang-scalar"] = [path, *NATIVE, "-fno-vectorize", "-fno-slp-vectorize"]
    return commands


def version(compiler: str) -> str:
    """Return the first line of what the compiler says of itself."""
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def build_native(kernel: Kernel, compiler: str, command: list[str]) -> None:
    """Compile one kernel to a shared library, unless it is newer than its sources."""
    target = kernel.library(compiler)
    header = kernel.source.with_name("kernel.h")
    newest = max(path.stat().st_mtime for path in (kernel.source, header))
    if target.exists() and target.stat().st_mtime > newest:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, *WARNINGS, str(kernel.source), "-o", str(target)], check=True)


def build_all(compilers: Iterable[str]) -> None:
    """Build the shared libraries of these compilers, where they are older than their sources."""
    commands = native_compilers()
    for kernel in KERNELS:
        for name in compilers:
            build_native(kernel, name, commands[name])
