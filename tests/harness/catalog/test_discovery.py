from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

import harness
from harness.catalog.discovery import HOOKS, OBSERVER_HOOKS, REGISTRATION_HOOKS, load_plugins
from harness.contracts.hookspecs import HookSpecs
from harness.errors import PluginError
from harness.version import __version__

SPECIFIED_HOOKS = [name for name in vars(HookSpecs) if name.startswith("harness_")]

# What each broken plugin must be told. Those not in here are healthy.
REASONS = {
    "broken_arguments": "harness_encoders raised TypeError",
    "broken_build": "ObjectiveSpec 'nowhere': build 'package.module' is not of the form",
    "broken_cached": "harness_encoders is not a function marked as a hook",
    "broken_coroutine": "harness_encoders is a generator or coroutine",
    "broken_exiting": "importing broken_exiting raised SystemExit: 3",
    "broken_features": "EncoderSpec 'mute': features is empty",
    "broken_generator": "harness_encoders is a generator or coroutine",
    "broken_home": "at place 0 of its list, and not EncoderSpec; return it from harness_objectives",
    "broken_hook": "harness_encoders raised ZeroDivisionError: division by zero (broken_plugins/broken_hook.py, line 8)",
    "broken_hook_exiting": "harness_encoders raised SystemExit: 3",
    "broken_import": "importing broken_import raised ModuleNotFoundError: No module named 'no_such_package'",
    "broken_item": "harness_encoders returned a str at place 0 of its list, and not EncoderSpec",
    "broken_keyword": "the signature of its harness_encoders is wrong; the hook is harness_encoders()",
    "broken_late": "harness_suites raised ZeroDivisionError",
    "broken_lazy": "harness_encoders returned a generator, and not a list of EncoderSpec",
    "broken_metrics": "EvaluatorSpec 'silent': metrics is empty",
    "broken_misspelt": "harness_encodres is no hook; did you mean harness_encoders?",
    "broken_misspelt_unmarked": "kept for hooks; did you mean harness_encoders?",
    "broken_name": "ObjectiveSpec 'Bad Name': a name has lower-case letters",
    "broken_none": "harness_encoders returned None, and not a list of EncoderSpec",
    "broken_observer_signature": "the signature of its harness_run_started is wrong; the hook is harness_run_started(run)",
    "broken_prefix": "encoders is no hook; did you mean harness_encoders?",
    "broken_raising": "importing broken_raising raised ZeroDivisionError: division by zero (broken_plugins/",
    "broken_signature": "the signature of its harness_encoders is wrong; the hook is harness_encoders()",
    "broken_syntax": "importing broken_syntax raised SyntaxError",
    "broken_track": "ProtocolSpec 'spoken': field track: invalid enum value 'audio'",
    "broken_tuple": "harness_encoders returned a tuple, and not a list of EncoderSpec",
    "broken_twice": "it offers two parts of kind objective named 'same'",
    "broken_types": "ObjectiveSpec 'texty': field sampling: expected `array`, got `str`",
    "broken_unmarked": "harness_encoders is not a function marked as a hook; write @harness.hookimpl directly above its def",
    "broken_wrapper": "harness_encoders is a hook wrapper",
}
HEALTHY = {
    "broken_interrupting_observer",
    "broken_observer",
    "broken_printing",
    "healthy_plugin",
    "newer_plugin",
    "second_plugin",
}
NOT_LOADED_TOGETHER = {"broken_interrupted", "object_plugin"}


def only(plugins):
    assert len(plugins.statuses) == 1
    return plugins.statuses[0]


# ---------------------------------------------------------------------------------------------------- hooks


def test_every_specified_hook_is_called_as_registration_or_observation():
    assert sorted(HOOKS) == sorted(SPECIFIED_HOOKS)


