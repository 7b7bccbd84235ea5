"""What `folder:PATH` and `hf:OWNER/NAME` mean."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from harness import CorruptDataError, UsageError
from harness_images import families
from harness_images.families import folder_layout, hub_layout, resolve_folder, resolve_hub

# ------------------------------------------------------------------------------------------------ folders, by paths


def test_a_folder_for_each_class():
    layout = folder_layout(["dog/1.png", "cat/2.png", "cat/1.png"])
    assert layout.files == ("cat/1.png", "cat/2.png", "dog/1.png")
    assert layout.classes == ("cat", "dog")
    assert layout.class_of["dog/1.png"] == "dog"
    assert layout.protocol == "drawn-split"


def test_folders_of_parts_and_in_them_of_classes():
    layout = folder_layout(["test/cat/1.png", "train/dog/1.png", "train/cat/1.png"])
    assert layout.parts == {"train": ("train/cat/1.png", "train/dog/1.png"), "test": ("test/cat/1.png",)}
    assert layout.classes == ("cat", "dog")
    assert layout.class_of["test/cat/1.png"] == "cat"
    assert layout.protocol == "official-split"


def test_deeper_folders_do_not_count():
    layout = folder_layout(["train/cat/images/1.png", "train/dog/2/3/1.png", "test/dog/1.png"])
    assert set(layout.class_of.values()) == {"cat", "dog"}


@pytest.mark.parametrize("word", ["val", "valid", "validation", "dev"])
def test_a_validation_part_is_the_test_part_where_there_is_none(word):
    paths = ["train/a/1.png", "train/b/1.png", f"{word}/a/1.png"]
    assert folder_layout(paths).parts["test"] == (f"{word}/a/1.png",)
    both = folder_layout([*paths, "test/b/1.png"])
    assert list(both.parts) == ["train", "validation", "test"]


@pytest.mark.parametrize(
    "paths", [["1.png", "2.png"], ["all/1.png", "all/2.png"], ["train/1.png", "test/2.png"], ["train/all/1.png"]]
)
def test_images_that_are_all_in_one_folder_have_no_classes(paths):
    layout = folder_layout(paths)
    assert layout.classes == ()
    assert sorted(layout.files) == sorted(paths)


def test_a_training_part_alone_is_split_like_a_folder_without_parts():
    layout = folder_layout(["train/cat/1.png", "train/dog/1.png"])
    assert (layout.protocol, layout.classes) == ("drawn-split", ("cat", "dog"))


def test_a_class_called_train_is_a_class_among_others():
    assert folder_layout(["car/1.png", "train/1.png", "bus/1.png"]).classes == ("bus", "car", "train")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["cat/1.png", "1.png"], r"The image 1\.png is in no class's folder"),
        (["train/cat/1.png", "train/dog/1.png", "test/1.png"], r"The image test/1\.png is in no class's folder"),
        (["train/cat/1.png", "train/dog/1.png", "test/cow/1.png"], r"class 'cow', which the training part does not have"),
        (["train/cat/1.png", "test/cat/1.png", "extra/cat/1.png"], r"extra is beside the parts test, train"),
        (["train/cat/1.png", "test/cat/1.png", "1.png"], r"1\.png is beside the parts test, train"),
    ],
)
def test_an_arrangement_without_a_meaning_is_an_error_that_names_a_file(paths, message):
    with pytest.raises(UsageError, match=message):
        folder_layout(paths)


# ------------------------------------------------------------------------------------------------------ folders, real


def test_a_folder_is_described_without_decoding_it(write_images, colours):
    red, green, blue = colours(3, 4, 6)
    folder = write_images({"cat/1.png": red, "cat/2.png": green, "dog/1.png": blue})
    spec = resolve_folder(str(folder))
    assert spec.name == f"folder:{folder}"
    assert spec.place == str(folder)
    assert (spec.shape, spec.samples, spec.classes, spec.annotations) == ((3, 4, 6), 3, 2, ("labels",))
    assert spec.protocols == ("drawn-split",)


def test_every_file_is_pinned_by_its_digest_below_the_folder(write_images, colours):
    folder = write_images({"cat/1.png": colours(1)[0], "dog/1.png": colours(1, seed=1)[0]})
    pins = {file.path: file.sha256 for file in resolve_folder(str(folder)).recipe.files}
    assert pins == {path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in ("cat/1.png", "dog/1.png")}


def test_a_file_that_changed_has_another_digest(write_images, colours):
    folder = write_images({"1.png": colours(1)[0]})
    before = resolve_folder(str(folder))
    assert resolve_folder(str(folder)) == before
    write_images({"1.png": colours(1, 9, 9)[0]})
    assert resolve_folder(str(folder)).recipe != before.recipe


def test_a_relative_path_is_named_as_it_was_typed(write_images, colours, monkeypatch):
    folder = write_images({"1.png": colours(1)[0]})
    monkeypatch.chdir(folder.parent)
    spec = resolve_folder("images")
    assert (spec.name, spec.place) == ("folder:images", str(folder))


def test_images_without_classes_offer_no_labels(write_images, colours):
    spec = resolve_folder(str(write_images({"1.png": colours(1)[0]})))
    assert (spec.classes, spec.annotations) == (None, ())


def test_grey_images_have_one_channel_unless_one_has_colours(write_images, colours):
    grey = colours(1)[0, :, :, 0]
    assert resolve_folder(str(write_images({"1.png": grey}))).shape == (1, 8, 8)
    assert resolve_folder(str(write_images({"2.png": colours(1)[0]}))).shape == (3, 8, 8)


def test_images_of_different_sizes_have_no_shape(write_images, colours):
    assert resolve_folder(str(write_images({"1.png": colours(1)[0], "2.png": colours(1, 9, 9)[0]}))).shape is None


def test_hidden_and_foreign_files_are_left_out(write_images, colours):
    folder = write_images({"cat/1.png": colours(1)[0], "cat/._1.png": b"x", ".cache/1.png": b"x", "cat/notes.txt": b"x"})
    assert [file.path for file in resolve_folder(str(folder)).recipe.files] == ["cat/1.png"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere is not there; folder:PATH takes a folder of images"):
        resolve_folder(str(tmp_path / "nowhere"))


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(UsageError, match=r"a\.png is not a folder"):
        resolve_folder(str(tmp_path / "a.png"))


def test_a_folder_without_images_is_an_error_that_says_what_images_are(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match=r"holds no images, which are files that end in .*\.png"):
        resolve_folder(str(tmp_path))


def test_a_file_that_is_no_image_is_named(write_images):
    with pytest.raises(CorruptDataError, match=r"cat/1\.png is not an image that can be read"):
        resolve_folder(str(write_images({"cat/1.png": b"no image"})))


def test_a_name_that_no_recipe_can_hold_is_an_error(write_images, colours):
    with pytest.raises(UsageError, match="rename it"):
        resolve_folder(str(write_images({"a:b.png": colours(1)[0]})))


def test_resolving_a_folder_imports_neither_numpy_nor_torch(write_images, colours):
    folder = str(write_images({"1.png": colours(1)[0]}))
    script = (
        f"import sys; from harness_images.families import resolve_folder; resolve_folder({folder!r}); "
        "print({'numpy', 'torch', 'pyarrow', 'huggingface_hub'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"


# -------------------------------------------------------------------------------------------------------------- hub


def test_parts_are_read_from_the_names_of_files():
    files = [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    ]
    layout = hub_layout("o/n", files)
    assert layout.parts == {"train": (files[2], files[3]), "test": (files[1],)}
    assert layout.protocol == "official-split"


def test_parts_are_read_from_the_names_of_folders():
    layout = hub_layout("o/n", ["default/train/0000.parquet", "default/valid/0000.parquet", "default/test/0000.parquet"])
    assert layout.files == ("default/train/0000.parquet", "default/valid/0000.parquet", "default/test/0000.parquet")
    assert list(layout.parts) == ["train", "validation", "test"]


def test_the_hub_s_validation_part_is_the_test_part_where_there_is_none():
    assert hub_layout("o/n", ["train-0.parquet", "validation-0.parquet"]).parts["test"] == ("validation-0.parquet",)


def test_files_that_name_no_part_are_all_training_part_and_a_test_part_is_drawn():
    layout = hub_layout("o/n", ["data/1.parquet", "data/0.parquet"])
    assert layout.parts == {"train": ("data/0.parquet", "data/1.parquet")}
    assert layout.protocol == "drawn-split"


def test_a_word_inside_another_names_no_part():
    assert hub_layout("o/n", ["latest/training.parquet"]).parts == {"train": ("latest/training.parquet",)}


def test_files_beside_the_parts_are_left_out():
    layout = hub_layout("o/n", ["data/train-0.parquet", "data/test-0.parquet", "data/extra-0.parquet"])
    assert layout.files == ("data/train-0.parquet", "data/test-0.parquet")


SEVERAL = ["small/train-0.parquet", "small/test-0.parquet", "large/train-0.parquet", "large/test-0.parquet"]


def test_one_of_several_folders_is_named():
    assert hub_layout("o/n", SEVERAL, "small").files == ("small/train-0.parquet", "small/test-0.parquet")


def test_several_folders_without_a_choice_are_an_error_that_offers_them():
    with pytest.raises(UsageError, match=r"o/n holds several data sets; write hf:o/n/large or hf:o/n/small"):
        hub_layout("o/n", SEVERAL)


def test_a_folder_that_is_not_there_is_an_error_that_offers_those_that_are():
    with pytest.raises(UsageError, match=r"o/n has no data set tiny; write hf:o/n/large or hf:o/n/small"):
        hub_layout("o/n", SEVERAL, "tiny")
    with pytest.raises(UsageError, match=r"o/n has no data set tiny; write hf:o/n\."):
        hub_layout("o/n", ["0.parquet"], "tiny")


def test_no_parquet_files_are_an_error():
    with pytest.raises(UsageError, match="o/n has no Parquet files"):
        hub_layout("o/n", ["README.md", "images.zip"])


def test_the_chosen_files_are_arranged_as_all_were():
    """The builder sees only the recipe's files, and must find the same parts in them."""
    for files, folder in (
        (SEVERAL, "large"),
        (["0.parquet", "a/1.parquet"], None),
        (["a-train-0.parquet", "a-val-0.parquet"], None),
    ):
        layout = hub_layout("o/n", files, folder)
        assert hub_layout("", layout.files) == layout


