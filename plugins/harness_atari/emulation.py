"""One Atari 2600 console under the protocol: no sticky actions, four frames a step, an episode for every life.

The protocol is that of the Atari Annotated RAM Interface (Anand, Racah, Ozair, Bengio, Côté, Hjelm 2019), spoken to the bare
emulator:

- a step repeats its action for 4 frames; what is seen is the pixel-wise maximum of the last two of them, as grey values;
- an episode ends when a life is lost and others are left, or when the game is over; after a lost life one step of NOOP goes by,
  after the end of a game the console is reset and between 1 and 30 frames of NOOP go by;
- where the game has FIRE among its minimal actions, a step of its second action (FIRE) and one of its third follow.

Where this differs from the code of that paper: grey values are the luminance of the console's palette and the maximum is taken of
them, not of three colours that then become grey; a game that ends within the steps that begin an episode is reset once more (there
it was stepped on, or the frame before the reset was kept); random numbers are NumPy's. Imports no torch, and ale_py when a console
is made.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import CorruptDataError, DataError
from harness_atari.games import Game
from harness_atari.spec_data import FRAME_SKIP, LONGEST, MOST_NOOPS, SCREEN

Bytes = NDArray[np.uint8]

_, HEIGHT, WIDTH = SCREEN
RAM_BYTES = 128

# fmt: off
_LUMINANCE = (
    0, 74, 111, 142, 170, 192, 214, 236, 64, 95, 122, 148, 172, 193, 214, 233,
    63, 87, 110, 131, 150, 167, 184, 199, 59, 85, 107, 129, 148, 167, 183, 199,
    44, 68, 90, 110, 128, 146, 161, 176, 51, 74, 95, 115, 132, 149, 164, 178,
    39, 63, 85, 107, 125, 143, 159, 174, 22, 49, 73, 96, 116, 136, 153, 169,
    17, 41, 64, 85, 104, 121, 137, 153, 32, 60, 85, 109, 130, 150, 168, 186,
    40, 69, 95, 120, 141, 162, 182, 200, 43, 74, 101, 127, 151, 173, 193, 212,
    40, 71, 98, 124, 147, 169, 189, 207, 41, 74, 104, 132, 157, 181, 203, 223,
    47, 79, 107, 133, 157, 179, 200, 220, 47, 79, 107, 133, 157, 179, 200, 220,
)
# fmt: on
LUMINANCE: Bytes = np.repeat(np.array(_LUMINANCE, dtype=np.uint8), 2)
"""[256] the grey value of each colour of the NTSC console, as the emulator's own `getScreenGrayscale` has it; colours are even."""


class _Screens:
    """The last two frames of a step in colours of the console, and the same bytes eight pixels at a time."""

    def __init__(self) -> None:
        self.colours: Bytes = np.zeros((2, HEIGHT, WIDTH), dtype=np.uint8)
        self.pixels: Bytes = self.colours.reshape(2, -1, 8)
        self.words: NDArray[np.uint64] = self.colours.reshape(2, -1).view(np.uint64)


