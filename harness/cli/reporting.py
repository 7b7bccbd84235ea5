"""`harness report`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.printing import print_json
from harness.cli.running import DEVICES


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True, help="Where to compute.")
@click.option("--store", type=click.Path(path_type=Path), default=None, help="Folder of the records.  [default: OUT/records]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout and nothing else there.")
def report(run_dir: Path, device: str, store: Path | None, as_json: bool) -> int:
    """Make a page of plots in a finished run's folder.

    It shows the run's scores, loss and bound curves, a projection of the representation, and what plugins draw of such runs.
    """
    from harness.api import check_data, installed
    from harness.ledger.runs import read_run
    from harness.reporting.report import make_report

    plugins, catalog = installed()
    check_data(read_run(run_dir), run_dir, catalog, "harness.report(..., data=...)")
    made = make_report(run_dir, catalog, plugins, store=store, device=device, progress=_say)
    for problem in made.problems:
        click.echo(f"Error: {problem}", err=True)
    if as_json:
        print_json({"page": str(made.page), "pictures": [str(path) for path in made.pictures], "problems": made.problems})
    else:
        click.echo(made.page)
    return 1 if made.problems else 0


def _say(what: str) -> None:
    click.echo(f"{what} ...", err=True)
