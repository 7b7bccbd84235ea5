from __future__ import annotations

from typing import get_args

import msgspec
import pytest

import harness
from harness.catalog.catalog import Catalog
from harness.catalog.kinds import Kind
from harness.errors import AmbiguousNameError, PluginError, UnknownNameError, UsageError

OWN = harness.DataSetSpec(
    name="own",
    summary="The user's own.",
    track="synthetic",
    kind="vectors",
    build="harness.api:from_arrays",
    recipe=harness.GeneratedRecipe(generator="arrays"),
    protocols=("own-split",),
    sampling=("items",),
)
OWN_SPLIT = harness.ProtocolSpec(
    name="own-split", summary="Own split.", track="synthetic", splits="given", preprocessing="none", evaluators=("zero",)
)


def build(context, options):
    return "built"


# -------------------------------------------------------------------------------------------------- look-ups


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("dataset", "plain"),
        ("objective", "nothing"),
        ("method", "still"),
        ("protocol", "plain-split"),
        ("evaluator", "zero"),
        ("suite", "all"),
    ],
)
def test_every_kind_is_found_by_its_short_name(catalog, kind, name):
    entry = getattr(catalog, kind)(name)
    assert (entry.kind, entry.name, entry.full_name) == (kind, name, f"healthy_plugin/{name}")


def test_an_entry_knows_plugin_distribution_and_version(catalog):
    entry = catalog.method("still")
    assert (entry.plugin, entry.distribution, entry.version) == ("healthy_plugin", "healthy_plugin-dist", "1.0")


def test_an_entry_holds_the_spec(catalog):
    assert catalog.method("still").spec.encoders == {"*": "tiny"}


@pytest.mark.parametrize("package", ["healthy_plugin", "second_plugin"])
def test_a_full_name_is_always_found(catalog, package):
    assert catalog.encoder(f"{package}/tiny").plugin == package


def test_a_short_name_with_two_owners_is_an_error_that_names_both(catalog):
    with pytest.raises(AmbiguousNameError, match="write one of healthy_plugin/tiny, second_plugin/tiny"):
        catalog.encoder("tiny")


def test_the_same_name_of_another_kind_is_no_clash(catalog):
    assert catalog.suite("all").kind == "suite"


def test_an_unknown_name_is_an_error_that_names_the_nearest(catalog):
    with pytest.raises(UnknownNameError, match="no method named 'stil'; did you mean 'still'"):
        catalog.method("stil")


def test_an_unknown_name_far_from_all_lists_the_known(catalog):
    with pytest.raises(UnknownNameError, match=r"no evaluator named 'xyzzy'; known: zero\."):
        catalog.evaluator("xyzzy")


def test_an_unknown_full_name_is_answered_with_full_names(catalog):
    with pytest.raises(UnknownNameError, match="did you mean 'healthy_plugin/still'"):
        catalog.method("healthy_plugn/still")


def test_a_name_with_no_part_of_its_kind_points_to_the_plugins():
    with pytest.raises(UnknownNameError, match="none is installed; `harness plugins`"):
        Catalog().encoder("tiny")


def test_messages_say_data_set_in_words(catalog):
    with pytest.raises(UnknownNameError, match="There is no data set named 'plan'; did you mean 'plain'"):
        catalog.dataset("plan")


@pytest.mark.parametrize("name", ["plain-split/1", "healthy_plugin/plain-split/1"])
def test_a_protocol_is_found_by_its_id_too(catalog, name):
    assert catalog.protocol(name).spec.id == "plain-split/1"


def test_another_version_of_a_protocol_is_unknown(catalog):
    with pytest.raises(UnknownNameError, match="no protocol named 'plain-split/2'; did you mean 'plain-split/1'"):
        catalog.protocol("plain-split/2")


def test_a_name_is_found_whatever_its_kind(catalog):
    assert [entry.full_name for entry in catalog.find("tiny")] == ["healthy_plugin/tiny", "second_plugin/tiny"]


