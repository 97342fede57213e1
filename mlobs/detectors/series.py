"""Append-only arrays of a table's metrics, one row per window and one column per metric; plain numpy, no judging.

A window observed twice replaces its first observation; windows may come in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlobs.metrics.measurement import Measurement, MetricKind
from mlobs.windows import Window

Floats = NDArray[np.float64]
Key = tuple[str, str, str]
"""(field, metric, segment)."""

KINDS: tuple[MetricKind, ...] = ("rate", "location", "scale", "count", "extreme")


class Row(NamedTuple):
    """The metrics of one window, aligned with the columns of a `Series`; NaN where there is none."""

    values: Floats
    rows: Floats
    counts: Floats


class Series:
    """Values, rows and counts of every metric of a table by window.

    Attributes:
        keys: (field, metric, segment) of each column.
        kinds: index into `KINDS` of each column.
        windows: the window of each row, oldest first.
        values, rows, counts: arrays of shape (n_windows, n_metrics); NaN where a metric was not measured.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.index: dict[Key, int] = {}
        self.kinds: NDArray[np.int8] = np.zeros(0, np.int8)
        self.windows: list[Window] = []
        self._cube: Floats = np.full((3, 0, 0), np.nan)
        self._aligned: list[Key] = []
        self._where: NDArray[np.int64] = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def values(self) -> Floats:
        return self._cube[0, : len(self.windows), : len(self.keys)]

    @property
    def rows(self) -> Floats:
        return self._cube[1, : len(self.windows), : len(self.keys)]

    @property
    def counts(self) -> Floats:
        return self._cube[2, : len(self.windows), : len(self.keys)]

    def align(self, measurements: Sequence[Measurement]) -> Row:
        """One window's measurements as arrays over the columns; a metric met for the first time gets a new column."""
        fields, metrics, kinds, values, rows, counts, segments = (
            zip(*measurements, strict=True) if measurements else ((),) * 7
        )
        keys = list(zip(fields, metrics, segments, strict=True))
        if keys != self._aligned:  # windows in turn mostly have the same metrics
            self._where, self._aligned = self._columns(keys, kinds), keys
        out = np.full((3, len(self.keys)), np.nan)
        # a count that is None becomes NaN
        out[0, self._where], out[1, self._where], out[2, self._where] = (
            np.array(x, float) for x in (values, rows, counts)
        )
        return Row(*out)

    def _columns(self, keys: Sequence[Key], kinds: Sequence[MetricKind]) -> NDArray[np.int64]:
        """The column of each key, new ones among them."""
        fresh = []
        for key, kind in zip(keys, kinds, strict=True):
            if key not in self.index:
                self.index[key] = len(self.keys)
                self.keys.append(key)
                fresh.append(KINDS.index(kind))
        if fresh:
            self.kinds = np.concatenate([self.kinds, np.array(fresh, np.int8)])
        return np.array([self.index[key] for key in keys], np.int64)

    def put(self, window: Window, row: Row) -> int:
        """Remember a window in order of time; the position it went to. The same window again is replaced."""
        at = len(self.windows)
        while at and self.windows[at - 1] > window:
            at -= 1
        if at and self.windows[at - 1] == window:
            at -= 1
            self._reserve(len(self.windows), len(self.keys))
        else:
            self._reserve(len(self.windows) + 1, len(self.keys))
            self._cube[:, at + 1 : len(self.windows) + 1] = self._cube[:, at : len(self.windows)].copy()
            self.windows.insert(at, window)
        self._cube[:, at] = np.nan
        for plane, part in enumerate(row):
            self._cube[plane, at, : len(part)] = part
        return at

    def _reserve(self, windows: int, metrics: int) -> None:
        """Room for that many rows and columns; grown in steps, so that a year costs few copies."""
        _, had_windows, had_metrics = self._cube.shape
        if windows <= had_windows and metrics <= had_metrics:
            return
        grown = np.full((3, max(had_windows, 2 * windows), max(had_metrics, metrics + metrics // 4)), np.nan)
        grown[:, :had_windows, :had_metrics] = self._cube
        self._cube = grown