COMMIT = "0123456789" * 4


@pytest.fixture
def asked(monkeypatch):
    """What the hub was asked for."""
    questions = []

    def hub_files(repository, revision):
        questions.append((repository, revision))
        return SimpleNamespace(revision=COMMIT, files=("a/test-0.parquet", "a/train-0.parquet", "b.txt"))

    monkeypatch.setattr(families, "hub_files", hub_files)
    return questions


@pytest.mark.parametrize(
    ("argument", "question"),
    [
        ("owner/name", ("owner/name", None)),
        ("owner/name@v1.0", ("owner/name", "v1.0")),
        ("owner/name/a", ("owner/name", None)),
        ("owner/name/a@refs/convert/parquet", ("owner/name", "refs/convert/parquet")),
    ],
)
def test_the_argument_names_a_repository_perhaps_a_folder_and_a_revision(asked, argument, question):
    spec = resolve_hub(argument)
    assert asked == [question]
    assert spec.name == f"hf:{argument}"


def test_the_recipe_is_the_commit_and_its_files(asked):
    spec = resolve_hub("owner/name")
    assert (spec.recipe.repository, spec.recipe.revision) == ("owner/name", COMMIT)
    assert spec.recipe.files == ("a/train-0.parquet", "a/test-0.parquet")
    assert spec.revision == COMMIT
    assert spec.protocols == ("official-split",)


@pytest.mark.parametrize("argument", ["name", "owner/", "/name", "@main", "owner/name@"])
def test_another_form_is_an_error_that_shows_the_right_one(asked, argument):
    with pytest.raises(UsageError, match="write hf:OWNER/NAME"):
        resolve_hub(argument)


def test_specs_of_families_are_accepted_by_the_catalog(asked, write_images, colours):
    from harness.api import installed

    folder = write_images({"cat/1.png": colours(1)[0], "dog/1.png": np.flip(colours(1)[0])})
    catalog = installed()[1]
    assert catalog.dataset(f"folder:{folder}").spec.samples == 2
    assert catalog.dataset("hf:owner/name").spec.revision == COMMIT
