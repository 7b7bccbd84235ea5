from __future__ import annotations

import json
import random
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt

from harness import PublishedNumber
from harness.errors import StorageError
from harness.leaderboard.board import build_board
from harness.leaderboard.pages import compare_pages, markdown_text, plain_text, render_pages, write_pages
from harness.leaderboard.sections import page_of

HOSTILE = "<script>alert(1)</script>|x"


class Reader(HTMLParser):
    """Collects what a browser would make of a page."""

    VOID = frozenset({"meta", "br", "img", "input", "link"})

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.text, self.attributes = [], [], [], []
        self.cells, self.rows = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "td" in self.open or ("th" in self.open and self.rows):
            self.rows[-1][-1] += data


def html(records, published=()):
    return render_pages(build_board(records, published))["site/index.html"].decode()


def markdown(records, published=()):
    return render_pages(build_board(records, published))["README.md"].decode()


def shown(records, published=()):
    """README.md as a reader of Markdown shows it."""
    return Reader(MarkdownIt("commonmark").enable("table").render(markdown(records, published)))


def line(page, method):
    """The cells of a table's line that starts (after the rank) with this method."""
    return next([cell.strip() for cell in row] for row in page.rows if len(row) > 2 and row[1].strip().startswith(method))


def published(**changes):
    known = {
        "method": "dgi",
        "data": "cora",
        "evaluator": "logistic",
        "metric": "accuracy",
        "value": 82.3,
        "source": "the paper, Table 2",
    }
    return PublishedNumber(**(known | changes))


@pytest.fixture
def many(make_row, make_record):
    return [
        *make_row([80.0, 81.0, 82.0]),
        *make_row([60.0, 61.0], method="gmi"),
        *make_row([30.0, 30.1, 30.2], method="raw", feature="input", reference=True),
        *make_row([90.0, 90.1, 90.2], method="supervised", supervised=True),
        *make_row([70.0, 71.0, 72.0], evaluator="knn"),
        make_record(method="gae", status="diverged"),
    ]


# ---------------------------------------------------------------------------------------------------------- the files


def test_there_are_three_files(many):
    assert sorted(render_pages(build_board(many))) == ["README.md", "board.json", "site/index.html"]


def test_equal_records_in_any_order_give_equal_bytes(many):
    pages = render_pages(build_board(many, [published(), published(method="gmi")]))
    random.Random(0).shuffle(many)
    assert render_pages(build_board(many, [published(method="gmi"), published()])) == pages


def test_an_empty_board_has_pages_too():
    assert "There are no records yet." in Reader(html([])).text
    assert "There are no records yet." in markdown([])


def test_pages_are_written_and_then_agree(many, tmp_path):
    board = build_board(many)
    paths = write_pages(board, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == list(render_pages(board))
    assert compare_pages(board, tmp_path) == []


def test_a_missing_file_is_reported(many, tmp_path):
    board = build_board(many)
    write_pages(board, tmp_path)
    (tmp_path / "board.json").unlink()
    assert compare_pages(board, tmp_path) == ["board.json is missing."]


def test_a_changed_file_is_reported(many, tmp_path):
    write_pages(build_board(many), tmp_path)
    differences = compare_pages(build_board(many[:3]), tmp_path)
    assert [text.split()[0] for text in differences] == ["README.md", "board.json", "site/index.html"]


def test_an_edit_by_hand_is_reported(many, tmp_path):
    board = build_board(many)
    write_pages(board, tmp_path)
    page = tmp_path / "README.md"
    page.write_bytes(page.read_bytes() + b" ")
    assert compare_pages(board, tmp_path) == ["README.md differs from what is built from the records."]


def test_a_file_in_site_that_is_not_built_is_reported(many, tmp_path):
    board = build_board(many)
    write_pages(board, tmp_path)
    (tmp_path / "site" / "old.html").write_bytes(b"")
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "a.json").write_bytes(b"")
    assert compare_pages(board, tmp_path) == ["site/old.html is not built from the records."]


def test_comparing_with_nothing_reports_all(many, tmp_path):
    assert len(compare_pages(build_board(many), tmp_path / "nowhere")) == 3


def test_a_file_in_the_place_of_the_folder_is_a_storage_error(many, tmp_path):
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(StorageError):
        write_pages(build_board(many), tmp_path / "out")


