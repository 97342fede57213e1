"""What a continuous metric should be in the next window: several predictors, weekday effects, one-sided scale. Pure numpy.

Everything is kept as arrays of shape (n_metrics,) that are brought forward one window at a time, so that a year costs a
year's worth of vector operations, whatever the number of metrics.

The predictors are the median of the newest 28 values, the same plus the weekday's effect, and two exponentially weighted
means (weights .3 and .06) plus the weekday's effect. They are mixed with weights proportional to (mean absolute past
error) ** -6, which is nearly the best of them. Weekday effects are shrunk towards none by James and Stein's rule (Estimation
with quadratic loss, 1961): the less they explain beyond noise, the less they count.

Numpy's warnings are for whoever calls to silence, once for all steps: NaN and infinite numbers are what is expected of data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from mlobs.detectors.novelty import log_normal_tail, normal_score

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SPAN = 28
"""Windows whose median is one of the predictors."""
FAST, SLOW = 0.3, 0.06
MEMORY = 60
"""Windows over which errors are averaged, once there are so many."""
WEEKS = 10
"""Weeks over which a weekday's effect is averaged."""
WINSOR = 3.5
"""Values further than so many scales from what was expected are drawn in before they are learned."""
GROWTH = 4.0
HALF_LIFE = 180.0
"""Windows after which the largest past error counts half."""
LARGEST_DOF = 30.0
PREDICTORS = 4
REFITS = (14, 28)
"""Windows after which weekday effects, scale and record are taken anew from all windows so far."""
MAD_TO_SD = 1.4826


class Expected(NamedTuple):
    """Arrays of shape (n_metrics,): the prediction, its error's scale and past record upwards and downwards; whether
    fewer than half of the newest values differ."""

    center: Floats
    up: Floats
    down: Floats
    record_up: Floats
    record_down: Floats
    dof: Floats
    lumpy: Mask


