"""The objective `mutual-information`: a critic trained to make a lower bound on I(X; Y) as high as it can.

    maximise B(f(x, y) for joint pairs, f(x, y') for marginal pairs)

InfoNCE (van den Oord et al. 2018), NWJ (Nguyen et al. 2010), DV and MINE (Belghazi et al. 2018), Jensen-Shannon (Nowozin et al.
2016; Hjelm et al. 2019). A Jensen-Shannon critic converges to the logarithm of the density ratio and is then *read* in several
ways, among them SMILE (Song and Ermon 2020): what trains a critic and what reads it are different things here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness import Encoder, Items, Objective, ObjectiveContext, Phase, Step, UnfitError
from harness.bounds import dv, infonce, jsd, kl, mine, moved_log_average
from harness_information.readings import READINGS, READINGS_OF
from harness_information.spec_estimators import MutualInformationOptions

TRAINED_BY = {"infonce": infonce, "nwj": kl, "dv": dv, "js": jsd}
"""The bounds that are maximised as they are; MINE has state."""


class Trace(nn.Module):
    """What the estimates were at every step, before that step changed the critic. A run exports it as "trace".

    :param bound: what the critic was trained by.
    :param steps: first steps that are kept.
    """

    values: Tensor
    """[steps, readings] float32, in the order of `readings`; NaN where training did not come."""

    def __init__(self, bound: str, steps: int) -> None:
        super().__init__()
        self.bound = bound
        self.readings = READINGS_OF[bound]
        self.register_buffer("values", torch.full((steps, len(self.readings)), torch.nan))


class MutualInformation(Objective):
    """One phase; `encoder` is a critic that offers "scores" [B, candidates], of the joint pair first."""

    log_average: Tensor
    """[] of MINE: the logarithm of the moving average of exp(f) over marginal pairs."""

    def __init__(self, encoder: Encoder, options: MutualInformationOptions) -> None:
        super().__init__(encoder, sampling=Items())
        self.options = options
        self.trace = Trace(options.bound, options.trace)
        self.register_buffer("log_average", torch.zeros(()))

    def phases(self) -> Sequence[Phase]:
        """One, by Adam."""
        adam = partial(torch.optim.Adam, lr=self.options.lr, fused=True)
        return [Phase("critic", self.encoder.parameters(), adam, self.ascent)]

    def ascent(self, step: Step) -> Mapping[str, Tensor]:
        """The negative bound, and the estimate in nats as the critic's own reading gives it on this batch."""
        scores = self.encoder(step.batch)["scores"]
        positive, negative = scores[:, :1], scores[:, 1:]
        if self.options.bound == "mine":
            self.log_average.copy_(moved_log_average(self.log_average, negative.detach(), self.options.rate))
            bound = mine(positive, negative, self.log_average)
        else:
            bound = TRAINED_BY[self.options.bound](positive, negative)
        return {"loss": -bound, "estimate": self._read(positive.detach(), negative.detach(), bound.detach(), step.index)}

    def _read(self, positive: Tensor, negative: Tensor, bound: Tensor, step: int) -> Tensor:
        """What is logged of a batch's scores; all readings of them go into the trace where it has room."""
        own = self.trace.readings[0]
        found = {own: bound} if TRAINED_BY.get(self.options.bound) is READINGS[own] else {}
        if step < len(self.trace.values):
            row = [found[name] if name in found else READINGS[name](positive, negative) for name in self.trace.readings]
            self.trace.values[step] = torch.stack(row)
            found = dict(zip(self.trace.readings, row, strict=True))
        # A Jensen-Shannon critic trains on where the exponential of its own reading overflows; that of DV does not.
        logged = "dv" if self.options.bound == "js" else own
        return found[logged] if logged in found else READINGS[logged](positive, negative)

    def exports(self) -> Mapping[str, nn.Module]:
        """The trace, which also says what the critic was trained by."""
        return {"trace": self.trace}


def build(
    encoder: Encoder, context: ObjectiveContext, options: MutualInformationOptions, generator: torch.Generator
) -> MutualInformation:
    """The objective `mutual-information`. Raises UnfitError for an encoder without "scores" of at least two candidates."""
    shape = encoder.feature_shapes.get("scores", ())
    if len(shape) != 1 or shape[0] < 2:
        raise UnfitError('Mutual information is estimated by a critic with a feature "scores" of two candidates or more.')
    return MutualInformation(encoder, options)
