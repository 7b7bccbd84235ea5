from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

import harness.leaderboard
from harness.ledger.records import Failure
from harness.reporting.drawing import INKS, Drawn
from harness.reporting.page import inline, render

SVG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg width="72pt"><defs><style type="text/css">*{stroke: red}</style></defs>
<g id="figure_1"><!-- text --><path id="glyph" style="fill: #1a1d23; stroke: #d62728"/></g></svg>
"""


class Tags(HTMLParser):
    """Every tag with its attributes, and the text outside style sheets."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def page_of(gathered, pictures=(), problems=()):
    return render(gathered, pictures, problems).decode()


def with_record(gathered, **changes):
    return replace(gathered, records=[msgspec.structs.replace(gathered.records[0], **changes)])


# -------------------------------------------------------------------------------------------------------- inline


def test_what_only_a_file_needs_is_left_out():
    svg = inline(SVG)
    assert svg.startswith("<svg")
    for gone in ("DOCTYPE", "<style", "<!--", "figure_1"):
        assert gone not in svg


def test_ids_that_are_referred_to_are_kept():
    assert 'id="glyph"' in inline(SVG)


def test_the_pages_inks_are_taken_from_its_style_sheet_and_other_colours_stay():
    assert 'style="fill: var(--ink); stroke: #d62728"' in inline(SVG)


@pytest.mark.parametrize(("name", "colour"), INKS.items())
def test_the_inks_are_those_of_the_style_sheet(name, colour):
    sheet = (Path(harness.leaderboard.__file__).parent / "templates" / "style.css").read_text()
    assert re.search(rf"--{name}: (#\w+);", sheet)[1] == colour


# ---------------------------------------------------------------------------------------------------------- page


def test_the_page_needs_no_other_file(gathered):
    page = Tags(page_of(gathered, [Drawn("a", "A", "An a.", SVG)]))
    assert [tag for tag, _ in page.tags if tag in ("script", "link", "iframe")] == []
    assert all(attributes.get("src", "data:").startswith("data:") for _, attributes in page.tags)
    (policy,) = [attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none'")


def test_the_page_is_headed_by_the_runs_name(gathered):
    assert "<h1>ae on digits, seed 0</h1>" in page_of(gathered)


def test_scores_stand_with_their_units(gathered):
    (metric,) = [metric for metric in gathered.records[0].metrics if metric.primary]
    assert f'<span class="value">{metric.value:.2f}</span> %' in page_of(gathered)


def test_a_spread_is_shown_where_there_is_one(gathered):
    assert "spread within" not in page_of(gathered)
    (metric, *_) = gathered.records[0].metrics
    spread = msgspec.structs.replace(metric, std=0.5, over="probes", n=50)
    assert "± 0.50 over 50 probes" in page_of(with_record(gathered, metrics=(spread,)))


def test_a_failed_cell_is_shown_with_its_reason(gathered):
    error = Failure(type="Error", message="It would not.")
    failed = with_record(gathered, status="failed", metrics=(), error=error)
    assert "knn on y failed: It would not." in page_of(failed)


def test_a_run_without_records_says_so(gathered):
    assert "No record of this run is in the store." in page_of(replace(gathered, records=[]))


def test_texts_are_escaped(gathered):
    error = Failure(type="Error", message="<script>alert(1)</script>")
    failed = with_record(gathered, status="failed", metrics=(), error=error)
    page = page_of(failed, [Drawn("a", "<b>", '"><i>', SVG)], ["<u>"])
    assert not {"script", "b", "i", "u"} & {tag for tag, _ in Tags(page).tags}


def test_a_supervised_run_is_marked(gathered):
    supervised = replace(gathered, run=msgspec.structs.replace(gathered.run, supervised=True))
    assert "trained with the labels" in page_of(supervised)
    assert "trained with the labels" not in page_of(gathered)


def test_options_are_shown_as_resolved(gathered):
    page = page_of(gathered)
    assert "<dt>encoder.latent</dt><dd>64</dd>" in page
    assert "<dt>train.epochs</dt><dd>1</dd>" in page