@pytest.mark.parametrize("hook", SPECIFIED_HOOKS)
def test_a_plugin_can_implement_every_hook(load, hook):
    assert hook in only(load("healthy_plugin")).hooks


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("dataset", ("plain",)),
        ("family", ("sized",)),
        ("encoder", ("tiny",)),
        ("objective", ("nothing",)),
        ("method", ("still",)),
        ("protocol", ("plain-split",)),
        ("evaluator", ("zero",)),
        ("picture", ("nought",)),
        ("suite", ("all",)),
    ],
)
def test_every_registration_hook_registers_its_parts(load, kind, names):
    assert only(load("healthy_plugin")).parts[kind] == names


def test_published_numbers_are_registered(load):
    assert [number.value for number in load("healthy_plugin").offers[0].published] == [0.0]


def test_every_registration_hook_is_called_once(load, monkeypatch):
    import types

    calls = []
    plugin = types.ModuleType("counting_plugin")
    for hook in REGISTRATION_HOOKS:

        def implementation(hook=hook):
            calls.append(hook)
            return []

        setattr(plugin, hook, harness.hookimpl(implementation))
    monkeypatch.setitem(sys.modules, "counting_plugin", plugin)
    load("counting_plugin")
    assert calls == list(REGISTRATION_HOOKS)


# -------------------------------------------------------------------------------------------- healthy plugins


def test_a_healthy_plugin_is_ok_without_a_reason(load):
    status = only(load("healthy_plugin"))
    assert (status.status, status.reason) == ("ok", "")


def test_the_status_names_distribution_and_version(load, candidate):
    status = only(load(candidate("healthy_plugin", distribution="their-package", version="2.3")))
    assert (status.name, status.distribution, status.version) == ("healthy_plugin", "their-package", "2.3")


def test_plugins_are_considered_in_sorted_order(load):
    assert [status.name for status in load("second_plugin", "healthy_plugin").statuses] == ["healthy_plugin", "second_plugin"]


def test_an_optional_hook_of_a_later_version_is_no_mistake(load):
    assert only(load("newer_plugin")).status == "ok"


def test_a_plugin_may_be_an_object_inside_a_module(load, candidate):
    status = only(load(candidate("object_plugin", target="object_plugin:plugin")))
    assert status.parts == {"objective": ("from-object",)}


def test_a_plugin_without_any_hook_is_ok(load, candidate):
    assert only(load(candidate("object_plugin"))).status == "ok"


def test_what_a_plugin_prints_does_not_reach_stdout(load, capsys):
    load("broken_printing").run_started(object())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "imported\ncalled\ntold\n"


# --------------------------------------------------------------------------------------------- broken plugins


@pytest.mark.parametrize("module", REASONS)
def test_a_broken_plugin_fails_with_its_reason(load, module):
    status = only(load(module))
    assert status.status == "failed"
    assert REASONS[module] in status.reason


@pytest.mark.parametrize("module", REASONS)
def test_a_broken_plugin_leaves_nothing_registered(load, module):
    plugins = load(module)
    assert (only(plugins).hooks, only(plugins).parts, plugins.offers) == ((), {}, [])


@pytest.mark.parametrize("module", REASONS)
def test_a_broken_plugin_does_not_harm_its_neighbours(load, module):
    plugins = load(module, "healthy_plugin", "second_plugin")
    assert [status.name for status in plugins.statuses if status.status == "ok"] == ["healthy_plugin", "second_plugin"]


@pytest.mark.parametrize("module", REASONS)
def test_the_reason_is_one_sentence(load, module):
    reason = only(load(module)).reason
    assert "\n" not in reason
    assert reason.endswith(("?", "."))
    assert not reason.endswith(("?.", ".."))


def test_every_broken_plugin_at_once_costs_only_the_broken_ones(load, broken_plugins):
    plugins = load(*(module for module in broken_plugins if module not in NOT_LOADED_TOGETHER))
    statuses = {status.name: status.status for status in plugins.statuses}
    assert statuses == dict.fromkeys(REASONS, "failed") | dict.fromkeys(HEALTHY, "ok")


def test_every_broken_module_has_a_test(broken_plugins):
    assert {*REASONS, *HEALTHY, *NOT_LOADED_TOGETHER} == set(broken_plugins)


