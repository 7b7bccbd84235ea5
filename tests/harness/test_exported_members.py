from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import harness


def imported_for_type_checkers():
    """(name, module) of every import under `if TYPE_CHECKING` in harness/__init__.py."""
    tree = ast.parse(Path(harness.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return [(alias.asname, statement.module) for statement in block.body for alias in statement.names]


def test_all_equals_what_type_checkers_see():
    assert list(harness.__all__) == sorted(name for name, _ in imported_for_type_checkers())


@pytest.mark.parametrize(("name", "module"), imported_for_type_checkers())
def test_a_public_name_comes_from_the_module_that_type_checkers_see(name, module):
    __import__(module)
    assert getattr(harness, name) is getattr(sys.modules[module], name)


def test_names_are_imported_under_their_own_name():
    tree = ast.parse(Path(harness.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert [alias.name for statement in block.body for alias in statement.names if alias.name != alias.asname] == []


def test_every_public_name_is_described():
    assert [name for name in harness.__all__ if not getattr(harness, name).__doc__ and name != "hookimpl"] == []


def test_dir_lists_the_public_names():
    assert set(harness.__all__) <= set(dir(harness))


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'nonsense'"):
        harness.nonsense  # noqa: B018


@pytest.mark.parametrize(
    "names",
    [
        "", "hookimpl, EncoderSpec, MethodSpec, DataSetSpec, EvaluatorSpec, ObjectiveSpec, ProtocolSpec, SuiteSpec, Options, Meta",
        "UsageError, HarnessError, run, evaluate, load, prepare, from_arrays, from_graph",
    ],
)  # fmt: skip
def test_nothing_heavy_is_imported_before_a_heavy_name_is_used(names):
    heavy = "{'torch', 'numpy', 'scipy', 'sklearn', 'pandas', 'rich', 'click'}"
    script = f"import sys, harness\nfor name in {names.split(', ') if names else []}: getattr(harness, name)\n"
    script += f"sys.exit(str(heavy) if (heavy := {heavy} & set(sys.modules)) else 0)"
    answer = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
