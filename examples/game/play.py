#!/usr/bin/env python3
"""Play the game: the rules are Rust, the AI is C, the screen and the keys are Python.

Three programs meet here. The game draws through the six calls of `Viewer`, which it
imports; the AI exports the same six calls, to see, and imports the game's keys, to
act; `Screen` passes each call on to all who watch.

In a terminal the game is live: the AI plays until a key is pressed. Otherwise it plays
600 frames by itself and prints the last one.

SPDX-License-Identifier: MIT
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import math
import os
import re
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

import chiasm

if sys.platform != "win32":  # there, headless only
    import termios
    import tty

HERE = os.path.dirname(os.path.abspath(__file__))
FRAME = 1 / 60  # seconds
SEED = 9
UNITS_PER_PIXEL = 6  # a character cell is one pixel wide and two high


# ---- the crossing ----


class Viewer(Protocol):
    """The drawing API: what the game imports, and what each who watches it has.

    Places are in world units, x to the right and y down, angles in radians. A frame
    is a `clear_screen` and the calls up to the next one.
    """

    def clear_screen(self) -> None: ...
    def draw_player(self, x: float, y: float, angle: float) -> None: ...
    def draw_enemy(self, x: float, y: float) -> None: ...
    def draw_bullet(self, x: float, y: float) -> None: ...
    def draw_particle(self, x: float, y: float, radius: float) -> None: ...
    def draw_score(self, score: int) -> None: ...


class Screen:
    """A viewer that passes each call on to other viewers."""

    def __init__(self, *viewers: Viewer) -> None:
        self.viewers = list(viewers)
        self.score = 0

    def clear_screen(self) -> None:
        for viewer in self.viewers:
            viewer.clear_screen()

    def draw_player(self, x: float, y: float, angle: float) -> None:
        for viewer in self.viewers:
            viewer.draw_player(x, y, angle)

    def draw_enemy(self, x: float, y: float) -> None:
        for viewer in self.viewers:
            viewer.draw_enemy(x, y)

    def draw_bullet(self, x: float, y: float) -> None:
        for viewer in self.viewers:
            viewer.draw_bullet(x, y)

    def draw_particle(self, x: float, y: float, radius: float) -> None:
        for viewer in self.viewers:
            viewer.draw_particle(x, y, radius)

    def draw_score(self, score: int) -> None:
        self.score = score
        for viewer in self.viewers:
            viewer.draw_score(score)


class Play:
    """The game and the AI, instantiated and bound to each other.

    Parameters
    ----------
    screen
        What the game draws on; the AI joins its viewers.
    width, height
        Size of the world, in pixels.
    seed
        The same seed plays the same game.
    folder
        Where `game.wasm` and `ai.wasm` are.
    """

    def __init__(
        self, screen: Screen, width: int, height: int, seed: int, folder: str = HERE
    ) -> None:
        self.game: Any = chiasm.instantiate(
            os.path.join(folder, "game.wasm"), {"env": screen}
        ).exports
        self.ai: Any = chiasm.instantiate(
            os.path.join(folder, "ai.wasm"), {"game": self.game}
        ).exports
        screen.viewers.append(self.ai)
        self.resize(width, height)
        self.game.seed(seed % 2**32)
        self.is_ai_playing = True

    def resize(self, width: int, height: int) -> None:
        self.game.resize(width * UNITS_PER_PIXEL, height * UNITS_PER_PIXEL)
        self.ai.resize(width * UNITS_PER_PIXEL, height * UNITS_PER_PIXEL)

    def frame(self) -> None:
        self.game.update(FRAME)
        self.game.draw()
        if self.is_ai_playing:
            self.ai.think()


# ---- viewers ----


class Recorder:
    """A viewer that hashes all it sees: each name, and its arguments as doubles."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def clear_screen(self) -> None:
        self.hash.update(b"clear_screen")

    def draw_player(self, x: float, y: float, angle: float) -> None:
        self.hash.update(b"draw_player" + struct.pack("<3d", x, y, angle))

    def draw_enemy(self, x: float, y: float) -> None:
        self.hash.update(b"draw_enemy" + struct.pack("<2d", x, y))

    def draw_bullet(self, x: float, y: float) -> None:
        self.hash.update(b"draw_bullet" + struct.pack("<2d", x, y))

    def draw_particle(self, x: float, y: float, radius: float) -> None:
        self.hash.update(b"draw_particle" + struct.pack("<3d", x, y, radius))

    def draw_score(self, score: int) -> None:
        self.hash.update(b"draw_score" + struct.pack("<d", score))


