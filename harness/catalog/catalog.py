"""The catalog: which parts there are, found by name.

A part is found by its short name where only one plugin has it, and by `package/name` always. `PREFIX:ARG` names a data set of a
family and is split at the first colon before anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Literal, TypeVar, cast, overload

from msgspec import Struct

from harness.catalog.checks import SpecError, checked
from harness.catalog.discovery import Offer, Plugins
from harness.catalog.finding import titled
from harness.catalog.importing import how_to_install, import_part, missing_packages
from harness.catalog.kinds import USER, WORDS, AnySpec, Kind, kind_of, name_of
from harness.catalog.names import nearest, split_family, split_package
from harness.contracts.specs import (
    DataSetFamilySpec,
    DataSetSpec,
    EncoderSpec,
    EvaluatorSpec,
    MethodSpec,
    ObjectiveSpec,
    PictureSpec,
    ProtocolSpec,
    PublishedNumber,
    SuiteSpec,
)
from harness.errors import AmbiguousNameError, HarnessError, PluginError, UnknownNameError, UsageError

S_co = TypeVar("S_co", bound=AnySpec, covariant=True)

LONGEST_DATASET_NAME = 200  # what a record can hold
_Built = DataSetSpec | EncoderSpec | ObjectiveSpec | EvaluatorSpec | PictureSpec


class Entry(Struct, Generic[S_co], frozen=True, kw_only=True):
    """One part and whose it is."""

    kind: Kind
    name: str
    """Short name; "PREFIX:ARG" for a data set of a family, and the prefix for the family itself."""
    full_name: str
    """"package/name": never ambiguous."""
    spec: S_co
    plugin: str
    distribution: str
    version: str
    """Version of the distribution; that of the spec is `spec.version`."""
    made: Callable[..., Any] | None = None
    """What builds a part that was brought at run time instead of being installed."""

    @property
    def requires(self) -> tuple[str, ...]:
        """Import names that must be installed for it to be built."""
        spec: AnySpec = self.spec
        return spec.requires if isinstance(spec, _Built) else ()

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names it answers to."""
        spec: AnySpec = self.spec
        return spec.aliases if isinstance(spec, MethodSpec) else ()

    def builder(self) -> Callable[..., Any]:
        """What the spec's `build` (of a family, its `resolve`) names, imported now.

        Raises PluginError when that cannot be imported, and TypeError for a kind of part that nothing builds.
        """
        if self.made is not None:
            return self.made
        spec: AnySpec = self.spec
        if isinstance(spec, _Built):
            build = spec.build
        elif isinstance(spec, DataSetFamilySpec):
            build = spec.resolve
        else:
            raise TypeError(f"A {self.kind} is not built.")
        return cast(Callable[..., Any], import_part(build, self))


