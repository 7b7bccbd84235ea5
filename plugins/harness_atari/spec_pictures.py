"""Specs of the pictures of a run on Atari games. Imports nothing heavy."""

from __future__ import annotations

from harness import PictureSpec

PICTURES = [
    PictureSpec(
        name="positions",
        summary="Test frames with the places of things as the RAM has them and as a linear probe reads them.",
        kinds=("frames",),
        build="harness_atari.pictures:positions",
        needs=("inputs", "factors"),
    ),
    PictureSpec(
        name="ram-categories",
        summary="How well RAM variables are read off the representation, by category and one by one.",
        kinds=("frames",),
        build="harness_atari.pictures:categories",
    ),
]
