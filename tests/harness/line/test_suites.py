from __future__ import annotations

import msgspec
import pytest

from harness.errors import UnknownNameError, UsageError
from harness.line.suites import plan_suite, read_suite

SUITE = """
summary = "a suite"
seeds = 3
evaluators = ["centroid"]
budget = "fast"

[[runs]]
method = "squeeze"
data = ["blobs", "walks"]
options = ["train.epochs=3"]

[[runs]]
method = "any"
data = "blobs"
seeds = [4, 7]
evaluators = ["spread"]
budget = "paper"
precision = "bf16"
protocol = "blobs-thirds"
encoder = "mlp"
features = ["hidden"]
references = false
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "suite.toml"
    path.write_text(SUITE, encoding="utf-8")
    return str(path)


def test_a_suite_is_requests_data_set_after_data_set_in_the_files_order(toy, suite):
    requests = plan_suite(read_suite(suite, toy.catalog))
    assert [(request.method, request.data) for request in requests] == [
        ("squeeze", "blobs"),
        ("any", "blobs"),
        ("squeeze", "walks"),
    ]


def test_every_method_meets_all_data_one_data_set_after_another(toy, tmp_path):
    path = tmp_path / "suite.toml"
    path.write_text('summary = "s"\n[[runs]]\nmethod = ["squeeze", "any"]\ndata = ["blobs", "walks"]\n', encoding="utf-8")
    planned = [(request.method, request.data) for request in plan_suite(read_suite(str(path), toy.catalog))]
    assert planned == [("squeeze", "blobs"), ("any", "blobs"), ("squeeze", "walks"), ("any", "walks")]


def test_what_a_run_leaves_out_is_the_suites(toy, suite):
    first = plan_suite(read_suite(suite, toy.catalog))[0]
    assert (first.seeds, first.evaluators, first.budget, first.references) == ((0, 1, 2), ("centroid",), "fast", True)
    assert first.options == ("train.epochs=3",)


def test_what_a_run_says_stands_over_the_suite(toy, suite):
    last = plan_suite(read_suite(suite, toy.catalog))[1]
    assert (last.seeds, last.evaluators, last.budget, last.references) == ((4, 7), ("spread",), "paper", False)
    assert (last.precision, last.protocol, last.encoder, last.features) == ("bf16", "blobs-thirds", "mlp", ("hidden",))


def test_the_suites_data_are_those_of_every_run_that_names_none(toy, tmp_path):
    path = tmp_path / "suite.toml"
    runs = ['method = "any"\n', 'method = "squeeze"\ndata = "blobs"\n']
    path.write_text("\n[[runs]]\n".join(['summary = "s"\ndata = ["blobs", "walks"]', *runs]), encoding="utf-8")
    planned = [(request.method, request.data) for request in plan_suite(read_suite(str(path), toy.catalog))]
    assert planned == [("any", "blobs"), ("squeeze", "blobs"), ("any", "walks")]


def test_the_command_line_stands_over_both(toy, suite):
    requests = plan_suite(read_suite(suite, toy.catalog), seeds=2, budget="smoke", evaluators=["spread"], references=False)
    assert {request.seeds for request in requests} == {(0, 1)}
    assert {request.budget for request in requests} == {"smoke"}
    assert {request.evaluators for request in requests} == {("spread",)}
    assert not any(request.references for request in requests)


def test_runs_of_other_budgets_are_left_out(toy, tmp_path):
    path = tmp_path / "suite.toml"
    runs = ['method = "any"\ndata = "blobs"\n', 'method = "squeeze"\ndata = "blobs"\nbudgets = ["paper"]\n']
    path.write_text("\n[[runs]]\n".join(['summary = "s"', *runs]), encoding="utf-8")
    declared = read_suite(str(path), toy.catalog)
    assert [request.method for request in plan_suite(declared)] == ["any", "squeeze"]
    assert [request.method for request in plan_suite(declared, budget="fast")] == ["any"]


def test_a_suite_without_a_run_in_the_budget_is_refused(toy, tmp_path):
    path = tmp_path / "suite.toml"
    path.write_text('summary = "s"\n[[runs]]\nmethod = "any"\ndata = "blobs"\nbudgets = ["paper"]\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"The suite has no run in budget smoke\."):
        plan_suite(read_suite(str(path), toy.catalog), budget="smoke")


def test_one_seed_may_be_asked_for(toy, suite):
    assert {request.seeds for request in plan_suite(read_suite(suite, toy.catalog), seed=5)} == {(5,)}


def test_the_requests_of_a_suite_can_be_planned(toy, suite):
    request = plan_suite(read_suite(suite, toy.catalog))[1]
    assert toy.plan(**msgspec.structs.asdict(request)).runs


def test_a_shipped_suite_is_found_by_name_without_importing_its_package(toy, tmp_path, monkeypatch):
    package = tmp_path / "shipping"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('imported')\n")
    (package / "s.toml").write_text(SUITE)
    monkeypatch.syspath_prepend(tmp_path)
    spec = msgspec.structs.replace(toy.catalog.suite("shipped").spec, path="shipping:s.toml")
    assert read_suite("shipped", toy.with_parts(toy.entry(spec)).catalog).summary == "a suite"


def test_a_folder_named_like_a_suite_does_not_hide_it(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shipped").mkdir()
    with pytest.raises(UsageError, match=r"nowhere/shipped\.toml cannot be read"):
        read_suite("shipped", toy.catalog)


def test_a_file_needs_no_ending(toy, tmp_path):
    (tmp_path / "plain").write_text(SUITE)
    assert read_suite(str(tmp_path / "plain"), toy.catalog).summary == "a suite"


def test_an_unknown_suite_is_refused_with_the_nearest(toy):
    with pytest.raises(UnknownNameError, match="no suite named 'shiped'; did you mean 'shipped'"):
        read_suite("shiped", toy.catalog)


def test_a_suite_of_a_package_that_is_gone_says_so(toy):
    spec = msgspec.structs.replace(toy.catalog.suite("shipped").spec, path="no_such_package:s.toml")
    with pytest.raises(UsageError, match="The suite's package no_such_package is not installed"):
        read_suite("shipped", toy.with_parts(toy.entry(spec)).catalog)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"summary = ", "is not well-formed"),
        (b"[[runs]]\nmethod = 'a'\ndata = 'b'\n", "missing required field `summary`"),
        (b"summary = 's'\n[[runs]]\nmethod = 'a'\n", "neither it nor its run 1 names `data`"),
        (b"summary = 's'\nsed = 3\n[[runs]]\nmethod = 'a'\ndata = 'b'\n", "unknown field `sed`"),
        (b"summary = 's'\n[[runs]]\nmethod = 'a'\ndata = 'b'\nbudget = 'tiny'\n", "Invalid enum value 'tiny'"),
        (b"summary = '\xff'\n", "is not text in UTF-8"),
    ],
)
def test_an_ill_formed_suite_is_refused_with_the_reason(toy, tmp_path, content, sentence):
    path = tmp_path / "suite.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        read_suite(str(path), toy.catalog)


def test_a_suite_file_that_is_not_there_is_refused(toy, tmp_path):
    with pytest.raises(UsageError, match=r"absent\.toml cannot be read: No such file"):
        read_suite(str(tmp_path / "absent.toml"), toy.catalog)
