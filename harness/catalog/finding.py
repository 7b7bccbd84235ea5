"""What installed distributions announce, read from their metadata before any of their code runs."""

from __future__ import annotations

import importlib.metadata
import re

from msgspec import Struct

from harness.version import __version__

GROUP = "harness"
DISTRIBUTION = "infomax-harness"

_OUR_NAME = re.compile(r"infomax[-_.]+harness(?![\w.-]*\w)", re.IGNORECASE)


class Candidate(Struct, frozen=True, kw_only=True):
    """A plugin that has been announced and not yet loaded."""

    name: str
    target: str
    """The entry point's value: "package.module" or "package.module:attribute"."""
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    """The distribution's `Requires-Dist` lines."""

    @property
    def package(self) -> str:
        """Top import package of the plugin, the namespace of its parts' full names."""
        return re.split(r"[.:\s]", self.target.strip(), maxsplit=1)[0]

    def __str__(self) -> str:
        return titled(self.name, self.distribution, self.version)


def titled(plugin: str, distribution: str, version: str) -> str:
    """How messages name a plugin: "graphs (infomax-harness 0.1.0)"."""
    return f"{plugin} ({distribution} {version})"


def canonical(distribution: str) -> str:
    """A distribution's name as packaging tools compare it: "My_Package" and "my-package" are the same."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def find_plugins() -> list[Candidate]:
    """Every entry point of the group `harness` in the installed distributions."""
    found: list[Candidate] = []
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        # Only text that mentions the group is parsed: faster than `importlib.metadata.entry_points`, and a distribution
        # whose metadata is damaged does not hide the others.
        try:
            text = distribution.read_text("entry_points.txt")
        except (OSError, UnicodeDecodeError):
            continue
        if not text or f"[{GROUP}]" not in text:
            continue
        name, version, requires = _metadata(distribution)
        if canonical(name) in seen:  # once more, later on the path: shadowed, as for the import system
            continue
        seen.add(canonical(name))
        found += [
            Candidate(name=plugin, target=target, distribution=name, version=version, requires=requires)
            for plugin, target in _entry_points(distribution, name)
        ]
    return found


def incompatibility(candidate: Candidate) -> str | None:
    """Why the candidate's distribution cannot be used with this version of ours by its own `Requires-Dist`, or None."""
    if canonical(candidate.distribution) == DISTRIBUTION:
        return None
    for line in candidate.requires:
        if not _OUR_NAME.match(line):
            continue
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            return f"its metadata holds the requirement {line!r}, which cannot be read; install a repaired version"
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            return (
                f"it needs {DISTRIBUTION}{requirement.specifier} and this is {__version__}; "
                f"install a version of {candidate.distribution} made for this one, or the {DISTRIBUTION} it needs"
            )
    return None


def _metadata(distribution: importlib.metadata.Distribution) -> tuple[str, str, tuple[str, ...]]:
    """Name, version and requirements; reads the file once, which the distribution's own properties do not."""
    try:
        metadata = distribution.metadata
        name, version, requires = metadata["Name"], metadata["Version"], metadata.get_all("Requires-Dist")
    except Exception:  # a left-over folder of a broken uninstallation; its kinds of damage are many
        name, version, requires = None, None, None
    return str(name or "unknown"), str(version or "unknown"), tuple(str(line) for line in requires or ())


def _entry_points(distribution: importlib.metadata.Distribution, name: str) -> list[tuple[str, str]]:
    try:
        return [(entry.name, entry.value) for entry in distribution.entry_points if entry.group == GROUP]
    except Exception:
        # Considered under the distribution's name, and then refused since this names no module.
        return [(name, "<entry_points.txt cannot be read>")]
