"""The plugin door: finds, loads, checks and registers plugins, and tells observers what happens. Only this file knows pluggy.

Every plugin is tried out in a plugin manager of its own and registered in the real one only when all of it is right, so that
a broken plugin leaves nothing behind and costs one plugin, never the command.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import pluggy
from msgspec import Struct, field

from harness.catalog.checks import SpecError, checked, describe
from harness.catalog.finding import Candidate, find_plugins, incompatibility, titled
from harness.catalog.kinds import USER, AnySpec, Kind, kind_of, name_of
from harness.catalog.names import nearest
from harness.contracts.hookspecs import PROJECT, HookSpecs
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
from harness.errors import PluginError

if TYPE_CHECKING:
    from harness.ledger.records import Record
    from harness.ledger.runs import PlannedRun

REGISTRATION_HOOKS: dict[str, tuple[type[Struct], ...]] = {
    "harness_datasets": (DataSetSpec, DataSetFamilySpec),
    "harness_encoders": (EncoderSpec,),
    "harness_objectives": (ObjectiveSpec,),
    "harness_methods": (MethodSpec,),
    "harness_protocols": (ProtocolSpec,),
    "harness_evaluators": (EvaluatorSpec,),
    "harness_pictures": (PictureSpec,),
    "harness_published": (PublishedNumber,),
    "harness_suites": (SuiteSpec,),
}
"""Hooks that return specs, and of which types, in the order they are called."""

OBSERVER_HOOKS = (
    "harness_preparation_advanced",
    "harness_run_started",
    "harness_step_finished",
    "harness_evaluation_advanced",
    "harness_record_written",
)
"""Hooks that are told what happens."""

HOOKS = (*REGISTRATION_HOOKS, *OBSERVER_HOOKS)

Status = Literal["ok", "failed", "incompatible", "blocked"]

_log = logging.getLogger("harness")


class PluginStatus(Struct, frozen=True, kw_only=True):
    """What became of one plugin; a line of `harness plugins`."""

    name: str
    distribution: str
    version: str
    status: Status
    reason: str = ""
    """Why it is not ok, in one sentence."""
    hooks: tuple[str, ...] = ()
    """Hooks it implements."""
    parts: dict[Kind, tuple[str, ...]] = field(default_factory=dict)
    """Names it offers, by kind; of a data-set family, its prefix."""


class Offer(Struct, frozen=True, kw_only=True):
    """All that one plugin registered."""

    plugin: str
    distribution: str
    version: str
    package: str
    """Top import package of the plugin, the namespace of its parts' full names."""
    specs: tuple[AnySpec, ...] = ()
    published: tuple[PublishedNumber, ...] = ()


class ObserverError(Struct, kw_only=True):
    """An observer that raised. The run went on."""

    plugin: str
    hook: str
    error: str
    """The first one's type and text."""
    count: int = 1


