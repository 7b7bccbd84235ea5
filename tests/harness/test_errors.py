from __future__ import annotations

import inspect

from harness import errors
from harness.errors import HarnessError


def drawn():
    """The tree of the module's docstring as {class: (parent, text)}."""
    found, path = {}, []
    for line in inspect.getdoc(errors).splitlines():
        name, _, text = line.lstrip(" │├└─").partition(" ")
        if not name.endswith("Error"):
            continue
        depth = (len(line) - len(line.lstrip(" │├└─"))) // 4
        path[depth - 1 :] = [name]
        found[name] = (path[depth - 2] if depth > 1 else None, text.strip())
    return found


def classes():
    return {name: value for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, HarnessError)}


def test_the_drawing_names_every_error():
    assert set(drawn()) == set(classes())


def test_the_drawing_shows_each_errors_parent():
    parents = {name: None if value is HarnessError else value.__base__.__name__ for name, value in classes().items()}
    assert {name: parent for name, (parent, _) in drawn().items()} == parents


def test_the_drawing_says_the_exit_codes():
    """A code stands beside an error where it is not its parent's."""
    for name, (parent, text) in drawn().items():
        if "(exit code " in text:
            assert f"(exit code {classes()[name].exit_code})" in text
        elif parent is not None:
            assert classes()[name].exit_code == classes()[parent].exit_code


def test_every_error_is_described():
    assert [name for name, value in classes().items() if not value.__doc__] == []


def test_only_1_and_2_are_exit_codes():
    assert {value.exit_code for value in classes().values()} == {1, 2}


def test_an_unknown_name_is_answered_with_the_nearest():
    assert str(errors.UnknownNameError("method", "dg", ["dgi"])) == "There is no method named 'dg'; did you mean 'dgi'?"


def test_an_unknown_name_without_a_near_one_is_answered_with_all():
    assert str(errors.UnknownNameError("method", "x", (), ["ae", "dgi"])) == "There is no method named 'x'; known: ae, dgi."


def test_an_unknown_name_where_nothing_is_installed_points_to_the_plugins():
    assert "`harness plugins`" in str(errors.UnknownNameError("suite", "x"))


def test_an_ambiguous_name_is_answered_with_the_full_names():
    error = errors.AmbiguousNameError("encoder", "tiny", ["one/tiny", "two/tiny"])
    assert str(error) == "The encoder name 'tiny' is ambiguous; write one of one/tiny, two/tiny."


def test_a_plugins_error_names_the_plugin():
    assert str(errors.PluginError("mine (my-dist 1.0)", "it returned None.")) == "Plugin mine (my-dist 1.0): it returned None."


def test_a_divergence_says_the_step_and_the_losses():
    error = errors.DivergedError(7, {"encoder/loss": float("nan")})
    assert str(error) == "Training diverged at step 7: encoder/loss = nan."
