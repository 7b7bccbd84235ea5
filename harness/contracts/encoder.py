"""The encoder contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from harness.errors import UnfitError


class Encoder(nn.Module, ABC):
    """A network that turns a batch into named features.

    A class is either this one or final: subclass it once and override nothing that is concrete. Set `feature_shapes` in
    `__init__`. Ordinary torch layers may be created freely in there: the core calls `build` with torch's random state
    seeded for this component and puts the caller's back afterwards.
    """

    feature_shapes: Mapping[str, tuple[int, ...]]
    """Shape of each feature for one sample, in the order of the spec, the default feature first:
    {"y": (64,), "conv": (256, 4, 4)}."""

    @abstractmethod
    def forward(self, batch: Any) -> dict[str, Tensor]:
        """Features of a batch of B samples, each of shape [B, *feature_shapes[name]].

        "y" is taken before any output nonlinearity.
        """

    def shape_of(self, feature: str, *axes: str) -> tuple[int, ...]:
        """Shape of a feature that an objective builds upon, for one sample.

            channels, height, width = encoder.shape_of("local", "C", "H", "W")

        :param axes: names of the axes that it must have.
        Raises UnfitError for an encoder without such a feature.
        """
        shape = self.feature_shapes.get(feature)
        if shape is None or len(shape) != len(axes):
            offered = ", ".join(f'"{name}" {list(form)}' for name, form in self.feature_shapes.items())
            raise UnfitError(f'An encoder with a feature "{feature}" [{", ".join(axes)}] is needed; this one offers {offered}.')
        return shape
