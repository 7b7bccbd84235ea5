"""Drawing: every picture of a run, the core's own and the plugins', in one style, as SVG."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib import colormaps, rc_context

from harness.catalog.catalog import Catalog, Entry
from harness.catalog.finding import titled
from harness.contracts.pictures import Picture, RunView
from harness.contracts.specs import PictureSpec
from harness.errors import HarnessError, PluginError
from harness.reporting.curves import curves
from harness.reporting.gathering import Gathered
from harness.reporting.projection import projection

INKS = {"ink": "#1a1d23", "soft": "#5b6472", "line": "#dfe3e8", "paper": "#ffffff", "accent": "#1f5fbf"}
"""Colours of the page's own style sheet, by the name of the variable that holds them there."""

_STYLE: dict[Any, Any] = {
    "figure.facecolor": INKS["paper"],
    "axes.facecolor": INKS["paper"],
    "axes.edgecolor": INKS["line"],
    "axes.labelcolor": INKS["soft"],
    "axes.titlecolor": INKS["ink"],
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[INKS["accent"], *(colormaps["tab10"](k) for k in range(1, 10))]),
    "axes.grid": False,
    "grid.color": INKS["line"],
    "grid.linewidth": 0.6,
    "text.color": INKS["ink"],
    "text.parse_math": False,  # a dollar sign in a class's name is a dollar sign
    "xtick.color": INKS["line"],
    "ytick.color": INKS["line"],
    "xtick.labelcolor": INKS["soft"],
    "ytick.labelcolor": INKS["soft"],
    "font.size": 8.5,
    "legend.frameon": False,
    "image.cmap": "gray",
    # Images go into the SVG pixel by pixel and are magnified, without smoothing, by whoever shows it.
    "image.interpolation": "none",
    "image.composite_image": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "harness",  # equal pictures give equal bytes
}

_log = logging.getLogger("harness")


@dataclass(frozen=True)
class Drawn:
    """A picture of the page."""

    name: str
    """Unique on the page: the name of its file, without the ending."""
    title: str
    caption: str
    svg: str


def draw(gathered: Gathered, catalog: Catalog, progress: Callable[[str], None]) -> tuple[list[Drawn], list[str]]:
    """All pictures of a run, and a sentence for each that a plugin failed to draw.

    :param progress: told in a few words what is drawn next.
    """
    drawn: list[Drawn] = []
    problems: list[str] = []
    with _style():
        progress("drawing the loss curves")
        _add(drawn, "losses", curves(gathered.log, gathered.trained.selection))
        progress("drawing the projection")
        _add(drawn, "projection", projection(gathered.view))
        for entry in catalog.entries("picture"):
            if not {"*", gathered.view.description.kind} & set(entry.spec.kinds):
                continue
            progress(f"drawing {entry.name}")
            try:
                _add(drawn, entry.name, _of_plugin(entry, gathered.view, catalog))
            except HarnessError as error:
                problems.append(str(error))
    return drawn, problems


def _of_plugin(entry: Entry[PictureSpec], view: RunView, catalog: Catalog) -> list[Picture]:
    """What a plugin draws. Raises PluginError when it fails."""
    owner = titled(entry.plugin, entry.distribution, entry.version)
    if missing := catalog.missing_requirements(entry):
        raise PluginError(owner, f"picture {entry.name} needs packages that are not installed: {', '.join(missing)}.")
    build = entry.builder()
    try:
        pictures = build(_shown(view, entry.spec))
    except HarnessError:
        raise
    except Exception as error:
        _log.warning("Picture %s of plugin %s was not drawn.", entry.name, owner, exc_info=error)
        raise PluginError(owner, f"picture {entry.name} raised {type(error).__name__}: {error}.") from error
    if not isinstance(pictures, list) or not all(isinstance(picture, Picture) for picture in pictures):
        raise PluginError(owner, f"picture {entry.name} was built as {type(pictures).__name__}, not a list of harness.Picture.")
    return pictures


def _shown(view: RunView, spec: PictureSpec) -> RunView:
    """The view without what the spec does not need."""
    hidden: dict[str, Any] = {"labels": None, "factors": {}, "inputs": None, "truth": {}, "modules": {}}
    return replace(view, **{name: value for name, value in hidden.items() if name not in spec.needs})


def _add(drawn: list[Drawn], name: str, pictures: list[Picture]) -> None:
    taken = {each.name for each in drawn}
    for picture in pictures:
        free, number = name, 2
        while free in taken:
            free, number = f"{name}-{number}", number + 1
        taken.add(free)
        drawn.append(Drawn(free, picture.title, picture.caption, _svg(picture)))


def _svg(picture: Picture) -> str:
    file = io.StringIO()
    unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # equal pictures give equal bytes
    picture.figure.savefig(file, format="svg", metadata=unsaid)
    return file.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Inside, figures are made and saved in the page's style, whatever the user's matplotlibrc says."""
    with rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield
