"""Every hook a plugin can implement, on one page.

    # my_package/plugin.py                                  # pyproject.toml
    import harness                                          [project.entry-points.harness]
                                                            my-package = "my_package.plugin"
    @harness.hookimpl
    def harness_encoders():
        return [harness.EncoderSpec(name="tiny", ...)]

The *registration* hooks are called once, with no arguments, when the plugin is loaded; they return lists of light, frozen specs
and import nothing heavy. The *observer* hooks are told what happens and cannot change it: what they raise is logged and
noted. Hook names start with `harness_`; a function with such a name that is no hook is an error of the plugin's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from harness.contracts.specs import (
        DataSetFamilySpec,
        DataSetSpec,
        EncoderSpec,
        EvaluatorSpec,
        MethodSpec,
        ObjectiveSpec,
        PictureSpec,
        ProtocolSpec,
        PublishedNumber,
        SuiteSpec,
    )
    from harness.ledger.records import Record
    from harness.ledger.runs import PlannedRun

PROJECT = "harness"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class HookSpecs:
    """The hooks, in the order of the straight line. All exist since version 0.1."""

    # ------------------------------------------------------------------------------------------- registration

    @hookspec
    def harness_datasets(self) -> list[DataSetSpec | DataSetFamilySpec]:  # type: ignore[empty-body]
        """Data sets, and families of data sets named `PREFIX:ARG`."""

    @hookspec
    def harness_encoders(self) -> list[EncoderSpec]:  # type: ignore[empty-body]
        """Encoders."""

    @hookspec
    def harness_objectives(self) -> list[ObjectiveSpec]:  # type: ignore[empty-body]
        """Objectives."""

    @hookspec
    def harness_methods(self) -> list[MethodSpec]:  # type: ignore[empty-body]
        """Methods: named recipes of an objective, an encoder per track and options."""

    @hookspec
    def harness_protocols(self) -> list[ProtocolSpec]:  # type: ignore[empty-body]
        """Protocols."""

    @hookspec
    def harness_evaluators(self) -> list[EvaluatorSpec]:  # type: ignore[empty-body]
        """Evaluators."""

    @hookspec
    def harness_pictures(self) -> list[PictureSpec]:  # type: ignore[empty-body]
        """Pictures for the page of `harness report`."""

    @hookspec
    def harness_published(self) -> list[PublishedNumber]:  # type: ignore[empty-body]
        """Published numbers that stand beside ours."""

    @hookspec
    def harness_suites(self) -> list[SuiteSpec]:  # type: ignore[empty-body]
        """Suites shipped inside the plugin."""

    # ---------------------------------------------------------------------------------------------- observers

    @hookspec
    def harness_run_started(self, run: PlannedRun) -> None:
        """A run begins to be computed; not called for one whose cells are all found.

        :param run: what was planned: method, data set, seed, resolved options, cells.
        """

    @hookspec
    def harness_preparation_advanced(self, data: str, done: int, total: int, unit: str) -> None:
        """A data set that takes long to prepare got further (called at most about ten times a second).

        :param data: the data set's name.
        :param done: how much of it is done.
        :param total: how much there is.
        :param unit: what is counted, such as "frames".
        """

    @hookspec
    def harness_step_finished(self, run: PlannedRun, step: int, total: int | None, terms: Mapping[str, float]) -> None:
        """Some training steps finished (called at most about ten times a second, not once per step).

        :param run: the run.
        :param step: steps finished so far.
        :param total: steps at most, or None where no limit is known.
        :param terms: the newest loss terms, "phase/term" to value.
        """

    @hookspec
    def harness_evaluation_advanced(self, run: PlannedRun, evaluator: str, feature: str, done: int, total: int, unit: str) -> None:
        """An evaluator that takes long got further (called at most about ten times a second).

        :param run: the run that is judged.
        :param evaluator: the evaluator's name.
        :param feature: the judged feature.
        :param done: how much of it is done.
        :param total: how much there is at most; an evaluator may end earlier.
        :param unit: what is counted, such as "epochs".
        """

    @hookspec
    def harness_record_written(self, run: PlannedRun, record: Record) -> None:
        """A record was written to the store, whatever its status.

        :param run: the run.
        :param record: the record as stored.
        """
