"""SSIM, MS-SSIM and the released code's SSIM: known answers, other libraries, and slow, obvious loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pytorch_msssim
import torch
from numpy.lib.stride_tricks import sliding_window_view
from skimage.metrics import structural_similarity

from harness_reconstruction.similarity import WEIGHTS, ms_ssim, scales_that_fit, ssim, ssim_dim, weights

C1, C2 = 0.01**2, 0.03**2


def pairs(n=100, channels=3, side=32, seed=0):
    """Random images in [0, 1] beside noisy ones, from almost equal to unrelated."""
    generator = torch.Generator().manual_seed(seed)
    x, noise = (torch.rand(n, channels, side, side, generator=generator) for _ in range(2))
    share = torch.linspace(0.02, 1, n).view(-1, 1, 1, 1)
    return x, (1 - share) * x + share * noise


def exact_pairs(n, **form):
    """The same in float64, in which an obvious loop leaves no doubt."""
    x, y = pairs(n, **form)
    return x.double(), y.double()


MEASURES = {
    "ssim": lambda x, y: ssim(x, y, 11),
    "ms_ssim": lambda x, y: ms_ssim(x, y, 11, 2),
    "ssim_dim": lambda x, y: ssim_dim(2 * x - 1, 2 * y - 1),
}
every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


# -------------------------------------------------------------------------------------------------- known answers


@every_measure
def test_an_image_is_wholly_like_itself(measure):
    x, _ = pairs()
    assert measure(x, x).tolist() == pytest.approx([1.0] * 100, abs=1e-6)
    assert measure(x, x).max() <= 1


@every_measure
def test_both_images_are_treated_alike(measure):
    x, y = pairs()
    torch.testing.assert_close(measure(x, y), measure(y, x))


@every_measure
def test_an_image_apart_from_a_little_noise_is_more_like_itself_than_another(measure):
    found = measure(*pairs())
    assert found[0] > 0.9 > 0.3 > found[-1]


@every_measure
def test_each_pair_is_judged_by_itself(measure):
    x, y = pairs()
    torch.testing.assert_close(measure(x, y)[40:50], measure(x[40:50], y[40:50]))


@pytest.mark.parametrize("window", [3, 7, 11])
@pytest.mark.parametrize(("a", "b"), [(0.2, 0.7), (0.0, 1.0), (0.5, 0.5), (0.0, 0.0)])
def test_two_grey_images_differ_in_luminance_alone(a, b, window):
    x, y = torch.full((2, 3, 16, 16), a), torch.full((2, 3, 16, 16), b)
    expected = (2 * a * b + C1) / (a * a + b * b + C1)
    assert ssim(x, y, window).tolist() == pytest.approx([expected] * 2, rel=1e-3)
    # MS-SSIM reads luminance at the coarsest scale only; contrast and structure of even images are equal.
    scales = scales_that_fit(16, window)
    assert ms_ssim(x, y, window, scales).tolist() == pytest.approx([expected ** weights(scales)[-1]] * 2, rel=1e-3)


def test_a_negative_is_unlike_and_gives_no_nan():
    x, _ = pairs()
    assert ssim(x, 1 - x, 11).max() < 0
    assert ms_ssim(x, 1 - x, 11, 2).tolist() == [0.0] * 100


# ---------------------------------------------------------------------------------------------- a second library


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("window", [7, 11])
def test_ssim_is_that_of_scikit_image(window, channels):
    x, y = pairs(channels=channels)
    expected = [
        structural_similarity(
            one.numpy(), other.numpy(), data_range=1.0, channel_axis=0,
            gaussian_weights=True, sigma=0.15 * (window - 1), use_sample_covariance=False,
        )
        for one, other in zip(x.double(), y.double(), strict=True)
    ]  # fmt: skip
    assert ssim(x, y, window).tolist() == pytest.approx(expected, abs=1e-4)


def test_ssim_is_that_of_pytorch_msssim():
    x, y = pairs()
    expected = pytorch_msssim.ssim(x, y, data_range=1.0, size_average=False)
    torch.testing.assert_close(ssim(x, y, 11), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("channels", "count"), [(1, 100), (3, 10)])
def test_ms_ssim_at_five_scales_is_that_of_pytorch_msssim(channels, count):
    for start in range(0, count, 10):
        x, y = pairs(n=10, channels=channels, side=176, seed=start)
        expected = pytorch_msssim.ms_ssim(x, y, data_range=1.0, size_average=False)
        torch.testing.assert_close(ms_ssim(x, y, 11, 5), expected, atol=1e-4, rtol=0)


# ------------------------------------------------------------------------------------------------- obvious loops


def slow_maps(x, y, window):
    """[C, H', W'] contrast and structure, and SSIM, of every window inside the images [C, H, W]."""
    offsets = np.arange(window) - window // 2
    taps = np.exp(-0.5 * (offsets / (0.15 * (window - 1))) ** 2)
    kernel = np.outer(taps, taps) / taps.sum() ** 2

    def mean(values):
        return (sliding_window_view(values, (window, window), axis=(1, 2)) * kernel).sum(axis=(-2, -1))

    mean_x, mean_y = mean(x), mean(y)
    contrast = (2 * (mean(x * y) - mean_x * mean_y) + C2) / (mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2 + C2)
    return contrast, contrast * (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)


def slow_ms_ssim(x, y, window, scales):
    total = sum(WEIGHTS[:scales])
    product = 1.0
    for scale in range(scales):
        contrast, similarity = slow_maps(x, y, window)
        factor = (similarity if scale == scales - 1 else contrast).mean(axis=(1, 2))
        product = product * np.maximum(factor, 0) ** (WEIGHTS[scale] / total)
        height, width = (2 * (side // 2) for side in x.shape[1:])
        x, y = (
            (z[:, 0:height:2, 0:width:2] + z[:, 1:height:2, 0:width:2] + z[:, 0:height:2, 1:width:2] + z[:, 1:height:2, 1:width:2])
            / 4
            for z in (x, y)
        )
    return float(np.mean(product))


def slow_ssim_dim(x, y):
    """[C, H, W] of images [C, H, W], pixel by pixel: beyond the border there are zeros."""
    channels, height, width = x.shape
    taps = [math.exp(-(offset**2) / (2 * 11**2)) for offset in range(-5, 6)]
    total = sum(taps)
    found = np.zeros_like(x)
    for channel in range(channels):
        for row in range(height):
            for column in range(width):
                sums = np.zeros(5)
                for i in range(-5, 6):
                    for j in range(-5, 6):
                        if 0 <= row + i < height and 0 <= column + j < width:
                            a, b = x[channel, row + i, column + j], y[channel, row + i, column + j]
                            sums += taps[i + 5] * taps[j + 5] / total**2 * np.array([a, b, a * a, b * b, a * b])
                mx, my, mxx, myy, mxy = sums
                over = (2 * mx * my + C1) * (2 * (mxy - mx * my) + C2)
                found[channel, row, column] = over / ((mx**2 + my**2 + C1) * (mxx - mx**2 + myy - my**2 + C2))
    return found


@pytest.mark.parametrize("window", [3, 5, 9])
def test_ssim_is_the_mean_over_windows_inside_an_image_that_is_no_square(window):
    x, y = (image[..., :12] for image in exact_pairs(n=6, side=17))
    expected = [slow_maps(a.numpy(), b.numpy(), window)[1].mean() for a, b in zip(x, y, strict=True)]
    assert ssim(x, y, window).tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("side", "window", "scales"), [(32, 11, 2), (32, 11, 1), (28, 11, 2), (45, 11, 3), (8, 7, 1), (8, 3, 2), (49, 3, 5)]
)
def test_ms_ssim_with_fewer_scales_is_the_product_written_out(side, window, scales):
    x, y = exact_pairs(n=6, side=side)
    expected = [slow_ms_ssim(a.numpy(), b.numpy(), window, scales) for a, b in zip(x, y, strict=True)]
    assert ms_ssim(x, y, window, scales).tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("side", [8, 13])
def test_ssim_dim_is_the_released_codes_pixel_by_pixel(side):
    x, y = (2 * image - 1 for image in exact_pairs(n=3, channels=2, side=side))
    expected = [slow_ssim_dim(a.numpy(), b.numpy()).mean() for a, b in zip(x, y, strict=True)]
    assert ssim_dim(x, y).tolist() == pytest.approx(expected, abs=1e-9)


# -------------------------------------------------------------------------------------------------- scales, sizes


@pytest.mark.parametrize(
    ("side", "window", "scales"),
    [(8, 7, 1), (8, 3, 2), (11, 11, 1), (21, 11, 1), (22, 11, 2), (28, 11, 2), (32, 11, 2), (64, 11, 3), (175, 11, 4), (176, 11, 5),
     (1000, 11, 5)],
)  # fmt: skip
def test_scales_are_as_many_as_hold_a_window(side, window, scales):
    assert scales_that_fit(side, window) == scales


@pytest.mark.parametrize("scales", [1, 2, 3, 4, 5])
def test_weights_are_the_papers_and_sum_to_1(scales):
    found = weights(scales)
    assert sum(found) == pytest.approx(1)
    assert [weight / found[0] for weight in found] == pytest.approx([weight / WEIGHTS[0] for weight in WEIGHTS[:scales]])


@pytest.mark.parametrize("side", [3, 5, 7, 9, 11])
def test_an_image_as_large_as_the_window_has_one(side):
    x, y = exact_pairs(n=2, side=side)
    expected = [slow_maps(a.numpy(), b.numpy(), side)[1].mean() for a, b in zip(x, y, strict=True)]
    assert ssim(x, y, side).tolist() == pytest.approx(expected, abs=1e-9)


@every_measure
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_in_double_precision(measure):
    x, y = pairs()
    torch.testing.assert_close(measure(x.double().cuda(), y.double().cuda()).cpu().float(), measure(x, y), atol=1e-5, rtol=0)
