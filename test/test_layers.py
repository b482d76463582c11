"""The folders include only what layers.txt allows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_layers() -> dict[str, set[str]]:
    layers: dict[str, set[str]] = {}
    for line in (ROOT / "layers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            folder, _, allowed = line.partition(":")
            layers[folder] = set(allowed.split())
    return layers


def folder_of(path: Path) -> str:
    return "/".join(path.relative_to(ROOT).parts[:2])


def target_of(source: Path, name: str) -> str | None:
    """The folder of an included file; None for the C library's."""
    for base in (source.parent, ROOT / "src"):
        if (base / name).is_file():
            return folder_of((base / name).resolve())
    if (ROOT / "include" / name).is_file():
        return "public"
    return None


def sources() -> list[Path]:
    return sorted(
        p
        for folder in ("src", "python/ext")
        for p in (ROOT / folder).rglob("*.[ch]")
        if p.is_file()
    )


def test_every_source_folder_has_a_layer() -> None:
    assert {folder_of(p) for p in sources()} <= set(read_layers())


def test_includes_follow_the_layers() -> None:
    layers = read_layers()
    wrong = []
    for source in sources():
        own = folder_of(source)
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', source.read_text(), re.M):
            target = target_of(source, name)
            one_file = f"src/{name}"
            if target not in (None, own) and not {target, one_file} & layers[own]:
                wrong.append(f"{source.relative_to(ROOT)} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_every_include_in_quotes_exists() -> None:
    missing = [
        f"{source.relative_to(ROOT)}: {name}"
        for source in sources()
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', source.read_text(), re.M)
        if target_of(source, name) is None
    ]
    assert not missing, "\n".join(missing)


def test_only_the_os_folder_asks_what_platform_it_is() -> None:
    guard = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*$", re.M)
    wrong = []
    for source in sources():
        if folder_of(source) in ("src/os", "python/ext"):
            continue
        for match in guard.finditer(source.read_text()):
            line = match.group(0).strip()
            if not re.match(r"#\s*ifndef CHI_\w+_H$", line) and "__GNUC__" not in line:
                wrong.append(f"{source.relative_to(ROOT)}: {line}")
    assert not wrong, "\n".join(wrong)
