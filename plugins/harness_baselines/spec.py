"""The baselines' hooks: objectives and methods. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from harness import Meta, MethodSpec, ObjectiveSpec, Options, hookimpl

# ------------------------------------------------------------------------------------------------------ options

Rate = Annotated[float, Meta(gt=0, description="Adam's learning rate, for every network")]
Weight = Annotated[float, Meta(ge=0)]
Divergence = Literal["gan", "jsd", "dv", "kl", "reverse-kl", "squared-hellinger", "pearson-chi2", "neyman-chi2", "wasserstein"]
Scale = Annotated[float, Meta(gt=0, description="width of the decoder or generator, as a multiple of the encoder's mirror")]
Penalty = Annotated[Weight, Meta(description="weight of the penalty on the discriminator's gradient, per sample")]


class AutoencoderOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `autoencoder`."""

    decoder_scale: Scale = 1.0
    lr: Rate = 1e-4


class DenoisingOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `denoising-autoencoder`."""

    corruption: Annotated[
        Literal["masking", "gaussian", "salt-and-pepper"],
        Meta(description="pixels set to 0, normal noise added to all, or pixels set to the lowest or highest value"),
    ] = "masking"
    noise: Annotated[
        float, Meta(ge=0, description="share of pixels that are corrupted, or the normal noise's deviation; 0: the autoencoder")
    ] = 0.25
    decoder_scale: Scale = 1.0
    lr: Rate = 1e-4

    def __post_init__(self) -> None:
        if self.corruption != "gaussian" and self.noise > 1:
            raise ValueError(f"Noise is the share of corrupted pixels here, at most 1, not {self.noise:g}")


class VAEOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `vae`."""

    beta: Annotated[
        Weight, Meta(description="weight of the KL term beside the squared error, which stands for a Gaussian of variance 1/2")
    ] = 1.0
    decoder_scale: Scale = 1.0
    lr: Rate = 1e-4


class AAEOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `aae`."""

    weight: Annotated[Weight, Meta(description="weight of matching y to the prior beside the squared error")] = 1.0
    penalty: Penalty = 0.5
    decoder_scale: Scale = 1.0
    lr: Rate = 1e-4


class BiGANOptions(Options, frozen=True, kw_only=True):
    """Options of the objectives `bigan` and `ali`."""

    divergence: Annotated[Divergence, Meta(description="what the discriminator raises and encoder and generator lower")] = "gan"
    penalty: Penalty = 0.5
    decoder_scale: Scale = 1.0
    discriminator_width: Annotated[int, Meta(ge=1, description="channels of the discriminator's first convolution")] = 64
    lr: Rate = 1e-4


class NATOptions(Options, frozen=True, kw_only=True):
    """Options of the objective `nat`."""

    every: Annotated[int, Meta(ge=1, description="targets are exchanged in epochs whose number, from 0, is a multiple of this")] = 3
    optimiser: Annotated[
        Literal["adam", "sgd"], Meta(description="Adam as for the other methods, or plain SGD as in the paper")
    ] = "adam"
    lr: Annotated[float, Meta(gt=0, description="learning rate; the paper's SGD has 0.01")] = 1e-4


# --------------------------------------------------------------------------------------------------- objectives


def _objective(name: str, summary: str, module: str, options: type[Options], **details: Any) -> ObjectiveSpec:
    return ObjectiveSpec(
        name=name,
        summary=summary,
        build=f"harness_baselines.{module}:build",
        sampling=("items",),
        options=options,
        **{"needs_decoder": True, **details},
    )


OBJECTIVES = [
    # Version 2: fused Adam, and a rate of 1e-4 unless a method says otherwise.
    _objective("autoencoder", "Squared error of the input decoded from y.", "autoencoder", AutoencoderOptions, version=2),
    _objective(
        "denoising-autoencoder",
        "Squared error of the clean input decoded from y of a corrupted one.",
        "denoising",
        DenoisingOptions,
    ),
    _objective("vae", "Squared error of the decoded sample, and the KL divergence of its law from the prior.", "vae", VAEOptions),
    _objective("aae", "Squared error of the input decoded from y, which an adversary matches to the prior.", "aae", AAEOptions),
    _objective("bigan", "An adversary tells encoded pairs (x, E(x)) from generated ones (G(z), z).", "bigan", BiGANOptions),
    # Version 2: sigma stays below 1.
    _objective("ali", "BiGAN with an encoder that gives a distribution.", "ali", BiGANOptions, version=2),
    _objective(
        "nat",
        "Distance of y on the unit sphere from noise, which is exchanged within batches.",
        "nat",
        NATOptions,
        needs_decoder=False,
        requires=("scipy",),
    ),
]

# ------------------------------------------------------------------------------------------------------ methods

ENCODERS: dict[str, str | tuple[str, ...]] = {
    "stl10": "alexnet-64",
    "tiny-imagenet": "alexnet-64",
    "images": ("dcgan-32", "conv-28", "dcgan-64", "image-small"),
    "atari": ("nature-full", "nature-84"),
}
"""By data set or track, as in the tables of Hjelm et al. (2019) and Anand et al. (2019); a further track needs one line."""

_ON_CIFAR: dict[str, dict[str, Any]] = {"train": {"epochs": 1000}}
_ON_DIGITS: dict[str, dict[str, Any]] = {"train": {"epochs": 50}, "objective": {"lr": 1e-3}}
"""An epoch has 21 steps: a rate of 1e-4 would end half-way."""
_ON_ATARI: dict[str, dict[str, Any]] = {"train": {"epochs": 100, "patience": 15}, "objective": {"lr": 3e-4}}
"""As Anand et al. (2019) train their VAE: a stop rule on validation frames, where the budget keeps some."""
_FAST_WIDTHS: dict[str, Any] = {"decoder_scale": 0.5, "discriminator_width": 32}
_SMOKE_WIDTHS: dict[str, Any] = {"decoder_scale": 0.25, "discriminator_width": 16}


def _narrowed(widths: Mapping[str, Any], objective: str) -> dict[str, Any]:
    """Values for the widths that an objective's auxiliary networks have."""
    (offered,) = (spec.options.__struct_fields__ for spec in OBJECTIVES if spec.name == objective)
    found = {key: value for key, value in widths.items() if key in offered}
    return {"objective": found} if found else {}


