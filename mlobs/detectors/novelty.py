"""Never-seen events: how unlikely is the first negative, null or unseen value after N clean rows? Pure arithmetic.

A field in which an event never happened in N rows is either one in which it can't happen (probability 1 - prior), or
one in which it happens with an unknown rate (probability prior, rate with Jeffreys' Beta(1/2, 1/2) prior). Seeing N rows
without it makes the second unlikely.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, log_ndtr, ndtri_exp

Floats = NDArray[np.float64]

PRIORS: dict[str, float] = {
    "negative_rate": 0.02,
    "zero_rate": 0.4,
    "null_rate": 0.2,
    "null_alone_rate": 0.2,
    "nan_rate": 0.02,
    "inf_rate": 0.02,
    "empty_rate": 0.05,
    "blank_rate": 0.05,
    "null_keyword_rate": 0.05,
    "duplicate_rate": 0.05,
    "repeat_rate": 0.05,
    "overlap_rate": 0.05,
    "future_rate": 0.05,
    "misspelt_rate": 0.05,
    "garbled_rate": 0.02,
    "finer_rate": 0.15,
    "past_rate": 0.2,
    "unix_zero_rate": 0.02,
    "new_shape_rate": 0.1,
    "unseen_rate": 0.5,
}
"""Prior probability that an event which never happened in a field can happen there at all, by metric."""

DEFAULT_PRIOR = 0.3
LEARNED_ONCE = frozenset(
    {
        "null_rate",
        "null_alone_rate",
        "zero_rate",
        "true_rate",
        "past_rate",
        "share",
        "number_like_rate",
        "unique_rate",
        "unseen_rate",
        "new_shape_rate",
        "misspelt_rate",
        "finer_rate",
        "min",
        "max",
        "length_min",
        "length_max",
    }
)
"""Events that are learned after their first alert, since what is new mostly stays; others are after a second one."""
THRESHOLD = 3.7
"""Normal score above which a never-seen event fails. For what is all but impossible it isn't divided among the fields: the
prior does that work."""
IMPOSSIBLE = 0.05
"""Events of at most this prior are broken data whenever they happen: their threshold stays, so that a single negative row is
found in a table of any width. Others do happen in clean data, and the more of them a table can have the more will."""
PLAUSIBLE = 100.0
"""Never-seen events of a higher prior that a table can have at `THRESHOLD`; in wider tables the chance is divided among them."""


def never_seen_score(seen: Any, rows: Any, prior: Any, events: Any = 1.0) -> Floats:
    """Normal score of `events` events or more in the next `rows` rows when none was seen in `seen` rows.

    The probability is w * I(n / (N + n + 1/4); k, 1/2) with w = prior * m / (prior * m + 1 - prior) and
    m = B(1/2, N + 1/2) / B(1/2, 1/2): Jeffreys' prior on the rate, mixed with the hypothesis that the event is impossible. I is
    the regularised incomplete beta function, the tail of the negative binomial that a Poisson number of events with a
    Gamma(1/2, N + 1/4) rate has; for one event it is all but 1 - B(1/2, N + n + 1/2) / B(1/2, N + 1/2), the beta-binomial.

    Args:
        seen: N, rows without the event, >= 0; broadcast against the others.
        rows: n, rows of the window, >= 0.
        prior: probability in (0, 1) that the event is possible at all.
        events: k, at least 1.

    Returns:
        Normal scores; 3 means one chance in 741. -inf where there are no rows.

    >>> [round(float(never_seen_score(n, 200, 0.02)), 1) for n in (20, 500, 10_000)]
    [2.9, 3.8, 4.7]
    >>> [round(float(never_seen_score(7_000, 250, 0.5, k)), 1) for k in (1, 3, 12)]
    [3.7, 5.2, 9.4]
    """
    n0, n = np.asarray(seen, float), np.asarray(rows, float)
    prior = np.asarray(prior, float)
    log_m = betaln(0.5, n0 + 0.5) - betaln(0.5, 0.5)
    log_w = np.log(prior) + log_m - np.log(prior * np.exp(log_m) + 1 - prior)
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = betainc(np.maximum(events, 1.0), 0.5, n / (n0 + n + 0.25))
        return normal_score(log_w + np.log(np.maximum(tail, 1e-300 * (n > 0))))


def normal_score(log_tail: Any) -> Floats:
    """The z whose upper normal tail has the given log probability; inf for probability 0, -inf for 1."""
    log_tail = np.minimum(np.asarray(log_tail, float), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = -ndtri_exp(log_tail)
    return np.where(np.isnan(score), -np.inf, score)


def log_normal_tail(score: Any) -> Floats:
    """Log probability of a standard normal above `score`."""
    return np.asarray(log_ndtr(-np.asarray(score, float)), float)


def threshold(alarms_per_window: float) -> float:
    """Score above which a never-seen event fails, for a budget: `THRESHOLD` at one alarm in 30 windows, higher for less.

    >>> threshold(1 / 30), threshold(1 / 60)
    (3.7, 3.95)
    """
    return float(np.clip(THRESHOLD - 0.25 * np.log2(30 * alarms_per_window), 3.2, 4.4).round(6))


def limits(base: float, prior: Floats, can_happen: NDArray[np.bool_], feedback: float) -> Floats:
    """Array of shape (n_metrics,): the score above which each never-seen event fails.

    Args:
        base: `threshold` of the budget.
        prior: of each metric.
        can_happen: metrics in which a never-seen event is waited for.
        feedback: factor, at least 1, from the alarms that such events have raised already.
    """
    plausible = prior > IMPOSSIBLE
    many = float((plausible & can_happen).sum())
    wide = float(normal_score(log_normal_tail(base) - np.log(max(many / PLAUSIBLE, 1.0))))
    return np.where(plausible, wide * feedback, base)