def test_no_page_says_where_or_when_it_was_built(many):
    for content in render_pages(build_board(many)).values():
        assert str(Path.cwd()).encode() not in content
        assert b"2026" not in content


# --------------------------------------------------------------------------------------------------------- board.json


def test_the_json_is_versioned_and_sorted(many):
    content = render_pages(build_board(many))["board.json"]
    plain = json.loads(content)
    assert plain["schema"] == 5
    assert content == (json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def test_the_json_leads_from_each_number_to_its_record(make_row):
    records = make_row([80.0, 81.0, 82.0])
    plain = json.loads(render_pages(build_board(records))["board.json"])
    cells = plain["tables"][0]["rows"][0]["cells"]
    assert [(cell["value"], cell["record_id"]) for cell in cells] == [(80.0 + k, records[k].id) for k in range(3)]


def test_a_missing_value_is_null_in_the_json(make_record):
    plain = json.loads(render_pages(build_board([make_record(status="failed")]))["board.json"])
    assert plain["tables"][0]["rows"][0]["mean"] is None


# --------------------------------------------------------------------------------------------------- what pages say


def test_mean_deviation_interval_and_seeds_stand_together(make_row):
    assert line(shown(make_row([80.0, 81.0, 82.0])), "dgi")[:5] == ["1", "dgi (gcn)", "81.00 ± 1.00", "78.52 to 83.48", "3"]


def test_the_html_says_the_same(make_row):
    text = "".join(Reader(html(make_row([80.0, 81.0, 82.0]))).text)
    assert "81.00 ± 1.00" in text
    assert "78.52 to 83.48" in text


def test_one_seed_has_a_mean_only(make_record):
    assert line(shown([make_record(81.0)]), "dgi")[2:5] == ["81.00", "", "1"]


def test_rows_that_are_not_ranked_say_why(many):
    page = shown(many)
    assert [line(page, name)[-1] for name in ("gmi", "raw", "supervised")] == [
        "not ranked: fewer than 3 seeds",
        "reference",
        "supervised: trained with labels",
    ]
    assert {line(page, name)[0] for name in ("gmi", "raw", "supervised", "gae")} == {"–"}


def test_a_failed_row_is_empty_with_its_failures(many):
    assert line(shown(many), "gae")[2:] == ["", "", "0 of 1", "", "", "", "", "1 diverged"]


def test_a_missing_cell_of_the_overview_is_empty(many):
    overview = [[cell.strip() for cell in row] for row in shown(many).rows if len(row) == 3]
    assert overview[0] == ["method", "knn on node: accuracy (%)", "logistic on node: accuracy (%)"]
    assert ["gmi", "", "60.50 ± 0.71 (2)"] in overview
    assert ["dgi", "71.00 ± 1.00 (3)", "81.00 ± 1.00 (3)"] in overview


def test_a_reference_row_says_its_own_feature(many):
    assert line(shown(many), "raw")[1] == "raw (gcn, feature input)"


def test_the_published_number_stands_beside_with_spread_distance_source_and_difference(make_row):
    page = shown(make_row([80.0, 81.0, 82.0]), [published(std=0.6, distance="near", note="no early stopping")])
    assert line(page, "dgi")[7:9] == ["82.30 ± 0.60 (near) [1]", "−1.30"]
    assert "[1] the paper, Table 2 (near protocol): no early stopping" in page.text


def test_a_published_number_without_a_row_has_a_line(make_row):
    page = shown(make_row([80.0, 81.0, 82.0]), [published(method="gmi")])
    assert line(page, "gmi") == ["", "gmi", "", "", "", "", "", "82.30 [1]", "", "published only"]


@pytest.mark.parametrize(("seconds", "words"), [(0.0, ""), (0.3, "1 s"), (89.0, "89 s"), (600.0, "10 min"), (9000.0, "2.5 h")])
def test_the_time_that_an_encoder_took_to_train_stands_beside(make_record, seconds, words):
    record = make_record(80.0)
    timed = msgspec.structs.replace(record, time_s=msgspec.structs.replace(record.time_s, train=seconds))
    assert line(shown([timed]), "dgi")[6] == words


def test_spread_over_probes_is_named(make_record):
    page = shown([make_record(80.0, seed=seed, std=0.5, over="probes") for seed in range(3)])
    assert line(page, "dgi")[5] == "± 0.50 over probes"


def test_numbers_in_nats_are_called_estimates_with_their_bound(make_record, make_metric):
    records = [make_record(metrics=[make_metric(5.0, name="mutual information", unit="nats")], n={"test": 1000})]
    for page in (markdown(records), html(records)):
        assert "mutual information, estimate (nats)" in page
        assert "cannot exceed about log n, here 6.91 nats (n = 1,000)" in page


def test_other_numbers_are_not(make_record):
    assert "stimate" not in markdown([make_record()])


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"trusted_first": True}, "data trusted on first sight"),
        ({"budget": "smoke"}, "budget smoke"),
        ({"tuning": "searched"}, "options searched"),
    ],
)
def test_what_a_reader_should_know_is_noted(make_row, changes, note):
    assert line(shown(make_row([80.0, 81.0, 82.0], **changes)), "dgi")[-1] == note


