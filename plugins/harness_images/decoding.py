"""Encoded images (PNG, JPEG, WebP, ...) to one array of pixels, decoded by Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness import CorruptDataError, MissingDataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Named = tuple[str, bytes | Path]
"""What error messages call an image, and its encoded bytes or the file that holds them."""

GREY = ("1", "L", "LA")
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of more than 8 bits a pixel, which it does not scale but cuts off when it converts them."""


def survey(images: Iterable[Named], size: int | None = None) -> tuple[int, int, int]:
    """The one form (channels, height, width) of all `images`, read from their headers: 1 channel if all are grey, else 3.

    :param size: the height and width that all are to be brought to; None where they must have one size of their own.
    :raises CorruptDataError: naming the first image that cannot be read or has another size than the first one, or without any.
    """
    expected, channels = (0, 0), 0
    for name, encoded in images:
        with open_image(name, encoded) as image:
            if not channels:
                expected = image.size
            channels = max(channels, 1 if image.mode in GREY else 3)
            if size is None and image.size != expected:
                raise CorruptDataError(
                    f"{name} has {_by(image.size)} pixels and the first image has {_by(expected)}; "
                    "bring all images to one size with -o data.size=N."
                )
    if not channels:
        raise CorruptDataError("There are no images; choose another data set.")
    return (channels, *expected[::-1]) if size is None else (channels, size, size)


def decode_into(pixels: NDArray[np.uint8], images: Iterable[Named], *, resize: bool = False) -> None:
    """Decode `images` one after another into `pixels` [N, C, H, W]; one channel is grey, three are RGB.

    :param resize: scale each image to cover H x W (bicubic, antialiased) and cut off evenly what is over.
    :raises CorruptDataError: naming the image that cannot be decoded or has another size, or when there are not N of them.
    """
    samples, channels, height, width = pixels.shape
    decoded = 0
    for name, encoded in images:
        if decoded == samples:
            raise CorruptDataError(f"There are more images than the {samples} expected; the first that is too many is {name}.")
        pixels[decoded] = _decode(name, encoded, "L" if channels == 1 else "RGB", (width, height), resize)
        decoded += 1
    if decoded < samples:
        raise CorruptDataError(f"There are {decoded} images where {samples} are expected; a file is not whole: fetch it again.")


def _decode(name: str, encoded: bytes | Path, mode: str, expected: tuple[int, int], resize: bool) -> NDArray[np.uint8]:
    """[C, H, W]."""
    import numpy as np
    from PIL import ImageOps

    with open_image(name, encoded) as image:
        if image.size != expected and not resize:
            raise CorruptDataError(f"{name} has {_by(image.size)} pixels where {_by(expected)} are expected.")
        try:
            plain = image.convert(mode)
        except Exception as error:  # what a damaged file makes a decoder stumble over is not bounded
            raise _unreadable(name, error) from None
    array = np.asarray(plain if plain.size == expected else ImageOps.fit(plain, expected))
    return array[None] if mode == "L" else array.transpose(2, 0, 1)


def open_image(name: str, encoded: bytes | Path) -> Image:
    """An image of which only the header was read. Raises CorruptDataError naming it, MissingDataError when Pillow is not there."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingDataError("Pillow, which reads images, is not installed: pip install 'infomax-harness[images]'.") from None
    try:
        image = Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded)
    except Exception as error:
        raise _unreadable(name, error) from None
    if image.mode in DEEP:
        image.close()
        raise CorruptDataError(f"{name} has more than 8 bits a pixel (mode {image.mode}); save it with 8 bits.")
    return image


def _unreadable(name: str, error: Exception) -> CorruptDataError:
    return CorruptDataError(f"{name} is not an image that can be read ({type(error).__name__}); replace it.")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
