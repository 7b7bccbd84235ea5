"""Small image files, written as the data sets have them, and finished runs to draw pictures of."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from harness import Description, ImageSource, RunView, Splits


def encode(pixels, form="PNG"):
    """Pixels [H, W] or [H, W, 3] as the bytes of a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


@pytest.fixture
def encoded():
    """Encodes pixels [H, W] or [H, W, 3] without loss."""
    return encode


@pytest.fixture
def colours():
    """Makes n different images [n, H, W, 3]."""
    return lambda n, height=8, width=8, seed=0: np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


@pytest.fixture
def write_images(tmp_path):
    """Writes images by path below a folder, which it gives."""

    def write(images, folder="images"):
        for path, pixels in images.items():
            place = tmp_path / folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(pixels if isinstance(pixels, bytes) else encode(pixels))
        return tmp_path / folder

    return write


@pytest.fixture
def write_parquet(tmp_path):
    """Writes a Parquet file in the hub's layout: encoded images and columns of numbers, and what the metadata say of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(name, images, numbers=None, *, column="image", features=None, rows=4):
        cells = [None if cell is None else {"bytes": cell, "path": f"{row}.png"} for row, cell in enumerate(images)]
        fields = {column: pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))}
        table = pa.table(fields | {key: pa.array(values) for key, values in (numbers or {}).items()})
        if features is not None:
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=rows)
        return path

    return write


# ----------------------------------------------------------------------------------------------------- pictures

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, size=(40, 3, 4, 4), dtype=np.uint8)
FEATURES = RANDOM.normal(size=(40, 5)).astype(np.float32)


@pytest.fixture
def run_view():
    """Makes a finished run of 40 images, 30 of them test images, with a feature y of five numbers."""

    def make(pixels=PIXELS, features=FEATURES, **changes):
        source = ImageSource(torch.from_numpy(pixels), value_range=(-1.0, 1.0))
        description = Description(kind="images", shape=source.description.shape, samples=40, value_range=(-1.0, 1.0))
        view = {
            "feature": "y",
            "features": lambda name: features,
            "description": description,
            "splits": Splits(train=np.arange(10), test=np.arange(10, 40)),
            "seed": 3,
            "device": torch.device("cpu"),
            "inputs": source,
        }
        return RunView(**(view | changes))

    return make


@pytest.fixture
def shown_images():
    """The images in a picture, in the order they were drawn."""
    return lambda picture: [np.asarray(image.get_array()) for image in picture.figure.axes[0].images]


@pytest.fixture
def number_of():
    """The sample that a shown image is."""

    def find(image):
        as_shown = np.moveaxis(PIXELS, 1, -1) / 255
        return int(np.abs(as_shown - image).max(axis=(1, 2, 3)).argmin())

    return find
