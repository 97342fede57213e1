"""One table's metrics walked forward window by window: judge a row of numbers, then learn from it. Pure numpy, no names.

`TableMonitor` gives it aligned arrays and turns what it says into verdicts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors import baseline, rates
from mlobs.detectors.baseline import Baseline, Expected
from mlobs.detectors.budget import LEARNED, Budget
from mlobs.detectors.columns import EXTREME, RATE, Columns
from mlobs.detectors.extremes import edges
from mlobs.detectors.families import FAMILIES, NOVELTY, TREND
from mlobs.detectors.judged import FAILED, LEARNING, PASSED, UNMEASURED, Drifting, Judged
from mlobs.detectors.new_values import new_values
from mlobs.detectors.novelty import limits, never_seen_score, threshold
from mlobs.detectors.rates import Events
from mlobs.detectors.saturation import STILL, saturated, steady
from mlobs.detectors.scales import Scales
from mlobs.detectors.series import Row
from mlobs.detectors.trend import Trend

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MIN_WINDOWS = 8
"""Windows of history from which a metric with variation is judged; never-seen events are judged by rows."""
NOMINAL_SCORE = 4.0
"""Normal score that a metric must surpass at an excess of 1."""
NOMINAL_RECORD = 2.2
"""Multiple of the largest past error that it must surpass, too, at an excess of 1."""
MOST_EXCESS = 99.0
"""Where a metric without any variation moves."""
CERTAIN = 9.0
"""Normal score, and excess, of what is no chance and has no size to measure it by: a row count that differs after it never did,
a table without rows."""
SETTLED = 21
"""Windows of a metric from which limits are learned from how far it strays: before, its range is still forming."""
FIRST_SHARE = 0.02
AGAIN = 90
"""A second alert of a metric within so many windows is learned from; a first one isn't, so one storm blinds nothing."""
SATURATED_PRIOR = 0.02
STILL_PRIOR = 0.1
"""Chance that a level or spread that never moved so far moves at all: its first move is a never-seen event, by windows."""
LASTING = 3
"""An alert that lasts so many windows is a new level, which is then learned."""


