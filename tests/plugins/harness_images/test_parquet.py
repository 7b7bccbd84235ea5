"""Parquet files in the hub's layout."""

from __future__ import annotations

import numpy as np
import pytest

from harness import CorruptDataError
from harness_images.parquet import ImageTable, images_of, numbers_of

NAMES = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


@pytest.fixture
def pngs(encoded, colours):
    return [encoded(image) for image in colours(6)]


def test_the_images_come_in_order_over_all_row_groups(write_parquet, pngs):
    table = ImageTable(write_parquet("a.parquet", pngs, rows=4))
    assert [content for _, content in table.images()] == pngs
    assert len(table) == 6


def test_an_image_is_named_by_its_row_and_file(write_parquet, pngs):
    path = write_parquet("a.parquet", pngs, rows=4)
    assert [name for name, _ in ImageTable(path).images()][5] == f"The image in row 5 of {path}"


@pytest.mark.parametrize("column", ["image", "img", "picture"])
def test_the_image_column_is_found_by_its_form(write_parquet, pngs, column):
    assert ImageTable(write_parquet("a.parquet", pngs, {"label": [0] * 6}, column=column)).image_column == column


def test_a_column_of_bytes_that_the_metadata_call_audio_is_no_image(write_parquet, pngs):
    path = write_parquet("a.parquet", pngs, {"label": [0] * 6}, features={"image": {"_type": "Audio"}})
    with pytest.raises(CorruptDataError, match=r"no column of images; it has image, label"):
        ImageTable(path)


def test_numbers_of_several_files_follow_each_other(write_parquet, pngs):
    tables = [ImageTable(write_parquet(f"{k}.parquet", pngs[:3], {"label": [k, k + 1, k + 2]})) for k in (0, 3)]
    assert numbers_of(tables, "label").tolist() == [0, 1, 2, 3, 4, 5]
    assert numbers_of(tables, "label").dtype == np.int64
    assert [content for _, content in images_of(tables)] == pngs[:3] * 2


def test_the_classes_column_and_its_names_come_from_the_metadata(write_parquet, pngs):
    table = ImageTable(write_parquet("a.parquet", pngs, {"age": [1] * 6, "kind": [0] * 6}, features={"kind": NAMES["label"]}))
    assert table.label_column() == "kind"
    assert table.class_names("kind") == ("cat", "dog")


def test_of_several_columns_of_classes_the_fine_one_is_meant(write_parquet, pngs):
    numbers = {"coarse_label": [0] * 6, "fine_label": [1] * 6}
    features = dict.fromkeys(numbers, NAMES["label"])
    assert ImageTable(write_parquet("a.parquet", pngs, numbers, features=features)).label_column() == "fine_label"


def test_without_metadata_a_column_of_numbers_called_label_holds_the_classes(write_parquet, pngs):
    table = ImageTable(write_parquet("a.parquet", pngs, {"number": [1] * 6, "label": [0] * 6}))
    assert table.label_column() == "label"
    assert table.class_names("label") == ()


def test_no_column_of_classes_is_an_error_that_lists_the_columns(write_parquet, pngs):
    path = write_parquet("a.parquet", pngs, {"label": ["cat"] * 6})
    with pytest.raises(CorruptDataError, match=r"a\.parquet has no column of class labels; it has image, label"):
        ImageTable(path).label_column()


@pytest.mark.parametrize("values", [[0, None, 1, 0, 0, 0], [0.5] * 6, ["cat"] * 6])
def test_a_column_that_is_not_whole_numbers_is_an_error(write_parquet, pngs, values):
    path = write_parquet("a.parquet", pngs, {"label": values})
    with pytest.raises(CorruptDataError, match=r"'label' of .*a\.parquet does not hold a whole number in every row"):
        ImageTable(path).numbers("label")


def test_a_column_that_is_not_there_is_an_error(write_parquet, pngs):
    with pytest.raises(CorruptDataError, match=r"no column 'fine_label'; it has image, label"):
        ImageTable(write_parquet("a.parquet", pngs, {"label": [0] * 6})).numbers("fine_label")


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing of the kind PAR1", b"x" * 1000])
def test_what_is_no_parquet_file_is_named(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"a\.parquet is not a Parquet file that can be read"):
        ImageTable(tmp_path / "a.parquet")


def test_a_damaged_page_is_an_error_that_names_the_file(write_parquet, pngs):
    path = write_parquet("a.parquet", pngs)
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36
    path.write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"a\.parquet is not a Parquet file that can be read"):
        list(ImageTable(path).images())


def test_a_missing_image_is_named_by_its_row(write_parquet, pngs):
    path = write_parquet("a.parquet", [*pngs[:4], None, pngs[5]])
    with pytest.raises(CorruptDataError, match=r"The image in row 4 of .*a\.parquet is missing"):
        list(ImageTable(path).images())
