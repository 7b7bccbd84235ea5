"""Specs: what a plugin says about its parts before anything heavy is imported.

Every spec is a frozen value. `build` (and `decoder`, `resolve`) is a string "package.module:attribute" that is imported
only when a run needs it, so listing, help and planning never import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from harness.contracts.options import Options

Track = Literal["images", "graphs", "atari", "synthetic"]
TRACKS: tuple[Track, ...] = ("images", "graphs", "atari", "synthetic")

BudgetName = Literal["paper", "fast", "smoke"]
BUDGETS: tuple[BudgetName, ...] = ("paper", "fast", "smoke")

Need = Literal["labels", "factors", "truth", "inputs", "encoder", "decoder", "modules"]
"""What an evaluator or a picture may ask for besides the features themselves (which all of them get)."""

PartOptions = Mapping[str, Mapping[str, Any]]
"""Option values by part: {"objective": {"lr": 1e-3}, "train": {"epochs": 300}}."""


class Spec(Struct, frozen=True, kw_only=True):
    """What every part has in common."""

    name: str
    """Lower-case name, unique within its plugin: letters, digits and single hyphens."""
    summary: str
    """One line, shown by `harness list`."""
    version: int = 1
    """Raised whenever a score can move; it is part of every record's identity."""


# ------------------------------------------------------------------------------------------------ data sets


class FileSpec(Struct, frozen=True, kw_only=True):
    """One raw file of a data set."""

    path: str
    """Where the file lies under a data root or the cache, with forward slashes."""
    sha256: str | None
    """The pinned digest; None means that nobody has pinned it (refused unless `--trust-first`)."""
    url: str | None = None
    """Where it is fetched from when no data root has it."""
    size: int | None = None
    """Length in bytes, where known."""


class HubRecipe(Struct, frozen=True, kw_only=True, tag="hub"):
    """A data set read from files of a repository of the Hugging Face hub. The commit pins the digest of every file."""

    repository: str
    """"owner/name" of the data set's repository."""
    revision: str
    """The commit, 40 hexadecimal digits."""
    files: tuple[str, ...]
    """Paths inside the repository, with forward slashes."""
    version: int = 1
    """Raised when the same files would be read into other arrays."""


class FilesRecipe(Struct, frozen=True, kw_only=True, tag="files"):
    """A data set read from pinned files."""

    files: tuple[FileSpec, ...]
    version: int = 1
    """Raised when the same files would be read into other arrays."""
    elsewhere: HubRecipe | None = None
    """Other files of the very same content, fetched from the hub where `files` are in no data root and have no address.
    The builder checks that what it decodes is the same; `files` alone are the recipe's digest."""


class GeneratedRecipe(Struct, frozen=True, kw_only=True, tag="generated"):
    """A data set made by a generator, or shipped inside a library."""

    generator: str
    version: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)


Recipe = FilesRecipe | HubRecipe | GeneratedRecipe


class DataSetSpec(Spec, frozen=True, kw_only=True):
    """Named data. `build` is called as `build(context: DataContext, options) -> DataSet`."""

    track: Track
    kind: str
    """The kind of batch its inputs come in: "images", "graph", "frames", "vectors" or a custom name."""
    build: str
    recipe: Recipe
    protocols: tuple[str, ...]
    """Protocols it can be judged under; the first is the default."""
    sampling: tuple[str, ...]
    """Ways its inputs can be drawn: "items", "pairs", "sequences", "graph", "subgraphs", "graphs" or a custom name."""
    shape: tuple[int | None, ...] | None = None
    """Shape of one sample where all have the same: (channels, height, width), (features,). None where it is not known."""
    samples: int | None = None
    """Number of samples where known beforehand."""
    annotations: tuple[Need, ...] = ("labels",)
    """What it can offer to evaluators out of labels, factors and truth."""
    classes: int | None = None
    options: type[Options] = Options
    budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Option values per budget, the weakest of all: a method's own values for the data set stand over them."""
    prepare: str | None = None
    """For data that take long to make: called as `prepare(context: DataContext, options)` by `harness prepare`, it puts into
    `context.cache` what `build` would otherwise make first."""
    revision: str = "1"
    place: str = ""
    """Folder that the recipe's files lie in where it is not a data root, as for a folder of the user's own. Not part of a
    record."""
    requires: tuple[str, ...] = ()
    """Import names that must be installed, e.g. ("sklearn",)."""
    licence: str = ""
    citation: str = ""

    def shape_under(self, options: Options) -> tuple[int | None, ...] | None:
        """Shape of one sample under these options: an option `size` is the height and width images or frames are brought to."""
        size = getattr(options, "size", None)
        if self.kind not in ("images", "frames") or size is None:
            return self.shape
        return (self.shape[0] if self.shape else None, size, size)


