"""`TableMonitor`: learns what every metric of a table looks like from its history and judges one window against it.

Pure: profiles in, verdicts out; it reads no clock, no database. A window is judged by the windows before it only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Protocol

import numpy as np

from mlobs.detectors import baseline, rates, wording
from mlobs.detectors.novelty import DEFAULT_PRIOR, PRIORS, THRESHOLD, never_seen_score
from mlobs.detectors.series import KINDS, Floats, Row, Series
from mlobs.detectors.severity import severity_of
from mlobs.detectors.verdict import Range, Status, Verdict
from mlobs.errors import SpecError
from mlobs.metrics.measurement import Measurement
from mlobs.spec import Field
from mlobs.windows import DAY, Window

MIN_WINDOWS = 8
"""Windows of history from which continuous metrics and rates are judged; never-seen events are judged by rows."""
CUTOFF = 4.0
"""Normal score above which a metric fails at a budget of one false alarm a month."""
MARGIN = 1.2
"""A deviation must also exceed this multiple of the largest one in the history."""


class Measured(Protocol):
    """What a monitor needs of a profile: its measurements and its rows."""

    @property
    def rows(self) -> int: ...

    def measurements(self) -> Sequence[Measurement]: ...


class TableMonitor:
    """Learned ranges for every metric of one table.

    Args:
        table: its name in verdicts.
        false_alarms_per_month: the budget all metrics share.
        cadence: length of one window; weekday effects are learned for windows of a day.
        fields: observe only these fields (names or `Field`s); None means all.

    Raises:
        SpecError: when the budget is not above 0.

    `judge` before `observe`: judging a window never uses that window, nor a later one.
    """

    def __init__(
        self,
        table: str = "",
        *,
        false_alarms_per_month: float = 1.0,
        cadence: timedelta = DAY,
        fields: Iterable[str | Field] | None = None,
    ) -> None:
        if not false_alarms_per_month > 0:
            raise SpecError(f"table {table!r}: false_alarms_per_month must be above 0, got {false_alarms_per_month}")
        self.table = table
        self.false_alarms_per_month = false_alarms_per_month
        self.cadence = cadence
        self.fields = None if fields is None else frozenset(f.name if isinstance(f, Field) else f for f in fields)
        self._series = Series()
        self._failed: dict[Window, set[tuple[str, str, str]]] = {}

    def observe(self, profile: Measured, window: Any, verdicts: Sequence[Verdict] = ()) -> None:
        """Add a window to the history; the same window again replaces it, and windows may come in any order.

        Args:
            profile: its measurements are remembered.
            window: a `Window` or a (start, end) pair.
            verdicts: what was said of this window; metrics that failed are not learned from.
        """
        at = Window.of(window)
        self._series.put(at, self._series.align(self._watched(profile)))
        self._failed[at] = {(v.field, v.metric, v.segment) for v in verdicts if v.failed}

    def judge(self, profile: Measured, window: Any) -> list[Verdict]:
        """A verdict for every metric of the window that could be measured; nothing is learned from it.

        Args:
            profile: the window's profile.
            window: a `Window` or a (start, end) pair. Only windows that start before it are used.

        Returns:
            Verdicts of the checks `field_health`, `volume` and `mix`, in the order of the profile's measurements.
        """
        at = Window.of(window)
        row = self._absent(self._series.align(self._watched(profile)), profile.rows)
        past = self._history(at)
        return self._verdicts(row, past, at)

    def _watched(self, profile: Measured) -> list[Measurement]:
        keep = self.fields
        return [m for m in profile.measurements() if keep is None or not m.field or m.field in keep]

    def _absent(self, row: Row, rows: int) -> Row:
        """A category or segment that history knows and this window lacks has share and rows 0."""
        for column, (_, metric, segment) in enumerate(self._series.keys):
            if segment and metric in ("share", "rows") and np.isnan(row.values[column]):
                row.values[column] = row.counts[column] = 0.0
                row.rows[column] = rows
        return row

    def _history(self, at: Window) -> tuple[Row, np.ndarray]:
        series = self._series
        length = sum(w < at for w in series.windows)
        width = len(series.keys)
        parts = np.full((3, length, width), np.nan)
        for plane, part in enumerate((series.values, series.rows, series.counts)):
            parts[plane, :, : part.shape[1]] = part[:length]
        for position, window in enumerate(series.windows[:length]):
            for key in self._failed.get(window, ()):
                if key in series.index:
                    parts[:, position, series.index[key]] = np.nan
        segment = np.array([bool(k[2]) and k[1] in ("share", "rows") for k in series.keys], bool)
        rows = parts[1, :, [i for i, k in enumerate(series.keys) if k == ("", "rows", "")]]
        if rows.size:
            gone = np.isnan(parts[0]) & segment & np.isfinite(rows[0])[:, None]
            parts[0][gone] = parts[2][gone] = 0.0
            parts[1][gone] = np.broadcast_to(rows[0][:, None], gone.shape)[gone]
        return Row(*parts), np.array([w.start.weekday() for w in series.windows[:length]], np.int64)

    def _verdicts(self, row: Row, past: tuple[Row, np.ndarray], at: Window) -> list[Verdict]:
        history, days = past
        series = self._series
        kind = np.array([KINDS[k] for k in series.kinds])
        seen = np.isfinite(history.values).sum(axis=0)
        n_past = np.nansum(history.rows, axis=0)
        k_past = np.nansum(history.counts, axis=0)
        is_rate = (kind == "rate") & np.isfinite(row.counts)
        never = is_rate & (k_past == 0)
        weekday = at.start.weekday() if self.cadence == DAY else 0
        if self.cadence != DAY:
            days = np.zeros_like(days)
        center, scale, low, high, score = (np.full(len(kind), np.nan) for _ in range(5))
        prior = np.array([PRIORS.get(k[1], DEFAULT_PRIOR) for k in series.keys])
        potential = never_seen_score(n_past, np.maximum(np.nan_to_num(row.rows), 1), prior)
        with np.errstate(invalid="ignore", divide="ignore"):
            if len(history.values):
                for which, forward, back in _TRANSFORMS:
                    own = is_rate & ~never if which == "rate" else _kind(kind, which) & ~is_rate
                    if not own.any():
                        continue
                    if which == "rate":
                        y = rates.stabilised(history.counts[:, own], history.rows[:, own])
                        now = rates.stabilised(row.counts[own], row.rows[own])
                    else:
                        y, now = forward(history.values[:, own]), forward(row.values[own])
                    fit = baseline.fit(np.where(np.isfinite(y), y, np.nan), days, weekday)
                    spread = np.maximum(fit.scale, 1e-9 * np.maximum(np.abs(fit.center), 1e-9))
                    if which == "rate":
                        spread = np.hypot(spread, rates.noise(row.rows[own]))
                    reach = np.maximum(baseline.reach(CUTOFF, spread, fit.dof), MARGIN * fit.largest)
                    gap = now - fit.center
                    tail = baseline.tail_score(gap, spread, fit.dof)
                    score[own] = np.sign(gap) * np.where(np.abs(gap) > reach, tail, np.minimum(tail, CUTOFF))
                    center[own] = back(fit.center, row.rows[own])
                    low[own] = back(fit.center - reach, row.rows[own])
                    high[own] = back(fit.center + reach, row.rows[own])
        score[never] = np.where(row.counts[never] > 0, potential[never], 0.0)
        center[never] = low[never] = high[never] = 0.0
        out = []
        measured = np.flatnonzero(np.isfinite(row.values))
        for i in measured:
            field, metric, segment = series.keys[i]
            value, missing, status = float(row.values[i]), 0, "passed"
            if never[i]:
                if potential[i] < THRESHOLD:
                    status, missing = "learning", _windows_missing(n_past[i], row.rows[i], prior[i])
                elif row.counts[i] > 0:
                    status = "failed"
            elif seen[i] < MIN_WINDOWS:
                status, missing = "learning", MIN_WINDOWS - int(seen[i])
            elif not low[i] <= value <= high[i]:
                status = "failed"
            bounds = Range(-np.inf, np.inf, float(center[i]), missing)
            if not missing and np.isfinite(center[i]):
                bounds = Range(float(low[i]), float(high[i]), float(center[i]))
            severity = "none"
            if status == "failed":
                severity = severity_of(metric, segment, value, bounds.expected, never_seen=bool(never[i]))
            facts = wording.Facts(
                field,
                metric,
                segment,
                value,
                row.counts[i],
                row.rows[i],
                bounds,
                int(seen[i]),
                int(n_past[i]),
                bool(never[i]),
            )
            out.append(
                Verdict(
                    _status(status), self.table, field, metric, segment, at, value, bounds, severity,
                    wording.sentence(status, facts), check_of(field, metric, segment), float(np.nan_to_num(score[i])),
                )
            )  # fmt: skip
        return out


def check_of(field: str, metric: str, segment: str) -> str:
    """The check a metric belongs to: `volume` for the table's rows, `mix` for shares and segments, else `field_health`."""
    if metric == "rows" and not segment and not field:
        return "volume"
    if metric == "share" or (segment and metric == "rows"):
        return "mix"
    return "field_health"


def _status(status: str) -> Status:
    return status  # type: ignore[return-value]


def _windows_missing(seen: float, rows: float, prior: float) -> int:
    """Windows of this size after which a first event would fail."""
    rows = max(float(rows), 1.0)
    ahead = rows * np.array([1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90, 120, 180])
    enough = never_seen_score(seen + ahead, rows, prior) >= THRESHOLD
    return int(round(ahead[int(np.argmax(enough))] / rows)) if enough.any() else 365


def _kind(kind: np.ndarray, which: str) -> np.ndarray:
    return (kind == "count") | (kind == "scale") if which == "log" else (kind != "count") & (kind != "scale")


def _same(values: Floats, rows: Floats | None = None) -> Floats:
    return values


def _log(values: Floats) -> Floats:
    return np.log1p(np.maximum(values, 0.0))


def _exp(values: Floats, rows: Floats | None = None) -> Floats:
    return np.expm1(np.clip(values, 0.0, 700.0))


_TRANSFORMS = (("rate", _same, rates.original), ("plain", _same, _same), ("log", _log, _exp))
