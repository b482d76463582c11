"""make testdata: the suite from a clone, at a commit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from where import ROOT


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_testdata_takes_the_suite_from_a_bare_clone_at_a_commit(tmp_path: Path) -> None:
    source, project = tmp_path / "source", tmp_path / "project"
    source.mkdir()
    git(source, "init", "-q")
    (source / "i32.wast").write_text("(module)\n")
    git(source, "add", "."), git(source, "commit", "-qm", "one")
    commit = git(source, "rev-parse", "HEAD")
    (source / "i64.wast").write_text("(module)\n")
    git(source, "add", "."), git(source, "commit", "-qm", "two")
    git(tmp_path, "clone", "-q", "--bare", str(source), "suite.git")
    (project / "tool").mkdir(parents=True)
    shutil.copy(ROOT / "tool" / "testdata.sh", project / "tool")
    environment = os.environ | {"SUITE_URL": str(tmp_path / "suite.git"), "SUITE_COMMIT": commit}
    for _ in range(2):
        done = subprocess.run(
            ["sh", "tool/testdata.sh"], cwd=project, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (project / ".testdata/testsuite").glob("*.wast")) == ["i32.wast"]
