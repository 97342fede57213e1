"""The false-alarm budget: how far out of range a metric must be, learned from how far metrics of its family strayed. Pure.

Every metric's window has an excess: 1 means just outside of what its own history allows at nominal limits. The largest
excess of a family in each window is remembered. The limit of a family is the excess that it surpasses as often as its
share of the budget says: an upper quantile of these maxima, by Weissman's estimator, since the wanted quantile mostly lies
beyond what was ever seen. So a table that hardly moves gets narrow limits, and a restless one wide ones, at equal numbers
of alarms, whatever the number of fields.

Source: I. Weissman, Estimation of parameters and large quantiles based on the k largest observations, JASA 73 (1978).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors.families import FAMILIES, NOVELTY, SHARE_OF_BUDGET

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SPAN = 180
"""Windows whose maxima the limits are learned from."""
TAIL = 7.0
"""Prior tail index of the maxima: the excess surpassed half as often is 2 ** (1 / 7) = 1.1 times as large."""
TAIL_WEIGHT = 6.0
"""Order statistics that the prior tail index counts as."""
MOST_ORDERED = 12
"""Largest values that the tail is read from, of a tenth of all."""
LOWEST, HIGHEST = 0.6, 3.0
"""No family's limit leaves these multiples of the nominal one."""
WARM_UP = 14
ENOUGH = 60
"""Windows of maxima below which no more than the plain shares are spent."""
GAIN, OWN_GAIN = 0.1, 0.1
"""Widening of the limits for each standard deviation of alarms beyond the budget, and beyond a family's own share of it."""
NOVELTY_PART, NOVELTY_GAIN, NOVELTY_MOST = 0.35, 0.05, 1.15
"""Part of the budget that never-seen events may spend before their threshold rises; each standard deviation beyond it raises the
threshold by a twentieth, which halves their number, up to the score at which a first null among 10,000 rows still fails."""
FRUGAL = 0.7
NOMINAL = 1.0
INCIDENT = 3
"""A window in which metrics of so many families fail is an incident, not noise: limits aren't learned from it."""
START = 10.0
"""Limits are wider by 1 + (START / windows) ** 2 while little is known."""
SPEND = np.array([0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0])
"""Multiples of a family's share that are tried: alarms of several families fall into one window, so that the sum of the
shares may exceed the budget."""


LEARNED = np.array([f for f in range(len(FAMILIES)) if f != NOVELTY])


