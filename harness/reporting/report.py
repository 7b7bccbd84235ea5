"""The report of a run: its page of plots, made from its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from harness.catalog.catalog import Catalog
from harness.catalog.discovery import Plugins
from harness.catalog.finding import DISTRIBUTION
from harness.catalog.importing import how_to_install, missing_packages
from harness.errors import UsageError
from harness.ledger.whole_files import write_whole

EXTRA = "report"


class Report(Struct, frozen=True, kw_only=True):
    """What was written."""

    page: Path
    pictures: tuple[Path, ...]
    problems: tuple[str, ...]
    """What plugins failed to draw, a sentence each; the page says so too."""


def make_report(
    folder: Path,
    catalog: Catalog,
    plugins: Plugins,
    *,
    store: Path | None = None,
    device: str = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Write `report.html` and `report/*.svg` into the folder of a finished run, in place of older ones.

    :param progress: told in a few words what is done next.
    Raises UsageError when the folder holds no finished training or a library that draws is missing, DataError when the run's
    data cannot be had.
    """
    for package in missing_packages(["matplotlib", "sklearn"]):
        raise UsageError(
            f"`harness report` needs {package}, which is not installed; run {how_to_install(package, DISTRIBUTION, EXTRA)}."
        )
    from harness.reporting.drawing import draw
    from harness.reporting.gathering import gather
    from harness.reporting.page import render

    progress("loading the data")
    gathered = gather(folder, catalog, plugins, store=store, device=device)
    drawn, problems = draw(gathered, catalog, progress)
    page, place = folder / "report.html", folder / "report"
    pictures = tuple(place / f"{picture.name}.svg" for picture in drawn)
    for path, picture in zip(pictures, drawn, strict=True):
        write_whole(path, picture.svg.encode())
    write_whole(page, render(gathered, drawn, problems))
    for old in set(place.glob("*.svg")) - set(pictures):
        old.unlink()
    return Report(page=page, pictures=pictures, problems=tuple(problems))
