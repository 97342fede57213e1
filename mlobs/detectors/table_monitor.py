"""`TableMonitor`: learns what every metric of a table looks like from its history and judges one window against it.

Pure: profiles in, verdicts out; it reads no clock, no database. A window is judged by the windows before it only.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors import judged as codes
from mlobs.detectors import wording
from mlobs.detectors.columns import EXTREME, columns_of
from mlobs.detectors.examples import examples
from mlobs.detectors.families import UNJUDGED, check_of
from mlobs.detectors.feedback import Exceptions, Exempt, Said
from mlobs.detectors.judged import Judged
from mlobs.detectors.learner import NOMINAL_SCORE, Learner
from mlobs.detectors.series import Key, Row, Series
from mlobs.detectors.severity import severity_of
from mlobs.detectors.verdict import Range, Severity, Status, Verdict
from mlobs.errors import SpecError
from mlobs.metrics.measurement import Measurement
from mlobs.metrics.profiles import Profile
from mlobs.spec import Field
from mlobs.windows import DAY, Window

MONTH = timedelta(days=30)
RECENT = 3
"""Newest profiles that are kept, to recognise a delivery that repeats one of them."""
SNAPSHOT = 28
"""Windows between two kept copies of the learned state, from which an older window can be judged again quickly."""
STATUS: tuple[Status, ...] = ("passed", "failed", "learning")


class Measured(Protocol):
    """What a monitor needs of a profile: its measurements and its rows."""

    @property
    def rows(self) -> int: ...

    def measurements(self) -> Sequence[Measurement]: ...


class TableMonitor:
    """Learned ranges for every metric of one table, which share one budget of false alarms.

    Args:
        table: its name in verdicts.
        false_alarms_per_month: windows with a false alarm that are acceptable in 30 days, over all metrics together.
        cadence: length of one window; weekday effects are learned for windows of a day, and hours of the day for none.
        fields: observe only these fields (names or `Field`s); None means all.
        feedback: what people said of verdicts, as history remembers it; see `mlobs.detectors.feedback`.
        holidays: dates on which levels, mix and volume are let off; see `mlobs.detectors.feedback.holidays_of`.

    Raises:
        SpecError: when the budget or the cadence is not above 0.

    `judge` before `observe`: judging a window uses the windows before it, never itself or a later one. Windows may be
    observed in any order, with gaps, and again; the newest observation of a window counts.
    """

    def __init__(
        self,
        table: str = "",
        *,
        false_alarms_per_month: float = 1.0,
        cadence: timedelta = DAY,
        fields: Iterable[str | Field] | None = None,
        feedback: Iterable[Said] = (),
        holidays: Collection[date] = (),
    ) -> None:
        if not false_alarms_per_month > 0:
            raise SpecError(f"table {table!r}: false_alarms_per_month must be above 0, got {false_alarms_per_month}")
        if cadence <= timedelta(0):
            raise SpecError(f"table {table!r}: cadence must be a positive length, got {cadence}")
        self.table = table
        self.false_alarms_per_month = false_alarms_per_month
        self.cadence = cadence
        self.fields = None if fields is None else frozenset(f.name if isinstance(f, Field) else f for f in fields)
        self._exceptions = Exceptions(table, feedback, holidays)
        self._profiles: dict[Window, Measured] = {}
        self._series = Series()
        self._columns = columns_of([], np.zeros(0, np.int8))
        self._failed: dict[Window, frozenset[Key]] = {}
        self._learner = Learner(false_alarms_per_month * (cadence / MONTH))
        self._learned = 0
        self._snapshots: dict[int, Learner] = {0: copy.deepcopy(self._learner)}

    # -- public --------------------------------------------------------------------------------------------------

    def observe(self, profile: Measured, window: Any, verdicts: Sequence[Verdict] = ()) -> None:
        """Add a window to the history; the same window again replaces it.

        Args:
            profile: its measurements are remembered.
            window: a `Window` or a (start, end) pair.
            verdicts: what was said of this window, if anything; metrics that failed then count as alerts, as do those
                that fail by the monitor's own judgement. A first alert is not learned from.
        """
        at = Window.of(window)
        place = self._series.put(at, self._align(profile, at))
        self._keep(profile, at)
        self._failed[at] = frozenset((v.field, v.metric, v.segment) for v in verdicts if v.failed)
        if place < self._learned:
            self._rewind(place)

    def judge(self, profile: Measured, window: Any) -> list[Verdict]:
        """A verdict for every metric of the window that could be measured; nothing is learned from it.

        Args:
            profile: the window's profile.
            window: a `Window` or a (start, end) pair.

        Returns:
            Verdicts of the checks `field_health`, `volume` and `mix`. Empty when nothing could be measured.
        """
        at = Window.of(window)
        row = self._align(profile, at)
        learner = self._at(bisect_left(self._series.windows, at))
        row = self._complete(row, profile.rows)
        judged = learner.judge(row, self._columns, self._weekday(at))
        verdicts = [*self._verdicts(learner, judged, row, at), *self._trends(learner, judged, row, at)]
        return [_with_examples(v, profile) if v.failed else v for v in verdicts if profile.rows or not v.field]

    def told(self, feedback: Iterable[Said], holidays: Collection[date] = ()) -> None:
        """Replace all feedback and holidays; what was learned is learned anew under them."""
        self._exceptions = Exceptions(self.table, feedback, holidays)
        self._rewind(0)

    # -- history -------------------------------------------------------------------------------------------------

    def _align(self, profile: Measured, at: Window) -> Row:
        keep = self.fields
        found = [m for m in _watched(profile, at) if keep is None or not m.field or m.field in keep]
        found += self._repeated(profile, at)
        row = self._series.align(found)
        if len(self._series.keys) > len(self._columns):
            self._columns = columns_of(self._series.keys, self._series.kinds)
        return row

    def _repeated(self, profile: Measured, at: Window) -> list[Measurement]:
        """The share of rows that the newest earlier delivery had, too; a stale batch has all of them."""
        overlap = getattr(profile, "overlap", None)
        earlier = [w for w in self._profiles if w < at]
        if overlap is None or not earlier or not profile.rows:
            return []
        share = float(overlap(self._profiles[max(earlier)]))
        if not np.isfinite(share):
            return []
        return [Measurement("", "overlap_rate", "rate", share, profile.rows, round(share * profile.rows))]

    def _keep(self, profile: Measured, at: Window) -> None:
        if hasattr(profile, "overlap") and profile.rows:
            self._profiles[at] = profile
            for old in sorted(self._profiles)[:-RECENT]:
                del self._profiles[old]

    def _complete(self, row: Row, rows: float) -> Row:
        """A row over all columns, in which a category or segment that is known and wasn't measured has none of the rows."""
        size = len(self._series.keys)
        full = np.full((3, size), np.nan)
        for plane, part in enumerate(row):
            full[plane, : len(part)] = part
        gone = self._columns.part & np.isnan(full[0])
        full[:, gone] = [[0.0], [float(rows)], [0.0]]
        return Row(*full)

    def _weekday(self, window: Window) -> int:
        return window.start.weekday() if self.cadence == DAY else 0

    def _at(self, place: int) -> Learner:
        """The state learned from the first `place` windows."""
        if place >= self._learned:
            self._walk(self._learner, self._learned, place, keep=True)
            self._learned = place
            return self._learner
        start = max(at for at in self._snapshots if at <= place)
        past = copy.deepcopy(self._snapshots[start])
        self._walk(past, start, place, keep=False)
        return past

    def _walk(self, learner: Learner, start: int, end: int, *, keep: bool) -> None:
        series, columns = self._series, self._columns
        whole = series.index.get(("", "rows", ""))
        for place in range(start, end):
            window = series.windows[place]
            rows = float(np.nan_to_num(series.rows[place, whole])) if whole is not None else 0.0
            row = self._complete(Row(series.values[place], series.rows[place], series.counts[place]), rows)
            day = self._weekday(window)
            judged = learner.judge(row, columns, day, bounds=False)
            failed = judged.status == codes.FAILED
            for key in self._failed.get(window, ()):
                if key in series.index:
                    failed[series.index[key]] = True
            nothing = np.zeros(len(columns), bool)
            let = self._exceptions.on(window, series.keys)
            accept = let.accept if let else nothing
            skip = _left_out(let, judged) if let else nothing
            learner.learn(row, columns, day, judged, failed=failed, skip=skip, accept=accept)
            if keep and (place + 1) % SNAPSHOT == 0:
                self._snapshots[place + 1] = copy.deepcopy(learner)

    def _rewind(self, place: int) -> None:
        """Forget what was learned from window number `place` on."""
        self._snapshots = {at: s for at, s in self._snapshots.items() if at <= place}
        self._learned = max(self._snapshots)
        self._learner = copy.deepcopy(self._snapshots[self._learned])

    # -- verdicts ------------------------------------------------------------------------------------------------

    def _verdicts(self, learner: Learner, j: Judged, row: Row, at: Window) -> list[Verdict]:
        out = []
        let = self._exceptions.on(at, self._series.keys)
        off = (let.accept | _left_out(let, j)) if let else np.zeros(len(j.status), bool)
        streak = np.zeros(len(j.status), np.int64)
        streak[: len(learner.streak)] = learner.streak
        alarm = np.zeros(len(j.status), np.int64)
        alarmed = np.flatnonzero(np.isfinite(learner.alerted))
        alarm[alarmed] = learner.windows - learner.alerted[alarmed]
        # plain numbers: reading arrays one by one costs more than all else here
        columns = zip(
            self._series.keys, j.status.tolist(), row.values.tolist(), row.counts.tolist(), row.rows.tolist(),
            j.low.tolist(), j.high.tolist(), j.center.tolist(), j.missing.tolist(), j.seen.tolist(),
            j.rows_seen.tolist(), j.never.tolist(), (self._columns.kind == EXTREME).tolist(), streak.tolist(),
            np.nan_to_num(j.score).tolist(), off.tolist(), alarm.tolist(), strict=True,
        )  # fmt: skip
        for (
            (field, metric, segment), code, value, count, rows, low, high, center, missing, seen,
            rows_seen, never, extreme, before, score, let_off, ago,
        ) in columns:  # fmt: skip
            if code == codes.UNMEASURED:
                continue
            status = STATUS[code]
            bounds = Range(-np.inf, np.inf, center, int(missing)) if status == "learning" else Range(low, high, center)
            excused = status == "failed" and let_off
            severity: Severity = "none"
            if status == "failed" and not excused:
                severity = severity_of(metric, segment, value, bounds)
            facts = wording.Facts(
                field, metric, segment, value, count, rows, bounds, int(seen), int(rows_seen), never, extreme,
                streak=before, alarm=ago,
            )  # fmt: skip
            reason = wording.sentence(status, facts)
            if excused and let:
                status, reason = "passed", f"{reason}; let off ({let.why})"
            check = check_of(field, metric, segment)
            out.append(
                Verdict(status, self.table, field, metric, segment, at, value, bounds, severity, reason, check, score)
            )
        return out

    def _trends(self, learner: Learner, j: Judged, row: Row, at: Window) -> list[Verdict]:
        """Verdicts on slow drift, metric `<metric>_trend`: the mean of the newest week against that of the four before."""
        d = j.drifting
        let = self._exceptions.on(at, self._series.keys)
        week, past, low, high = (
            learner.scales.original(v, row, self._columns) for v in (d.week, d.past, d.past - d.reach, d.past + d.reach)
        )
        out = []
        for i in np.flatnonzero(d.judged):
            field, metric, segment = self._series.keys[i]
            failed = bool(d.failed[i]) and not (let and (let.accept | let.skip | let.lenient)[i])
            value, center = float(week[i]), float(past[i])
            bounds = Range(min(float(low[i]), center), max(float(high[i]), center), center)
            reason = wording.trend(failed, field, metric, value, bounds)
            status: Status = "failed" if failed else "passed"
            severity: Severity = "warn" if failed else "none"
            score = float(np.nan_to_num(d.excess[i])) * NOMINAL_SCORE
            out.append(
                Verdict(
                    status, self.table, field, f"{metric}_trend", segment, at, value, bounds, severity, reason,
                    check_of(field, metric, segment), score,
                )
            )  # fmt: skip
        return out


def _watched(profile: Measured, at: Window) -> list[Measurement]:
    """The metrics that are judged. A batch that was selected by no window (a file, a frame) is measured as that of the window it
    is judged in: ages of its timestamps are taken from the window's end. Of one without rows only their number is."""
    if not isinstance(profile, Profile):
        found = [m for m in profile.measurements() if m.metric not in UNJUDGED]
    else:
        placed = profile if profile.window is not None else profile.with_window(at)
        found = placed.measurements(UNJUDGED)
    return found if profile.rows else [m for m in found if not m.field]


def _with_examples(verdict: Verdict, profile: Measured) -> Verdict:
    told = examples(profile, verdict.field, verdict.metric)
    return replace(verdict, reason=f"{verdict.reason}; among them {told}") if told else verdict


def _left_out(let: Exempt, judged: Judged) -> NDArray[np.bool_]:
    """Metrics that can't fail and aren't learned from: muted ones, and on exceptional days all but impossible values."""
    return np.asarray(let.skip | (let.lenient & ~judged.never))