class Budget:
    """Limits by family, from past maxima of the excess and from the alarms already spent.

    Args:
        per_window: alarms per window asked for.
    """

    def __init__(self, per_window: float) -> None:
        self.per_window = per_window
        self.windows = 0
        self.maxima: Floats = np.zeros((0, len(FAMILIES)))
        self.spent: Mask = np.zeros((0, len(FAMILIES)), bool)
        self._limits: Floats | None = None

    def limits(self) -> Floats:
        """Array of shape (n_families,): the excess above which a metric of that family fails."""
        if self._limits is None:
            self._limits = np.maximum(self._learned() * self.feedback(), LOWEST) * self._start()
        return self._limits

    def _start(self) -> float:
        return 1.0 + (START / (self.windows + 1.0)) ** 2

    def _learned(self) -> Floats:
        if not self.windows:
            return np.full(len(FAMILIES), NOMINAL)
        past, spent = self.maxima, self.spent
        calm = (spent.sum(axis=1) < INCIDENT) & np.isfinite(past).any(axis=1)
        past, spent = past[calm], spent[calm]
        limits = np.full((len(SPEND), len(FAMILIES)), NOMINAL)
        seen = np.isfinite(past).sum(axis=0)
        known = np.flatnonzero((seen > 0) & (np.arange(len(FAMILIES)) != NOVELTY))
        rates = np.minimum(self.per_window * np.array(SHARE_OF_BUDGET)[known] * SPEND[:, None], 0.5)
        # few windows of maxima say little: lean on the nominal limit
        weight = seen[known] / (seen[known] + WARM_UP)
        limits[:, known] = np.exp(weight * np.log(tail_quantiles(past[:, known], rates)))
        limits = np.clip(limits, LOWEST, HIGHEST)
        # spend as much as the windows of the past would have allowed, all families together
        with np.errstate(invalid="ignore"):
            over = (past[None, :, LEARNED] > limits[:, None, LEARNED]) | spent[None, :, LEARNED]
        fits = (over.any(axis=2) | spent[None, :, NOVELTY]).sum(axis=1) <= FRUGAL * self.per_window * len(past)
        chosen = int(np.flatnonzero(fits)[-1]) if fits.any() else 0
        if len(past) < ENOUGH:
            chosen = min(chosen, 3)
        return np.asarray(limits[chosen], float)

    def feedback(self) -> Floats:
        """Factor on the limits of each family: above 1 when more alarms were spent in the newest windows than the budget
        allows, by all families or by this one."""
        if not self.windows:
            return np.ones(len(FAMILIES))
        spent = self.spent[self.spent.sum(axis=1) < INCIDENT]
        allowed = self.per_window * len(spent)
        surplus = (float(spent.any(axis=1).sum()) - allowed) / math.sqrt(allowed + 1.0)
        own = allowed * np.array(SHARE_OF_BUDGET)
        mine = (spent.sum(axis=0) - own) / np.sqrt(own + 1.0)
        return np.asarray(min(max(1.0 + GAIN * surplus, 0.9), 1.5) * np.clip(1.0 + OWN_GAIN * mine, 1.0, 1.5))

    def novelty_feedback(self) -> float:
        """Factor on the threshold of plausible never-seen events: above 1 when they spend more than their part."""
        if not self.windows:
            return 1.0
        own = NOVELTY_PART * self.per_window * len(self.spent)
        surplus = (float(self.spent[:, NOVELTY].sum()) - own) / math.sqrt(own + 1.0)
        return min(max(1.0 + NOVELTY_GAIN * surplus, 1.0), NOVELTY_MOST)

    def record(self, maxima: Floats, spent: Mask) -> None:
        """Remember a window: the largest excess by family among what passed (NaN without metrics), and which families
        alarmed; a window in which `INCIDENT` of them did teaches nothing."""
        self.windows += 1
        self.maxima = np.concatenate([self.maxima[1 - SPAN :], maxima[None]])
        self.spent = np.concatenate([self.spent[1 - SPAN :], spent[None]])
        self._limits = None


def tail_quantiles(samples: Floats, rates: Floats) -> Floats:
    """The value that an excess like those of a sample surpasses with some probability in one window.

    With the k largest values x1 >= ... >= xk of n, it is xk * (k / (n * rate)) ** (1 / a), the tail index a being Hill's
    estimate drawn towards `TAIL`.

    Args:
        samples: of shape (n_windows, n_samples); NaN where a sample has no value. Each has at least one.
        rates: the probabilities, of shape (n_rates, n_samples).

    Returns:
        Array of shape (n_rates, n_samples).

    >>> float(tail_quantiles(np.array([[0.5], [0.6], [0.7], [0.8]] * 20), np.array([[0.01]]))[0, 0].round(2))
    0.93
    """
    x = -np.sort(-np.maximum(samples, 0.05), axis=0)  # largest first, NaN last
    n = np.isfinite(x).sum(axis=0)
    k = np.clip(np.round(n / 10), 1, MOST_ORDERED).astype(np.int64)
    least = x[k - 1, np.arange(len(n))]
    top = x[:MOST_ORDERED]
    hill = np.where(np.arange(len(top))[:, None] < k, np.log(top / least), 0.0).sum(axis=0)
    index = (k - 1 + TAIL_WEIGHT) / (hill + TAIL_WEIGHT / TAIL)
    ratio = k / np.maximum(n * rates, 1e-9)
    found = least * np.maximum(ratio, 1.0) ** (1 / index)
    for at in np.flatnonzero((ratio < 1).any(axis=0)):  # within what was seen
        body = np.interp((1 - rates[:, at]) * (n[at] - 1), np.arange(n[at]), x[: n[at], at][::-1])
        found[:, at] = np.where(ratio[:, at] >= 1, found[:, at], body)
    return np.asarray(found)
