"""A toy world for the straight line: data, encoders, objectives, methods, protocols and evaluators that exist only in here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import (
    Annotations,
    DataSet,
    DataSetSpec,
    Encoder,
    EncoderSpec,
    Evaluator,
    EvaluatorSpec,
    FeatureSpec,
    FrameSource,
    GeneratedRecipe,
    ImageSource,
    Items,
    Meta,
    MethodSpec,
    MetricSpec,
    Objective,
    ObjectiveSpec,
    Options,
    Phase,
    ProtocolSpec,
    Score,
    Splits,
    SuiteSpec,
    VectorSource,
)
from harness.catalog.catalog import Catalog, Entry
from harness.catalog.discovery import load_plugins
from harness.catalog.kinds import kind_of, name_of
from harness.execution import Settings, execute, pending
from harness.line.planning import Request, plan


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors are fastest in one thread, and the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ----------------------------------------------------------------------------------------------------- the parts


class BlobsOptions(Options, frozen=True, kw_only=True):
    noise: Annotated[float, Meta(ge=0, description="spread of a blob")] = 0.5


class MlpOptions(Options, frozen=True, kw_only=True):
    width: Annotated[int, Meta(ge=1, description="hidden units")] = 8


class PredictOptions(Options, frozen=True, kw_only=True):
    lr: Annotated[float, Meta(gt=0, description="learning rate")] = 1e-2


class CentroidOptions(Options, frozen=True, kw_only=True):
    shrink: Annotated[float, Meta(ge=0, description="how far centroids move to the middle")] = 0.0


def build_blobs(context, options):
    """60 vectors of 3 blobs; training sees the 45 samples that are not the test part."""
    rng = np.random.default_rng(7)
    labels = np.arange(60) % 3
    values = rng.normal(size=(3, 6))[labels] * 2 + options.noise * rng.normal(size=(60, 6))
    source = VectorSource(torch.as_tensor(values, dtype=torch.float32))
    splits = {
        "blobs-split": Splits(train=np.arange(45), test=np.arange(45, 60)),
        "blobs-thirds": Splits(train=np.arange(20), validation=np.arange(20, 40), test=np.arange(40, 60)),
    }
    annotations = Annotations(splits=splits, labels=labels.astype(np.int64))
    return DataSet(inputs=source, annotations=annotations, pretrain=source.subset(np.arange(45)))


def build_pictures(context, options):
    source = ImageSource(torch.arange(20 * 16, dtype=torch.int64).reshape(20, 1, 4, 4).to(torch.uint8))
    splits = {"pictures-split": Splits(train=np.arange(15), test=np.arange(15, 20))}
    return DataSet(inputs=source, annotations=Annotations(splits=splits), pretrain=source)


def build_walks(context, options):
    source = FrameSource(torch.zeros(20, 1, 4, 4, dtype=torch.uint8), torch.zeros(20, dtype=torch.int64))
    splits = {"walks-split": Splits(train=np.arange(15), test=np.arange(15, 20))}
    return DataSet(inputs=source, annotations=Annotations(splits=splits), pretrain=source)


class Mlp(Encoder):
    def __init__(self, description, options, generator):
        super().__init__()
        self.hidden, self.out = nn.Linear(description.shape[0], options.width), nn.Linear(options.width, 3)
        self.feature_shapes = {"y": (3,), "hidden": (options.width,)}

    def forward(self, batch):
        hidden = torch.tanh(self.hidden(batch.values))
        return {"y": self.out(hidden), "hidden": hidden}


class Flat(Encoder):
    def __init__(self, description, options, generator):
        super().__init__()
        self.feature_shapes = {"input": (int(np.prod(description.shape)),)}

    def forward(self, batch):
        inputs = batch.values if hasattr(batch, "values") else batch.pixels
        return {"input": inputs.flatten(start_dim=1)}


class Constant(Encoder):
    def __init__(self, description, options, generator):
        super().__init__()
        self.feature_shapes = {"constant": (1,)}

    def forward(self, batch):
        return {"constant": torch.ones(len(batch), 1)}


class Predict(Objective):
    """Predicts the input from y, with dropout from the global random state. `script` may act on a step."""

    def __init__(self, encoder, context, options, generator, script=lambda objective, step: 0.0):
        super().__init__(encoder, sampling=Items())
        self.decoder, self.drop = nn.Linear(3, context.description.shape[0]), nn.Dropout(0.2)
        self.options, self.script = options, script

    def phases(self):
        return [Phase("predict", self.parameters(), partial(torch.optim.Adam, lr=self.options.lr), self.loss)]

    def loss(self, step):
        shift = self.script(self, step)
        error = F.mse_loss(self.drop(self.decoder(self.encoder(step.batch)["y"])), step.batch.values)
        return {"loss": error + shift, "error": error}

    def exports(self):
        return {"decoder": self.decoder}


class Idle(Objective):
    def __init__(self, encoder, context, options, generator):
        super().__init__(encoder, sampling=Items())

    def phases(self):
        return []


class Taught(Objective):
    """Cross-entropy on the labels it is shown."""

    def __init__(self, encoder, context, options, generator):
        super().__init__(encoder, sampling=Items())
        self.head = nn.Linear(3, context.classes)

    def phases(self):
        return [Phase("classify", self.parameters(), partial(torch.optim.Adam, lr=1e-2), self.loss)]

    def loss(self, step):
        y = self.encoder(step.batch.inputs)["y"][step.batch.rows]
        return {"loss": F.cross_entropy(self.head(y), step.batch.labels)}


class Centroid(Evaluator):
    """Accuracy of the nearest centroid."""

    def __init__(self, options):
        self.shrink = options.shrink

    def evaluate(self, task):
        flat = task.train.features.reshape(len(task.train), -1)
        means = np.stack([flat[task.train.labels == label].mean(0) for label in range(task.classes)]) * (1 - self.shrink)
        test = task.test.features.reshape(len(task.test), 1, -1)
        nearest = np.square(test - means).sum(-1).argmin(-1)
        return [Score(name="accuracy", value=100 * float((nearest == task.test.labels).mean()), n=len(task.test))]


class Spread(Evaluator):
    def __init__(self, options):
        pass

    def evaluate(self, task):
        return [Score(name="spread", value=float(task.test.features.std()))]


class Acting(Evaluator):
    """Does what a test wants: `act(task)` gives its scores."""

    def __init__(self, act):
        self.act = act

    def evaluate(self, task):
        return self.act(task)


ACCURACY = MetricSpec(name="accuracy", unit="%", higher_is_better=True, lower=0.0, upper=100.0, primary=True)
SPREAD = MetricSpec(name="spread", unit="1", higher_is_better=None, lower=0.0)

BLOBS = DataSetSpec(
    name="blobs",
    summary="three blobs",
    track="synthetic",
    kind="vectors",
    build="toy:build",
    recipe=GeneratedRecipe(generator="toy", settings={"seed": 7}),
    protocols=("blobs-split", "blobs-thirds"),
    sampling=("items",),
    shape=(6,),
    samples=60,
    classes=3,
    options=BlobsOptions,
)
PICTURES = DataSetSpec(
    name="pictures",
    summary="pictures without labels",
    track="images",
    kind="images",
    build="toy:build",
    recipe=GeneratedRecipe(generator="toy"),
    protocols=("pictures-split",),
    sampling=("items",),
    shape=(1, 4, 4),
    annotations=(),
)
WALKS = DataSetSpec(
    name="walks",
    summary="frames",
    track="atari",
    kind="frames",
    build="toy:build",
    recipe=GeneratedRecipe(generator="toy"),
    protocols=("walks-split",),
    sampling=("items", "pairs"),
    shape=(1, 4, 4),
    annotations=("factors",),
)


def protocol(name, track="synthetic", **fields):
    defaults = {"evaluators": ("centroid",), "splits": "in order", "preprocessing": "none"}
    return ProtocolSpec(name=name, summary=name, track=track, **(defaults | fields))


def encoder(name, features, **fields):
    described = tuple(FeatureSpec(feature, feature) for feature in features)
    return EncoderSpec(name=name, summary=name, features=described, build="toy:build", **fields)


def objective(name, sampling=("items",), **fields):
    return ObjectiveSpec(name=name, summary=name, build="toy:build", sampling=sampling, **fields)


def evaluator(name, metrics=(ACCURACY,), needs=("labels",), **fields):
    return EvaluatorSpec(name=name, summary=name, build="toy:build", metrics=metrics, needs=needs, **fields)


def method(name, objective, encoders, **fields):
    return MethodSpec(name=name, summary=name, objective=objective, encoders=encoders, **fields)


REFERENCE = {"reference": "with-every-run"}
PARTS: list[tuple[Any, Any]] = [
    (BLOBS, build_blobs),
    (PICTURES, build_pictures),
    (WALKS, build_walks),
    (protocol("blobs-split"), None),
    (protocol("blobs-thirds", features=("hidden",), evaluators=("centroid", "spread"), version=2), None),
    (protocol("pictures-split", "images", evaluators=("spread",)), None),
    (protocol("walks-split", "atari", evaluators=("spread",)), None),
    (encoder("mlp", ("y", "hidden"), kinds=("vectors",), options=MlpOptions), Mlp),
    (encoder("other-mlp", ("y", "hidden"), kinds=("vectors",), options=MlpOptions), Mlp),
    (encoder("mlp-of-nine", ("y", "hidden"), kinds=("vectors",), shapes=((9,), (None, 2)), options=MlpOptions), Mlp),
    (encoder("identity", ("input",), kinds=("*",)), Flat),
    (encoder("constant", ("constant",), kinds=("*",)), Constant),
    (objective("predict", options=PredictOptions), Predict),
    (objective("none", ()), Idle),
    (objective("taught", supervised=True), Taught),
    (objective("pairing", ("pairs", "sequences")), Predict),
    (objective("decoding", needs_decoder=True), Predict),
    (
        method(
            "squeeze",
            "predict",
            {"synthetic": "mlp"},
            options={"train": {"epochs": 4, "batch_size": 10}},
            data_options={"blobs": {"encoder": {"width": 6}, "data": {"noise": 0.75}}},
            budgets={"smoke": {"train": {"epochs": 2}}, "fast": {"train": {"epochs": 4}}},
        ),
        None,
    ),
    (method("pair", "pairing", {"*": "mlp"}), None),
    (method("decode", "decoding", {"*": "mlp"}), None),
    (method("any", "predict", {"*": "identity"}), None),
    (method("random", "none", {"*": "*"}, **REFERENCE), None),
    (method("raw", "none", {"*": "identity"}, features=("input",), **REFERENCE), None),
    (method("majority", "none", {"*": "constant"}, features=("constant",), **REFERENCE), None),
    (method("taught", "taught", {"synthetic": "mlp"}, options={"train": {"epochs": 2}}, reference="on-request"), None),
    (evaluator("centroid", options=CentroidOptions, budgets={"smoke": {"shrink": 0.25}}), Centroid),
    (evaluator("spread", (SPREAD,), ()), Spread),
    (evaluator("wants-factors", needs=("factors",)), Spread),
    (evaluator("wants-truth", needs=("truth",)), Spread),
    (evaluator("graphs-only", needs=(), tracks=("graphs",)), Spread),
    (evaluator("wants-package", needs=(), requires=("no_such_package",)), Spread),
    (SuiteSpec(name="shipped", summary="shipped", path="harness:nowhere/shipped.toml"), None),
]


def entry(spec, made=None, package="toy"):
    """A part of the plugin "toy"."""
    return Entry(
        kind=kind_of(spec),
        name=name_of(spec),
        full_name=f"{package}/{name_of(spec)}",
        spec=spec,
        plugin=package,
        distribution=f"{package}-parts",
        version="1.0",
        made=made,
    )


# ----------------------------------------------------------------------------------------------- how tests use it


class Toy:
    """The toy catalog; `with_parts` gives one in which parts are replaced or added."""

    Acting, Predict, Centroid = Acting, Predict, Centroid
    BLOBS, ACCURACY = BLOBS, ACCURACY
    build_blobs = staticmethod(build_blobs)
    entry = staticmethod(entry)
    evaluator = staticmethod(evaluator)
    method = staticmethod(method)

    def __init__(self, folder, entries: Sequence[Entry] | None = None) -> None:
        self.folder = folder
        self.entries = [entry(spec, made) for spec, made in PARTS] if entries is None else list(entries)
        self.catalog = Catalog(self.entries)
        self.plugins = load_plugins({}, entry_points=[])

    def with_parts(self, *parts: Entry) -> Toy:
        names = {(part.kind, part.full_name) for part in parts}
        return Toy(self.folder, [each for each in self.entries if (each.kind, each.full_name) not in names] + list(parts))

    def without(self, kind: str, name: str) -> Toy:
        return Toy(self.folder, [each for each in self.entries if (each.kind, each.name) != (kind, name)])

    def with_script(self, script) -> Toy:
        """In which the objective "predict" calls `script(objective, step)` and adds what it returns to the loss."""
        spec = self.catalog.objective("predict").spec
        return self.with_parts(entry(spec, partial(Predict, script=script)))

    def with_evaluator(self, name, act, **fields) -> Toy:
        """That also has an evaluator whose scores are `act(task)`."""
        return self.with_parts(entry(evaluator(name, **fields), lambda options: Acting(act)))

    def plan(self, *, locked_hashes=None, trust_first=False, **request):
        request = {"method": "squeeze", "data": "blobs"} | request
        return plan(Request(**request), self.catalog, locked_hashes=locked_hashes, trust_first=trust_first)

    def first(self, **request):
        """The first run of a plan."""
        return self.plan(**request).runs[0]

    def run(self, *, out="runs", observer=None, judge_again=False, settings=None, **request):
        settings = Settings(out=self.folder / out, **({"threads": 1, "device": "cpu"} | (settings or {})))
        planned = self.plan(**request)
        if observer is not None:
            self.plugins.register_observer(observer)
        try:
            work = pending(planned, settings, again=judge_again or settings.rerun)
            return execute(work, self.catalog, self.plugins, settings)
        finally:
            self.plugins.unregister_observer(observer)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_DATA", "")
    return Toy(tmp_path)


@pytest.fixture
def comparable():
    """Records as plain values without what another time, folder or machine load may change."""

    def plain(records):
        documents = [msgspec.to_builtins(record) for record in records]
        for document in documents:
            for field in ("created", "time_s", "peak_memory_bytes"):
                del document[field]
        return documents

    return plain


@pytest.fixture
def tree():
    """Every file under a folder with its bytes, locks and temporary files included."""

    def read(folder):
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    return read