class DataSetFamilySpec(Struct, frozen=True, kw_only=True):
    """Data sets named `PREFIX:ARG`. `resolve` is called as `resolve(arg: str) -> DataSetSpec` and imports nothing heavy."""

    prefix: str
    summary: str
    resolve: str
    example: str


# ------------------------------------------------------------------------------- encoders, objectives, methods


class FeatureSpec(Struct, frozen=True):
    """One named tensor an encoder offers."""

    name: str
    description: str
    """Says the shape in the field's letters, e.g. "[N, hidden] node embeddings"."""
    constant: bool = False
    """Whether it is the same for every sample: some evaluators have nothing to say of such a feature."""


class EncoderSpec(Spec, frozen=True, kw_only=True):
    """A network from a batch to named features.

    `build` is called as `build(description: Description, options, generator) -> Encoder`; `decoder`, where there is one, as
    `decoder(encoder, feature, generator, scale) -> nn.Module`. That module is untrained, and maps the feature of this name,
    [B, *encoder.feature_shapes[feature]], back to an input; the widths of its hidden layers are those of the encoder's mirror times
    `scale`. An objective gets the decoder of the default feature, an evaluator that of the feature it judges. Ordinary layers may
    be created freely in there; `generator` is one of the CPU's.
    """

    kinds: tuple[str, ...]
    """Kinds of batch it reads; ("*",) for any."""
    features: tuple[FeatureSpec, ...]
    """The first is the default feature."""
    build: str
    shapes: tuple[tuple[int | None, ...], ...] | None = None
    """Sample shapes it fits, None inside a shape for any size; None altogether for any shape."""
    decoder: str | None = None
    smallest_batch: int = 1
    """Samples that a batch must have at least in training; 2 for batch normalisation over nothing but samples."""
    options: type[Options] = Options
    requires: tuple[str, ...] = ()

    def reads(self, shape: tuple[int | None, ...] | None) -> bool:
        """Whether it fits samples of this shape; None is a shape or a length that is not known yet."""
        return (
            shape is None
            or self.shapes is None
            or any(
                len(shape) == len(pattern)
                and all(None in (want, size) or want == size for want, size in zip(pattern, shape, strict=True))
                for pattern in self.shapes
            )
        )

    @property
    def shapes_in_words(self) -> str:
        """The sample shapes it fits, such as "(any, 32, 32) or (any, 64, 64)"."""
        return "any" if self.shapes is None else " or ".join(shape_in_words(shape) for shape in self.shapes)


def shape_in_words(shape: tuple[int | None, ...] | None) -> str:
    """A sample shape as messages write it, "any" for what is not fixed: "(any, 32, 32)"."""
    return str(shape).replace("None", "any")


class ObjectiveSpec(Spec, frozen=True, kw_only=True):
    """What an encoder is trained for.

    `build` is called as `build(encoder, context: ObjectiveContext, options, generator) -> Objective`.
    """

    build: str
    sampling: tuple[str, ...]
    """Ways of drawing inputs it can train on; empty for an objective that does not train."""
    supervised: bool = False
    """Whether it sees labels of the protocol's training part; such rows are marked on every page."""
    needs_decoder: bool = False
    """Whether it asks the core for the encoder's mirror decoder."""
    smallest_batch: int = 1
    """Samples that a batch must have at least; 2 for an objective that pairs a sample with others of its batch."""
    options: type[Options] = Options
    requires: tuple[str, ...] = ()


