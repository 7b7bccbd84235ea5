from __future__ import annotations

import sys

import msgspec
import pytest

from harness.catalog.finding import canonical
from harness.catalog.importing import how_to_install, import_part, missing_packages
from harness.errors import PluginError


class Owner(msgspec.Struct, frozen=True):
    plugin: str = "graphs"
    distribution: str = "infomax-harness"
    version: str = "0.1.0"
    requires: tuple[str, ...] = ()


METADATA = """\
Metadata-Version: 2.4
Name: thing
Version: 1.0
Requires-Dist: numpy
Provides-Extra: all
Requires-Dist: scipy; extra == 'all'
Requires-Dist: Scikit_Learn>=1.5; extra == 'all'
Provides-Extra: maps
Requires-Dist: scipy; extra == 'maps'
Requires-Dist: scikit-learn; extra == 'maps'
Requires-Dist: pandas; extra == 'maps'
Provides-Extra: small
Requires-Dist: scipy; extra == 'small' and python_version >= '3'
Provides-Extra: broken
Requires-Dist: scipy >>> 1; extra == 'broken'
"""


@pytest.fixture
def thing(tmp_path, monkeypatch):
    """A distribution with extras."""
    folder = tmp_path / "thing-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    monkeypatch.syspath_prepend(tmp_path)
    return "thing"


def test_a_part_is_imported_by_module_and_attribute():
    assert import_part("harness.catalog.finding:canonical", Owner()) is canonical


def test_an_attribute_of_an_attribute_is_found():
    assert import_part("msgspec:Struct.__name__", Owner()) == "Struct"


def test_a_module_that_is_not_there_is_told_with_the_owner():
    with pytest.raises(PluginError, match=r"^Plugin graphs \(infomax-harness 0\.1\.0\): no_such_module cannot be imported"):
        import_part("no_such_module:build", Owner())


def test_an_attribute_that_is_not_there_is_told_with_the_nearest():
    with pytest.raises(PluginError, match=r"harness\.catalog\.finding has no 'cannonical'; did it mean 'canonical'\?"):
        import_part("harness.catalog.finding:cannonical", Owner())


def test_a_module_that_exits_while_imported_is_the_plugins_fault(broken_plugins):
    with pytest.raises(PluginError, match="broken_exiting cannot be imported: SystemExit: 3"):
        import_part("broken_exiting:build", Owner())


def test_the_user_can_interrupt_an_import(broken_plugins):
    with pytest.raises(KeyboardInterrupt):
        import_part("broken_interrupted:build", Owner())


def test_the_cause_is_kept(broken_plugins):
    with pytest.raises(PluginError) as caught:
        import_part("broken_raising:build", Owner())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_missing_package_that_the_part_requires_is_told_with_what_to_install(broken_plugins):
    with pytest.raises(PluginError, match="needs no_such_package, which is not installed; run pip install no-such-package"):
        import_part("broken_import:build", Owner(requires=("no_such_package.deep",)))


def test_a_missing_package_that_the_part_does_not_require_is_the_plugins_fault(broken_plugins):
    with pytest.raises(PluginError, match="broken_import cannot be imported: ModuleNotFoundError"):
        import_part("broken_import:build", Owner(requires=("scipy",)))


def test_packages_that_are_there_are_not_missing():
    assert missing_packages(("msgspec", "pluggy")) == []


def test_packages_that_are_not_there_are_missing_once_each():
    assert missing_packages(("no_such_package", "msgspec", "no_such_package.part")) == ["no_such_package"]


def test_a_package_that_is_kept_from_being_imported_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert missing_packages(("scipy",)) == ["scipy"]


def test_looking_for_a_package_does_not_import_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    missing_packages(("this",))
    assert "this" not in sys.modules


def test_the_extra_named_like_the_plugin_is_preferred(thing):
    assert how_to_install("scipy", thing, "maps") == "pip install 'thing[maps]'"


def test_otherwise_the_smallest_extra_is_taken(thing):
    assert how_to_install("scipy", thing, "other") == "pip install 'thing[small]'"


def test_import_names_are_translated_to_distributions(thing):
    assert how_to_install("sklearn", thing, "other") == "pip install 'thing[all]'"


def test_without_a_fitting_extra_the_package_itself_is_installed(thing):
    assert how_to_install("torch_geometric", thing, "maps") == "pip install torch-geometric"


def test_what_every_installation_brings_is_installed_by_itself(thing):
    assert how_to_install("numpy", thing, "maps") == "pip install numpy"


def test_a_distribution_that_is_not_installed_has_no_extras():
    assert how_to_install("sklearn", "no-such-distribution", "maps") == "pip install scikit-learn"


@pytest.mark.parametrize(("package", "plugin"), [("scipy", "probes"), ("sklearn", "images"), ("sklearn", "probes")])
def test_our_own_plugins_have_an_extra_for_what_they_need(package, plugin):
    assert how_to_install(package, "infomax-harness", plugin) == f"pip install 'infomax-harness[{plugin}]'"