def test_a_data_set_of_a_family_is_found_whatever_its_kind(catalog):
    assert [entry.name for entry in catalog.find("sized:3")] == ["sized:3"]


def test_an_unknown_name_of_any_kind_is_answered_with_the_nearest(catalog):
    with pytest.raises(UnknownNameError, match="did you mean 'still'"):
        catalog.find("stil")


# -------------------------------------------------------------------------------------------------- families


def test_a_data_set_of_a_family_is_resolved(catalog):
    assert catalog.dataset("sized:3").spec.recipe.settings == {"size": "3"}


def test_a_data_set_of_a_family_has_full_name_and_owner(catalog):
    entry = catalog.dataset("sized:3")
    assert (entry.kind, entry.name, entry.full_name) == ("dataset", "sized:3", "healthy_plugin/sized:3")


def test_a_family_is_found_by_package_too(catalog):
    assert catalog.dataset("healthy_plugin/sized:3").name == "sized:3"


def test_the_argument_may_hold_colons_and_slashes(catalog):
    assert catalog.dataset("sized:a:b/c").spec.recipe.settings == {"size": "a:b/c"}


def test_an_unknown_prefix_is_answered_with_the_nearest(catalog):
    with pytest.raises(UnknownNameError, match="no data set named 'sizd:3'; did you mean 'sized:3'"):
        catalog.dataset("sizd:3")


def test_an_unknown_prefix_far_from_all_lists_an_example_of_each(catalog):
    with pytest.raises(UnknownNameError, match=r"known: sized:10\."):
        catalog.dataset("xyzzy:3")


def test_a_prefix_without_argument_is_answered_with_an_example(catalog):
    with pytest.raises(UsageError, match="lacks what comes after the colon; write for example sized:10"):
        catalog.dataset("sized:")


def test_a_prefix_alone_is_answered_with_an_example(catalog):
    with pytest.raises(UsageError, match="'sized' is a family of data sets; write sized:ARG, for example sized:10"):
        catalog.dataset("sized")


def test_what_a_family_says_of_a_bad_argument_reaches_the_user(catalog):
    with pytest.raises(UsageError, match=r"^A size is a number\.$"):
        catalog.dataset("sized:bad")


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("crash", r"healthy_plugin:resolve\('crash'\) raised ZeroDivisionError"),
        ("none", "returned NoneType, not a DataSetSpec"),
        ("unprefixed", "the name of a data set of this family starts with 'sized:'"),
    ],
)
def test_a_family_that_breaks_its_contract_is_named(catalog, argument, reason):
    with pytest.raises(PluginError, match=rf"^Plugin healthy_plugin \(healthy_plugin-dist 1\.0\): .*{reason}"):
        catalog.dataset(f"sized:{argument}")


# ------------------------------------------------------------------------------------------------ inventories


def test_entries_are_sorted_by_name(catalog):
    assert [entry.full_name for entry in catalog.entries("encoder")] == ["healthy_plugin/tiny", "second_plugin/tiny"]


def test_families_are_listed_apart_from_data_sets(catalog):
    assert [entry.name for entry in catalog.entries("dataset")] == ["plain"]
    assert [entry.name for entry in catalog.entries("family")] == ["sized"]


def test_methods_are_listed(catalog):
    assert [entry.name for entry in catalog.methods()] == ["still"]


def test_published_numbers_are_listed(catalog):
    assert [number.source for number in catalog.published()] == ["Nobody (2000)"]


def test_a_part_that_lacks_nothing_has_no_missing_requirements(catalog):
    assert catalog.missing_requirements(catalog.encoder("healthy_plugin/tiny")) == []


def test_a_missing_requirement_is_told_with_what_to_install(catalog):
    missing = catalog.missing_requirements(catalog.encoder("second_plugin/tiny"))
    assert missing == ["no_such_package (pip install no-such-package)"]


def test_a_part_without_code_of_its_own_requires_nothing(catalog):
    assert catalog.missing_requirements(catalog.method("still")) == []


