"""Specs of the image data sets and their protocols. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Any

from harness import (
    DataSetFamilySpec,
    DataSetSpec,
    FileSpec,
    FilesRecipe,
    GeneratedRecipe,
    HubRecipe,
    Meta,
    Options,
    ProtocolSpec,
)

# ------------------------------------------------------------------------------------------------------ options


class SizeOptions(Options, frozen=True, kw_only=True):
    """Options of data sets whose images may have any size."""

    size: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="height and width: the shorter side is scaled to it and the middle cut out; none: as the images are"),
    ] = None


# ---------------------------------------------------------------------------------------------------- protocols

HOLDOUT = ProtocolSpec(
    name="digits-holdout",
    version=1,
    summary="Digits, 500 images held out.",
    track="images",
    splits="500 of the 1797 images are the test part, the others the training part, each class in proportion; "
    "drawn once from the protocol's id, the same for every run. Training sees the training part only.",
    preprocessing="pixels 0..16 become -1..1",
    evaluators=("svm", "logistic-lbfgs", "knn"),
)

OFFICIAL_SPLIT = ProtocolSpec(
    name="official-split",
    version=1,
    summary="The data set's own training and test part.",
    track="images",
    splits="the data set's own training and test part (of tiny-imagenet, whose test labels are not public, the validation part); "
    "training sees the training part, and images without labels where the data set has some",
    preprocessing="pixels 0..255 become -1..1",
    evaluators=("mlp", "svm", "knn"),
    features=("conv", "fc", "y"),
)

DRAWN_SPLIT = ProtocolSpec(
    name="drawn-split",
    version=1,
    summary="A fifth of the images held out.",
    track="images",
    splits="a fifth of the images is the test part, each class in proportion; drawn once from the digest of the files, "
    "the same for every run. Training sees the training part only.",
    preprocessing="pixels 0..255 become -1..1",
    evaluators=("mlp", "svm", "knn"),
    features=("conv", "fc", "y"),
)

# ---------------------------------------------------------------------------------------------------- data sets

DIGITS_RECIPE = GeneratedRecipe(
    generator="sklearn.datasets.load_digits",
    settings={
        # Of the pixels [1797, 8, 8] and then the labels [1797], one byte each.
        "sha256": "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826",
    },
)

DIGITS = DataSetSpec(
    name="digits",
    summary="1,797 handwritten digits, 8x8 pixels, embedded in scikit-learn.",
    track="images",
    kind="images",
    build="harness_images.digits:build",
    recipe=DIGITS_RECIPE,
    protocols=("digits-holdout",),
    sampling=("items",),
    shape=(1, 8, 8),
    samples=1797,
    classes=10,
    requires=("sklearn",),
    licence="CC BY 4.0",
    citation="Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository",
)


def _official(
    name: str, summary: str, build: str, recipe: FilesRecipe | HubRecipe, shape: tuple[int, int, int], **details: Any
) -> DataSetSpec:
    """A data set with a training and a test part of its own."""
    return DataSetSpec(
        name=name,
        summary=summary,
        track="images",
        kind="images",
        build=f"harness_images.official:{build}",
        recipe=recipe,
        protocols=("official-split",),
        sampling=("items",),
        shape=shape,
        **details,
    )


CIFAR10 = _official(
    "cifar10",
    "60,000 photographs of ten kinds of things, 32x32 pixels.",
    "build_cifar10",
    FilesRecipe(
        files=(
            FileSpec(
                path="cifar10/train.parquet",
                size=87928133,
                sha256="15652b5ca0c5ccb265cbd6ca4c5bcb70ab4d09ec8a780a5b006c26d878913705",
            ),
            FileSpec(
                path="cifar10/test.parquet",
                size=17596013,
                sha256="059a0564be44c896e5b0f596014ac3287af3f806962ea7928b63bec1705d359f",
            ),
        ),
        elsewhere=HubRecipe(
            repository="uoft-cs/cifar10",
            revision="0b2714987fa478483af9968de7c934580d0bb9a2",
            files=("plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet"),
        ),
    ),
    (3, 32, 32),
    samples=60_000,
    classes=10,
    requires=("pyarrow", "PIL"),
    licence="none stated; the authors ask for the citation",
    citation="Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, technical report, University of Toronto",
)

CIFAR100 = _official(
    "cifar100",
    "60,000 photographs of a hundred kinds of things, 32x32 pixels.",
    "build_cifar100",
    HubRecipe(
        repository="uoft-cs/cifar100",
        revision="aadb3af77e9048adbea6b47c21a81e47dd092ae5",
        files=("cifar100/train-00000-of-00001.parquet", "cifar100/test-00000-of-00001.parquet"),
    ),
    (3, 32, 32),
    samples=60_000,
    classes=100,
    annotations=("labels", "factors"),
    revision="aadb3af77e9048adbea6b47c21a81e47dd092ae5",
    requires=("pyarrow", "PIL"),
    licence="none stated; the authors ask for the citation",
    citation="Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, technical report, University of Toronto",
)

TINY_IMAGENET = _official(
    "tiny-imagenet",
    "110,000 photographs of 200 kinds of things, 64x64 pixels.",
    "build_tiny_imagenet",
    HubRecipe(
        repository="zh-plus/tiny-imagenet",
        revision="5a77092c28e51558c5586e9c5eb71a7e17a5e43f",
        files=("data/train-00000-of-00001-1359597a978bc4fa.parquet", "data/valid-00000-of-00001-70d52db3c749a935.parquet"),
    ),
    (3, 64, 64),
    samples=110_000,
    classes=200,
    revision="5a77092c28e51558c5586e9c5eb71a7e17a5e43f",
    requires=("pyarrow", "PIL"),
    licence="that of ImageNet: non-commercial research and education",
    citation="Le and Yang (2015), Tiny ImageNet Visual Recognition Challenge, CS 231N, Stanford University",
)

STL10 = _official(
    "stl10",
    "13,000 photographs of ten kinds of things and 100,000 without labels, 96x96 pixels cut to 64x64.",
    "build_stl10",
    FilesRecipe(
        files=(
            FileSpec(
                path="stl10/stl10_binary.tar.gz",
                size=2640397119,
                sha256="f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
                url="https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            ),
        ),
    ),
    (3, 64, 64),
    samples=13_000,
    classes=10,
    licence="none stated; the images are from ImageNet",
    citation="Coates, Lee, Ng (2011), An Analysis of Single-Layer Networks in Unsupervised Feature Learning, AISTATS",
)


def _idx_files(folder: str, url: str, pins: dict[str, tuple[int, str]]) -> FilesRecipe:
    """The four files of MNIST's own form; `pins` has the size and sha256 of each."""
    return FilesRecipe(
        files=tuple(
            FileSpec(path=f"{folder}/raw/{name}", size=size, sha256=sha256, url=f"{url}/{name}")
            for name, (size, sha256) in pins.items()
        )
    )