def test_a_failed_plugin_observes_nothing(load):
    plugins = load("broken_late", "healthy_plugin")
    plugins.run_started(object())
    assert plugins.observer_errors == []


def test_a_failed_plugin_is_logged_with_its_distribution(load, caplog):
    load("broken_none")
    assert "Plugin broken_none (broken_none-dist 1.0) is left out: harness_encoders returned None" in caplog.text


def test_the_user_can_interrupt_an_import(load):
    with pytest.raises(KeyboardInterrupt):
        load("broken_interrupted")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("no_such_module", "importing no_such_module raised ModuleNotFoundError"),
        ("object_plugin:no_such_attribute", "importing object_plugin raised AttributeError"),
        ("object_plugin:nothing", "object_plugin:nothing is None"),
        ("not a module", "is not of the form"),
        ("", "is not of the form"),
        ("user.plugin", "the import package name 'user' is reserved"),
    ],
)
def test_an_entry_point_that_leads_nowhere_fails(load, candidate, target, reason):
    status = only(load(candidate("lost", target=target)))
    assert status.status == "failed"
    assert reason in status.reason


def test_a_plugin_name_with_a_comma_fails_since_the_lists_could_not_name_it(load, candidate):
    assert "has other characters" in only(load(candidate("a,b", target="healthy_plugin"))).reason


# ----------------------------------------------------------------------------------------------------- doubles


def twins(candidate):
    return (
        candidate("twin", target="healthy_plugin", distribution="alpha", version="1.0"),
        candidate("twin", target="second_plugin", distribution="beta", version="2.0"),
    )


def test_of_two_plugins_of_one_name_the_first_distribution_is_loaded(load, candidate):
    plugins = load(*reversed(twins(candidate)))
    assert [(status.distribution, status.status) for status in plugins.statuses] == [("alpha", "ok"), ("beta", "failed")]


def test_the_second_plugin_of_one_name_is_told_who_has_it(load, candidate):
    assert "the plugin name 'twin' is taken by alpha 1.0" in load(*twins(candidate)).statuses[1].reason


def test_the_name_of_a_failed_plugin_is_free(load, candidate):
    broken = candidate("twin", target="broken_none", distribution="alpha")
    assert [status.status for status in load(broken, twins(candidate)[1]).statuses] == ["failed", "ok"]


def test_one_object_under_two_names_is_registered_once(load, candidate):
    plugins = load(candidate("broken_observer"), candidate("other_name", target="broken_observer"))
    assert "registered already under another entry point" in plugins.statuses[1].reason


def test_two_plugins_of_one_package_cannot_offer_the_same_full_name(load, candidate):
    plugins = load(candidate("healthy_plugin"), candidate("other_name", target="healthy_plugin"))
    assert "its dataset healthy_plugin/plain is already offered by plugin healthy_plugin" in plugins.statuses[1].reason


# ------------------------------------------------------------------------------------------------ requirements


@pytest.mark.parametrize("requirement", ["infomax-harness>=99", "Infomax_Harness[graphs] <0.1", "infomax.harness==0.0.1"])
def test_a_plugin_for_another_version_of_ours_is_incompatible(load, candidate, requirement):
    status = only(load(candidate("healthy_plugin", requires=("numpy", requirement))))
    assert status.status == "incompatible"
    assert f"and this is {__version__}" in status.reason


def test_an_incompatible_plugin_is_not_imported(load, candidate):
    load(candidate("healthy_plugin", requires=("infomax-harness>=99",)))
    assert "healthy_plugin" not in sys.modules


@pytest.mark.parametrize(
    "requirement",
    [
        "infomax-harness",
        "infomax-harness>=0.1",
        "infomax-harness>=0.1.dev0",
        "infomax-harness>=99; extra == 'test'",
        "infomax-harness>=99; python_version < '3'",
        "infomax-harness-extras>=99",
    ],
)
def test_a_plugin_whose_requirement_is_met_is_loaded(load, candidate, requirement):
    assert only(load(candidate("healthy_plugin", requires=(requirement,)))).status == "ok"