class Learner:
    """Learned state of all metrics of a table.

    Args:
        alarms_per_window: the budget.
    """

    def __init__(self, alarms_per_window: float) -> None:
        self.budget = Budget(alarms_per_window)
        self.novelty_threshold = threshold(alarms_per_window)
        windows = np.arange(MIN_WINDOWS, 400)
        self.still_windows = float(
            windows[np.argmax(never_seen_score(windows, 1.0, STILL_PRIOR) > self.novelty_threshold)]
        )
        self.baseline = Baseline()
        self.events = Events()
        self.trend = Trend()
        self.scales = Scales()
        self.alerted = np.zeros(0)
        self.ended = np.zeros(0)
        self.streak = np.zeros(0)
        self.running = np.zeros(0)
        self.saturated = np.zeros(0, bool)
        self.opened = np.zeros(0, bool)
        self.reach = np.zeros((2, 0))
        self.windows = 0

    def widen(self, size: int) -> None:
        """Room for metrics met for the first time."""
        more = size - len(self.streak)
        if more > 0:
            self.alerted = np.concatenate([self.alerted, np.full(more, -np.inf)])
            self.ended = np.concatenate([self.ended, np.full(more, -np.inf)])
            self.streak = np.concatenate([self.streak, np.zeros(more)])
            self.saturated = np.concatenate([self.saturated, np.zeros(more, bool)])
            self.opened = np.concatenate([self.opened, np.zeros(more, bool)])
            self.running = np.concatenate([self.running, np.zeros(more)])
            self.reach = np.concatenate([self.reach, np.tile([[-np.inf], [np.inf]], more)], axis=1)
        self.baseline.widen(size)
        self.events.widen(size)
        self.trend.widen(size)
        self.scales.widen(size)

    # -- judging -------------------------------------------------------------------------------------------------

    def judge(self, row: Row, columns: Columns, weekday: int, *, bounds: bool = True) -> Judged:
        """Judge one window; nothing is learned. Without `bounds` the ranges are left out, which is faster."""
        with np.errstate(all="ignore"):
            return self._judged(row, columns, weekday, bounds)

    def _judged(self, row: Row, columns: Columns, weekday: int, bounds: bool) -> Judged:
        self.widen(len(columns))
        value, rows, counts = row
        kind = columns.kind
        measured = np.isfinite(value)
        is_rate = (kind == RATE) & np.isfinite(counts)
        y = self.scales.transform(row, columns)
        seen = self.baseline.seen
        expected = self.scales.floored(self.baseline.predict(weekday), row, columns, self.baseline.level[1], seen)
        limit = self.budget.limits()[columns.family]
        usual = self.scales.usual(self.baseline.level[1], columns)
        shown, slope = self._fields(columns, usual)
        first = new_values(columns, shown, slope, seen)
        open_ended, prior = first.open_ended, first.prior
        never, flipped, potential = self._never(row, columns, is_rate, prior)
        extreme = (kind == EXTREME) & measured
        novel = never | extreme

        gap = y - expected.center
        above = gap > 0
        scale = np.where(above, expected.up, expected.down)
        record = np.where(above, expected.record_up, expected.record_down)
        score = self._score(row, is_rate, gap, scale, expected.dof, measured & ~novel)
        excess = np.minimum(
            score / NOMINAL_SCORE, np.where(record > 0, np.abs(gap) / (NOMINAL_RECORD * record), np.inf)
        )
        excess = np.where(columns.rising & ~above, 0.0, excess)
        excess = np.where(measured & (seen >= MIN_WINDOWS), np.minimum(np.fmax(excess, 0.0), MOST_EXCESS), 0.0)
        still = columns.free & (expected.record_up <= 0) & (expected.record_down <= 0)
        # fields that usually show fewer distinct values than it takes for the metric to say something
        lumpy = columns.free & expected.lumpy & ~still | (columns.values > 0) & (shown < columns.values)
        young = still & (seen < self.still_windows)
        excess = np.where(lumpy | young, 0.0, excess)
        failed = excess > limit
        moved = steady(columns, self.baseline, self.still_windows) & measured & (np.abs(gap) > STILL)
        score = np.where(moved, np.maximum(score, CERTAIN), score)
        excess = np.where(moved, CERTAIN, excess)
        failed |= moved

        events = np.where(flipped, rows - counts, counts)
        events = np.where(open_ended, np.minimum(events, 1.0), events)
        happened = never & (events > 0) & ~(flipped & columns.rising)
        beyond = extreme & self._beyond(value, columns)
        novelty_limit = limits(self.novelty_threshold, columns.prior, novel, self.budget.novelty_feedback())
        novel_score = np.where(beyond, potential, 0.0)
        if happened.any():
            novel_score[happened] = never_seen_score(
                self.events.ever_rows[happened], rows[happened], prior[happened], events[happened]
            )
        novel_score = first.score(novel_score, counts, happened)
        failed = np.where(novel, (happened | beyond) & (novel_score > novelty_limit), failed)
        score = np.where(novel, novel_score, score)
        excess = np.where(novel, novel_score / novelty_limit, excess)

        failed &= (columns.slack <= 0) | (value > columns.slack)
        opening = failed & open_ended & ~self.opened
        failed &= ~opening
        full = saturated(row, columns, expected, self.baseline, self.events, usual, MIN_WINDOWS)
        if full.any():
            windows = np.maximum(self.baseline.seen, 1.0)
            chance = np.where(
                columns.volume & (windows >= MIN_WINDOWS), CERTAIN, never_seen_score(windows, 1.0, SATURATED_PRIOR)
            )
            struck = full & ~self.saturated & (chance > self.novelty_threshold)
            failed |= struck
            score, excess = np.where(struck, np.maximum(score, chance), score), np.where(struck, CERTAIN, excess)
        needed = np.where(young, self.still_windows, MIN_WINDOWS)
        enough = np.where(novel, potential > novelty_limit, seen >= needed)
        status = np.where(failed, FAILED, np.where(enough, PASSED, LEARNING)).astype(np.int8)
        status[~measured | lumpy] = UNMEASURED
        blank = np.full(len(kind), np.nan)
        judged = Judged(
            status, np.where(above | novel, score, -score), excess, blank, blank.copy(), blank.copy(),
            never, opening, np.maximum(needed - seen, 1.0), seen, self.events.ever_rows.copy(), expected, y,
            self._drifting(y, expected, columns, never | still | lumpy), full,
        )  # fmt: skip
        if bounds:
            self._bounds(judged, row, columns, limit, extreme, flipped, novelty_limit)
        return judged

    def _drifting(self, y: Floats, expected: Expected, columns: Columns, out: Mask) -> Drifting:
        noise = np.maximum(expected.up, expected.down)
        week, past, scale = self.trend.step(_tame(y, expected), noise, columns.trended)
        drift = np.abs(week - past)
        limit = self.budget.limits()[TREND]
        judged = np.isfinite(drift) & ~out & (self.trend.quiet <= 0)
        reach = np.maximum(NOMINAL_SCORE * scale, NOMINAL_RECORD * self.trend.record)
        excess = np.where(judged, drift / reach, 0.0)
        return Drifting(week, past, excess, limit * reach, excess > limit, judged)

    def _fields(self, columns: Columns, usual: Floats) -> tuple[Floats, Floats]:
        """Distinct values in a usual window of each metric's field, and their growth with rows; NaN where unknown."""
        shown, slope = np.full((2, len(columns)), np.nan)
        has = columns.distinct >= 0
        at = columns.distinct[has]
        shown[has] = usual[at]
        slope[has] = self.scales.given.slope[at]
        return shown, slope

    def _score(self, row: Row, is_rate: Mask, gap: Floats, scale: Floats, dof: Floats, wanted: Mask) -> Floats:
        """Normal score, >= 0, of how far the metrics `wanted` stray; 0 for others."""
        score = np.zeros(len(gap))
        rare, more = self._rare(row, is_rate)
        at = np.flatnonzero(wanted & ~rare)
        score[at] = baseline.tail_score(gap[at], scale[at], dof[at])
        more &= wanted
        score[more] = self._rare_score(row, more)
        return score

    def _rare(self, row: Row, is_rate: Mask) -> tuple[Mask, Mask]:
        """Rates of rare events (or of rare non-events), and those of them above what is expected."""
        share, n = self.events.share(), np.fmax(row.rows, 0.0)
        small = np.minimum(share, 1 - share)
        rare = is_rate & (n * small < rates.RARE)
        k = np.where(share > 0.5, n - row.counts, row.counts)
        return rare, rare & (k > n * small)

    def _rare_score(self, row: Row, rare: Mask) -> Floats:
        events = self.events
        share, n = events.share()[rare], row.rows[rare]
        flip = share > 0.5
        k = np.where(flip, n - row.counts[rare], row.counts[rare])
        seen = np.where(flip, events.rows[rare] - events.count[rare], events.count[rare])
        small = np.minimum(share, 1 - share)
        return rates.rare_score(k, n * small, events.spread[rare], seen + 0.5)

    def _never(self, row: Row, columns: Columns, is_rate: Mask, prior: Floats) -> tuple[Mask, Mask, Floats]:
        """Rates that were always 0 (or always 1), and the score that a first exception has."""
        events = self.events
        always = is_rate & (events.ever_rows > 0) & (events.ever_not == 0)
        never = is_rate & (events.ever == 0)
        rows = np.fmax(row.rows, 1.0)
        behind = np.where(columns.kind == EXTREME, self.running, events.ever_rows)
        potential = np.zeros(len(columns))
        which = never | always | (columns.kind == EXTREME)
        potential[which] = never_seen_score(behind[which], rows[which], prior[which])
        return never | always, always & ~never, potential

    def _beyond(self, value: Floats, columns: Columns) -> Mask:
        """Extremes out of the learned range: beyond the furthest seen by half the range, and by as much as the furthest
        itself lies beyond the usual extreme (on the logarithmic scale for one-sided fields); beyond a hard bound at all."""
        furthest: Mask = np.where(columns.upper, value > self.reach[1], value < self.reach[0])
        if not furthest.any():
            return furthest
        low, high = edges(columns, self.reach, self.baseline.ring, furthest)
        return np.asarray(np.where(columns.upper, value > high, value < low))

    def _bounds(
        self, j: Judged, row: Row, columns: Columns, limit: Floats, extreme: Mask, flipped: Mask, novelty_limit: Floats
    ) -> None:
        """Fill in low, center, high such that a metric failed exactly when its value lies outside."""
        expected, value = j.expected, row.values
        up = np.maximum(
            baseline.reach(limit * NOMINAL_SCORE, expected.up, expected.dof),
            limit * NOMINAL_RECORD * expected.record_up,
        )
        down = np.where(columns.rising, np.inf, 1.0) * np.maximum(
            baseline.reach(limit * NOMINAL_SCORE, expected.down, expected.dof),
            limit * NOMINAL_RECORD * expected.record_down,
        )
        j.center = self.scales.original(expected.center, row, columns)
        j.high = self.scales.original(expected.center + up, row, columns)
        j.low = self.scales.original(expected.center - down, row, columns)
        same = steady(columns, self.baseline, self.still_windows)
        j.low[same] = j.high[same] = j.center[same] = np.round(j.center[same])
        always = j.never & flipped
        for never, at in ((j.never & ~flipped, 0.0), (always, 1.0)):
            j.low[never] = j.high[never] = j.center[never] = at
        low, high = edges(columns, self.reach, self.baseline.ring, extreme)
        j.low[extreme], j.high[extreme] = low[extreme], high[extreme]
        passed, failed = j.status == PASSED, j.status == FAILED
        # rare rates and never-seen events that can't be told from chance yet: the range must agree with the verdict
        j.low = np.where(passed, np.fmin(j.low, value), j.low)
        j.high = np.where(passed, np.fmax(j.high, value), j.high)
        inside = failed & (value >= j.low) & (value <= j.high)
        over = inside & (value >= j.center)
        j.high = np.where(over, np.fmax(j.center, np.nextafter(value, -np.inf)), j.high)
        j.low = np.where(inside & ~over, np.fmin(j.center, np.nextafter(value, np.inf)), j.low)
        j.low, j.high = np.fmin(j.low, j.center), np.fmax(j.high, j.center)
        chance = (j.never | extreme) & (j.status == LEARNING)
        for i in np.flatnonzero(chance):
            j.missing[i] = self._windows_missing(int(i), row, columns, float(novelty_limit[i]))

    def _windows_missing(self, at: int, row: Row, columns: Columns, limit: float) -> float:
        """Windows of this size after which a first event would fail."""
        rows = max(float(np.nan_to_num(row.rows[at], nan=1.0)), 1.0)
        behind = self.running[at] if columns.kind[at] == EXTREME else self.events.ever_rows[at]
        ahead = np.array([1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90, 120, 180, 365])
        score = never_seen_score(behind + rows * ahead, rows, columns.prior[at])
        return float(ahead[min(int(np.searchsorted(score, limit)), len(ahead) - 1)])

    # -- learning ------------------------------------------------------------------------------------------------

    def learn(
        self, row: Row, columns: Columns, weekday: int, judged: Judged, *, failed: Mask, skip: Mask, accept: Mask
    ) -> None:
        """Bring the state forward by one window.

        Args:
            judged: what `judge` said of this window.
            failed: metrics that failed in it (by `judged`, or by what the user stored).
            skip: metrics to leave out altogether (muted, maintenance).
            accept: metrics whose values were expected: learned at once and in full.
        """
        with np.errstate(all="ignore"):
            self._learn(row, columns, weekday, judged, failed, skip, accept)

    def _learn(
        self, row: Row, columns: Columns, weekday: int, judged: Judged, failed: Mask, skip: Mask, accept: Mask
    ) -> None:
        value, rows, counts = row
        self.opened |= judged.opening & ~skip
        accept = accept | judged.opening
        alert = failed & ~accept & ~skip
        self.streak = np.where(alert, self.streak + 1, 0.0)
        lasting = alert & (self.streak >= LASTING)
        # a second incident, apart from the first
        again = alert & (self.windows - self.ended <= AGAIN) & (self.windows - self.ended > 3) | lasting
        use = np.isfinite(judged.value) & ~skip
        first = alert & ~again
        self.baseline.learn(judged.value, judged.expected, weekday, use, ~first, accept | lasting, again)
        learn_event = use & (~first | columns.once)
        # of a first alert only so much that the event is known to happen
        few = np.where(first, np.minimum(counts, np.maximum(1.0, FIRST_SHARE * rows)), counts)
        few = np.where(
            first & (counts > 0.5 * rows), rows - np.minimum(rows - counts, np.maximum(1.0, FIRST_SHARE * rows)), few
        )
        self.events.learn(few, rows, learn_event)
        self.scales.learn(row, columns, use, first)
        self.saturated |= judged.saturated & use & ~first
        extreme = (columns.kind == EXTREME) & use & ~(first & ~columns.once)
        self.reach[0] = np.where(
            extreme & ~(self.reach[0] <= value) | extreme & np.isinf(self.reach[0]), value, self.reach[0]
        )
        self.reach[1] = np.where(
            extreme & ~(self.reach[1] >= value) | extreme & np.isinf(self.reach[1]), value, self.reach[1]
        )
        self.running = self.running + np.where(extreme, np.fmax(rows, 0.0), 0.0)
        drifting = judged.drifting
        drift, tame = drifting.week - drifting.past, _tame(judged.value, judged.expected)
        self.trend.learn(tame, use & ~first, drift, drifting.failed, columns.trended)
        over = ~alert & use & (self.alerted >= self.windows - 3) & (self.alerted > self.ended)
        self.ended = np.where(over, self.alerted, self.ended)
        self.alerted = np.where(alert, float(self.windows), self.alerted)
        self.windows += 1
        # what failed is spent budget, which `Budget.feedback` counts: limits are learned from what passed, else one
        # catastrophe would widen them for half a year
        known = (judged.status == PASSED) & (judged.seen >= SETTLED) & ~skip & ~accept
        novel = judged.never | (columns.kind == EXTREME)
        maxima = np.full(len(FAMILIES), np.nan)
        for family in LEARNED:
            found = judged.excess[known & (columns.family == family) & ~novel]
            if len(found):
                maxima[family] = found.max()
        quiet = drifting.judged & ~drifting.failed
        if quiet.any():
            maxima[TREND] = drifting.excess[quiet].max()
        spent = np.bincount(np.where(novel, NOVELTY, columns.family)[alert], minlength=len(FAMILIES)) > 0
        spent[TREND] = drifting.failed.any()
        if (judged.status < LEARNING).any():
            self.budget.record(maxima, spent)


def _tame(y: Floats, expected: Expected) -> Floats:
    """Values drawn in to what single windows may stray: a slow drift has no leap."""
    low, high = expected.center - baseline.WINSOR * expected.down, expected.center + baseline.WINSOR * expected.up
    return np.where(np.isfinite(expected.center), np.clip(y, low, high), y)