def test_a_row_that_was_not_reproduced_says_by_how_much(make_record):
    page = shown([make_record(81.0, attempt=1), make_record(81.5, attempt=2), make_record(81.0, seed=1), make_record(81.0, seed=2)])
    assert line(page, "dgi")[-1] == "not reproduced (differs by up to 0.50)"


def test_a_row_of_which_evaluators_judged_different_trainings_says_so(make_record):
    models = {"logistic": "a" * 64, "svm": "b" * 64}
    page = shown([make_record(81.0, seed=seed, evaluator=name, model=model) for name, model in models.items() for seed in range(3)])
    assert line(page, "dgi")[-1] == "other evaluators judged other trainings of it"


def test_many_variables_make_one_matrix(make_record, make_metric):
    metrics = [make_metric(0.5, name="f1", unit="1", of={"variable": f"v{k:02}"}) for k in range(13)]
    page = shown([make_record(metrics=metrics)])
    rows = [row for row in page.rows if row[0].startswith("f1 of variable=v")]
    assert len(rows) == 13


def test_a_metric_of_a_few_things_has_a_column_for_each_and_a_line_for_each_row(make_record, make_metric):
    def record(method, values):
        return make_record(metrics=[make_metric(value, name="f1", unit="1", of={"variable": key}) for key, value in values.items()],
                           method=method)  # fmt: skip

    page = shown([record("dgi", {"a": 0.5, "b": 0.25, "c": 0.1, "d": 0.2}), record("gmi", {"b": 0.75})])
    [heading] = [row for row in page.rows if "variable a" in row]
    assert heading == ["method", "variable a", "variable b", "variable c", "variable d", "training"]
    lines = [[cell.strip() for cell in row] for row in page.rows if row[0].strip() in ("dgi", "gmi")]
    assert lines == [
        ["dgi", "0.5000 (1)", "0.2500 (1)", "0.1000 (1)", "0.2000 (1)", "1 s"],
        ["gmi", "", "0.7500 (1)", "", "", "1 s"],
    ]


def test_what_is_a_number_makes_the_columns_and_what_is_a_word_the_lines(make_record, make_metric):
    things = [{"level": level, "reading": name} for level in (2, 10.0) for name in ("js", "dv")]
    page = shown([make_record(metrics=[make_metric(1.0, unit="1", of=of) for of in things])])
    [heading] = [row for row in page.rows if row[0] == "method, reading"]
    assert heading == ["method, reading", "level 2", "level 10", "training"]
    assert [row[0] for row in page.rows if row[0].startswith("dgi, ")] == ["dgi, dv", "dgi, js"]


def test_the_evaluators_options_are_stated(make_record):
    assert "C=0.5, folds=5" in "".join(shown([make_record(evaluator_options={"folds": 5, "C": 0.5})]).text)


def test_a_negative_number_has_a_real_minus_sign_and_zero_none(make_record, make_metric):
    records = [make_record(metrics=[make_metric(-0.00001), make_metric(-5.0, name="other", primary=False)])]
    assert line(shown(records), "dgi")[2] == "0.00"
    assert "−5.00 (1)" in "".join(shown(records).text)


def test_data_sets_of_one_family_stand_on_one_line_of_the_contents(make_record):
    names = ["toy:b", "cora", "toy:a", "lone:c"]
    contents = page_of(build_board([make_record(data=name) for name in names], [published(data="toy:*")])).contents
    assert [(line.family, [name for _, name in line.links]) for line in contents] == [
        ("", ["cora", "lone:c"]),
        ("toy", ["all", "a", "b"]),
    ]


