"""Every error that `harness` raises on purpose.

    HarnessError                    anything below; its text is one sentence a user can act on
    ├── UsageError                  the request itself is wrong                        (exit code 2)
    │   ├── UnknownNameError        no such part; carries the nearest right names
    │   ├── AmbiguousNameError      two plugins own that short name
    │   ├── OptionError             an option is unknown or ill-typed
    │   └── UnfitError              the parts exist but do not fit together
    ├── DataError                   a data set cannot be had                           (exit code 1)
    │   ├── MissingDataError        a file is nowhere and cannot be fetched
    │   ├── CorruptDataError        a file's sha256 is not the pinned one
    │   └── UnpinnedDataError       nobody has pinned the file's sha256                (exit code 2)
    ├── PluginError                 a plugin broke its contract; names the plugin and its distribution
    ├── DivergedError               a loss stopped being finite                        (record status `diverged`)
    ├── EvaluationError             an evaluator returned nonsense                     (record status `failed`)
    ├── RecordError                 a record is not valid or not consistent
    └── StorageError                a file could not be written

A user never sees a traceback for one of these: the command line prints the sentence and exits with `exit_code`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class HarnessError(Exception):
    """Base of all errors raised on purpose. `str(error)` is one clear sentence."""

    exit_code: ClassVar[int] = 1


class UsageError(HarnessError):
    """The request is wrong and nothing was computed."""

    exit_code = 2


class UnknownNameError(UsageError):
    """No part of this kind has this name."""

    def __init__(self, kind: str, name: str, nearest: Sequence[str] = (), known: Sequence[str] = ()) -> None:
        self.kind, self.name, self.nearest, self.known = kind, name, tuple(nearest), tuple(known)
        if nearest:
            hint = f"did you mean {' or '.join(repr(n) for n in nearest)}?"
        elif known:
            hint = f"known: {', '.join(known)}."
        else:
            hint = "none is installed; `harness plugins` shows what was loaded."
        super().__init__(f"There is no {kind} named {name!r}; {hint}")


class AmbiguousNameError(UsageError):
    """A short name that two plugins own."""

    def __init__(self, kind: str, name: str, full_names: Sequence[str]) -> None:
        self.kind, self.name, self.full_names = kind, name, tuple(full_names)
        super().__init__(f"The {kind} name {name!r} is ambiguous; write one of {', '.join(full_names)}.")


class OptionError(UsageError):
    """An option is unknown or has an ill-typed value."""


class UnfitError(UsageError):
    """Parts that exist but do not fit together; the text says why."""


class DataError(HarnessError):
    """A data set cannot be had."""


class MissingDataError(DataError):
    """A file is in no data root, not in the cache, and cannot be fetched."""


class CorruptDataError(DataError):
    """A file is there but its sha256 is not the pinned one; it was not parsed."""


class UnpinnedDataError(DataError):
    """Nobody has pinned the sha256 of a file, and `--trust-first` was not given."""

    exit_code = 2


class PluginError(HarnessError):
    """A plugin broke its contract."""

    def __init__(self, plugin: str, message: str) -> None:
        self.plugin = plugin
        super().__init__(f"Plugin {plugin}: {message}")


class DivergedError(HarnessError):
    """A loss stopped being finite at `step`."""

    def __init__(self, step: int, terms: dict[str, float]) -> None:
        self.step, self.terms = step, terms
        shown = ", ".join(f"{name} = {value}" for name, value in terms.items())
        super().__init__(f"Training diverged at step {step}: {shown}.")


class EvaluationError(HarnessError):
    """An evaluator returned something that is not a valid score."""


class RecordError(HarnessError):
    """A record is not valid, or two records contradict each other."""


class StorageError(HarnessError):
    """A file or folder could not be written."""