class Plugins:
    """The loaded plugins: what became of each, what they offer, and the observers among them."""

    def __init__(self) -> None:
        self.statuses: list[PluginStatus] = []
        """Every plugin that was found, in the order it was considered."""
        self.offers: list[Offer] = []
        """What the plugins with status "ok" registered."""
        self.observer_errors: list[ObserverError] = []
        """Observers that raised, one line per plugin and hook."""
        self._manager = _new_manager()

    # ------------------------------------------------------------------------------------------ observers

    def preparation_advanced(self, data: str, done: int, total: int, unit: str) -> None:
        """Tell the observers that `done` of `total` of what a data set needs are made, counted in `unit`."""
        self._notify("harness_preparation_advanced", data=data, done=done, total=total, unit=unit)

    def run_started(self, run: PlannedRun) -> None:
        """Tell the observers that a run begins to be computed."""
        self._notify("harness_run_started", run=run)

    def step_finished(self, run: PlannedRun, step: int, total: int | None, terms: Mapping[str, float]) -> None:
        """Tell the observers that training has finished `step` of at most `total` steps, with these newest loss terms."""
        self._notify("harness_step_finished", run=run, step=step, total=total, terms=MappingProxyType(dict(terms)))

    def evaluation_advanced(self, run: PlannedRun, evaluator: str, feature: str, done: int, total: int, unit: str) -> None:
        """Tell the observers that `done` of at most `total` of what an evaluator does are done, counted in `unit`."""
        self._notify(
            "harness_evaluation_advanced", run=run, evaluator=evaluator, feature=feature, done=done, total=total, unit=unit
        )

    def record_written(self, run: PlannedRun, record: Record) -> None:
        """Tell the observers that a record was written."""
        self._notify("harness_record_written", run=run, record=record)

    def register_observer(self, observer: object, name: str = "observer") -> None:
        """Let an object of the caller's own observe: its methods marked `@harness.hookimpl` are called like a plugin's.

        Raises PluginError when a method is no observer hook or has other arguments, or the name is taken.
        """
        try:
            hooks = _implemented(_try_out(observer, name))
            if misplaced := [hook for hook in hooks if hook not in OBSERVER_HOOKS]:
                raise _RefusedError(f"{misplaced[0]} is for plugins; an observer has {', '.join(OBSERVER_HOOKS)}")
            self._register(observer, name)
        except _RefusedError as refusal:
            raise PluginError(name, str(refusal)) from None

    def unregister_observer(self, observer: object) -> None:
        """Let an object observe no longer; nothing happens when it did not."""
        if self._manager.is_registered(observer):
            self._manager.unregister(observer)

    def _notify(self, hook: str, **facts: Any) -> None:
        # One by one instead of by pluggy's call, which stops at the first exception and would leave the others untold.
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            try:
                with _stdout_kept_clean():
                    implementation.function(*(facts[argument] for argument in implementation.argnames))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # no observer may stop a run, not even with sys.exit
                self._note(implementation.plugin_name, hook, error)

    def _note(self, plugin: str, hook: str, error: BaseException) -> None:
        for known in self.observer_errors:
            if (known.plugin, known.hook) == (plugin, hook):
                known.count += 1  # a step hook fails thousands of times a run: noted and logged once
                return
        self.observer_errors.append(ObserverError(plugin=plugin, hook=hook, error=_in_words(error)))
        _log.warning("Observer %s raised in %s and was ignored: %s", plugin, hook, _in_words(error), exc_info=error)

    # ------------------------------------------------------------------------------------------- loading

    def _admit(self, candidate: Candidate, environ: Mapping[str, str]) -> None:
        """Load one plugin and note what became of it."""
        try:
            self._check_admission(candidate, environ)
            plugin = _imported(candidate)
            manager = _try_out(plugin, candidate.name)
            parts = _collected(manager)
            offer = Offer(
                plugin=candidate.name,
                distribution=candidate.distribution,
                version=candidate.version,
                package=candidate.package,
                specs=tuple(part for part in parts if not isinstance(part, PublishedNumber)),
                published=tuple(part for part in parts if isinstance(part, PublishedNumber)),
            )
            self._check_unique(offer)
            self._register(plugin, candidate.name)
        except _RefusedError as refusal:
            self._conclude(candidate, refusal.status, str(refusal))
        else:
            self.offers.append(offer)
            self._conclude(candidate, "ok", "", _implemented(manager), _names(offer.specs))

    def _conclude(
        self,
        candidate: Candidate,
        status: Status,
        reason: str,
        hooks: tuple[str, ...] = (),
        parts: Mapping[Kind, tuple[str, ...]] | None = None,
    ) -> None:
        if status in ("failed", "incompatible"):
            _log.warning("Plugin %s is left out: %s", candidate, reason)
        self.statuses.append(
            PluginStatus(
                name=candidate.name,
                distribution=candidate.distribution,
                version=candidate.version,
                status=status,
                reason=reason,
                hooks=hooks,
                parts=dict(parts or {}),
            )
        )

    def _check_admission(self, candidate: Candidate, environ: Mapping[str, str]) -> None:
        """All that can be known without running the plugin's code."""
        allowed = _listed(environ, "HARNESS_PLUGINS")
        if allowed and candidate.name not in allowed:
            raise _RefusedError("it is not named in HARNESS_PLUGINS", "blocked")
        if candidate.name in _listed(environ, "HARNESS_BLOCK"):
            raise _RefusedError("it is named in HARNESS_BLOCK", "blocked")
        if not re.fullmatch(r"[A-Za-z0-9]+([-_.][A-Za-z0-9]+)*", candidate.name):
            raise _RefusedError(
                f"the entry-point name {candidate.name!r} has other characters than letters, digits and single -, _ or ."
            )
        for offer in self.offers:
            if offer.plugin == candidate.name:
                raise _RefusedError(
                    f"the plugin name {candidate.name!r} is taken by {offer.distribution} {offer.version}; "
                    "rename one of the two entry points or uninstall its distribution"
                )
        if (reason := incompatibility(candidate)) is not None:
            raise _RefusedError(reason, "incompatible")

    def _check_unique(self, offer: Offer) -> None:
        """No name twice, neither in one plugin nor in two that share an import package and hence full names."""
        own: set[tuple[Kind, str]] = set()
        for spec in offer.specs:
            key = (kind_of(spec), name_of(spec))
            if key in own:
                raise _RefusedError(f"it offers two parts of kind {key[0]} named {key[1]!r}; rename one")
            own.add(key)
        for other in self.offers:
            if other.package != offer.package:
                continue
            for spec in other.specs:
                if (kind_of(spec), name_of(spec)) in own:
                    full_name = f"{offer.package}/{name_of(spec)}"
                    owner = titled(other.plugin, other.distribution, other.version)
                    raise _RefusedError(f"its {kind_of(spec)} {full_name} is already offered by plugin {owner}")

    def _register(self, plugin: object, name: str) -> None:
        try:
            self._manager.register(plugin, name)
        except ValueError as error:
            raise _RefusedError("the same object or name is registered already under another entry point") from error


