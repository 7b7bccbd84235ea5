"""What `folder:PATH` and `hf:OWNER/NAME` mean: specs made when a data set is named. Imports nothing heavy."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness import CorruptDataError, DataSetSpec, FileSpec, FilesRecipe, HubRecipe, UsageError, hub_files
from harness_images.decoding import GREY, open_image
from harness_images.spec_data import DRAWN_SPLIT, OFFICIAL_SPLIT, SizeOptions

PART_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""The parts of a data set by the words that folders and files are named with."""

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
_HUB_ARGUMENT = re.compile(r"(?P<repository>[^/@]+/[^/@]+)(/(?P<folder>[^@]+))?(@(?P<revision>.+))?")
_HUB_PART = re.compile(rf"(?:^|[/_.-])({'|'.join(PART_NAMES)})(?=[/_.-])")


@dataclass(frozen=True)
class Layout:
    """How the files of a data set are arranged."""

    parts: Mapping[str, tuple[str, ...]]
    """Files of "train", "validation" and "test", of those that there are, each in alphabetical order."""
    class_of: Mapping[str, str] = field(default_factory=dict)
    """The class of each file; empty where paths do not say it."""

    @classmethod
    def of(cls, parts: Mapping[str, Iterable[str]], class_of: Mapping[str, str] | None = None) -> Layout:
        """A validation part without a test part is the test part."""
        held = {part: tuple(sorted(parts.get(part, ()))) for part in ("train", "validation", "test")}
        if not held["test"]:
            held["test"], held["validation"] = held["validation"], ()
        return cls({part: paths for part, paths in held.items() if paths}, class_of or {})

    @property
    def files(self) -> tuple[str, ...]:
        """All files, part by part."""
        return tuple(path for paths in self.parts.values() for path in paths)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in alphabetical order, by which they are numbered."""
        return tuple(sorted(set(self.class_of.values())))

    @property
    def protocol(self) -> str:
        """Its own parts, or a drawn one."""
        return OFFICIAL_SPLIT.name if "test" in self.parts else DRAWN_SPLIT.name


# ------------------------------------------------------------------------------------------------------- folders


def resolve_folder(argument: str) -> DataSetSpec:
    """The data set of a folder's images, each file pinned by its digest.

    Raises UsageError when the path is no folder, has no images or an arrangement that has no meaning, CorruptDataError when a file
    cannot be read as an image.
    """
    folder = Path(argument).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"{folder} is {'not a folder' if folder.exists() else 'not there'}; folder:PATH takes a folder of images.")
    layout = folder_layout(_images_below(folder))
    if not layout.files:
        raise UsageError(f"{folder} holds no images, which are files that end in {', '.join(sorted(ENDINGS))}.")
    files = {path: _inspected(folder / path) for path in layout.files}
    sizes = {file.size for file in files.values()}
    channels = 1 if all(file.grey for file in files.values()) else 3
    return DataSetSpec(
        name=f"folder:{argument}",
        summary=f"{len(files)} images in the folder {folder.name}.",
        track="images",
        kind="images",
        build="harness_images.gathered:build_folder",
        recipe=FilesRecipe(files=tuple(FileSpec(path=path, sha256=file.sha256) for path, file in files.items())),
        place=str(folder),
        protocols=(layout.protocol,),
        sampling=("items",),
        shape=(channels, *sizes.pop()[::-1]) if len(sizes) == 1 else None,
        samples=len(files),
        annotations=("labels",) if layout.classes else (),
        classes=len(layout.classes) or None,
        options=SizeOptions,
        requires=("PIL",),
    )


def folder_layout(paths: Iterable[str]) -> Layout:
    """Parts and classes of images by their paths below a folder.

    "CLASS/.../NAME", or "PART/CLASS/.../NAME" where all is in folders named train, test or validation. Images that are all in one
    folder have no classes. Raises UsageError when only some images are in a part's or a class's folder, or a class is not in the
    training part.
    """
    paths = list(paths)
    tops = {path.partition("/")[0] for path in paths}
    named = tops & PART_NAMES.keys() if "train" in tops else set()
    in_parts = tops == named
    if len(named) > 1 and not in_parts:
        raise UsageError(
            f"{min(tops - named)} is beside the parts {', '.join(sorted(named))}; move it into one of them or elsewhere."
        )
    parts: dict[str, dict[str, str]] = defaultdict(dict)  # by part, the class of each path; "" where it is in no class's folder
    for path in paths:
        folders = path.split("/")[:-1]
        part = PART_NAMES[folders.pop(0)] if in_parts else "train"
        parts[part][path] = folders[0] if folders else ""
    classes = {part: set(by_path.values()) for part, by_path in parts.items()}
    known = classes.get("train", set())
    for part, names in classes.items():
        for path, name in parts[part].items():
            if not name and (len(names) > 1 or len(known) > 1):
                raise UsageError(f"The image {path} is in no class's folder, and others are; move it into one.")
            if len(known) > 1 and name not in known:
                raise UsageError(f"The image {path} is of class {name!r}, which the training part does not have.")
    several = len(known) > 1
    return Layout.of(parts, {path: name for by_path in parts.values() for path, name in by_path.items()} if several else None)


def _images_below(folder: Path) -> list[str]:
    """Relative paths of all images, with forward slashes. Names that begin with a dot are left out, as systems hide them."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(place).relative_to(folder)
        found += [(here / name).as_posix() for name in names if name[0] != "." and Path(name).suffix.lower() in ENDINGS]
    for path in found:
        if not path.isprintable() or ":" in path or "\\" in path:
            raise UsageError(f"The path {path!r} below {folder} holds a character that a recipe cannot hold; rename it.")
    return found


