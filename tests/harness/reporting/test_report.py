from __future__ import annotations

import shutil

import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from matplotlib.figure import Figure

import harness
from harness import UsageError
from harness.ledger.whole_files import TEMPORARY_PREFIX
from harness.reporting import report as reports


def drawing(title="Toy"):
    """Builds one picture with this title."""

    def build(view):
        figure = Figure(figsize=(1, 1))
        figure.subplots().plot([0, 1])
        return [harness.Picture(title, "A line.", figure)]

    return build


# ------------------------------------------------------------------------------------------------- what is written


def test_the_page_lies_in_the_runs_folder(report, folder):
    assert report().page == folder / "report.html"
    assert (folder / "report.html").read_bytes().startswith(b"<!doctype html>")


def test_every_picture_is_a_file_too(report, folder):
    assert report(toy=drawing()).pictures == tuple(folder / "report" / f"{name}.svg" for name in ("losses", "projection", "toy"))
    assert all(path.read_bytes().startswith(b"<?xml") for path in (folder / "report").iterdir())


def test_the_page_shows_every_picture_with_its_caption(report):
    page = report(toy=drawing("Of a toy")).page.read_text(encoding="utf-8")
    for text in ("Loss and bound curves", "Projection of y", "Of a toy", "A line."):
        assert text in page


def test_the_same_run_gives_the_same_bytes(report, folder):
    def written():
        return {path: path.read_bytes() for path in [folder / "report.html", *(folder / "report").iterdir()]}

    report(toy=drawing())
    first = written()
    report(toy=drawing())
    assert written() == first


def test_pictures_of_an_earlier_report_are_removed(report, folder):
    report(toy=drawing())
    report()
    assert sorted(path.name for path in (folder / "report").iterdir()) == ["losses.svg", "projection.svg"]


def test_two_pictures_of_one_spec_have_files_of_their_own(report):
    made = report(toy=lambda view: drawing()(view) + drawing()(view))
    assert [path.name for path in made.pictures[2:]] == ["toy.svg", "toy-2.svg"]


def test_nothing_unfinished_is_left_behind(report, folder):
    report()
    assert [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)] == []


def test_a_deleted_representation_is_made_again(report, folder):
    shutil.rmtree(folder / "features")
    report()
    assert np.load(folder / "features" / "y.npy").shape == (1797, 64)


def test_the_public_name_gives_the_path_of_the_page(folder, monkeypatch):
    monkeypatch.setattr(
        reports, "make_report", lambda folder, *_, **__: reports.Report(page=folder / "p", pictures=(), problems=())
    )
    assert harness.report(str(folder)) == folder / "p"


# ------------------------------------------------------------------------------------------------------- mistakes


def test_a_folder_that_is_no_run_is_a_mistake(tmp_path):
    with pytest.raises(UsageError, match="is not a run folder"):
        harness.report(tmp_path)


def test_a_training_that_is_not_finished_is_a_mistake(report, folder):
    (folder / "training.json").unlink()
    with pytest.raises(UsageError, match="holds no finished training"):
        report()


@pytest.mark.parametrize("package", ["matplotlib", "sklearn"])
def test_a_missing_library_is_answered_with_how_to_install_it(report, monkeypatch, package):
    monkeypatch.setattr(reports, "missing_packages", lambda names: [package])
    with pytest.raises(UsageError, match=rf"^`harness report` needs {package}, which is not installed; run pip install \S+\.$"):
        report()


def test_a_users_own_data_must_be_passed_again(tmp_path):
    values = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    own = harness.from_arrays(values, np.arange(60) % 2)
    harness.run("raw", own, evaluators=["knn"], out=tmp_path, references=False)
    (folder,) = tmp_path.glob("user-*/raw-*")
    with pytest.raises(UsageError, match=r"pass the same again: harness.report\(..., data=...\)"):
        harness.report(folder)
    assert harness.report(folder, data=own).is_file()


# ------------------------------------------------------------------------------------------- pictures of plugins


def test_a_picture_that_fails_costs_only_itself(report):
    made = report(bad=lambda view: 1 / 0, toy=drawing())
    assert [path.stem for path in made.pictures] == ["losses", "projection", "toy"]
    assert made.problems == ("Plugin toys (toy-dist 1.0): picture bad raised ZeroDivisionError: division by zero.",)


def test_the_page_says_what_was_not_drawn(report):
    page = report(bad=lambda view: 1 / 0).page.read_text(encoding="utf-8")
    assert "Not drawn: Plugin toys (toy-dist 1.0): picture bad raised ZeroDivisionError" in page


@pytest.mark.parametrize("returned", [None, [3], Figure()])
def test_what_is_no_list_of_pictures_is_refused(report, returned):
    (problem,) = report(bad=lambda view: returned).problems
    assert "not a list of harness.Picture" in problem


def test_a_picture_whose_packages_are_missing_is_not_drawn(report):
    (problem,) = report(toy=drawing(), requires=("no_such_package",)).problems
    assert "needs packages that are not installed: no_such_package (pip install" in problem


@pytest.mark.parametrize(("kinds", "asked"), [(("images",), True), (("*",), True), (("graph",), False)])
def test_a_picture_is_asked_for_runs_of_its_kinds_only(report, kinds, asked):
    seen = []
    report(toy=lambda view: seen.append(view) or [], kinds=kinds)
    assert bool(seen) == asked


def test_a_picture_is_shown_nothing_that_it_does_not_need(report):
    seen = []
    report(toy=lambda view: seen.append(view) or [])
    (view,) = seen
    assert (view.labels, view.inputs, view.modules) == (None, None, {})


def test_a_picture_is_shown_what_it_needs(report):
    seen = []
    report(toy=lambda view: seen.append(view) or [], needs=("labels", "inputs", "modules"))
    (view,) = seen
    assert (len(view.labels), view.inputs.description.shape, list(view.modules)) == (1797, (1, 8, 8), ["decoder"])


def test_its_features_can_be_asked_for_by_name(report):
    seen = []
    report(toy=lambda view: seen.append(view.features("conv").shape) or [])
    assert seen == [(1797, 32, 4, 4)]


def test_a_dollar_sign_in_a_text_is_a_dollar_sign(report):
    def build(view):
        figure = Figure()
        figure.text(0, 0, "$a_$")
        return [harness.Picture("Dollars", "", figure)]

    assert report(toy=build).problems == ()


def test_drawing_leaves_matplotlib_as_it_was(report):
    import matplotlib

    before = dict(matplotlib.rcParams)
    report(toy=drawing())
    assert dict(matplotlib.rcParams) == before


def test_pyplot_keeps_no_figure(report):
    report(toy=drawing())
    assert Gcf.get_all_fig_managers() == []


def test_progress_is_told_in_words(report):
    told = []
    report(toy=drawing(), progress=told.append)
    assert told == ["loading the data", "drawing the loss curves", "drawing the projection", "drawing toy"]