def load_plugins(environ: Mapping[str, str] | None = None, *, entry_points: Iterable[Candidate] | None = None) -> Plugins:
    """Load every installed plugin, each by itself, in sorted order.

    :param environ: where `HARNESS_PLUGINS` (allow list) and `HARNESS_BLOCK` (block list) are read, comma-separated plugin
        names; by default the process's environment.
    :param entry_points: the plugins to consider instead of the installed ones.
    Raises nothing on account of a plugin: see `Plugins.statuses`.
    """
    environ = os.environ if environ is None else environ
    candidates = sorted(
        find_plugins() if entry_points is None else entry_points,
        key=lambda candidate: (candidate.name, candidate.distribution.lower(), candidate.version, candidate.target),
    )
    names = [candidate.name for candidate in candidates]
    for variable in ("HARNESS_PLUGINS", "HARNESS_BLOCK"):
        for name in sorted(_listed(environ, variable) - set(names)):
            close = nearest(name, names, count=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            _log.warning("%s names %r, and no such plugin is installed%s", variable, name, hint)
    plugins = Plugins()
    for candidate in candidates:
        plugins._admit(candidate, environ)
    return plugins


# --------------------------------------------------------------------------------------- trying out one plugin


class _RefusedError(Exception):
    """Why a plugin is not admitted."""

    def __init__(self, reason: str, status: Status = "failed") -> None:
        super().__init__(reason if reason.endswith(("?", ".")) else f"{reason}.")
        self.status = status


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HookSpecs)
    return manager


def _imported(candidate: Candidate) -> object:
    target = re.fullmatch(r"([\w.]+)(?::([\w.]+))?(?:\s*\[.*\])?", candidate.target.strip())
    if target is None:
        raise _RefusedError(
            f'the entry point {candidate.target!r} is not of the form "package.module" or "package.module:attribute"'
        )
    if candidate.package == USER:
        raise _RefusedError(f"the import package name {USER!r} is reserved for what users bring at run time")
    module, path = target.groups()
    with _refusing(f"importing {module}"):
        plugin: Any = importlib.import_module(module)
        for attribute in path.split(".") if path else ():
            plugin = getattr(plugin, attribute)
    if plugin is None:
        raise _RefusedError(f"{candidate.target} is None")
    return plugin


def _try_out(plugin: object, name: str) -> pluggy.PluginManager:
    """Register a plugin in a manager of its own, after checking that all its hooks are what they claim to be."""
    manager = _new_manager()
    with _refusing("looking for its hooks"):
        for attribute in dir(plugin):
            options = manager.parse_hookimpl_opts(plugin, attribute)
            if options is not None:
                _check_marked(options.get("specname") or attribute, dict(options))
            elif attribute.startswith(f"{PROJECT}_"):
                _check_unmarked(attribute, inspect.getattr_static(plugin, attribute, None))
        try:
            manager.register(plugin, name)
        except pluggy.PluginValidationError as error:
            named = re.search(r"for hook '(\w+)'", str(error))
            reason = _wrong_signature(named[1]) if named and named[1] in HOOKS else " ".join(str(error).split())
            raise _RefusedError(reason) from None
        for hook in _implemented(manager):
            for implementation in getattr(manager.hook, hook).get_hookimpls():
                _check_callable(hook, implementation)
    return manager


def _check_callable(hook: str, implementation: pluggy.HookImpl) -> None:
    """Refuse a hook that pluggy accepts and that could not be called as it is meant to be."""
    function = implementation.function
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _RefusedError(f"{hook} is a generator or coroutine; hooks are ordinary functions, without yield and async")
    try:
        inspect.signature(function).bind(*implementation.argnames)
    except TypeError:
        raise _RefusedError(_wrong_signature(hook)) from None


