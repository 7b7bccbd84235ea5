"""Encoded images to pixels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from harness import CorruptDataError
from harness_images.decoding import decode_into, survey


def named(images):
    return [(f"image {number}", content) for number, content in enumerate(images)]


def decoded(images, shape, **options):
    pixels = np.zeros((len(images), *shape), dtype=np.uint8)
    decode_into(pixels, named(images), **options)
    return pixels


def test_colours_come_channel_by_channel(encoded, colours):
    images = colours(3, 4, 6)
    assert np.array_equal(decoded([encoded(image) for image in images], (3, 4, 6)), images.transpose(0, 3, 1, 2))


def test_a_webp_without_loss_gives_the_same_pixels(colours):
    import io

    [image] = colours(1)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "WEBP", lossless=True)
    assert np.array_equal(decoded([stream.getvalue()], (3, 8, 8))[0], image.transpose(2, 0, 1))


def test_grey_images_have_one_channel(encoded, colours):
    grey = colours(1)[0, :, :, 0]
    assert np.array_equal(decoded([encoded(grey)], (1, 8, 8))[0, 0], grey)


def test_a_grey_image_among_colours_has_three_equal_channels(encoded, colours):
    grey = colours(1)[0, :, :, 0]
    assert np.array_equal(decoded([encoded(grey)], (3, 8, 8))[0], np.stack([grey] * 3))


def test_a_file_is_read_as_its_bytes_are(tmp_path, encoded, colours):
    [image] = colours(1)
    (tmp_path / "a.png").write_bytes(encoded(image))
    pixels = np.zeros((1, 3, 8, 8), dtype=np.uint8)
    decode_into(pixels, [("a", tmp_path / "a.png")])
    assert np.array_equal(pixels[0], image.transpose(2, 0, 1))


def test_another_size_is_an_error_that_names_the_image(encoded, colours):
    with pytest.raises(CorruptDataError, match=r"image 1 has 9x8 pixels where 8x8 are expected"):
        decoded([encoded(colours(1)[0]), encoded(colours(1, 8, 9)[0])], (3, 8, 8))


@pytest.mark.parametrize("content", [b"", b"no image", "cut short"])
def test_a_damaged_image_is_an_error_that_names_it(encoded, colours, content):
    if content == "cut short":
        content = encoded(colours(1)[0])[:80]
    with pytest.raises(CorruptDataError, match=r"image 0 is not an image that can be read"):
        decoded([content], (3, 8, 8))


def test_sixteen_bits_a_pixel_are_refused_rather_than_cut_off(encoded):
    with pytest.raises(CorruptDataError, match="more than 8 bits"):
        decoded([encoded(np.full((8, 8), 4000, dtype=np.uint16))], (1, 8, 8))


@pytest.mark.parametrize("there", [1, 3])
def test_too_few_or_too_many_images_are_an_error(encoded, colours, there):
    with pytest.raises(CorruptDataError, match="expected"):
        decode_into(np.zeros((2, 3, 8, 8), dtype=np.uint8), named([encoded(colours(1)[0])] * there))


def test_resizing_covers_the_square_and_cuts_off_the_sides_evenly(encoded):
    wide = np.zeros((8, 16, 3), dtype=np.uint8)
    wide[:, 4:12] = 200
    assert (decoded([encoded(wide)], (3, 8, 8), resize=True) == 200).all()


def test_resizing_scales_the_shorter_side(encoded):
    halves = np.zeros((16, 16, 3), dtype=np.uint8)
    halves[8:] = 100
    small = decoded([encoded(halves)], (3, 4, 4), resize=True)[0, 0]
    assert small[:1].max() < 10
    assert small[3:].min() > 90


def test_what_has_the_size_already_is_not_touched(encoded, colours):
    [image] = colours(1)
    assert np.array_equal(decoded([encoded(image)], (3, 8, 8), resize=True)[0], image.transpose(2, 0, 1))


def test_the_form_is_read_from_the_headers(encoded, colours):
    assert survey(named([encoded(image) for image in colours(2, 4, 6)])) == (3, 4, 6)


def test_all_grey_is_one_channel_and_a_single_coloured_one_makes_three(encoded, colours):
    grey = [encoded(image[:, :, 0]) for image in colours(3)]
    assert survey(named(grey)) == (1, 8, 8)
    assert survey(named([*grey, encoded(colours(1)[0])])) == (3, 8, 8)


def test_the_first_image_of_another_size_is_named_with_what_helps(encoded, colours):
    images = [encoded(colours(1)[0]), encoded(colours(1, 4, 4)[0]), encoded(colours(1, 5, 5)[0])]
    with pytest.raises(CorruptDataError, match=r"image 1 has 4x4 pixels and the first image has 8x8; .* data\.size=N"):
        survey(named(images))


def test_a_size_makes_all_images_fit(encoded, colours):
    assert survey(named([encoded(colours(1)[0]), encoded(colours(1, 4, 5)[0])]), size=6) == (3, 6, 6)


def test_no_images_have_no_form():
    with pytest.raises(CorruptDataError, match="There are no images"):
        survey([])


def test_importing_it_imports_neither_numpy_nor_pillow():
    script = "import sys, harness_images.decoding; print({'numpy', 'torch', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
