"""From a spec's "module:attribute" to the object, and what to install where that fails."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from harness.catalog.finding import canonical, titled
from harness.catalog.names import nearest
from harness.errors import PluginError

# Import names whose distribution is called differently.
_DISTRIBUTIONS = {
    "cv2": "opencv-python",
    "faiss": "faiss-cpu",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "yaml": "pyyaml",
}


class Owner(Protocol):
    """Whose part it is; an `Entry` of the catalog is one."""

    @property
    def plugin(self) -> str:
        """Name of the plugin."""

    @property
    def distribution(self) -> str:
        """What was installed."""

    @property
    def version(self) -> str:
        """Version of the distribution."""

    @property
    def requires(self) -> Sequence[str]:
        """Import names that the part needs."""


def import_part(build: str, owner: Owner) -> Any:
    """The object that "package.module:attribute" names.

    Raises PluginError naming the plugin, its distribution and version when the module cannot be imported or has no such
    attribute; where a package is missing that `owner.requires` names, the text says how to install it.
    """
    title = titled(owner.plugin, owner.distribution, owner.version)
    module_name, _, path = build.partition(":")
    try:
        value: Any = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # importing runs the plugin's own code, which may even call sys.exit
        absent = error.name.partition(".")[0] if isinstance(error, ModuleNotFoundError) and error.name else ""
        if absent and absent in {name.partition(".")[0] for name in owner.requires}:
            how = how_to_install(absent, owner.distribution, owner.plugin)
            raise PluginError(title, f"{build} needs {absent}, which is not installed; run {how}.") from error
        raise PluginError(title, f"{module_name} cannot be imported: {type(error).__name__}: {error}.") from error
    for name in path.split("."):
        if not hasattr(value, name):
            close = nearest(name, (known for known in vars(value) if not known.startswith("_")), count=1)
            hint = f"; did it mean {close[0]!r}?" if close else "."
            raise PluginError(title, f"its spec says {build!r}, and {module_name} has no {name!r}{hint}")
        value = getattr(value, name)
    return value


def missing_packages(requires: Iterable[str]) -> list[str]:
    """Those of the import names that are not installed; nothing is imported."""
    return [name for name in dict.fromkeys(name.partition(".")[0] for name in requires) if importlib.util.find_spec(name) is None]


def how_to_install(package: str, distribution: str, plugin: str) -> str:
    """The pip command that brings an import package: an extra of `distribution` where one covers it, else the package itself.

    Where several extras do, the one named like the plugin is taken, then the smallest.
    """
    wanted = canonical(_DISTRIBUTIONS.get(package, package))
    fitting = {extra: names for extra, names in _extras(distribution).items() if wanted in names}
    if not fitting:
        return f"pip install {wanted}"
    best = min(fitting, key=lambda extra: (extra != plugin, len(fitting[extra]), extra))
    return f"pip install '{distribution}[{best}]'"


def _extras(distribution: str) -> dict[str, set[str]]:
    """Distributions that each extra of a distribution brings."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        metadata = importlib.metadata.metadata(distribution)
    except importlib.metadata.PackageNotFoundError:
        return {}
    extras: dict[str, set[str]] = {extra: set() for extra in metadata.get_all("Provides-Extra") or ()}
    for line in metadata.get_all("Requires-Dist") or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}):
            continue
        for extra, names in extras.items():
            if marker.evaluate({"extra": extra}):
                names.add(canonical(requirement.name))
    return extras
