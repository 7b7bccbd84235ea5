from __future__ import annotations

import pytest

from harness import Encoder, UnfitError


class Shaped(Encoder):
    """An encoder of which only the shapes matter."""

    def __init__(self, **shapes):
        super().__init__()
        self.feature_shapes = shapes

    def forward(self, batch):
        raise NotImplementedError


def test_a_feature_that_is_needed_comes_with_its_shape():
    encoder = Shaped(y=(7,), local=(3, 4, 5))
    assert encoder.shape_of("y", "D") == (7,)
    assert encoder.shape_of("local", "C", "H", "W") == (3, 4, 5)


@pytest.mark.parametrize(("feature", "axes", "wanted"), [("z", "D", "D"), ("y", "CHW", "C, H, W"), ("local", "D", "D")])
def test_an_encoder_without_it_is_refused_with_what_it_offers(feature, axes, wanted):
    with pytest.raises(UnfitError) as caught:
        Shaped(y=(7,), local=(3, 4, 5)).shape_of(feature, *axes)
    assert str(caught.value) == (
        f'An encoder with a feature "{feature}" [{wanted}] is needed; this one offers "y" [7], "local" [3, 4, 5].'
    )