def test_the_contents_lead_to_every_section(many, make_record):
    page = Reader(html([*many, make_record(data="toy:a"), make_record(data="toy:b")]))
    links = [value for name, value in page.attributes if name == "href" and value.startswith("#data-")]
    sections = [value for name, value in page.attributes if name == "id" and value.startswith("data-")]
    assert links == [f"#{section}" for section in sections] == ["#data-cora", "#data-toy-a", "#data-toy-b"]


# ----------------------------------------------------------------------------------------------------------- safety

NASTY = [
    HOSTILE,
    "a|b",
    "`code`",
    "*bold* _soft_ ~~gone~~",
    "[text](https://example.org)",
    "![image](x)",
    "<b>bold</b>",
    "&lt;b&gt;",
    "\"quoted\" 'twice'",
    "back\\slash\\",
    "\\|",
    "{{ 7 * 7 }} {% raw %}",
    "https://example.org",
    "# heading",
    "--- | ---",
    "</style><script>alert(1)</script>",
    "$x$ @name #1",
]


@pytest.mark.parametrize("name", NASTY)
def test_markdown_shows_every_name_letter_by_letter(make_row, name):
    page = shown(make_row([80.0, 81.0, 82.0], method=name, encoder="gcn"))
    assert line(page, name)[1] == f"{name} (gcn)"
    assert not {"script", "b", "img", "a", "s"} & set(page.tags)


@pytest.mark.parametrize("name", NASTY)
def test_html_shows_every_name_letter_by_letter(make_row, name):
    records = make_row([80.0, 81.0, 82.0], method=name, data=name, encoder=name, evaluator=name, feature=name)
    page = Reader(html(records))
    assert name in "".join(page.text)
    assert not {"script", "b", "img"} & set(page.tags)
    assert page.open == []


def test_no_line_break_or_control_letter_gets_through(make_row):
    name = "a\nb\r\n| c\x00\x1b[31m\u202egnp\u2028d"
    text = "a b | c��[31m�gnp d"
    assert plain_text(name) == text
    assert line(shown(make_row([80.0, 81.0, 82.0], method=name)), "a b")[1] == f"{text} (gcn)"


def test_every_text_of_a_record_and_of_a_source_is_escaped(make_record, make_metric):
    metric = make_metric(1.0, name=HOSTILE, unit=HOSTILE, split=HOSTILE, of={HOSTILE: HOSTILE})
    records = [
        make_record(
            metrics=[metric, make_metric(2.0, name=HOSTILE, primary=False)], budget=HOSTILE, evaluator_options={HOSTILE: HOSTILE},
            method_options={HOSTILE: seed}, data_options={HOSTILE: [HOSTILE]}, protocol=HOSTILE,
            feature=HOSTILE, reference=seed == 1,
        )
        for seed in range(2)
    ]  # fmt: skip
    numbers = [published(metric=HOSTILE, source=HOSTILE, note=HOSTILE), published(metric=HOSTILE, method=HOSTILE, source=HOSTILE)]
    pages = render_pages(build_board(records, numbers))
    for name in ("README.md", "site/index.html"):
        assert b"<script" not in pages[name]
        assert b"alert(1)</" not in pages[name]


def test_the_page_loads_nothing_and_runs_nothing(many):
    page = Reader(html(many, [published()]))
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name == "src" or name.startswith("on")]
    assert {value[0] for name, value in page.attributes if name == "href"} == {"#"}


def test_all_links_of_the_page_lead_somewhere_and_ids_are_unique(many):
    page = Reader(html(many, [published()]))
    ids = [value for name, value in page.attributes if name == "id"]
    assert {value[1:] for name, value in page.attributes if name == "href"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_names_with_one_slug_have_ids_of_their_own(make_row):
    page = Reader(html([*make_row([80.0, 81.0], data="a:b"), *make_row([80.0, 81.0], data="a/b")]))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_a_long_text_is_cut():
    assert len(plain_text("x" * 10_000)) == 400


def test_plain_words_stay_readable_in_markdown():
    assert markdown_text("planetoid-public/1, lr=0.001 (5)") == "planetoid-public/1, lr=0.001 (5)"
