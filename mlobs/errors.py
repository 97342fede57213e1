"""Every error that mlobs raises on purpose; knows nothing else of the package.

A message says what is wrong, where (model, table, field, window) and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MlobsError(Exception):
    """Base of all errors raised on purpose; catching it catches every mistake a user can mend."""


class SpecError(MlobsError, ValueError):
    """A declaration (model, table, field, monitor, policy) contradicts itself or names something unknown."""


class WindowError(MlobsError, ValueError):
    """A window is empty, reversed, or not a pair of instants."""


class ProfileError(MlobsError):
    """A profile can't be made, merged or read back (different grids, unknown format, column missing)."""


class WarehouseError(MlobsError):
    """The warehouse refused, or can't be reached, read or written."""


class WarehouseLocked(WarehouseError):
    """Another process holds the embedded warehouse file, and kept it longer than the stated wait."""


class UnfitValue(WarehouseError):
    """A query met a value that it can't convert or compute with."""


class DataError(MlobsError):
    """Rows that were handed over don't have the declared form (column missing, wrong type, wrong length)."""


class HistoryError(MlobsError):
    """What is remembered can't be opened, read or written, or comes from a newer mlobs."""


class TrackingError(MlobsError):
    """MLflow's store or registry refused, or lacks the version or alias that was asked for."""


class TrainingError(MlobsError):
    """The user's train or predict function failed or returned something unusable."""


class AlertError(MlobsError):
    """A notification can't be sent: bad route, or the receiver refused it."""


class DagsterError(MlobsError):
    """The Dagster instance is down, or can't be read."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that names the known name closest to `name`, or lists what is known.

    >>> nearest("orign", ["origin", "dest"])
    "did you mean 'origin'?"
    >>> nearest("x", ["origin", "dest"])
    'known: dest, origin'
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + (", ".join(names) if names else "none")