class Emulator:
    """A console that plays one game.

    :param game: which.
    :param generator: where the seed of the emulator and the number of NOOPs at each reset are drawn from.
    :raises DataError: when ale_py is not installed, or is one that turns colours into other grey values.
    :raises CorruptDataError: when its ROM is missing or is not the pinned one.
    """

    def __init__(self, game: Game, generator: np.random.Generator) -> None:
        ale_py = emulator_library()
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # its banner would stand in the user's output
        self._console = ale_py.ALEInterface()
        self._console.setInt("random_seed", int(generator.integers(1, 2**31 - 1)))
        self._console.setFloat("repeat_action_probability", 0.0)
        self._console.setInt("max_num_frames_per_episode", LONGEST)
        self._console.loadROM(str(rom_path(game)))
        self._generator = generator
        minimal = self._console.getMinimalActionSet()
        self._codes: list[int] = [action.value for action in minimal]
        self._fires = ale_py.Action.FIRE in minimal
        self.action_names = tuple(str(action.name) for action in minimal)
        """Action 0 is NOOP and, where the game has it, 1 is FIRE."""
        self.actions = len(minimal)
        """Number of actions."""
        self.frame: Bytes = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        """[210, 160] what is seen now; the next step and the next reset write over it."""
        self._frame_words = self.frame.reshape(-1).view(np.uint64)
        self._now, self._before = _Screens(), _Screens()
        self._changed = np.zeros(self._now.words.shape, dtype=np.bool_)
        self._lives = 0
        self._over = True

    def read_ram(self, out: Bytes) -> None:
        """Write the 128 bytes of RAM, of the instant of the last frame, into `out` [128]."""
        self._console.getRAM(out)

    def step(self, action: int) -> bool:
        """Repeat an action for four frames; tells whether the episode ended, and then `frame` still is the one before.

        :param action: its place among the game's minimal actions.
        """
        ended = self._advance(action)
        if not ended:
            self._see()
        return ended

    def reset(self) -> None:
        """Begin the next episode: of a game where lives are left, else of a new one."""
        if not self._over:
            self._advance(0)
        if self._over:
            self._new_game()
        if self._fires:
            for action in (1, 2):
                if self._advance(action):
                    self._new_game() if self._over else self._advance(0)
        self._lives = self._console.lives()
        self._see()

    def _advance(self, action: int) -> bool:
        """Four frames; tells whether a life was lost or the game ended."""
        console, code = self._console, self._codes[action]
        for frame in range(FRAME_SKIP):
            if frame == FRAME_SKIP - 1:
                console.getScreen(self._now.colours[0])
            console.act(code)
            if console.game_over():
                self._over = True
                return True
        console.getScreen(self._now.colours[1])
        # In Qbert no life is left for a while before the game is over: that is not an end yet.
        lives = console.lives()
        lost = bool(0 < lives < self._lives)
        self._lives = lives
        return lost

    def _new_game(self) -> None:
        """Reset the console and let some frames of NOOP go by. The last of them is what is seen."""
        self._console.reset_game()
        for _ in range(int(self._generator.integers(1, MOST_NOOPS + 1))):
            self._console.act(self._codes[0])
            if self._console.game_over():
                self._console.reset_game()
        self._over = False
        self._lives = self._console.lives()
        self._console.getScreen(self._now.colours[0])
        self._now.colours[1] = self._now.colours[0]
        self._check_palette()

    def _see(self) -> None:
        """Bring `frame` to the maximum of the last two frames. Between steps few pixels change, and only those are converted."""
        now, before = self._now, self._before
        np.not_equal(now.words, before.words, out=self._changed)
        places = (self._changed[0] | self._changed[1]).nonzero()[0]
        grey = LUMINANCE.take(now.pixels.take(places, axis=1))
        self._frame_words[places] = np.maximum(grey[0], grey[1]).view(np.uint64)[:, 0]
        self._now, self._before = before, now

    def _check_palette(self) -> None:
        expected = np.empty((HEIGHT, WIDTH), dtype=np.uint8)
        self._console.getScreenGrayscale(expected)
        if not np.array_equal(LUMINANCE.take(self._now.colours[1]), expected):
            raise DataError(
                "The installed ale-py turns colours into other grey values than those that this data set is made of; run pip "
                "install ale-py==0.12.1."
            )


def emulator_library() -> Any:
    """The module ale_py. Raises DataError where it is not installed."""
    try:
        return importlib.import_module("ale_py")
    except ModuleNotFoundError:
        raise DataError(
            'Atari games are played by ale-py, which is not installed; run pip install "infomax-harness[atari]".'
        ) from None


def rom_path(game: Game) -> Path:
    """The game's ROM, inside ale_py or in the folder of ALE_ROMS_DIR.

    Raises CorruptDataError where it is missing or has another digest: the emulator ends the process on one that it does not know.
    """
    folder = os.environ.get("ALE_ROMS_DIR") or Path(emulator_library().__file__).parent / "roms"
    path = Path(folder) / f"{game.name}.bin"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptDataError(f"The ROM {path} cannot be read: {error.strerror}; install ale-py anew.") from None
    if (found := hashlib.sha256(content).hexdigest()) != game.rom_sha256:
        raise CorruptDataError(
            f"The ROM {path} is not the one that labels are known for: its sha256 is {found[:12]} and not {game.rom_sha256[:12]}; "
            "install ale-py anew, or take ALE_ROMS_DIR out of the environment."
        )
    return path