def _check_marked(hook: str, options: Mapping[str, Any]) -> None:
    if hook not in HOOKS:
        if options.get("optionalhook"):  # pluggy's way to implement a hook of a later version as well
            return
        raise _RefusedError(f"{hook} is no hook{_did_it_mean(hook)}")
    if options.get("wrapper") or options.get("hookwrapper"):
        raise _RefusedError(f"{hook} is a hook wrapper; hooks here are plain functions, for no plugin may change another's results")


def _check_unmarked(name: str, value: object) -> None:
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if not callable(value) or inspect.isclass(value):
        return
    if name in HOOKS:
        raise _RefusedError(f"{name} is not a function marked as a hook; write @harness.hookimpl directly above its def")
    raise _RefusedError(f"{name} is no hook, and names that start with harness_ are kept for hooks{_did_it_mean(name)}")


def _did_it_mean(hook: str) -> str:
    close = nearest(hook, HOOKS, count=1)
    return f"; did you mean {close[0]}?" if close else f"; hooks are {', '.join(HOOKS)}"


def _wrong_signature(hook: str) -> str:
    arguments = [name for name in inspect.signature(getattr(HookSpecs, hook)).parameters if name != "self"]
    return f"the signature of its {hook} is wrong; the hook is {hook}({', '.join(arguments)})"


def _implemented(manager: pluggy.PluginManager) -> tuple[str, ...]:
    return tuple(hook for hook in HOOKS if getattr(manager.hook, hook).get_hookimpls())


def _collected(manager: pluggy.PluginManager) -> list[AnySpec | PublishedNumber]:
    """Call the registration hooks once each and check what they return."""
    parts: list[AnySpec | PublishedNumber] = []
    for hook, types in REGISTRATION_HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            # Not by pluggy's call, which silently drops a hook that returns None.
            with _refusing(hook):
                returned = implementation.function()
            parts += _checked_parts(hook, types, returned)
    return parts


def _checked_parts(hook: str, types: tuple[type[Struct], ...], returned: object) -> list[Any]:
    expected = " or ".join(allowed.__name__ for allowed in types)
    if not isinstance(returned, list):
        raise _RefusedError(f"{hook} returned {_with_article(returned)}, and not a list of {expected}")
    parts = []
    for position, part in enumerate(returned):
        if not isinstance(part, types):
            home = next((f"; return it from {other}" for other, own in REGISTRATION_HOOKS.items() if isinstance(part, own)), "")
            raise _RefusedError(f"{hook} returned {_with_article(part)} at place {position} of its list, and not {expected}{home}")
        with _refusing(f"checking {describe(part)}"):
            try:
                parts.append(checked(part))
            except SpecError as error:
                raise _RefusedError(str(error)) from None
    return parts


def _names(specs: Sequence[AnySpec]) -> dict[Kind, tuple[str, ...]]:
    names: dict[Kind, tuple[str, ...]] = {}
    for spec in specs:
        names[kind_of(spec)] = (*names.get(kind_of(spec), ()), name_of(spec))
    return names


# --------------------------------------------------------------------------------------------------- small things


def _listed(environ: Mapping[str, str], variable: str) -> set[str]:
    return {name.strip() for name in environ.get(variable, "").split(",") if name.strip()}


def _with_article(value: object) -> str:
    kind = "None" if value is None else type(value).__name__
    return kind if value is None else f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


@contextlib.contextmanager
def _refusing(doing: str) -> Iterator[None]:
    """Turn whatever the plugin's own code raises into a refusal, but let the user interrupt."""
    try:
        with _stdout_kept_clean():
            yield
    except (KeyboardInterrupt, _RefusedError):
        raise
    except BaseException as error:  # even sys.exit
        raise _RefusedError(f"{doing} raised {_in_words(error)}") from error


@contextlib.contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """What a plugin prints goes to stderr, since stdout may carry one JSON document and nothing else."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _in_words(error: BaseException) -> str:
    """Type, text and place of an exception on one line."""
    text = " ".join(str(error).split())
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    frames = [frame for frame in frames if not frame.filename.startswith("<frozen ")]
    if not frames or isinstance(error, SyntaxError):
        return words
    return f"{words} ({os.path.join(*frames[-1].filename.split(os.sep)[-2:])}, line {frames[-1].lineno})"
