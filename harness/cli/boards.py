"""`harness leaderboard build` and `harness leaderboard check`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.printing import print_json

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")


@click.group()
def leaderboard() -> None:
    """Rebuild the leaderboard from records, and check records."""


@leaderboard.command()
@click.option(
    "--records", type=click.Path(path_type=Path), default=Path("leaderboard/records"), show_default=True, help="Folder of records."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboard"), show_default=True, help="Where the pages go.")
@click.option("--check", is_flag=True, help="Write nothing; fail if what is there differs from what the records give.")
def build(records: Path, out: Path, check: bool) -> int:
    """Make the tables and pages from records. The same records give the same bytes."""
    from harness.api import installed
    from harness.errors import UsageError
    from harness.leaderboard.board import build_board
    from harness.leaderboard.pages import compare_pages, write_pages
    from harness.ledger.stores import FolderStore

    if not records.is_dir():
        raise UsageError(f"There is no folder {records}; name the folder of the records with --records.")
    found, problems = FolderStore(records).read()
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    board = build_board(found, installed()[1].published())
    if check:
        differing = compare_pages(board, out)
        for name in differing:
            click.echo(f"Error: {name}", err=True)
        if not differing and not problems:
            click.echo(f"{out} is what its {len(found)} records give.")
        return 1 if differing or problems else 0
    write_pages(board, out)
    click.echo(f"{len(found)} records, {len(board.tables)} tables: {out / 'README.md'}, {out / 'board.json'}, {out / 'site'}.")
    return 1 if problems else 0


@leaderboard.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@_JSON
def check(paths: tuple[Path, ...], as_json: bool) -> int:
    """Check that record files, or all those in folders, are valid and consistent."""
    from harness.leaderboard.checking import check_records

    problems = check_records(paths)
    if as_json:
        print_json(problems)
    else:
        for problem in problems:
            click.echo(str(problem))
        click.echo(
            "All records are valid and consistent."
            if not problems
            else f"{len(problems)} problem{'' if len(problems) == 1 else 's'}.",
            err=bool(problems),
        )
    return 1 if problems else 0
