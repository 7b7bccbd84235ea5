"""The command line. Nothing heavy is imported until a command needs it."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from harness.cli.boards import leaderboard
from harness.cli.listing import list_parts, plugins, runs, show
from harness.cli.reporting import report
from harness.cli.running import evaluate, prepare, run
from harness.errors import HarnessError
from harness.version import __version__

INTERRUPTED = 130


class _WithoutTracebacks(logging.Formatter):
    def formatException(self, exception: Any) -> str:  # noqa: N802 (the name that logging calls)
        return ""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Try it: harness run --method ae --data digits",
)
@click.version_option(__version__, prog_name="harness")
@click.option("-v", "--verbose", is_flag=True, help="Show what goes on behind the scenes, and tracebacks of failed cells.")
def harness(verbose: bool) -> None:
    """Train an encoder without labels, judge its frozen representation, and keep the records of a shared leaderboard."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((logging.Formatter if verbose else _WithoutTracebacks)("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.ERROR)
    logging.getLogger("harness").setLevel(logging.INFO if verbose else logging.WARNING)


for command in (run, evaluate, report, list_parts, show, plugins, runs, prepare, leaderboard):
    harness.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, 1 (a cell failed), 2 (usage), 130 (interrupted)."""
    try:
        code = harness.main(arguments, prog_name="harness", standalone_mode=False)
    except HarnessError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say("Interrupted. Nothing is lost: the same command continues where it stopped.")
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _say(sentence: str) -> None:
    click.echo(f"Error: {sentence}" if not sentence.startswith("Interrupted") else sentence, err=True)
