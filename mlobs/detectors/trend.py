"""Slow drift: the newest week against the four before it, for what no single window shows. Pure numpy, all metrics at once.

A level that climbs a little every window is followed by every good predictor, so each window looks normal. The mean of the
newest 7 windows less that of the 28 before moves far; how far it usually moves is learned from its own past, so that a
seasonal metric isn't called drifting all spring.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NEWEST, BEFORE = 7, 28
SPAN = NEWEST + BEFORE
LEAST = 21
"""Older windows without which nothing is compared."""
MEMORY = 60.0
SILENT = 35
"""Windows for which a drift that was reported is not reported again: the week that showed it is in all of them."""
HALF_LIFE = 180.0


class Trend:
    """The newest `SPAN` values of every metric, and how far the newest week strayed from the weeks before."""

    def __init__(self) -> None:
        self.ring: Floats = np.full((0, SPAN), np.nan)
        self.square = np.zeros(0)
        self.seen = np.zeros(0)
        self.record = np.zeros(0)
        self.quiet = np.zeros(0)

    def widen(self, size: int) -> None:
        """Room for metrics met for the first time."""
        more = size - len(self.seen)
        if more > 0:
            self.ring = np.concatenate([self.ring, np.full((more, SPAN), np.nan)])
            for name in ("square", "seen", "record", "quiet"):
                setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more)]))

    def step(self, value: Floats, noise: Floats, watched: Mask) -> tuple[Floats, Floats, Floats]:
        """(mean of the newest week with `value`, that of the weeks before, scale of their difference); NaN when unknown, and
        for metrics that aren't `watched`.

        `noise` is the scale of one value: the difference of two means of 7 and 28 values strays by at least that times
        sqrt(1/7 + 1/28), or nothing is known of it yet.
        """
        at = np.flatnonzero(watched)
        window = np.concatenate([self.ring[at, 1:], value[at, None]], axis=1)
        known = np.isfinite(window)
        window[~known] = 0.0
        before = SPAN - NEWEST
        have, had = known[:, before:].sum(axis=1), known[:, :before].sum(axis=1)
        week, past, scale = np.full((3, len(value)), np.nan)
        week[at] = np.where(have >= NEWEST - 2, window[:, before:].sum(axis=1) / np.maximum(have, 1), np.nan)
        past[at] = np.where(had >= LEAST, window[:, :before].sum(axis=1) / np.maximum(had, 1), np.nan)
        least = noise[at] * np.sqrt(1 / NEWEST + 1 / BEFORE)
        weight = self.seen[at] / (self.seen[at] + 14.0)
        spread = np.sqrt(weight * self.square[at] + (1 - weight) * (1.5 * least) ** 2)
        scale[at] = np.maximum(spread, 0.7 * least)
        return week, past, scale

    def learn(self, value: Floats, use: Mask, drift: Floats, failed: Mask, watched: Mask) -> None:
        """Bring forward by one window what is `watched`; `drift` is the difference that `step` gave."""
        at = np.flatnonzero(watched)
        self.ring[at, :-1] = self.ring[at, 1:]
        self.ring[at, -1] = np.where(use, value, np.nan)[at]
        known = use & np.isfinite(drift) & ~failed & (self.quiet <= 0)
        pace = 1 / np.minimum(self.seen + 1, MEMORY)
        self.square = np.where(known, self.square + pace * (drift**2 - self.square), self.square)
        self.seen = self.seen + known
        fresh = np.maximum(self.record * 0.5 ** (1 / HALF_LIFE), np.abs(drift))
        self.record = np.where(known, fresh, self.record)
        # what was reported is known by the end of its silence: it then counts in the record
        self.quiet = np.where(failed, SILENT, np.maximum(self.quiet - 1, 0))
