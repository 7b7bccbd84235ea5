"""Specs of the pictures of image runs. Imports nothing heavy."""

from __future__ import annotations

from harness import PictureSpec

NEAREST_NEIGHBOURS = PictureSpec(
    name="nearest-neighbours",
    summary="Test images with their nearest in the representation and in pixels.",
    kinds=("images",),
    build="harness_images.pictures:nearest_neighbours",
    needs=("inputs", "labels"),
)

RECONSTRUCTIONS = PictureSpec(
    name="reconstructions",
    summary="Test images above what the run's decoder makes of their representation.",
    kinds=("images",),
    build="harness_images.pictures:reconstructions",
    needs=("inputs", "modules"),
)


def pictures() -> list[PictureSpec]:
    """All of them."""
    return [NEAREST_NEIGHBOURS, RECONSTRUCTIONS]
