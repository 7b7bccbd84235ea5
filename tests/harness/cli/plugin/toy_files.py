"""A plugin whose data sets are made of files: one pinned, one that nobody has pinned; both small enough to be written by a test."""

import hashlib

import harness

PINNED = bytes(range(256)) * 2
SHA256 = hashlib.sha256(PINNED).hexdigest()


def _spec(name, path, sha256, url=None):
    return harness.DataSetSpec(
        name=name,
        summary="Vectors in a file.",
        track="synthetic",
        kind="vectors",
        build="toy_files:build",
        recipe=harness.FilesRecipe(files=(harness.FileSpec(path=path, sha256=sha256, url=url),)),
        protocols=("toy-halves",),
        sampling=("items",),
    )


@harness.hookimpl
def harness_datasets():
    return [
        _spec("toy-pinned", "toy/pinned.bin", SHA256),
        _spec("toy-unpinned", "toy/unpinned.bin", None),
        # Port 9 discards what it is sent and is hardly ever open: a server that cannot be reached, without leaving this machine.
        _spec("toy-offline", "toy/offline.bin", SHA256, "http://127.0.0.1:9/offline.bin"),
    ]


@harness.hookimpl
def harness_protocols():
    return [
        harness.ProtocolSpec(
            name="toy-halves",
            summary="First half, second half.",
            track="synthetic",
            splits="the first half is the training part, the second the test part",
            preprocessing="none",
            evaluators=("knn",),
        )
    ]


def build(context, options):
    import numpy as np
    import torch

    (path,) = context.files.values()
    values = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, 4)
    samples = len(values)
    source = harness.VectorSource(torch.tensor(values))
    splits = harness.Splits(train=np.arange(samples // 2), test=np.arange(samples // 2, samples))
    annotations = harness.Annotations(splits={"toy-halves": splits}, labels=np.arange(samples) % 2)
    return harness.DataSet(inputs=source, annotations=annotations, pretrain=source)
