"""Specs of Deep InfoMax: the objective `dim`, its named methods and its published numbers. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from harness import Meta, MethodSpec, ObjectiveSpec, Options
from harness_images.spec_encoders import IMAGE_ENCODERS

Bound = Literal["jsd", "dv", "infonce", "gan", "kl", "reverse-kl", "squared-hellinger", "pearson-chi2", "neyman-chi2"]
Form = Literal["dot", "concat"]
Weight = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class DIMOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `dim`."""

    alpha: Annotated[Weight, Meta(description="weight of the global term, the information between y and the whole local map")] = 0.0
    beta: Annotated[Weight, Meta(description="weight of the local term, the mean information between y and a local vector")] = 1.0
    gamma: Annotated[Weight, Meta(description="weight of matching sigmoid(y) to uniform noise")] = 0.1
    bound: Annotated[
        Bound,
        Meta(
            description="estimator of mutual information, for both terms; kl, reverse-kl, squared-hellinger and neyman-chi2 hold "
            "exponentials, which overflow at once for a wide dot-product critic: take critic=concat"
        ),
    ] = "infonce"
    critic: Annotated[Form, Meta(description="local critic: encode and dot product, or concatenate and convolve")] = "dot"
    global_critic: Annotated[Form, Meta(description="the same for the global term")] = "concat"
    units: Annotated[int, Meta(ge=1, description="units of a dot-product critic")] = 2048
    hidden: Annotated[int, Meta(ge=1, description="hidden units of a concatenating critic")] = 512
    places: Annotated[Count | None, Meta(description="places of the local map drawn per image and step; none: all")] = None
    negatives: Annotated[
        Count | None, Meta(description="marginal pairs drawn per global vector, for a dot-product critic; none: all of the batch")
    ] = None
    permutations: Annotated[
        int, Meta(ge=1, description="other images that each place is paired with, for a concatenating critic")
    ] = 1
    penalty: Annotated[Weight, Meta(description="weight of the gradient penalty on the prior's discriminator, per sample")] = 1.0
    coordinates: Annotated[
        Literal["none", "absolute", "relative", "both"], Meta(description="coordinates to predict from y and local vectors")
    ] = "none"
    coordinate_weight: Annotated[Weight, Meta(description="weight of the coordinate tasks' cross-entropies")] = 1.0
    occlusion: Annotated[
        float, Meta(ge=0, lt=1, description="side of the square hidden from y, as a part of the image's; 0 hides nothing")
    ] = 0.0
    lr: Annotated[float, Meta(gt=0, description="Adam's learning rate, for every network")] = 1e-4

    def __post_init__(self) -> None:
        if self.alpha == self.beta == self.gamma == 0 and (self.coordinates == "none" or self.coordinate_weight == 0):
            raise ValueError("Alpha, beta and gamma are all 0, so there is nothing to train for; give one of them a weight")


DIM = ObjectiveSpec(
    name="dim",
    summary="Deep InfoMax: local and global mutual information with the input, and a prior on y.",
    build="harness_images.dim:build",
    sampling=("items",),
    smallest_batch=2,
    options=DIMOptions,
)

_PAPER = (
    "Hjelm, Fedorov, Lavoie-Marchildon, Grewal, Bachman, Trischler, Bengio: Learning deep representations by mutual information "
    "estimation and maximization, ICLR 2019, arXiv:1808.06670"
)
_CITATION = """\
@inproceedings{hjelm2019learning,
  title     = {Learning deep representations by mutual information estimation and maximization},
  author    = {Hjelm, R Devon and Fedorov, Alex and Lavoie-Marchildon, Samuel and Grewal, Karan and Bachman, Phil
               and Trischler, Adam and Bengio, Yoshua},
  booktitle = {International Conference on Learning Representations},
  year      = {2019}
}"""
_TRAIN = {"epochs": 200, "batch_size": 64}
_ON_CIFAR = {"train": {"epochs": 1000}}


def _method(name: str, summary: str, objective: dict[str, Any], *, aliases: tuple[str, ...] = ()) -> MethodSpec:
    return MethodSpec(
        name=name,
        aliases=aliases,
        summary=summary,
        objective="dim",
        encoders=IMAGE_ENCODERS,
        options={"train": _TRAIN, "objective": objective},
        data_options={"cifar10": _ON_CIFAR, "cifar100": _ON_CIFAR},
        budgets={
            # 350,000 images of CIFAR-10; critics of 256 units.
            "fast": {"train": {"epochs": 7}, "objective": {"units": 256, "hidden": 256}},
            "smoke": {"train": {"epochs": 1}, "objective": {"units": 32, "hidden": 32}},
        },
        paper=_PAPER,
        citation=_CITATION,
    )


_LOCAL = {"alpha": 0.0, "beta": 1.0, "gamma": 0.1}
_STRUCTURED = {**_LOCAL, "bound": "infonce"}
_OCCLUDED = 0.4

METHODS = [
    _method("dim-g", "Deep InfoMax, global term alone.", {"alpha": 1.0, "beta": 0.0, "gamma": 1.0, "bound": "jsd"}),
    _method("dim-l-dv", "Deep InfoMax, local term, Donsker-Varadhan bound.", {**_LOCAL, "bound": "dv"}),
    _method("dim-l-jsd", "Deep InfoMax, local term, Jensen-Shannon bound.", {**_LOCAL, "bound": "jsd"}),
    _method("dim-l-infonce", "Deep InfoMax, local term, InfoNCE bound.", {**_LOCAL, "bound": "infonce"}, aliases=("dim",)),
    _method("dim-lg", "Deep InfoMax, local and global terms.", {"alpha": 0.5, "beta": 0.1, "gamma": 0.1, "bound": "jsd"}),
    _method(
        "dim-l-coord",
        "Local InfoNCE, and absolute and relative coordinates predicted.",
        {**_STRUCTURED, "coordinates": "both"},
    ),
    _method(
        "dim-l-occlude",
        "Local InfoNCE, y computed from an image with a part hidden.",
        {**_STRUCTURED, "occlusion": _OCCLUDED},
    ),
    _method(
        "dim-l-coord-occlude",
        "Local InfoNCE with coordinates predicted and a part of the image hidden from y.",
        {**_STRUCTURED, "coordinates": "both", "occlusion": _OCCLUDED},
    ),
]