MNIST = _official(
    "mnist",
    "70,000 handwritten digits, 28x28 pixels, grey.",
    "build_mnist",
    _idx_files(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        {
            "train-images-idx3-ubyte.gz": (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            "train-labels-idx1-ubyte.gz": (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            "t10k-images-idx3-ubyte.gz": (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            "t10k-labels-idx1-ubyte.gz": (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        },
    ),
    (1, 28, 28),
    samples=70_000,
    classes=10,
    licence="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio, Haffner (1998), Gradient-Based Learning Applied to Document Recognition, "
    "Proceedings of the IEEE 86(11)",
)

FASHION_MNIST_COMMIT = "b2617bb6d3ffa2e429640350f613e3291e10b141"
"""Of github.com/zalandoresearch/fashion-mnist, whose folder data/fashion/ holds the files."""

FASHION_MNIST = _official(
    "fashion-mnist",
    "70,000 pictures of clothes of ten kinds, 28x28 pixels, grey.",
    "build_fashion_mnist",
    _idx_files(
        "fashion-mnist",
        f"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/{FASHION_MNIST_COMMIT}/data/fashion",
        {
            "train-images-idx3-ubyte.gz": (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            "train-labels-idx1-ubyte.gz": (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            "t10k-images-idx3-ubyte.gz": (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            "t10k-labels-idx1-ubyte.gz": (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        },
    ),
    (1, 28, 28),
    samples=70_000,
    classes=10,
    licence="MIT",
    citation="Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, "
    "arXiv:1708.07747",
)

# ----------------------------------------------------------------------------------------------------- families

FOLDER = DataSetFamilySpec(
    prefix="folder",
    summary="Images in a folder of yours, in one folder for each class, in folders train and test if there are any.",
    resolve="harness_images.families:resolve_folder",
    example="folder:photos",
)

HUB = DataSetFamilySpec(
    prefix="hf",
    summary="An image data set of the Hugging Face hub that is kept in Parquet files: OWNER/NAME[/FOLDER][@REVISION].",
    resolve="harness_images.families:resolve_hub",
    example="hf:ylecun/mnist",
)

DATASETS: list[DataSetSpec] = [DIGITS, MNIST, FASHION_MNIST, CIFAR10, CIFAR100, STL10, TINY_IMAGENET]
PROTOCOLS: list[ProtocolSpec] = [HOLDOUT, OFFICIAL_SPLIT, DRAWN_SPLIT]
FAMILIES: list[DataSetFamilySpec] = [FOLDER, HUB]