class Baseline:
    """The learned state of all continuous metrics; `predict`, then `learn`, one window after the other."""

    def __init__(self) -> None:
        self.size = 0
        self.seen = np.zeros(0)
        self.ring = np.full((0, SPAN), np.nan)
        self.at = 0
        self.days = np.zeros(SPAN, np.int64)
        self.effect = np.zeros((7, 0))
        self.effect_seen = np.zeros((7, 0))
        self.level = np.zeros((2, 0))
        self.error = np.zeros((PREDICTORS, 0))
        self.square = np.zeros((2, 0))
        self.square_seen = np.zeros((2, 0))
        self.record = np.zeros((2, 0))
        self._predicted = np.zeros((PREDICTORS, 0))

    def widen(self, size: int) -> None:
        """Room for metrics met for the first time."""
        more = size - self.size
        if more <= 0:
            return
        self.seen = np.concatenate([self.seen, np.zeros(more)])
        self.ring = np.concatenate([self.ring, np.full((more, SPAN), np.nan)])
        for name in ("effect", "effect_seen", "level", "error", "square", "square_seen", "record"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros((len(old), more))], axis=1))
        self.size = size

    def predict(self, weekday: int) -> Expected:
        """The distribution of the next value of every metric; NaN centres where nothing was seen."""
        median, lumpy = self._median()
        total, both = self._noise()
        day = self._weekday_effect(weekday, both)
        guess = np.stack([median, median + day, self.level[0] + day, self.level[1] + day])
        guess[:, self.seen == 0] = np.nan
        self._predicted = guess
        best = self.error.min(axis=0)
        square = (best / self.error) ** 2
        # the sixth power: the best one counts, nearly alone
        weight = np.where(self.error > 0, square * square * square, 1.0)
        weight /= weight.sum(axis=0)
        center = (weight * guess).sum(axis=0)
        # each side's own spread, drawn half way to that of both: a skewed metric has a longer side
        trust = self.square_seen / (self.square_seen + 8.0)
        spread = np.sqrt(trust * self.square + (1 - trust) * both)
        spread *= np.sqrt(1 + 1 / np.maximum(total, 1.0))
        record = np.maximum(self.record, 0.6 * self.record[::-1])
        dof = np.clip(total - 1.0, 1.0, LARGEST_DOF)
        return Expected(center, spread[0], spread[1], record[0], record[1], dof, lumpy)

    def _median(self) -> tuple[Floats, Mask]:
        ordered = np.sort(self.ring, axis=1)
        values = 1 + (np.diff(ordered, axis=1) > 0).sum(axis=1)
        return _middle(ordered), np.asarray(2 * values < np.isfinite(ordered).sum(axis=1))

    def _noise(self) -> tuple[Floats, Floats]:
        """Errors seen on both sides, and their mean square."""
        (seen_up, seen_down), (up, down) = self.square_seen, self.square
        total = seen_up + seen_down
        return total, np.asarray((up * seen_up + down * seen_down) / np.maximum(total, 1.0))

    def _weekday_effect(self, weekday: int, noise: Floats) -> Floats:
        """What the weekday adds, shrunk by `noise`, the mean square of errors."""
        seen = np.maximum(self.effect_seen, 1e-9)
        size = (self.effect**2 * np.minimum(self.effect_seen, WEEKS)).sum(axis=0)
        keep = np.where(size > 0, np.maximum(0.0, 1 - 4 * noise / size), 0.0)
        own = np.where(seen[weekday] >= 2, self.effect[weekday], 0.0)
        return np.asarray(np.where((self.effect_seen >= 2).sum(axis=0) >= 5, keep * own, 0.0))

    def learn(
        self, value: Floats, expected: Expected, weekday: int, use: Mask, widen: Mask, follow: Mask, again: Mask
    ) -> None:
        """Bring the state forward by one window.

        Args:
            value: of shape (n_metrics,).
            expected: what `predict` said of this window.
            use: metrics to learn from at all (measured, not muted).
            widen: metrics whose error may widen the range (not a first alert).
            follow: metrics whose level is taken over as it is (a second alert in a row, or accepted).
            again: metrics that strayed as far before, so that this much is known to happen: it goes on record in full.
        """
        use = use & np.isfinite(value)
        first = use & (self.seen == 0)
        gap = np.where(use & ~first, value - expected.center, 0.0)
        scale = np.where(gap > 0, expected.up, expected.down)
        reach = WINSOR * scale
        errors = self.square_seen[0] + self.square_seen[1]
        judged = errors >= 6
        drawn = np.where(judged & ~follow, np.clip(gap, -reach, reach), gap)
        tame = np.where(first, value, expected.center + drawn)
        # errors of each predictor, on the drawn-in value
        step = 1 / np.minimum(errors + 1, MEMORY)
        missed = np.abs(np.where(use & ~first, tame - self._predicted, 0.0))
        learns = use & ~first & (widen | follow)
        self.error = np.where(learns, self.error + step * (missed - self.error), self.error)
        # scale and record by side
        upward = gap > 0
        mine = np.stack([learns & upward, learns & ~upward])
        pace = 1 / np.minimum(self.square_seen + 1, MEMORY / 2)
        self.square = np.where(mine, self.square + pace * (drawn**2 - self.square), self.square)
        self.square_seen = np.minimum(self.square_seen + mine, MEMORY / 2)
        self.record = np.where(use, self.record * 0.5 ** (1 / HALF_LIFE), self.record)
        # a catastrophe may at most double the record, so that it doesn't hide the next one
        most = np.where(judged & ~again, np.maximum(GROWTH * self.record, 4 * scale), np.inf)
        self.record = np.where(mine, np.maximum(self.record, np.minimum(np.abs(gap), most)), self.record)
        # weekday effects: what is left over the median
        median = self._predicted[0]
        pace = 1 / np.minimum(self.effect_seen[weekday] + 1, WEEKS)
        over = np.where(learns, tame - median, 0.0)
        self.effect[weekday] = np.where(
            learns, self.effect[weekday] + pace * (over - self.effect[weekday]), self.effect[weekday]
        )
        self.effect_seen[weekday] += learns
        day = self._weekday_effect(weekday, self._noise()[1])
        pace = np.maximum(np.array([[FAST], [SLOW]]), 1 / (self.seen + 1))
        moved = self.level + pace * (tame - day - self.level)
        self.level = np.where(first, value, np.where(use, moved, self.level))
        self.ring[:, self.at] = np.where(use, value, self.ring[:, self.at])
        self.days[self.at] = weekday
        self.at = (self.at + 1) % SPAN
        self.seen = self.seen + use
        for count in REFITS:
            now = np.flatnonzero(use & (self.seen == count))
            if len(now):
                self._refit(now)

    def _refit(self, which: NDArray[np.int64]) -> None:
        """Weekday effects, scale and record anew from the newest windows at once: the first errors, made before any weekday
        was known, would else widen the range for months."""
        recent = self.ring[which]
        level = medians(recent)
        spread = MAD_TO_SD * medians(np.abs(recent - level[:, None]))
        over = recent - level[:, None]
        bound = np.where(spread > 0, 2 * WINSOR * spread, np.inf)[:, None]
        over = np.clip(over, -bound, bound)
        known = np.isfinite(over)
        for day in range(7):
            own = known[:, self.days == day]
            self.effect_seen[day, which] = own.sum(axis=1)
            total = np.where(own, over[:, self.days == day], 0.0).sum(axis=1)
            self.effect[day, which] = np.where(own.any(axis=1), total / np.maximum(own.sum(axis=1), 1), 0.0)
        # noise for the shrinkage: what weekdays leave over, with the degrees of freedom that they take
        rest = np.where(known, over - self.effect[self.days][:, which].T, 0.0)
        spare = np.maximum(known.sum(axis=1) - (self.effect_seen[:, which] > 0).sum(axis=0), 1)
        self.square[:, which] = (rest**2).sum(axis=1) / spare
        self.square_seen[:, which] = np.maximum(known.sum(axis=1) / 2, 1)
        noise = self._noise()[1]
        keep = np.stack([self._weekday_effect(day, noise)[which] for day in range(7)])
        rest = np.where(known, over - keep[self.days].T, 0.0)
        grow = np.sqrt(known.sum(axis=1) / np.maximum(known.sum(axis=1) - 2.0, 1.0))
        for side, sign in ((0, 1.0), (1, -1.0)):
            mine = known & (sign * rest > 0)
            self.square[side, which] = (
                grow**2 * np.where(mine, rest**2, 0.0).sum(axis=1) / np.maximum(mine.sum(axis=1), 1)
            )
            self.square_seen[side, which] = mine.sum(axis=1)
            self.record[side, which] = grow * np.where(mine, np.abs(rest), 0.0).max(axis=1)


def medians(values: Floats) -> Floats:
    """Median of the finite values of each row, of shape (n_rows,); NaN for rows without one."""
    return _middle(np.sort(values, axis=1))


def _middle(ordered: Floats) -> Floats:
    """Median of rows that are sorted, with NaN at their ends."""
    rows, have = np.arange(len(ordered)), np.isfinite(ordered).sum(axis=1)
    below, above = np.maximum(have - 1, 0) // 2, np.minimum(have // 2, ordered.shape[1] - 1)
    return np.asarray(0.5 * (ordered[rows, below] + ordered[rows, above]))


def tail_score(deviation: Floats, scale: Floats, dof: Floats) -> Floats:
    """Normal score, >= 0, of a deviation under a Student distribution of that scale."""
    t = np.abs(deviation) / scale
    t = np.where(np.isnan(t), 0.0, t)
    return np.maximum(normal_score(np.log(stdtr(dof, -t))), 0.0)


def reach(score: float | Floats, scale: Floats, dof: Floats) -> Floats:
    """The deviation whose `tail_score` is `score`."""
    return np.asarray(scale * -stdtrit(dof, np.exp(log_normal_tail(score))))
