"""Alignment and uniformity."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from harness import UnfitError
from harness_geometry import alignment_uniformity
from harness_geometry.alignment_uniformity import AlignmentUniformity, on_sphere, squared_distances, uniformity
from harness_geometry.spec import AlignmentUniformityOptions


def evaluate(task, **options):
    scores = AlignmentUniformity(AlignmentUniformityOptions(**options)).evaluate(task)
    return {score.name: score for score in scores}


def points(*rows):
    return on_sphere(torch.tensor(rows, dtype=torch.float32))


def pair_by_pair(x):
    """The definition as two loops."""
    unit = [row / np.linalg.norm(row) for row in x.astype(np.float64)]
    values = [math.exp(-2 * ((a - b) ** 2).sum()) for i, a in enumerate(unit) for j, b in enumerate(unit) if i != j]
    return math.log(sum(values) / len(values))


def test_two_opposite_points_are_as_uniform_as_can_be():
    assert uniformity(points([1, 0], [-1, 0])) == pytest.approx(-8, abs=1e-6)


def test_two_right_angled_points():
    assert uniformity(points([1, 0], [0, 1])) == pytest.approx(-4, abs=1e-6)


def test_equal_points_are_not_uniform_at_all():
    value = uniformity(on_sphere(torch.rand(1, 30)).expand(50, -1))
    assert value == pytest.approx(0, abs=1e-5)
    assert value <= 0


def test_a_cross_of_four_points():
    # Of six pairs, four are at a right angle and two opposite.
    value = uniformity(points([1, 0], [0, 1], [-1, 0], [0, -1]))
    assert value == pytest.approx(math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6), abs=1e-6)


def test_many_points_all_over_a_sphere_approach_its_own_value():
    # On the sphere of three dimensions, cos of the angle is uniform: E exp(-4 (1 - c)) = (1 - exp(-8)) / 8.
    x = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    assert uniformity(on_sphere(x)) == pytest.approx(math.log((1 - math.exp(-8)) / 8), abs=0.01)


def test_the_value_is_that_of_two_loops():
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32) + 0.5
    assert uniformity(on_sphere(torch.tensor(x))) == pytest.approx(pair_by_pair(x), abs=1e-6)


@pytest.mark.parametrize("pairs", [1, 50, 123])
def test_the_size_of_a_block_does_not_matter(monkeypatch, pairs):
    x = on_sphere(torch.randn(41, 5, generator=torch.Generator().manual_seed(0)))
    whole = uniformity(x)
    monkeypatch.setattr(alignment_uniformity, "PAIRS", pairs)
    assert uniformity(x) == pytest.approx(whole, abs=1e-6)


def test_lengths_change_nothing_however_extreme():
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    lengths = torch.logspace(-30, 30, 20)[:, None]
    assert uniformity(on_sphere(x * lengths)) == pytest.approx(uniformity(on_sphere(x)), abs=1e-5)


def test_a_vector_of_zeros_stays_in_the_middle():
    assert on_sphere(torch.zeros(1, 3)).tolist() == [[0, 0, 0]]
    assert uniformity(points([0, 0], [0, 3])) == pytest.approx(-2, abs=1e-6)


def test_identical_views_are_aligned():
    x = torch.randn(9, 1, 5).expand(-1, 2, -1)
    assert squared_distances(x).tolist() == [0.0] * 9


def test_the_distance_of_two_views_is_that_of_their_directions():
    pairs = torch.tensor([[[1.0, 0], [0, 5]], [[2.0, 0], [-1, 0]], [[1.0, 1], [3, 3]]])
    assert squared_distances(pairs).tolist() == pytest.approx([2, 4, 0], abs=1e-6)
    assert squared_distances(pairs).max() <= 4


def test_alignment_is_zero_where_the_encoder_does_not_see_the_views(make_image_task):
    # One pixel in the middle of black ones: wherever it is moved to, row and column sums weighted alike are the same.
    pixels = np.zeros((60, 2, 6, 6), np.float32)
    pixels[:, :, 2:4, 2:4] = np.random.default_rng(0).normal(size=(60, 2, 2, 2))
    sums = np.kron(np.eye(2), np.ones((36, 1)))  # [72, 2]: the sum of each channel
    found = evaluate(make_image_task(pixels, sums)[0], padding=1 / 6, flip=True)
    assert found["alignment"].value == pytest.approx(0, abs=1e-10)


def test_alignment_is_the_mean_over_pairs_of_views(make_image_task, images):
    pixels, weights = images(90), np.random.default_rng(1).normal(size=(36, 4))
    found = evaluate(make_image_task(pixels, weights, seed=5)[0], padding=1 / 6)["alignment"]
    expected = []
    generator = torch.Generator().manual_seed(5)
    top, left = torch.randint(3, (2, 60), generator=generator).tolist()  # 30 test samples with two views each
    for i in range(30):
        padded = np.pad(pixels[60 + i, 0], 1)
        views = [padded[top[v] : top[v] + 6, left[v] : left[v] + 6].reshape(-1) @ weights for v in (2 * i, 2 * i + 1)]
        first, second = (view / np.linalg.norm(view) for view in views)
        expected.append(((first - second) ** 2).sum())
    assert found.value == pytest.approx(np.mean(expected), rel=1e-5)
    assert found.std == pytest.approx(np.std(expected, ddof=1), rel=1e-5)
    assert (found.over, found.n) == ("samples", 30)


def test_uniformity_is_of_the_test_features_as_they_were_represented(make_image_task, images):
    task, _ = make_image_task(images(90))
    found = evaluate(task)["uniformity"]
    assert found.value == pytest.approx(pair_by_pair(task.test.features), abs=1e-6)
    assert found.selected == {"samples": 30}


def test_without_images_uniformity_stands_alone(make_task):
    x = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    assert set(evaluate(make_task(x, x))) == {"uniformity"}


def test_at_most_so_many_samples_are_judged(make_image_task, images):
    found = evaluate(make_image_task(images(90))[0], samples=10)
    assert found["uniformity"].selected == {"samples": 10}
    assert found["alignment"].n == 10


def test_the_same_seed_gives_the_same_scores_and_another_other_views(make_image_task, images):
    task, _ = make_image_task(images(90))
    first, other = evaluate(task), evaluate(dataclasses.replace(task, seed=1))
    assert evaluate(task) == first
    assert other["uniformity"] == first["uniformity"]
    assert other["alignment"] != first["alignment"]


def test_the_data_set_need_not_number_its_test_samples_in_order(make_image_task, images):
    task, _ = make_image_task(images(90))
    back = task.test.take(np.arange(30)[::-1].copy())
    for name, score in evaluate(dataclasses.replace(task, test=back)).items():
        assert score.value == pytest.approx(evaluate(task)[name].value, abs=1e-6)


def test_a_source_that_cannot_be_cut_says_so(make_image_task, images):
    task, _ = make_image_task(images(90))

    class Whole(type(task.inputs)):
        def subset(self, index):
            return super(type(task.inputs), self).subset(index)

    with pytest.raises(UnfitError, match="cannot be cut into parts"):
        evaluate(dataclasses.replace(task, inputs=Whole(torch.zeros(90, 1, 6, 6))))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same(make_image_task, images):
    here, there = (evaluate(make_image_task(images(90), device=device)[0]) for device in ("cpu", "cuda"))
    for name, score in here.items():
        assert there[name].value == pytest.approx(score.value, abs=1e-5)
