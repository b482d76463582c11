"""The game of examples/game plays alike everywhere, however it is built.

SPDX-License-Identifier: MIT
"""

import importlib.util
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import chiasm

GAME = Path(__file__).resolve().parents[2] / "examples" / "game"

# 600 frames of the default seed in a world of 80 by 48 pixels. V8, Wasmtime and wasm3 give
# the same; it changes only if the rules or the AI do.
EXPECTED_HASH = "f56ae2ba010e4562cfb3be98d0d0221777a03e299de6db9a84294fd1eff653fa"
EXPECTED_SCORE = 80

DRAWING_CALLS = {
    "clear_screen",
    "draw_player",
    "draw_enemy",
    "draw_bullet",
    "draw_particle",
    "draw_score",
}
KEYS = {"toggle_shoot", "toggle_boost", "toggle_turn_left", "toggle_turn_right"}


def load_play():
    spec = importlib.util.spec_from_file_location("play", GAME / "play.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


play = load_play()


def run_frames(frames=600, seed=play.SEED, folder=GAME, is_ai_playing=True):
    """Return the hash of all drawing calls, and the score."""
    recorder = play.Recorder()
    screen = play.Screen(recorder)
    game = play.Play(screen, 80, 48, seed, folder=os.fspath(folder))
    game.is_ai_playing = is_ai_playing
    for _ in range(frames):
        game.frame()
    return recorder.hash.hexdigest(), screen.score


def run_command(*arguments):
    return subprocess.run(
        [sys.executable, os.fspath(GAME / "play.py"), *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """A folder with both modules, built here."""
    if os.name != "posix":
        pytest.skip("build.sh needs a POSIX shell")
    folder = tmp_path_factory.mktemp("game")
    done = subprocess.run(
        ["sh", os.fspath(GAME / "build.sh"), os.fspath(folder)], capture_output=True, text=True
    )
    if done.returncode == 77:
        pytest.skip(f"cannot rebuild the game: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return folder


# ---- behaviour ----


def test_600_frames_draw_the_same_in_every_engine():
    assert run_frames() == (EXPECTED_HASH, EXPECTED_SCORE)


def test_the_same_seed_plays_the_same_game_and_another_seed_another():
    assert run_frames(120, seed=1) == run_frames(120, seed=1)
    assert run_frames(120, seed=1) != run_frames(120, seed=2)


def test_the_ai_scores_where_an_idle_player_does_not():
    assert run_frames(1200, is_ai_playing=True)[1] >= 100
    assert run_frames(1200, is_ai_playing=False)[1] == 0


def test_modules_built_here_behave_as_the_committed_ones(rebuilt):
    assert run_frames(folder=rebuilt) == (EXPECTED_HASH, EXPECTED_SCORE)


class Watcher(play.Recorder):
    """Sees who is there, and may do something at each call."""

    def __init__(self, at_call=lambda: None):
        super().__init__()
        self.at_call = at_call
        self.is_player_there = False

    def clear_screen(self):
        super().clear_screen()
        self.is_player_there = False

    def draw_player(self, x, y, angle):
        super().draw_player(x, y, angle)
        self.is_player_there = True
        self.at_call()


def test_an_idle_player_dies_and_the_game_starts_again():
    watcher = Watcher()
    game = play.Play(play.Screen(watcher), 80, 48, seed=1)
    game.is_ai_playing = False
    there = []
    for _ in range(1200):
        game.frame()
        there.append(watcher.is_player_there)
    lives = re.findall("1+", "".join(str(int(is_there)) for is_there in there))
    assert there[0] and len(lives) >= 2


def test_the_game_may_be_called_from_inside_a_drawing_call():
    watcher = Watcher(lambda: game.game.update(play.FRAME))
    game = play.Play(play.Screen(watcher), 80, 48, seed=1)
    for _ in range(300):
        game.frame()
    assert watcher.is_player_there


def test_an_exception_in_a_drawing_call_leaves_the_game_usable():
    class Interrupted(Exception):
        pass

    def interrupt():
        raise Interrupted

    watcher = Watcher(interrupt)
    game = play.Play(play.Screen(watcher), 80, 48, seed=1)
    with pytest.raises(Interrupted):
        game.frame()
    watcher.at_call = lambda: None
    game.frame()
    assert watcher.is_player_there


@pytest.mark.parametrize("value", [0.0, -1.0, 1e300, float("inf"), float("nan")])
def test_absurd_sizes_and_times_do_no_harm(value):
    screen = play.Screen(play.Recorder())
    game = play.Play(screen, 80, 48, seed=1)
    game.game.resize(value, value)
    game.game.update(value)
    for _ in range(60):
        game.frame()


# ---- the binaries ----


def test_the_game_imports_nothing_but_the_drawing_calls():
    module = chiasm.Module(GAME / "game.wasm")
    assert {(i.module, i.name) for i in module.imports} == {("env", n) for n in DRAWING_CALLS}
    assert {e.name for e in module.exports} >= KEYS | {"seed", "resize", "update", "draw"}


def test_the_ai_imports_nothing_but_the_keys_and_exports_the_drawing_calls():
    module = chiasm.Module(GAME / "ai.wasm")
    assert {(i.module, i.name) for i in module.imports} == {("game", n) for n in KEYS}
    assert {e.name for e in module.exports} >= DRAWING_CALLS | {"resize", "think"}


@pytest.mark.parametrize("name", ["game.wasm", "ai.wasm"])
def test_binaries_are_small_and_name_no_paths(name):
    data = (GAME / name).read_bytes()
    assert len(data) <= 15 * 1024
    assert not re.search(rb"/[\w.-]+/|\.rs\b|\.c\b", data)


# ---- the front ends ----


def test_without_a_terminal_it_prints_a_picture_the_score_the_time_and_the_hash():
    done = run_command()
    assert (done.returncode, done.stderr) == (0, "")
    *picture, result, last = done.stdout.splitlines()
    assert len(picture) == 24
    assert all(re.sub("\x1b\\[[0-9;]*m", "", line) == "▀" * 80 for line in picture)
    assert re.fullmatch(r"score 80 after 600 frames of \d+\.\d+ ms, seed \d+", result)
    assert last.endswith(EXPECTED_HASH)


def test_plain_pictures_are_ascii_of_the_size_that_was_asked_for():
    done = run_command("--plain", "--frames", "200", "--size", "40x12", "--seed", "3")
    assert (done.returncode, done.stderr) == (0, "")
    picture = done.stdout.splitlines()[:-2]
    assert [len(line) for line in picture] == [40] * 12
    assert done.stdout.isascii() and "A" in "".join(picture)


class LiveGame:
    """play.py on a terminal of its own."""

    def __init__(self):
        pty = pytest.importorskip("pty", reason="there are no terminals on this system")
        import termios

        try:
            self.master, self.slave = pty.openpty()
        except OSError as e:
            pytest.skip(f"no pseudo-terminal to be had: {e}")
        self.attributes = lambda: termios.tcgetattr(self.slave)
        self.before = self.attributes()
        command = [sys.executable, os.fspath(GAME / "play.py"), "--size", "80x24"]
        ends = dict.fromkeys(("stdin", "stdout", "stderr"), self.slave)
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": ""}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **ends)
        self.output = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def type(self, keys):
        os.write(self.master, keys)

    def wait_for(self, text, seconds=30):
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < deadline, f"no {text!r} in {self.output[-300:]!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                self.output += os.read(self.master, 65536)
        self.output = self.output.partition(text)[2]

    def wait_for_end(self, seconds=30):
        """Return the exit status, the terminal being as it was."""
        self.wait_for(b"\x1b[?1049l", seconds)
        status = self.process.wait(seconds)
        assert self.attributes() == self.before
        return status


def test_live_the_ai_plays_until_a_key_is_pressed_and_q_quits():
    with LiveGame() as live:
        live.wait_for(b"the AI plays")
        live.type(b"\x1b[C")
        live.wait_for(b"you play")
        live.type(b"a")
        live.wait_for(b"the AI plays")
        live.type(b"q")
        assert live.wait_for_end() == 0


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_live_a_signal_gives_the_terminal_back(name):
    with LiveGame() as live:
        live.wait_for(b"the AI plays")
        live.process.send_signal(getattr(signal, name))
        assert live.wait_for_end() != 0
