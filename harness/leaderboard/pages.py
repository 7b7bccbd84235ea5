"""The pages of a board: README.md, board.json and site/index.html. Equal boards give equal bytes.

Records come from anybody, so no text of theirs is trusted: every value a template prints is escaped for HTML or Markdown by the
environment, not by the template. Nothing depends on when, where or from which folder the pages are built.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import StorageError
from harness.leaderboard.sections import page_of
from harness.leaderboard.tables import Board
from harness.ledger.whole_files import write_whole

LONGEST_TEXT = 400
"""Letters of one printed value at most."""


def render_pages(board: Board) -> dict[str, bytes]:
    """Each file's content by its path below the output folder, with forward slashes."""
    page = page_of(board)
    return {
        "README.md": _markdown().get_template("README.md.jinja").render(page=page).encode(),
        "board.json": _json(board),
        "site/index.html": _html().get_template("index.html.jinja").render(page=page).encode(),
    }


def write_pages(board: Board, out: str | Path) -> list[Path]:
    """Write the pages into the folder `out` and return their paths. Raises StorageError."""
    written = []
    for name, content in render_pages(board).items():
        write_whole(Path(out, name), content)
        written.append(Path(out, name))
    return written


def compare_pages(board: Board, out: str | Path) -> list[str]:
    """How the folder `out` differs from what would be written there, one sentence for each file; empty when it does not.

    Other files are none of ours, except inside `site`, which holds nothing but what is built. Raises StorageError if a file
    cannot be read.
    """
    built = render_pages(board)
    differences = []
    try:
        for name, content in built.items():
            path = Path(out, name)
            if not path.is_file():
                differences.append(f"{name} is missing.")
            elif path.read_bytes() != content:
                differences.append(f"{name} differs from what is built from the records.")
        site = Path(out, "site")
        there = sorted(path.relative_to(out).as_posix() for path in site.rglob("*") if not path.is_dir())
    except OSError as error:
        raise StorageError(f"The pages in {out} could not be read: {error.strerror or error}.") from error
    return differences + [f"{name} is not built from the records." for name in there if name not in built]


def _json(board: Board) -> bytes:
    """Canonical, but with a line for each value so that changes can be read."""
    plain = msgspec.to_builtins(board)
    return (json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


# ------------------------------------------------------------------------------------------------------- escaping


def plain_text(value: object) -> str:
    """One line of printable letters: line breaks become spaces, control and direction marks become "�"."""
    text = " ".join(str(value).split())
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def markdown_text(value: object) -> Markup:
    """`value` as text that Markdown shows letter by letter, also inside a table.

    Character references are understood by every Markdown reader before it looks for tables, HTML or emphasis in them, so no
    letter of the value can be taken for markup.
    """
    text = re.sub(r"[^\w\s.,;:/=+%()'\u0080-\U0010ffff-]|_", lambda match: f"&#{ord(match[0])};", plain_text(value))
    return Markup(text.replace("://", "&#58;//").replace("www.", "www&#46;"))  # noqa: S704 (escaped in the line above)


def _printed_in_html(value: Any) -> Any:
    """What the template prints; autoescape follows. Markup is what the template's own macros made."""
    return value if isinstance(value, Markup) else plain_text(value)


def _printed_in_markdown(value: Any) -> Any:
    return value if isinstance(value, Markup) else markdown_text(value)


@cache
def _html() -> Environment:
    return _environment(_printed_in_html)


@cache
def _markdown() -> Environment:
    return _environment(_printed_in_markdown)


def _environment(finalize: Any) -> Environment:
    return Environment(
        loader=PackageLoader("harness.leaderboard", "templates"),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