class MethodSpec(Spec, frozen=True, kw_only=True):
    """A named recipe: an objective, an encoder per track or data set, and options."""

    objective: str
    encoders: Mapping[str, str | tuple[str, ...]]
    """Encoder by data set name, track or "*" (any); looked up in this order. Of several names, the first whose spec fits the
    data set's kind and shape is taken."""
    aliases: tuple[str, ...] = ()
    """Other names it answers to; records carry `name`."""
    options: PartOptions = field(default_factory=dict)
    """The recipe's own option values by part ("data", "encoder", "objective", "train")."""
    data_options: Mapping[str, PartOptions] = field(default_factory=dict)
    """Values that hold on one track or data set only, by its name, over `options`; a data set's stand over its track's."""
    budgets: Mapping[str, PartOptions] = field(default_factory=dict)
    """Values per budget over all of these; "paper" may be left out and then changes nothing."""
    data_budgets: Mapping[str, Mapping[str, PartOptions]] = field(default_factory=dict)
    """Values per budget that hold on one track or data set only, by its name, over `budgets`."""
    features: tuple[str, ...] = ()
    """Features to judge where they differ from the encoder's default one."""
    reference: Literal["none", "with-every-run", "on-request"] = "none"
    """Whether it is a reference row, and whether it is planned with every request."""
    paper: str = ""
    citation: str = ""
    page: str = ""
    """Where its manual page is, relative to the documentation."""


# ------------------------------------------------------------------------------------- protocols and evaluators


class ProtocolSpec(Spec, frozen=True, kw_only=True):
    """Data, split rule, preprocessing and what is judged by default. Never edited after its first record."""

    track: Track
    splits: str
    """The split rule in words."""
    preprocessing: str
    evaluators: tuple[str, ...]
    """Evaluators used by default; the first gives the headline."""
    features: tuple[str, ...] = ()
    """Features judged by default; empty means each encoder's default feature."""
    references: tuple[str, ...] | None = None
    """The reference rows that are planned with every request; None: all that are defined."""

    @property
    def id(self) -> str:
        """Name and version, e.g. "planetoid-public/1"."""
        return f"{self.name}/{self.version}"


class MetricSpec(Struct, frozen=True, kw_only=True):
    """One number an evaluator reports."""

    name: str
    unit: str
    """"%", "nats", "1" (a pure number), ..."""
    higher_is_better: bool | None
    """None where neither direction is better (such metrics are never ranked)."""
    lower: float | None = None
    upper: float | None = None
    primary: bool = False
    description: str = ""


class EvaluatorSpec(Spec, frozen=True, kw_only=True):
    """Judges a frozen representation. `build` is called as `build(options) -> Evaluator`."""

    build: str
    needs: tuple[Need, ...]
    """With "decoder" it judges only runs whose encoder has a mirror decoder."""
    metrics: tuple[MetricSpec, ...]
    features: tuple[str, ...] = ()
    """The only features it can read, such as ("scores",); empty for any."""
    judges_constants: bool = True
    """Whether a feature that is the same for every sample has a value; where not, there is no row `majority` either, and a cell
    with such a feature fails before the evaluator is asked."""
    options: type[Options] = Options
    budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Option values per budget."""
    tracks: tuple[Track, ...] = TRACKS
    requires: tuple[str, ...] = ()


class PictureSpec(Spec, frozen=True, kw_only=True):
    """Pictures for the page of `harness report`. `build` is called as `build(view: RunView) -> list[Picture]`.

    An empty list means that there is nothing to draw of this run.
    """

    kinds: tuple[str, ...]
    """Kinds of batch whose runs it draws; ("*",) for any."""
    build: str
    needs: tuple[Need, ...] = ()
    """What it is shown besides features, out of labels, factors, inputs, truth and modules; all but inputs only where the run has
    any."""
    requires: tuple[str, ...] = ()


class PublishedNumber(Struct, frozen=True, kw_only=True):
    """A number from the literature that stands beside ours. Package data of the plugin that has the method or protocol."""

    method: str
    data: str
    """A data set's name; "atari:*" for the mean over all data sets of the family `atari`, which gives the family a table."""
    evaluator: str
    metric: str
    value: float
    source: str
    of: Mapping[str, Any] = {}
    """What the number is of, where its metric is of several things: {"category": "misc"}."""
    feature: str | None = None
    data_options: Mapping[str, Any] = {}
    """Values that options of the data set must have for the number to be of the same quantity."""
    std: float | None = None
    distance: Annotated[Literal["same", "near", "different"], Meta(description="how near its protocol is to ours")] = "same"
    note: str = ""


class SuiteSpec(Spec, frozen=True, kw_only=True):
    """A suite shipped by a plugin: `path` is "package:relative/file.toml"."""

    path: str
