from __future__ import annotations

import sys

import pytest

from harness.catalog.finding import canonical, find_plugins

ENTRY_POINTS = "[console_scripts]\nthing = thing:main\n\n[harness]\nthing = thing.plugin\nother = thing.other:plugin\n"
METADATA = "Metadata-Version: 2.4\nName: Thing_Package\nVersion: 1.2\nRequires-Dist: numpy\nRequires-Dist: infomax-harness>=0.1\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Writes the metadata of a distribution into a folder of its own; only such folders are searched."""
    monkeypatch.setattr(sys, "path", [])

    def write(folder, entry_points=ENTRY_POINTS, metadata=METADATA):
        path = tmp_path / folder / f"{folder}.dist-info"
        path.mkdir(parents=True)
        (path / "entry_points.txt").write_bytes(entry_points.encode() if isinstance(entry_points, str) else entry_points)
        if metadata is not None:
            (path / "METADATA").write_text(metadata)
        sys.path.append(str(tmp_path / folder))

    return write


def test_every_entry_point_of_the_group_is_found(install):
    install("thing")
    assert [(found.name, found.target) for found in find_plugins()] == [("thing", "thing.plugin"), ("other", "thing.other:plugin")]


def test_distribution_version_and_requirements_are_read(install):
    install("thing")
    found = find_plugins()[0]
    assert (found.distribution, found.version, found.requires) == ("Thing_Package", "1.2", ("numpy", "infomax-harness>=0.1"))


def test_a_candidate_is_shown_with_its_distribution_and_version(install):
    install("thing")
    assert str(find_plugins()[0]) == "thing (Thing_Package 1.2)"


def test_the_package_of_a_candidate_is_its_top_import_package(install):
    install("thing")
    assert [found.package for found in find_plugins()] == ["thing", "thing"]


def test_other_groups_are_none_of_our_business(install):
    install("thing", "[console_scripts]\nthing = thing:main\n")
    assert find_plugins() == []


def test_a_distribution_found_twice_counts_once(install):
    install("thing")
    install("other", metadata=METADATA.replace("Thing_Package", "thing-package").replace("1.2", "1.3"))
    assert {found.version for found in find_plugins()} == {"1.2"}


@pytest.mark.parametrize("damage", [b"\xff\xfe[harness]", b"", b"no section"])
def test_a_damaged_distribution_does_not_hide_the_others(install, damage):
    install("damaged", damage, metadata=None)
    install("thing")
    assert [found.name for found in find_plugins()] == ["thing", "other"]


def test_entry_points_that_cannot_be_read_are_announced_as_such(install):
    install("thing", "[harness]\nno equals sign\n")
    (found,) = find_plugins()
    assert (found.name, found.target) == ("Thing_Package", "<entry_points.txt cannot be read>")


def test_a_distribution_without_metadata_is_unknown(install):
    install("thing", metadata=None)
    assert {(found.distribution, found.version) for found in find_plugins()} == {("unknown", "unknown")}


def test_spellings_of_a_distribution_are_compared_like_packaging_tools_do():
    assert canonical("Infomax_.Harness") == "infomax-harness"
