from __future__ import annotations

import pytest

from harness.catalog.names import is_build, is_feature_name, is_name, nearest, split_family, split_package


@pytest.mark.parametrize("name", ["dgi", "beta-vae", "k-nn", "cifar10", "2d"])
def test_names_have_lower_case_letters_digits_and_single_hyphens(name):
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "DGI", "beta_vae", "-vae", "vae-", "beta--vae", "a b", "a/b", "a:b", "é", "vae\n", "a" * 101])
def test_other_names_are_refused(name):
    assert not is_name(name)


@pytest.mark.parametrize("name", ["y", "conv", "conv_3", "micro-f1", "layer.2"])
def test_feature_names_may_hold_underscores_and_dots(name):
    assert is_feature_name(name)


@pytest.mark.parametrize("name", ["", "Y", "a b", "_y", "y_", "a,b"])
def test_other_feature_names_are_refused(name):
    assert not is_feature_name(name)


@pytest.mark.parametrize("build", ["a:b", "package.module:Class.method", "_a._b:_c"])
def test_a_build_string_names_a_module_and_an_attribute(build):
    assert is_build(build)


@pytest.mark.parametrize("build", ["", "a", "a.b", ":b", "a:", "a:b:c", "a b:c", "a/b:c", "1a:b", "a..b:c", "a:b()"])
def test_other_build_strings_are_refused(build):
    assert not is_build(build)


def test_a_family_name_is_split_at_the_first_colon():
    assert split_family("folder:C:/data/my:set") == ("folder", "C:/data/my:set")


def test_a_family_argument_may_hold_slashes():
    assert split_family("hf:owner/name") == ("hf", "owner/name")


def test_a_name_without_colon_belongs_to_no_family():
    assert split_family("cora") is None


def test_a_full_name_is_split_into_package_and_name():
    assert split_package("harness_graphs/dgi") == ("harness_graphs", "dgi")


def test_a_short_name_has_no_package():
    assert split_package("dgi") == (None, "dgi")


def test_the_nearest_name_is_the_one_spelt_most_alike():
    assert nearest("dgii", ["dgi", "vae", "dim"])[0] == "dgi"


def test_case_does_not_matter_for_nearness():
    assert nearest("CORA", ["cora", "citeseer"]) == ["cora"]


def test_names_that_hold_the_given_one_are_near():
    assert nearest("lbfgs", ["logistic-lbfgs", "svm"]) == ["logistic-lbfgs"]


def test_nothing_is_near_to_something_else_altogether():
    assert nearest("xyzzy", ["cora", "citeseer"]) == []


def test_no_more_names_are_suggested_than_asked_for():
    assert len(nearest("aaa1", ["aaa2", "aaa3", "aaa4"], count=2)) == 2