@dataclass(frozen=True)
class _File:
    sha256: str
    size: tuple[int, int]
    """Width and height."""
    grey: bool


def _inspected(path: Path) -> _File:
    try:
        state = path.stat()
        return _inspect(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise CorruptDataError(f"{path} cannot be read: {error.strerror}.") from None


@functools.cache
def _inspect(path: Path, length: int, changed: int) -> _File:
    """A file's digest and header, read once as long as neither its length nor the time of its last change differs."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    with open_image(str(path), path) as image:
        return _File(sha256, image.size, image.mode in GREY)


# --------------------------------------------------------------------------------------------- the Hugging Face hub


def resolve_hub(argument: str) -> DataSetSpec:
    """The data set of a repository's Parquet files at one commit.

    Raises UsageError when the argument has another form, or the repository no such files, MissingDataError when the hub does not
    have the repository or cannot be asked.
    """
    asked = _HUB_ARGUMENT.fullmatch(argument)
    if asked is None:
        raise UsageError(
            f"hf:{argument} names no data set of the hub; write hf:OWNER/NAME, hf:OWNER/NAME/FOLDER, or either with @REVISION."
        )
    repository = asked["repository"]
    listing = hub_files(repository, asked["revision"])
    layout = hub_layout(repository, listing.files, asked["folder"])
    return DataSetSpec(
        name=f"hf:{argument}",
        summary=f"{repository} on the Hugging Face hub.",
        track="images",
        kind="images",
        build="harness_images.gathered:build_hub",
        recipe=HubRecipe(repository=repository, revision=listing.revision, files=layout.files),
        revision=listing.revision,
        protocols=(layout.protocol,),
        sampling=("items",),
        options=SizeOptions,
        requires=("pyarrow", "PIL"),
    )


def hub_layout(repository: str, files: Iterable[str], folder: str | None = None) -> Layout:
    """The Parquet files of each part, which their paths name: "FOLDER/train-00000-of-00001.parquet", "FOLDER/train/0000.parquet".

    Files that name no part are left out where others do; where none does, all are the training part. Raises UsageError when there
    are none, or in several folders, each with a training part, of which `folder` names none.
    """
    files = [path for path in files if path.endswith(".parquet")]
    if not files:
        raise UsageError(f"{repository} has no Parquet files, and no others are read; choose a data set that has some.")
    folders: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        if named := list(_HUB_PART.finditer(path)):
            folders[path[: named[-1].start()]][PART_NAMES[named[-1][1]]].append(path)
    whole = {name: parts for name, parts in folders.items() if "train" in parts} or {"": {"train": files}}
    if folder is None and ("" in whole or len(whole) == 1):
        folder = "" if "" in whole else next(iter(whole))
    if folder not in whole:
        found = "holds several data sets" if folder is None else f"has no data set {folder}"
        choice = " or ".join(f"hf:{repository}/{name}".rstrip("/") for name in sorted(whole))
        raise UsageError(f"{repository} {found}; write {choice}.")
    return Layout.of(whole[folder])