class Letters:
    """A viewer that draws with plain characters.

    Parameters
    ----------
    columns, rows
        Size of the picture, in characters.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.clear_screen()

    def clear_screen(self) -> None:
        self.cells = [[" "] * self.columns for _ in range(self.rows)]

    def put(self, x: float, y: float, text: str) -> None:
        """Write `text` with its middle at (x, y); it goes on at the other edge."""
        row = self.cells[int(y / UNITS_PER_PIXEL / 2) % self.rows]
        start = int(x / UNITS_PER_PIXEL) - len(text) // 2
        for column, character in enumerate(text, start):
            row[column % self.columns] = character

    def draw_player(self, x: float, y: float, angle: float) -> None:
        nose = "-\\|/"[round(angle / (math.pi / 4)) % 4]
        reach = 2 * UNITS_PER_PIXEL
        self.put(x + math.cos(angle) * reach, y + math.sin(angle) * reach, nose)
        self.put(x, y, "A")

    def draw_enemy(self, x: float, y: float) -> None:
        self.put(x, y, "<@>")

    def draw_bullet(self, x: float, y: float) -> None:
        self.put(x, y, "*")

    def draw_particle(self, x: float, y: float, radius: float) -> None:
        self.put(x, y, "." if radius < 2 else "o")

    def draw_score(self, score: int) -> None:
        pass

    def lines(self) -> list[str]:
        return ["".join(row) for row in self.cells]


class HalfBlocks:
    """A viewer that draws in colour, two pixels in each character cell.

    Parameters
    ----------
    columns, rows
        Size of the picture, in characters.
    """

    SPACE_TOP, SPACE_BOTTOM, STAR = 0x03040C, 0x12183A, 0x707890
    ENEMY, ENEMY_INSIDE, ENEMY_EYE = 0xE03A4A, 0x400A18, 0xFFE070
    SHIP_TAIL, SHIP_NOSE = 0x2F8FD8, 0xF4FBFF
    BULLET = 0xD8FF90
    EMBERS = (0x8A3020, 0xE06020, 0xFF9830, 0xFFD060, 0xFFF0B0)

    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = columns, 2 * rows
        self.space = [
            blend(self.SPACE_TOP, self.SPACE_BOTTOM, y * 256 // self.height)
            for y in range(self.height)
            for _ in range(self.width)
        ]
        for i in range(len(self.space)):
            if i * 2654435761 % 2**32 >> 16 < 260:  # scattered: one pixel in 250
                self.space[i] = blend(self.space[i], self.STAR, 40 + i * 37 % 180)
        self.clear_screen()

    def clear_screen(self) -> None:
        self.pixels = self.space.copy()

    def disc(self, x: float, y: float, radius: float, colour: int) -> None:
        """Draw a disc; it goes on at the other edge. The radius is in pixels."""
        x, y = x / UNITS_PER_PIXEL, y / UNITS_PER_PIXEL
        column, row = int(x), int(y)
        pixels, width, height = self.pixels, self.width, self.height
        for dx, dy, alpha in disc_mask(radius, int((x - column) * 4), int((y - row) * 4)):
            i = (row + dy) % height * width + (column + dx) % width
            pixels[i] = blend(pixels[i], colour, alpha)

    def draw_player(self, x: float, y: float, angle: float) -> None:
        """Draw a triangle: the pixels behind its nose and before its tail."""
        x, y = x / UNITS_PER_PIXEL, y / UNITS_PER_PIXEL
        sin, cos = math.sin(angle), math.cos(angle)
        for row in range(int(y) - 4, int(y) + 5):
            for column in range(int(x) - 4, int(x) + 5):
                dx, dy = column + 0.5 - x, row + 0.5 - y
                ahead, aside = dx * cos + dy * sin, abs(dy * cos - dx * sin)
                outside = max(-2.0 - ahead, 0.35 * (ahead - 3.1) + 0.94 * aside)
                if outside < 0.5:
                    i = row % self.height * self.width + column % self.width
                    shade = min(256, max(0, int(ahead * 70 + 110)))
                    colour = blend(self.SHIP_TAIL, self.SHIP_NOSE, shade)
                    alpha = min(256, int((0.5 - outside) * 256))
                    self.pixels[i] = blend(self.pixels[i], colour, alpha)

    def draw_enemy(self, x: float, y: float) -> None:
        self.disc(x, y, 2.2, self.ENEMY)
        self.disc(x, y, 1.2, self.ENEMY_INSIDE)
        self.disc(x, y, 0.4, self.ENEMY_EYE)

    def draw_bullet(self, x: float, y: float) -> None:
        self.disc(x, y, 0.9, self.BULLET)

    def draw_particle(self, x: float, y: float, radius: float) -> None:
        heat = min(int(radius), 4)
        self.disc(x, y, 0.3 + 0.15 * heat, self.EMBERS[heat])

    def draw_score(self, score: int) -> None:
        pass

    def lines(self) -> list[str]:
        return [self.line(y) for y in range(0, self.height, 2)]

    def line(self, y: int) -> str:
        """The upper half of each cell is the text colour, the lower its background."""
        start, middle = y * self.width, (y + 1) * self.width
        lower = self.pixels[middle : middle + self.width]
        pairs = zip(self.pixels[start:middle], lower, strict=True)
        parts, last = [], None
        for pair in pairs:
            if pair != last:
                parts.append(f"\x1b[38;2;{rgb(pair[0])};48;2;{rgb(pair[1])}m")
                last = pair
            parts.append("▀")
        return "".join(parts) + "\x1b[0m"


def blend(below: int, above: int, alpha: int) -> int:
    """Mix two colours 0xRRGGBB; alpha is 0 to 256."""
    red_blue = (below & 0xFF00FF) * (256 - alpha) + (above & 0xFF00FF) * alpha
    green = (below & 0x00FF00) * (256 - alpha) + (above & 0x00FF00) * alpha
    return (red_blue >> 8 & 0xFF00FF) | (green >> 8 & 0x00FF00)


@functools.lru_cache(maxsize=4096)
def rgb(colour: int) -> str:
    return f"{colour >> 16};{colour >> 8 & 255};{colour & 255}"


@functools.lru_cache(maxsize=4096)
def disc_mask(radius: float, phase_x: int, phase_y: int) -> list[tuple[int, int, int]]:
    """Return (dx, dy, alpha) of the pixels of a disc.

    Its centre is at a quarter of a pixel; the edge fades over one pixel, so that what
    moves by less than a pixel is seen to move.
    """
    reach = math.ceil(radius) + 1
    mask = []
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            distance = math.hypot(dx + 0.375 - phase_x / 4, dy + 0.375 - phase_y / 4)
            alpha = min(256, int((radius + 0.5 - distance) * 256))
            if alpha > 0:
                mask.append((dx, dy, alpha))
    return mask


# ---- headless ----


def play_headless(options: argparse.Namespace) -> int:
    """Play by itself, as fast as it can; print the last frame and what came of it."""
    columns, rows = options.size or (80, 24)
    recorder = Recorder()
    screen = Screen(recorder)
    play = Play(screen, columns, 2 * rows, options.seed)
    canvas = options.canvas(columns, rows)
    frames = options.frames or 600
    start = time.perf_counter()
    for _ in range(frames - 1):
        play.frame()
    milliseconds = (time.perf_counter() - start) / max(frames - 1, 1) * 1000
    screen.viewers.append(canvas)
    play.frame()
    print(*canvas.lines(), sep="\n")
    print(
        f"score {screen.score} after {frames} frames of {milliseconds:.3f} ms, seed {options.seed}"
    )
    print(f"sha256 of all drawing calls: {recorder.hash.hexdigest()}")
    return 0


# ---- live ----

# A terminal tells when a key goes down, and again while it is held, but not when it
# comes up: so each press counts for a while, in seconds.
KEYS = {
    "\x1b[A": ("toggle_boost", 0.3),
    "\x1b[C": ("toggle_turn_right", 0.12),
    "\x1b[D": ("toggle_turn_left", 0.12),
    " ": ("toggle_shoot", 0.3),
}
HINTS = {
    True: "the AI plays; any key takes over, q quits",
    False: "you play: arrows, space; a: the AI plays, q quits",
}
MOST_FRAMES_AT_ONCE = 4  # a machine slower than that sees the game slow down


class Terminal:
    """The terminal as a screen: one that is given back as it was, whatever happens."""

    def __enter__(self) -> Terminal:
        self.fd = sys.stdin.fileno()
        self.saved = termios.tcgetattr(self.fd)
        self.is_to_suspend = False
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(1))
        signal.signal(signal.SIGTSTP, self.ask_to_suspend)
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def take(self) -> None:
        self.shown: list[str] = []
        tty.setcbreak(self.fd)
        # The other screen, no cursor, no wrapping at the right edge.
        sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[?7l")
        sys.stdout.flush()

    def give_back(self) -> None:
        sys.stdout.write("\x1b[0m\x1b[2J\x1b[?7h\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self.saved)

    def ask_to_suspend(self, *_: object) -> None:
        self.is_to_suspend = True  # later: a signal may come in the middle of a write

    def suspend(self) -> None:
        self.is_to_suspend = False
        self.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.take()

    def size(self) -> tuple[int, int]:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
        return columns or 80, rows or 24  # some do not know

    def show(self, lines: list[str]) -> None:
        """Write the lines that have changed."""
        if len(lines) != len(self.shown):
            self.shown = [""] * len(lines)
            sys.stdout.write("\x1b[0m\x1b[2J")
        for i, line in enumerate(lines):
            if line != self.shown[i]:
                sys.stdout.write(f"\x1b[{i + 1};1H{line}")
        sys.stdout.flush()
        self.shown = lines

    def keys(self, seconds: float) -> Iterator[str]:
        """Wait that long; yield what was typed, and "q" when the terminal is gone."""
        if self.is_to_suspend:
            self.suspend()
        if not select.select([self.fd], [], [], max(seconds, 0))[0]:
            return
        typed = os.read(self.fd, 1024).decode(errors="replace")
        yield from re.findall(r"\x1b\[.|.", typed.replace("\x1bO", "\x1b["), re.S) or ["q"]


class Keyboard:
    """The game's keys, as far as a terminal knows of them."""

    def __init__(self) -> None:
        self.down_until = {name: 0.0 for name, _ in KEYS.values()}

    def press(self, key: str) -> None:
        if key in KEYS:
            name, seconds = KEYS[key]
            self.down_until[name] = time.perf_counter() + seconds

    def apply(self, game: Any) -> None:
        now = time.perf_counter()
        for name, until in self.down_until.items():
            getattr(game, name)(int(now < until))