def test_a_requirement_that_cannot_be_read_makes_a_plugin_incompatible(load, candidate):
    status = only(load(candidate("healthy_plugin", requires=("infomax-harness >>> 1",))))
    assert "cannot be read" in status.reason


# ------------------------------------------------------------------------------------------------ user's lists


def test_only_allowed_plugins_are_loaded(load):
    plugins = load("healthy_plugin", "second_plugin", environ={"HARNESS_PLUGINS": "second_plugin"})
    assert [status.status for status in plugins.statuses] == ["blocked", "ok"]


def test_blocked_plugins_are_not_loaded(load):
    plugins = load("healthy_plugin", "second_plugin", environ={"HARNESS_BLOCK": " healthy_plugin , broken_none"})
    assert [status.status for status in plugins.statuses] == ["blocked", "ok"]


def test_blocking_wins_over_allowing(load):
    environ = {"HARNESS_PLUGINS": "healthy_plugin", "HARNESS_BLOCK": "healthy_plugin"}
    assert only(load("healthy_plugin", environ=environ)).status == "blocked"


def test_an_empty_list_means_no_list(load):
    assert only(load("healthy_plugin", environ={"HARNESS_PLUGINS": "", "HARNESS_BLOCK": ","})).status == "ok"


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"HARNESS_PLUGINS": "second_plugin"}, "it is not named in HARNESS_PLUGINS."),
        ({"HARNESS_BLOCK": "healthy_plugin"}, "it is named in HARNESS_BLOCK."),
    ],
)
def test_a_blocked_plugin_says_by_which_list(load, environ, reason):
    assert only(load("healthy_plugin", environ=environ)).reason == reason


def test_a_blocked_plugin_is_not_imported(load):
    load("broken_raising", environ={"HARNESS_BLOCK": "broken_raising"})
    assert "broken_raising" not in sys.modules


def test_a_blocked_plugin_is_not_logged(load, caplog):
    load("healthy_plugin", environ={"HARNESS_BLOCK": "healthy_plugin"})
    assert caplog.text == ""


def test_a_misspelt_name_in_a_list_is_logged_with_the_nearest(load, caplog):
    load("healthy_plugin", environ={"HARNESS_BLOCK": "healty_plugin"})
    assert "HARNESS_BLOCK names 'healty_plugin', and no such plugin is installed; did you mean 'healthy_plugin'?" in caplog.text


# -------------------------------------------------------------------------------------------------- observers


def test_observers_are_told_in_the_words_of_the_hooks(load):
    plugins = load("healthy_plugin")
    run, record = object(), object()
    plugins.preparation_advanced("pong", 2, 5, "frames")
    plugins.run_started(run)
    plugins.step_finished(run, 3, None, {"train/loss": 0.5})
    plugins.evaluation_advanced(run, "svm", "y", 1, 4, "fits")
    plugins.record_written(run, record)
    assert sys.modules["healthy_plugin"].told == [
        ("preparation_advanced", "pong", 2, 5, "frames"),
        ("run_started", run),
        ("step_finished", run, 3, None, {"train/loss": 0.5}),
        ("evaluation_advanced", run, "svm", "y", 1, 4, "fits"),
        ("record_written", record),
    ]


def test_an_observer_that_raises_is_noted(load):
    plugins = load("broken_observer")
    plugins.run_started(object())
    (error,) = plugins.observer_errors
    assert (error.plugin, error.hook) == ("broken_observer", "harness_run_started")
    assert error.error.startswith("ZeroDivisionError: division by zero")


def test_an_observer_that_raises_is_logged(load, caplog):
    load("broken_observer").run_started(object())
    assert "Observer broken_observer raised in harness_run_started and was ignored: ZeroDivisionError" in caplog.text


def test_an_observer_cannot_exit(load):
    load("broken_observer").record_written(object(), object())