# ---------------------------------------------------------------------------------------------------- building


def test_the_builder_is_what_the_spec_names(catalog):
    assert catalog.encoder("healthy_plugin/tiny").builder()("anything") == ("anything",)


def test_a_builder_that_is_not_there_is_the_plugins_fault(catalog):
    with pytest.raises(PluginError, match="second_plugin has no 'absent'"):
        catalog.encoder("second_plugin/tiny").builder()


def test_a_method_is_not_built(catalog):
    with pytest.raises(TypeError, match="A method is not built"):
        catalog.method("still").builder()


# ------------------------------------------------------------------------------------------------- user's data


def test_a_data_set_of_the_users_own_is_found(catalog):
    assert catalog.with_dataset(OWN, build).dataset("own").spec == OWN


def test_a_data_set_of_the_users_own_belongs_to_the_user(catalog):
    entry = catalog.with_dataset(OWN, build).dataset("user/own")
    assert (entry.plugin, entry.distribution, entry.version) == ("user", "user", "0")


def test_a_data_set_of_the_users_own_is_built_by_the_given_function(catalog):
    assert catalog.with_dataset(OWN, build).dataset("own").builder() is build


def test_the_catalog_itself_stays_as_it_was(catalog):
    catalog.with_dataset(OWN, build)
    with pytest.raises(UnknownNameError):
        catalog.dataset("own")


def test_everything_else_is_in_the_new_catalog_too(catalog):
    new = catalog.with_dataset(OWN, build)
    assert new.method("still") == catalog.method("still")
    assert new.published() == catalog.published()


def test_protocols_come_with_the_data_set(catalog):
    assert catalog.with_dataset(OWN, build, protocols=[OWN_SPLIT]).protocol("own-split").distribution == "user"


def test_a_data_set_of_the_users_own_may_be_replaced(catalog):
    newer = msgspec.structs.replace(OWN, summary="Newer.")
    assert catalog.with_dataset(OWN, build).with_dataset(newer, build).dataset("own").spec.summary == "Newer."


def test_the_name_of_an_installed_data_set_is_taken(catalog):
    with pytest.raises(UsageError, match="data set name 'plain' is taken by healthy_plugin/plain; choose another"):
        catalog.with_dataset(msgspec.structs.replace(OWN, name="plain"), build)


def test_a_data_set_of_the_users_own_is_checked(catalog):
    with pytest.raises(UsageError, match="protocols is empty"):
        catalog.with_dataset(msgspec.structs.replace(OWN, protocols=()), build)


# -------------------------------------------------------------------------------------------------------- aliases


def with_method(catalog, name, aliases):
    spec = msgspec.structs.replace(catalog.methods()[0].spec, name=name, aliases=aliases)
    entry = msgspec.structs.replace(catalog.methods()[0], name=name, full_name=f"other/{name}", spec=spec)
    return Catalog([*(each for kind in get_args(Kind) for each in catalog.entries(kind)), entry])


def test_a_method_is_found_by_its_alias(catalog):
    assert with_method(catalog, "long-name", ("short",)).method("short").name == "long-name"


def test_an_alias_is_found_whatever_its_kind(catalog):
    assert [entry.name for entry in with_method(catalog, "long-name", ("short",)).find("short")] == ["long-name"]


def test_an_alias_is_among_the_nearest(catalog):
    with pytest.raises(UnknownNameError, match="did you mean 'short'"):
        with_method(catalog, "long-name", ("short",)).method("shrot")


def test_an_alias_adds_no_entry(catalog):
    assert len(with_method(catalog, "long-name", ("short",)).methods()) == len(catalog.methods()) + 1


def test_an_alias_that_is_another_methods_name_is_a_clash(catalog):
    known = catalog.methods()[0]
    with pytest.raises(AmbiguousNameError, match="other/long-name"):
        with_method(catalog, "long-name", (known.name,)).method(known.name)