class Catalog:
    """All parts of all loaded plugins. Immutable."""

    def __init__(self, entries: Iterable[Entry[AnySpec]] = (), published: Iterable[PublishedNumber] = ()) -> None:
        self._entries = tuple(sorted(entries, key=lambda entry: (entry.kind, entry.name, entry.full_name)))
        self._published = tuple(published)
        self._by_name: dict[tuple[Kind, str], list[Entry[AnySpec]]] = {}
        for entry in self._entries:
            self._by_name.setdefault((entry.kind, entry.name), []).append(entry)
            self._by_name[(entry.kind, entry.full_name)] = [entry]
        for entry in self._entries:
            for alias in entry.aliases:
                self._by_name.setdefault((entry.kind, alias), []).append(entry)

    @classmethod
    def of(cls, plugins: Plugins) -> Catalog:
        """The catalog of what the plugins offer."""
        entries = [_entry(spec, offer) for offer in plugins.offers for spec in offer.specs]
        return cls(entries, [number for offer in plugins.offers for number in offer.published])

    def with_dataset(self, spec: DataSetSpec, build: Callable[..., Any], *, protocols: Sequence[ProtocolSpec] = ()) -> Catalog:
        """A new catalog that also has a data set of the user's own, made by `build(context, options) -> DataSet`.

        Its full name is "user/NAME", its distribution "user" and its version "0"; an earlier one of the same name is replaced.
        `protocols` are added likewise. Raises UsageError when a spec is not valid or an installed part has the name.
        """
        added: list[Entry[AnySpec]] = []
        for brought in (spec, *protocols):
            try:
                valid = checked(brought)
            except SpecError as error:
                raise UsageError(f"{error}.") from None
            kind = kind_of(valid)
            for entry in self._by_name.get((kind, valid.name), ()):
                if entry.distribution != USER:
                    raise UsageError(f"The {_word(kind)} name {valid.name!r} is taken by {entry.full_name}; choose another.")
            added.append(
                Entry(
                    kind=kind,
                    name=valid.name,
                    full_name=f"{USER}/{valid.name}",
                    spec=valid,
                    plugin=USER,
                    distribution=USER,
                    version="0",
                    made=build if kind == "dataset" else None,
                )
            )
        replaced = {(entry.kind, entry.full_name) for entry in added}
        kept = [entry for entry in self._entries if (entry.kind, entry.full_name) not in replaced]
        return Catalog([*kept, *added], self._published)

    # ------------------------------------------------------------------------------------------- look-ups
    # All raise UnknownNameError, with the nearest names, or AmbiguousNameError, with the names of all owners.

    def dataset(self, name: str) -> Entry[DataSetSpec]:
        """A data set by name, or one of a family as "PREFIX:ARG" or "package/PREFIX:ARG"."""
        pieces = split_family(name)
        if pieces is not None:
            return self._of_family(name, *pieces)
        if ("dataset", name) not in self._by_name and ("family", name) in self._by_name:
            family: Entry[DataSetFamilySpec] = self._find("family", name)
            raise UsageError(f"{name!r} is a family of data sets; write {name}:ARG, for example {_example(family)}.")
        return self._find("dataset", name)

    def encoder(self, name: str) -> Entry[EncoderSpec]:
        """An encoder by name."""
        return self._find("encoder", name)

    def objective(self, name: str) -> Entry[ObjectiveSpec]:
        """An objective by name."""
        return self._find("objective", name)

    def method(self, name: str) -> Entry[MethodSpec]:
        """A method by name."""
        return self._find("method", name)

    def protocol(self, name: str) -> Entry[ProtocolSpec]:
        """A protocol by name, or by its id "name/version" (also "package/name/version")."""
        base, _, version = name.rpartition("/")
        if not (base and version.isdecimal()):
            return self._find("protocol", name)
        found: Entry[ProtocolSpec] = self._find("protocol", base)
        if found.spec.version != int(version):
            raise UnknownNameError("protocol", name, [found.spec.id])
        return found

    def evaluator(self, name: str) -> Entry[EvaluatorSpec]:
        """An evaluator by name."""
        return self._find("evaluator", name)

    def suite(self, name: str) -> Entry[SuiteSpec]:
        """A suite by name."""
        return self._find("suite", name)

    def find(self, name: str) -> list[Entry[AnySpec]]:
        """Every part of this short or full name, whatever its kind. Raises UnknownNameError when there is none."""
        found = [entry for entry in self._entries if name in (entry.name, entry.full_name, *entry.aliases)]
        if not found and split_family(name):
            return [self.dataset(name)]
        if not found:
            known = [spelling for _, spelling in self._by_name]
            raise UnknownNameError("part", name, nearest(name, known))
        return found

    # ------------------------------------------------------------------------------------------- inventories

    @overload
    def entries(self, kind: Literal["dataset"]) -> list[Entry[DataSetSpec]]: ...
    @overload
    def entries(self, kind: Literal["family"]) -> list[Entry[DataSetFamilySpec]]: ...
    @overload
    def entries(self, kind: Literal["encoder"]) -> list[Entry[EncoderSpec]]: ...
    @overload
    def entries(self, kind: Literal["objective"]) -> list[Entry[ObjectiveSpec]]: ...
    @overload
    def entries(self, kind: Literal["method"]) -> list[Entry[MethodSpec]]: ...
    @overload
    def entries(self, kind: Literal["protocol"]) -> list[Entry[ProtocolSpec]]: ...
    @overload
    def entries(self, kind: Literal["evaluator"]) -> list[Entry[EvaluatorSpec]]: ...
    @overload
    def entries(self, kind: Literal["picture"]) -> list[Entry[PictureSpec]]: ...
    @overload
    def entries(self, kind: Literal["suite"]) -> list[Entry[SuiteSpec]]: ...
    @overload
    def entries(self, kind: Kind) -> list[Entry[Any]]: ...

    def entries(self, kind: Kind) -> list[Any]:
        """All parts of one kind, sorted by name. Families of data sets are a kind of their own."""
        return [entry for entry in self._entries if entry.kind == kind]

    def methods(self) -> list[Entry[MethodSpec]]:
        """All methods, sorted by name."""
        return self.entries("method")

    def published(self) -> tuple[PublishedNumber, ...]:
        """All published numbers."""
        return self._published

    def missing_requirements(self, entry: Entry[AnySpec]) -> list[str]:
        """What must still be installed before a part can be built, each with the command that does so. Imports nothing."""
        missing = missing_packages(entry.requires)
        return [f"{package} ({how_to_install(package, entry.distribution, entry.plugin)})" for package in missing]

    # ------------------------------------------------------------------------------------------- inside

    def _find(self, kind: Kind, name: str) -> Entry[Any]:
        found = self._by_name.get((kind, name), [])
        if len(found) == 1:
            return found[0]
        if found:
            raise AmbiguousNameError(_word(kind), name, [entry.full_name for entry in found])
        entries: list[Entry[Any]] = self.entries(kind)
        spelt_in_full = split_package(name)[0] is not None
        known = [name for entry in entries for name in ([entry.full_name] if spelt_in_full else [entry.name, *entry.aliases])]
        raise UnknownNameError(_word(kind), name, nearest(name, known), sorted({entry.name for entry in entries}))

    def _of_family(self, name: str, prefix: str, argument: str) -> Entry[DataSetSpec]:
        try:
            family: Entry[DataSetFamilySpec] = self._find("family", prefix)
        except UnknownNameError as error:
            examples = [f"{close}:{argument}" for close in error.nearest]
            known = [_example(entry) for entry in self.entries("family")] or [entry.name for entry in self.entries("dataset")]
            raise UnknownNameError("data set", name, examples, known) from None
        if not argument:
            raise UsageError(f"Data set {name!r} lacks what comes after the colon; write for example {_example(family)}.")
        title = titled(family.plugin, family.distribution, family.version)
        resolve = family.builder()
        try:
            resolved = resolve(argument)
        except HarnessError:
            raise
        except Exception as error:
            raise PluginError(title, f"{family.spec.resolve}({argument!r}) raised {type(error).__name__}: {error}.") from error
        if not isinstance(resolved, DataSetSpec):
            raise PluginError(title, f"{family.spec.resolve}({argument!r}) returned {type(resolved).__name__}, not a DataSetSpec.")
        start = f"{family.spec.prefix}:"
        try:
            spec = checked(resolved, lambda given: _is_family_member(given, start))
        except SpecError as error:
            raise PluginError(title, f"{error} (the name of a data set of this family starts with {start!r}).") from None
        package = split_package(family.full_name)[0]
        return Entry(
            kind="dataset",
            name=spec.name,
            full_name=f"{package}/{spec.name}",
            spec=spec,
            plugin=family.plugin,
            distribution=family.distribution,
            version=family.version,
        )


def _entry(spec: AnySpec, offer: Offer) -> Entry[AnySpec]:
    return Entry(
        kind=kind_of(spec),
        name=name_of(spec),
        full_name=f"{offer.package}/{name_of(spec)}",
        spec=spec,
        plugin=offer.plugin,
        distribution=offer.distribution,
        version=offer.version,
    )


def _example(family: Entry[DataSetFamilySpec]) -> str:
    """A name of the family, whether its spec gives one with or without the prefix."""
    start = f"{family.spec.prefix}:"
    return start + family.spec.example.removeprefix(start)


def _is_family_member(name: str, start: str) -> bool:
    return name.startswith(start) and len(start) < len(name) <= LONGEST_DATASET_NAME and name.isprintable()


def _word(kind: Kind) -> str:
    return WORDS.get(kind, kind)