def test_an_observer_cannot_change_the_terms(load):
    plugins = load("broken_observer")
    terms = {"loss": 1.0}
    plugins.step_finished(object(), 1, 2, terms)
    assert terms == {"loss": 1.0}
    assert plugins.observer_errors[0].error.startswith("TypeError")


def test_an_observer_that_raises_does_not_keep_others_from_being_told(load):
    plugins = load("broken_observer", "healthy_plugin")
    plugins.run_started("run")
    assert sys.modules["healthy_plugin"].told == [("run_started", "run")]


def test_an_observer_that_raises_at_every_step_is_noted_and_logged_once(load, caplog):
    plugins = load("broken_observer")
    for _ in range(5):
        plugins.run_started(object())
    assert [error.count for error in plugins.observer_errors] == [5]
    assert len(caplog.records) == 1


def test_the_user_can_interrupt_while_an_observer_works(load):
    plugins = load("broken_interrupting_observer")
    with pytest.raises(KeyboardInterrupt):
        plugins.run_started(object())


class Progress:
    def __init__(self):
        self.steps = []

    @harness.hookimpl
    def harness_step_finished(self, step):
        self.steps.append(step)


def test_an_object_can_observe(load):
    plugins, progress = load(), Progress()
    plugins.register_observer(progress)
    plugins.step_finished(object(), 1, None, {})
    assert progress.steps == [1]


def test_an_object_can_cease_to_observe(load):
    plugins, progress = load(), Progress()
    plugins.register_observer(progress)
    plugins.unregister_observer(progress)
    plugins.step_finished(object(), 1, None, {})
    assert progress.steps == []


def test_an_object_that_does_not_observe_can_be_told_to_cease(load):
    load().unregister_observer(Progress())


def test_two_objects_observe_under_two_names(load):
    plugins, first, second = load(), Progress(), Progress()
    plugins.register_observer(first, "first")
    plugins.register_observer(second, "second")
    plugins.step_finished(object(), 1, None, {})
    assert first.steps == second.steps == [1]


def test_an_observer_name_can_be_had_once(load):
    plugins = load()
    plugins.register_observer(Progress())
    with pytest.raises(PluginError, match="registered already"):
        plugins.register_observer(Progress())


def test_an_observing_object_cannot_register_parts(load):
    class Meddler:
        @harness.hookimpl
        def harness_encoders(self):
            return []

    with pytest.raises(PluginError, match="harness_encoders is for plugins; an observer has harness_preparation_advanced"):
        load().register_observer(Meddler())


def test_an_observing_object_with_a_misspelt_hook_is_refused(load):
    class Misspelt:
        @harness.hookimpl
        def harness_step_finish(self):
            pass

    with pytest.raises(PluginError, match="did you mean harness_step_finished"):
        load().register_observer(Misspelt())


@pytest.mark.parametrize("hook", OBSERVER_HOOKS)
def test_every_observer_hook_has_a_method_of_its_name(load, hook):
    assert callable(getattr(load(), hook.removeprefix("harness_")))


# ---------------------------------------------------------------------------------------- what is really installed


def test_our_own_plugins_come_in_by_the_same_door(caplog):
    caplog.set_level(logging.WARNING)
    statuses = {status.name: status for status in load_plugins({}).statuses if status.distribution == "infomax-harness"}
    assert {"graphs", "images", "probes", "reference"} <= set(statuses)
    assert {name: status.reason for name, status in statuses.items() if status.status != "ok"} == {}


LISTING = """
import json, sys
from harness.catalog.catalog import Catalog
from harness.catalog.discovery import load_plugins
catalog = Catalog.of(load_plugins({}))
for entry in [*catalog.entries("dataset"), *catalog.entries("evaluator")]:
    catalog.missing_requirements(entry)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize("package", ["torch", "numpy", "scipy", "sklearn", "lightning_fabric", "pandas"])
def test_listing_imports_nothing_heavy(listing_modules, package):
    assert package not in listing_modules


@pytest.fixture(scope="module")
def listing_modules():
    result = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, check=True, timeout=240)
    return json.loads(result.stdout)
