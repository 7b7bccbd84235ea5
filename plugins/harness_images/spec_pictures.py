"""Specs of the pictures of image runs. Imports nothing heavy."""

from __future__ import annotations

from harness import PictureSpec

NEAREST_NEIGHBOURS = PictureSpec(
    name="nearest-neighbours",
    summary="Test images with their nearest in the representation and in pixels.",
    kinds=("images", "frames"),
    build="harness_images.neighbours:nearest_neighbours",
    needs=("inputs", "labels"),
)

RECONSTRUCTIONS = PictureSpec(
    name="reconstructions",
    summary="Test images above what the run's decoder makes of their representation.",
    kinds=("images", "frames"),
    build="harness_images.decodings:reconstructions",
    needs=("inputs", "modules"),
)

SAMPLES = PictureSpec(
    name="samples",
    summary="Images that the run's generator makes of noise.",
    kinds=("images", "frames"),
    build="harness_images.decodings:samples",
    needs=("modules",),
)

TRAVERSALS = PictureSpec(
    name="traversals",
    summary="What the run's decoder makes of a representation when one dimension of it is changed.",
    kinds=("images", "frames"),
    build="harness_images.decodings:traversals",
    needs=("modules",),
)


def pictures() -> list[PictureSpec]:
    """All of them."""
    return [NEAREST_NEIGHBOURS, RECONSTRUCTIONS, SAMPLES, TRAVERSALS]