class Live:
    """The game on a terminal."""

    def __init__(self, terminal: Terminal, options: argparse.Namespace) -> None:
        self.terminal, self.options = terminal, options
        self.screen = Screen()
        self.size = (0, 0)
        self.follow_size()
        self.play = Play(self.screen, self.size[0], 2 * self.size[1], options.seed)
        self.keyboard = Keyboard()
        self.best = 0
        self.milliseconds = 0.0  # per frame, smoothed

    def run(self) -> None:
        frames_left = self.options.frames or math.inf
        due = time.perf_counter()
        while frames_left > 0:
            if self.follow_size():
                self.play.resize(self.size[0], 2 * self.size[1])
            frames = max(1, math.ceil((time.perf_counter() - due) / FRAME))
            due += frames * FRAME
            steps = int(min(frames, frames_left, MOST_FRAMES_AT_ONCE))
            self.step(steps)
            frames_left -= steps
            self.terminal.show([*self.canvas.lines(), self.status()])
            for key in self.terminal.keys(due - time.perf_counter()):
                if key == "q":
                    return
                self.play.is_ai_playing = key == "a"
                self.keyboard.press(key)

    def follow_size(self) -> bool:
        """Fit the picture to the terminal, whose last line is for the status."""
        columns, rows = self.options.size or self.terminal.size()
        size = max(columns, 20), max(rows - 1, 10)
        has_changed = size != self.size
        if has_changed:
            self.size = size
            self.canvas = self.options.canvas(*size)
            self.screen.viewers[:1] = [self.canvas]
            self.terminal.shown = []
        return has_changed

    def step(self, frames: int) -> None:
        start = time.perf_counter()
        for _ in range(frames):
            if not self.play.is_ai_playing:
                self.keyboard.apply(self.play.game)
            self.play.frame()
        took = (time.perf_counter() - start) * 1000 / frames
        self.milliseconds += (took - self.milliseconds) / 20
        self.best = max(self.best, self.screen.score)

    def status(self) -> str:
        left = f" score {self.screen.score}  best {self.best}  {HINTS[self.play.is_ai_playing]}"
        right = f"{self.milliseconds:.1f} ms/frame "
        width = self.size[0]
        if len(left) + len(right) > width:
            return left[:width].ljust(width)
        return left.ljust(width - len(right)) + right


def play_live(options: argparse.Namespace) -> int:
    with Terminal() as terminal:
        live = Live(terminal, options)
        live.run()
    print(f"best score {live.best}")
    return 0


# ---- command line ----


def positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def size_of(text: str) -> tuple[int, int]:
    columns, rows = text.lower().split("x")
    if int(columns) < 20 or int(rows) < 10:
        raise ValueError
    return int(columns), int(rows)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--headless", action="store_true", help="no terminal: play, then print the last frame")
    add("--frames", type=positive, metavar="N", help="stop after N frames (headless: 600)")
    add("--seed", type=int, metavar="N", default=SEED, help="which game to play (%(default)s)")
    add("--plain", action="store_true", help="letters instead of colours; so does NO_COLOR")
    add("--size", type=size_of, metavar="WxH", help="in characters, at least 20x10")
    options = parser.parse_args(arguments)
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    is_plain = options.plain or os.environ.get("NO_COLOR") or encoding != "utf8"
    options.canvas = Letters if is_plain else HalfBlocks
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    is_live = sys.stdin.isatty() and sys.stdout.isatty() and not options.headless
    if sys.platform == "win32":
        is_live = False
    try:
        return play_live(options) if is_live else play_headless(options)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