def _method(name: str, summary: str, objective: str, citation: str, options: Mapping[str, Any] | None = None) -> MethodSpec:
    return MethodSpec(
        name=name,
        summary=summary,
        objective=objective,
        encoders=ENCODERS,
        options={"train": {"epochs": 200, "batch_size": 64}} | ({"objective": options} if options else {}),
        data_options={"cifar10": _ON_CIFAR, "cifar100": _ON_CIFAR, "digits": _ON_DIGITS, "atari": _ON_ATARI},
        budgets={
            # 350,000 images of CIFAR-10.
            "fast": {"train": {"epochs": 7}} | _narrowed(_FAST_WIDTHS, objective),
            "smoke": {"train": {"epochs": 1}} | _narrowed(_SMOKE_WIDTHS, objective),
        },
        data_budgets={
            "digits": {"fast": {"train": {"epochs": 10}}},
            # Of 20,000 frames.
            "atari": {"fast": {"train": {"epochs": 4, "patience": None}}, "smoke": {"train": {"patience": None}}},
        },
        citation=citation,
    )


METHODS = [
    _method(
        "ae",
        "Autoencoder: the representation from which the input is best reconstructed.",
        "autoencoder",
        "Hinton and Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks, Science 313",
    ),
    _method(
        "dae",
        "Denoising autoencoder: a quarter of the pixels masked.",
        "denoising-autoencoder",
        "Vincent, Larochelle, Bengio, Manzagol (2008), Extracting and Composing Robust Features with Denoising Autoencoders, ICML",
    ),
    _method(
        "vae",
        "Variational autoencoder.",
        "vae",
        "Kingma and Welling (2014), Auto-Encoding Variational Bayes, ICLR, arXiv:1312.6114",
    ),
    _method(
        "beta-vae",
        "Variational autoencoder with four times the weight on the KL term.",
        "vae",
        "Higgins, Matthey, Pal, Burgess, Glorot, Botvinick, Mohamed, Lerchner (2017), beta-VAE: Learning Basic Visual Concepts "
        "with a Constrained Variational Framework, ICLR",
        {"beta": 4.0},
    ),
    _method(
        "aae",
        "Adversarial autoencoder: y is made to look like normal noise.",
        "aae",
        "Makhzani, Shlens, Jaitly, Goodfellow, Frey (2015), Adversarial Autoencoders, arXiv:1511.05644",
    ),
    _method(
        "bigan",
        "Bidirectional GAN: an encoder that inverts a generator.",
        "bigan",
        "Donahue, Krähenbühl, Darrell (2017), Adversarial Feature Learning, ICLR, arXiv:1605.09782",
    ),
    _method(
        "ali",
        "Adversarially learned inference: a BiGAN with a stochastic encoder.",
        "ali",
        "Dumoulin, Belghazi, Poole, Mastropietro, Lamb, Arjovsky, Courville (2017), Adversarially Learned Inference, ICLR, "
        "arXiv:1606.00704",
    ),
    _method(
        "nat",
        "Noise as targets: every input moves towards a random vector of its own.",
        "nat",
        "Bojanowski and Joulin (2017), Unsupervised Learning by Predicting Noise, ICML, arXiv:1704.05310",
    ),
]


@hookimpl
def harness_objectives() -> list[ObjectiveSpec]:
    """One for each idea; a beta-VAE is a `vae` with another weight."""
    return OBJECTIVES


@hookimpl
def harness_methods() -> list[MethodSpec]:
    """The baselines of the tables of Hjelm et al. (2019), with the denoising autoencoder and ALI."""
    return METHODS
