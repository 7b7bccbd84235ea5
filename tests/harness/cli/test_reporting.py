from __future__ import annotations

import pytest

import harness.api
from harness.catalog.catalog import Catalog
from harness.reporting import projection
from harness.reporting import report as reports


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(projection, "MOST_SAMPLES", 20)


@pytest.fixture
def _without_pictures(monkeypatch):
    """The installed pictures take their time."""
    plugins, catalog = harness.api.installed()
    kinds = ("dataset", "encoder", "objective", "method", "protocol", "evaluator")
    bare = Catalog(entry for kind in kinds for entry in catalog.entries(kind))
    monkeypatch.setattr(harness.api, "installed", lambda: (plugins, bare))


@pytest.mark.usefixtures("_without_pictures")
def test_report_prints_the_pages_path(cli, ae_run):
    answer = cli("report", str(ae_run))
    assert (answer.code, answer.out) == (0, f"{ae_run / 'report.html'}\n")
    assert (ae_run / "report.html").is_file()


@pytest.mark.usefixtures("_without_pictures")
def test_progress_goes_to_stderr(cli, ae_run):
    assert "drawing the projection ...\n" in cli("report", str(ae_run)).err


@pytest.mark.usefixtures("_without_pictures")
def test_report_in_json_names_the_page_and_the_pictures(cli, ae_run):
    document = cli("report", str(ae_run), "--json").document
    assert document["page"] == str(ae_run / "report.html")
    assert str(ae_run / "report" / "projection.svg") in document["pictures"]
    assert document["problems"] == []


def test_the_pictures_of_the_images_plugin_are_on_the_page(cli, ae_run):
    cli("report", str(ae_run))
    page = (ae_run / "report.html").read_text(encoding="utf-8")
    assert "<h2>Nearest neighbours</h2>" in page
    assert "<h2>Reconstructions</h2>" in page


@pytest.mark.usefixtures("_without_pictures")
def test_the_records_may_be_elsewhere(cli, ae_run, tmp_path):
    cli("report", str(ae_run), "--store", str(tmp_path / "elsewhere"))
    assert "No record of this run is in the store." in (ae_run / "report.html").read_text(encoding="utf-8")


def test_a_picture_that_could_not_be_drawn_ends_with_1(cli, ae_run, monkeypatch):
    made = reports.Report(page=ae_run / "report.html", pictures=(), problems=("It broke.",))
    monkeypatch.setattr(reports, "make_report", lambda *_, **__: made)
    answer = cli("report", str(ae_run))
    assert (answer.code, answer.err) == (1, "Error: It broke.\n")


def test_a_folder_that_is_no_run_is_a_mistake(cli, tmp_path):
    answer = cli("report", str(tmp_path))
    assert answer.code == 2
    assert "is not a run folder" in answer.sentence


def test_an_unfinished_training_is_a_mistake(cli, ae_run):
    (ae_run / "training.json").unlink()
    answer = cli("report", str(ae_run))
    assert answer.code == 2
    assert "holds no finished training" in answer.sentence


def test_data_that_are_not_there_are_one_sentence(cli, ae_run, monkeypatch):
    from harness.errors import MissingDataError
    from harness.reporting import gathering

    def missing(run, workplace):
        raise MissingDataError("digits are nowhere.")

    monkeypatch.setattr(gathering, "load_data", missing)
    answer = cli("report", str(ae_run))
    assert answer.code == 1
    assert answer.sentence == "digits are nowhere."
