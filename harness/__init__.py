"""A plugin-based benchmark harness for representations learned without labels.

    records = harness.run(method="dgi", data="cora", seeds=5)
    records.to_frame()                                   # a pandas data frame
    trained = harness.load("runs/cora/dgi-s0-1f0c2d3e")
    embeddings = trained.encode(my_graph)

Public names are loaded on first use, so that importing `harness` (and a plugin's specs) never imports torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.adversary import gradient_penalty as gradient_penalty
    from harness.api import evaluate as evaluate
    from harness.api import from_arrays as from_arrays
    from harness.api import from_graph as from_graph
    from harness.api import load as load
    from harness.api import prepare as prepare
    from harness.api import report as report
    from harness.api import run as run
    from harness.bounds import jsd_loss as jsd_loss
    from harness.contracts.batches import Batch as Batch
    from harness.contracts.batches import FramePairs as FramePairs
    from harness.contracts.batches import FrameSequences as FrameSequences
    from harness.contracts.batches import Graph as Graph
    from harness.contracts.batches import Images as Images
    from harness.contracts.batches import Labelled as Labelled
    from harness.contracts.batches import Pairs as Pairs
    from harness.contracts.batches import Vectors as Vectors
    from harness.contracts.dataset import Annotations as Annotations
    from harness.contracts.dataset import DataContext as DataContext
    from harness.contracts.dataset import DataSet as DataSet
    from harness.contracts.dataset import Splits as Splits
    from harness.contracts.dataset import UserData as UserData
    from harness.contracts.encoder import Encoder as Encoder
    from harness.contracts.evaluator import Evaluator as Evaluator
    from harness.contracts.evaluator import Part as Part
    from harness.contracts.evaluator import Score as Score
    from harness.contracts.evaluator import Task as Task
    from harness.contracts.hookspecs import hookimpl as hookimpl
    from harness.contracts.objective import Objective as Objective
    from harness.contracts.objective import ObjectiveContext as ObjectiveContext
    from harness.contracts.objective import Phase as Phase
    from harness.contracts.objective import Step as Step
    from harness.contracts.options import Meta as Meta
    from harness.contracts.options import Options as Options
    from harness.contracts.pictures import Picture as Picture
    from harness.contracts.pictures import RunView as RunView
    from harness.contracts.progress import Progress as Progress
    from harness.contracts.progress import no_progress as no_progress
    from harness.contracts.sources import CustomSampling as CustomSampling
    from harness.contracts.sources import Description as Description
    from harness.contracts.sources import Epoch as Epoch
    from harness.contracts.sources import Graphs as Graphs
    from harness.contracts.sources import Items as Items
    from harness.contracts.sources import Sampling as Sampling
    from harness.contracts.sources import Sequences as Sequences
    from harness.contracts.sources import Source as Source
    from harness.contracts.sources import SubGraphs as SubGraphs
    from harness.contracts.sources import TimePairs as TimePairs
    from harness.contracts.sources import WholeGraph as WholeGraph
    from harness.contracts.sparse import SparseMatrix as SparseMatrix
    from harness.contracts.specs import DataSetFamilySpec as DataSetFamilySpec
    from harness.contracts.specs import DataSetSpec as DataSetSpec
    from harness.contracts.specs import EncoderSpec as EncoderSpec
    from harness.contracts.specs import EvaluatorSpec as EvaluatorSpec
    from harness.contracts.specs import FeatureSpec as FeatureSpec
    from harness.contracts.specs import FileSpec as FileSpec
    from harness.contracts.specs import FilesRecipe as FilesRecipe
    from harness.contracts.specs import GeneratedRecipe as GeneratedRecipe
    from harness.contracts.specs import HubRecipe as HubRecipe
    from harness.contracts.specs import MethodSpec as MethodSpec
    from harness.contracts.specs import MetricSpec as MetricSpec
    from harness.contracts.specs import ObjectiveSpec as ObjectiveSpec
    from harness.contracts.specs import PictureSpec as PictureSpec
    from harness.contracts.specs import ProtocolSpec as ProtocolSpec
    from harness.contracts.specs import PublishedNumber as PublishedNumber
    from harness.contracts.specs import SuiteSpec as SuiteSpec
    from harness.data.decoded import decoded_arrays as decoded_arrays
    from harness.data.frames import FrameSource as FrameSource
    from harness.data.graphs import GraphSource as GraphSource
    from harness.data.hub import HubListing as HubListing
    from harness.data.hub import hub_files as hub_files
    from harness.data.images import ImageSource as ImageSource
    from harness.data.pairs import PairSource as PairSource
    from harness.data.vectors import VectorSource as VectorSource
    from harness.errors import CorruptDataError as CorruptDataError
    from harness.errors import DataError as DataError
    from harness.errors import EvaluationError as EvaluationError
    from harness.errors import HarnessError as HarnessError
    from harness.errors import MissingDataError as MissingDataError
    from harness.errors import OptionError as OptionError
    from harness.errors import PluginError as PluginError
    from harness.errors import UnfitError as UnfitError
    from harness.errors import UnknownNameError as UnknownNameError
    from harness.errors import UsageError as UsageError

_HOMES: dict[str, tuple[str, ...]] = {
    "harness.api": ("evaluate", "from_arrays", "from_graph", "load", "prepare", "report", "run"),
    "harness.adversary": ("gradient_penalty",),
    "harness.bounds": ("jsd_loss",),
    "harness.contracts.batches": ("Batch", "FramePairs", "FrameSequences", "Graph", "Images", "Labelled", "Pairs", "Vectors"),
    "harness.contracts.dataset": ("Annotations", "DataContext", "DataSet", "Splits", "UserData"),
    "harness.contracts.encoder": ("Encoder",),
    "harness.contracts.evaluator": ("Evaluator", "Part", "Score", "Task"),
    "harness.contracts.hookspecs": ("hookimpl",),
    "harness.contracts.objective": ("Objective", "ObjectiveContext", "Phase", "Step"),
    "harness.contracts.options": ("Meta", "Options"),
    "harness.contracts.pictures": ("Picture", "RunView"),
    "harness.contracts.progress": ("Progress", "no_progress"),
    "harness.contracts.sources": (
        "CustomSampling", "Description", "Epoch", "Graphs", "Items", "Sampling", "Sequences", "Source",
        "SubGraphs", "TimePairs", "WholeGraph",
    ),
    "harness.contracts.sparse": ("SparseMatrix",),
    "harness.contracts.specs": (
        "DataSetFamilySpec", "DataSetSpec", "EncoderSpec", "EvaluatorSpec", "FeatureSpec", "FileSpec", "FilesRecipe",
        "GeneratedRecipe", "HubRecipe", "MethodSpec", "MetricSpec", "ObjectiveSpec", "PictureSpec", "ProtocolSpec",
        "PublishedNumber", "SuiteSpec",
    ),
    "harness.data.decoded": ("decoded_arrays",),
    "harness.data.frames": ("FrameSource",),
    "harness.data.graphs": ("GraphSource",),
    "harness.data.hub": ("HubListing", "hub_files"),
    "harness.data.images": ("ImageSource",),
    "harness.data.pairs": ("PairSource",),
    "harness.data.vectors": ("VectorSource",),
    "harness.errors": (
        "CorruptDataError", "DataError", "EvaluationError", "HarnessError", "MissingDataError", "OptionError",
        "PluginError", "UnfitError", "UnknownNameError", "UsageError",
    ),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 (computed from the table above, which a test compares with the imports)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
