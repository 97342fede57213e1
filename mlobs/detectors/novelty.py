"""Never-seen events: how unlikely is the first negative, null or unseen value after N clean rows? Pure arithmetic.

A field in which an event never happened in N rows is either one in which it can't happen (probability 1 - prior), or
one in which it happens with an unknown rate (probability prior, rate with Jeffreys' Beta(1/2, 1/2) prior). Seeing N rows
without it makes the second unlikely.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, log_ndtr, ndtri_exp

Floats = NDArray[np.float64]

PRIORS: dict[str, float] = {
    "negative_rate": 0.02,
    "zero_rate": 0.2,
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
    "finer_rate": 0.05,
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
        "min",
        "max",
        "length_min",
        "length_max",
    }
)
"""Events that are learned after their first alert, since what is new mostly stays; others are after a second one."""
THRESHOLD = 3.7
"""Normal score above which a never-seen event fails. It isn't divided among the fields: the prior does that work."""


def never_seen_score(seen: Any, rows: Any, prior: Any) -> Floats:
    """Normal score of at least one event in the next `rows` rows when none was seen in `seen` rows.

    The probability is w * [1 - B(1/2, N + n + 1/2) / B(1/2, N + 1/2)] with w = prior * m / (prior * m + 1 - prior) and
    m = B(1/2, N + 1/2) / B(1/2, 1/2): a Jeffreys beta-binomial mixed with the hypothesis that the event is impossible.

    Args:
        seen: N, rows without the event, >= 0; broadcast against the others.
        rows: n, rows of the window, >= 0.
        prior: probability in (0, 1) that the event is possible at all.

    Returns:
        Normal scores; 3 means one chance in 741. -inf where there are no rows.

    >>> [round(float(never_seen_score(n, 200, 0.02)), 1) for n in (20, 500, 10_000)]
    [2.9, 3.8, 4.7]
    """
    n0, n = np.asarray(seen, float), np.asarray(rows, float)
    prior = np.asarray(prior, float)
    log_m = betaln(0.5, n0 + 0.5) - betaln(0.5, 0.5)
    log_w = np.log(prior) + log_m - np.log(prior * np.exp(log_m) + 1 - prior)
    ratio = betaln(0.5, n0 + n + 0.5) - betaln(0.5, n0 + 0.5)
    with np.errstate(divide="ignore"):
        log_p = log_w + np.log(-np.expm1(np.minimum(ratio, 0.0)))
    return normal_score(log_p)


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
