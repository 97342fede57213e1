"""Distances between two distributions: on counts of the same bins, and between a field's states in two profiles. Pure.

Rules that hold for all of them:

- `p` is the reference, `q` what is compared with it. Counts may be any non-negative numbers; only shares matter, but for
  the tests, which need real counts. An empty side makes every distance NaN.
- Empty bins: where a logarithm is taken of them (`psi`, `kl`), both sides are smoothed alike: `fill` (half a row by
  default) is added to every bin of both, when either has an empty bin that the other fills. Bins empty on both sides are
  left out. The other distances need no rule.
- Natural logarithms, unless `base` says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlobs.errors import ProfileError
from mlobs.metrics.distributions import distribution
from mlobs.metrics.profiles import Profile
from mlobs.states import FieldState, NumericState
from mlobs.states.grid import HALF

Floats = NDArray[np.float64]

FILL = 0.5
"""Rows added to every bin of both sides when one of them has an empty bin (Jeffreys' prior)."""


def counts_of(p: ArrayLike, q: ArrayLike) -> tuple[Floats, Floats]:
    """Two aligned arrays of counts of shape (n_bins,), without the bins that are empty on both sides.

    Raises:
        ProfileError: shapes differ, or a count is negative or not finite.
    """
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ProfileError(f"distances need the same bins on both sides, got shapes {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or (a < 0).any() or (b < 0).any():
        raise ProfileError("distances need finite counts of 0 or more")
    used = (a > 0) | (b > 0)
    return a[used], b[used]


def aligned(p: Mapping[Any, float], q: Mapping[Any, float]) -> tuple[Floats, Floats]:
    """Counts of two frequency tables on the union of their categories.

    >>> aligned({"a": 3, "b": 1}, {"b": 2, "c": 2})
    (array([3., 1., 0.]), array([0., 2., 2.]))
    """
    keys = list(dict.fromkeys([*p, *q]))
    return np.array([float(p.get(k, 0)) for k in keys]), np.array([float(q.get(k, 0)) for k in keys])


def _shares(p: ArrayLike, q: ArrayLike) -> tuple[Floats, Floats] | None:
    a, b = counts_of(p, q)
    if not a.sum() > 0 or not b.sum() > 0:
        return None
    return a / a.sum(), b / b.sum()


def _filled(p: ArrayLike, q: ArrayLike, fill: float) -> tuple[Floats, Floats] | None:
    a, b = counts_of(p, q)
    if not a.sum() > 0 or not b.sum() > 0:
        return None
    if (a == 0).any() or (b == 0).any():
        a, b = a + fill, b + fill
    return a / a.sum(), b / b.sum()


def psi(p: ArrayLike, q: ArrayLike, *, fill: float = FILL) -> float:
    """Population stability index: sum of (q - p) ln(q / p) over shares; symmetric, 0 to inf.

    Empty bins: see the module; `fill` is in rows. 0.1 and 0.25 are the classic thresholds of "some" and "large" change.
    Source: Siddiqi, Credit Risk Scorecards (2006); it is the symmetric Kullback-Leibler divergence (Jeffreys, 1946).

    >>> round(psi([85, 5, 5, 5], [25, 25, 25, 25]), 4)
    1.6999
    """
    shares = _filled(p, q, fill)
    return math.nan if shares is None else float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def kl(p: ArrayLike, q: ArrayLike, *, base: float = math.e, fill: float = FILL) -> float:
    """Kullback-Leibler divergence of p from q: sum of p log(p / q) over shares; not symmetric, 0 to inf.

    Empty bins: see the module. Source: Kullback and Leibler (1951).
    """
    shares = _filled(p, q, fill)
    return math.nan if shares is None else float(np.sum(shares[0] * np.log(shares[0] / shares[1]))) / math.log(base)


def jensen_shannon_divergence(p: ArrayLike, q: ArrayLike, *, base: float = 2.0) -> float:
    """Jensen-Shannon divergence: mean Kullback-Leibler divergence from the mixture; symmetric, 0 to 1 (base 2).

    Empty bins need no rule. Source: Lin (1991).
    """
    shares = _shares(p, q)
    if shares is None:
        return math.nan
    a, b = shares
    middle = (a + b) / 2

    def from_middle(x: Floats) -> float:
        some = x > 0
        return float(np.sum(x[some] * np.log(x[some] / middle[some])))

    return max((from_middle(a) + from_middle(b)) / 2, 0.0) / math.log(base)


def jensen_shannon_distance(p: ArrayLike, q: ArrayLike, *, base: float = 2.0) -> float:
    """Jensen-Shannon distance: the square root of the divergence; a metric, 0 to 1 (base 2).

    Source: Endres and Schindelin (2003).
    """
    return math.sqrt(jensen_shannon_divergence(p, q, base=base))


jensen_shannon = jensen_shannon_distance


def hellinger(p: ArrayLike, q: ArrayLike) -> float:
    """Hellinger distance: sqrt(1 - sum of sqrt(p q)) over shares; a metric, 0 to 1. Source: Hellinger (1909)."""
    shares = _shares(p, q)
    if shares is None:
        return math.nan
    # the sum of squared differences of roots loses nothing where the two are nearly alike
    return float(np.sqrt(np.sum((np.sqrt(shares[0]) - np.sqrt(shares[1])) ** 2) / 2))


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """Total variation distance: half the sum of |p - q| over shares; 0 to 1. The complement of their intersection."""
    shares = _shares(p, q)
    return math.nan if shares is None else float(np.abs(shares[0] - shares[1]).sum() / 2)


def linf(p: ArrayLike, q: ArrayLike) -> float:
    """L-infinity distance: the largest |p - q| of any bin's share; 0 to 1."""
    shares = _shares(p, q)
    return math.nan if shares is None else float(np.abs(shares[0] - shares[1]).max())


def linf_robust(p: ArrayLike, q: ArrayLike, *, alpha: float = 0.003) -> float:
    """L-infinity distance less what chance makes of it at these sample sizes: max(0, D - c(alpha) sqrt((n + m) / (n m))).

    c(alpha) = sqrt(-ln(alpha / 2) / 2), the Kolmogorov-Smirnov bound. Source: Deequ's robust categorical distance.
    """
    n, m = (float(np.sum(np.asarray(side, np.float64))) for side in (p, q))
    if not n > 0 or not m > 0:
        return math.nan
    return max(0.0, linf(p, q) - math.sqrt(-math.log(alpha / 2) / 2) * math.sqrt((n + m) / (n * m)))


def ks(p: ArrayLike, q: ArrayLike) -> float:
    """Kolmogorov-Smirnov statistic of ordered bins: the largest difference of the distribution functions at bin ends.

    0 to 1; at most a bin's larger share below the statistic of the raw values.
    """
    a, b = np.asarray(p, np.float64), np.asarray(q, np.float64)
    counts_of(a, b)
    if not a.sum() > 0 or not b.sum() > 0:
        return math.nan
    return float(np.abs(np.cumsum(a) / a.sum() - np.cumsum(b) / b.sum()).max())


def ks_probability(statistic: float, n: float, m: float) -> float:
    """Asymptotic probability of a two-sample Kolmogorov-Smirnov statistic at least as large, when nothing differs.

    Source: Kolmogorov's survival function of sqrt(n m / (n + m)) times the statistic.
    """
    from scipy.special import kolmogorov

    return float(kolmogorov(math.sqrt(n * m / (n + m)) * statistic))


@dataclass(frozen=True)
class ChiSquared:
    """A chi-squared test: `statistic` (0 to inf), `freedom` (degrees), `probability` of one as large without a change."""

    statistic: float
    freedom: int
    probability: float


def _chi_squared(statistic: float, freedom: int) -> ChiSquared:
    from scipy.special import chdtrc

    return ChiSquared(statistic, freedom, float(chdtrc(freedom, statistic)) if freedom else 1.0)


def chi_squared(p: ArrayLike, q: ArrayLike) -> ChiSquared:
    """Contingency test of two samples of counts. Null hypothesis: both are drawn from one distribution.

    Assumes expected counts of about 5 or more in most bins; no continuity correction. Source: Pearson (1900).
    NaN statistic when a side is empty.
    """
    a, b = counts_of(p, q)
    n, m = float(a.sum()), float(b.sum())
    if not n > 0 or not m > 0:
        return ChiSquared(math.nan, 0, math.nan)
    statistic = float(np.sum((a * math.sqrt(m / n) - b * math.sqrt(n / m)) ** 2 / (a + b)))
    return _chi_squared(statistic, len(a) - 1)


def chi_squared_one_sample(p: ArrayLike, q: ArrayLike) -> ChiSquared:
    """Goodness of fit of the counts `q` to the shares of `p`, which are taken as known without error.

    Infinite when `q` has rows in a bin that `p` has none in: use `chi_squared` where the reference is a sample itself.
    """
    a, b = counts_of(p, q)
    n, m = float(a.sum()), float(b.sum())
    if not n > 0 or not m > 0:
        return ChiSquared(math.nan, 0, math.nan)
    expected = a * (m / n)
    if (expected == 0).any():
        return ChiSquared(math.inf, len(a) - 1, 0.0)
    return _chi_squared(float(np.sum((b - expected) ** 2 / expected)), len(a) - 1)


# Between a field's states in two profiles


def _at(values: Floats, shares: Floats, x: Floats, side: str) -> Floats:
    """The broken line at `x`, its jumps taken from the left or from the right."""
    index = np.searchsorted(values, x, side="right" if side == "right" else "left")
    low = np.clip(index - 1, 0, len(values) - 1)
    high = np.clip(index, 0, len(values) - 1)
    width = values[high] - values[low]
    with np.errstate(all="ignore"):
        part = np.where(width > 0, (x - values[low]) / np.where(width > 0, width, 1.0), 0.0)
    inside = shares[low] + (shares[high] - shares[low]) * np.clip(part, 0.0, 1.0)
    return np.where(index == 0, 0.0, np.where(index == len(values), 1.0, inside))


def wasserstein(reference: NumericState, state: NumericState) -> float:
    """First Wasserstein distance of the finite values: the area between the two distribution functions, in the field's unit.

    Computed on the fine bins, within 1% of the distance of the raw values. NaN when either has no finite value.
    """
    if not len(reference.counts) or not len(state.counts):
        return math.nan
    (x1, f1), (x2, f2) = reference.cumulative(), state.cumulative()
    x = np.unique(np.concatenate([x1, x2]))
    if len(x) < 2:
        return 0.0
    left, right = x[:-1], x[1:]
    start = _at(x1, f1, left, "right") - _at(x2, f2, left, "right")
    stop = _at(x1, f1, right, "left") - _at(x2, f2, right, "left")
    with np.errstate(all="ignore"):
        width = right - left
        mean = np.where(
            start * stop >= 0, (np.abs(start) + np.abs(stop)) / 2,
            (start**2 + stop**2) / (2 * np.maximum(np.abs(start) + np.abs(stop), 1e-300)),
        )  # fmt: skip
        return float(np.sum(np.where(mean > 0, width * mean, 0.0)))


def ks_states(reference: NumericState, state: NumericState) -> float:
    """Kolmogorov-Smirnov statistic of the finite values on the fine bins; 0 to 1, NaN when either has none.

    Within a fine bin's share of the statistic of the raw values.
    """
    if not len(reference.counts) or not len(state.counts):
        return math.nan
    return ks(_fine(reference), _fine(state))


def _fine(state: NumericState) -> Floats:
    counts = np.zeros(2 * HALF)
    counts[state.bins + HALF] = state.counts
    return counts


def compared(reference: FieldState, state: FieldState) -> tuple[list[str], Floats, Floats]:
    """Labels and counts of both on the coarse bins of the reference; categories have unseen ones by name.

    Raises:
        ProfileError: the states have different frames.
    """
    labels, p = distribution(reference)
    others, q = distribution(state)
    if labels != others:
        raise ProfileError("distances need two profiles on one reference: profile both against it")
    return labels, p.astype(np.float64), q.astype(np.float64)


def wasserstein_scaled(reference: NumericState, state: NumericState) -> float:
    """Wasserstein distance in units of the reference's standard deviation, so that fields can be compared.

    Where that is 0, in units of the grid's scale.
    """
    unit = reference.grid.deviation or reference.grid.scale
    return wasserstein(reference, state) / unit


DISTANCES: Mapping[str, Callable[[Floats, Floats], float]] = {
    "psi": psi,
    "jensen_shannon": jensen_shannon_distance,
    "hellinger": hellinger,
    "total_variation": total_variation,
    "linf": linf,
    "kl": kl,
}
"""Distances on coarse bins, which take null, NaN, infinite, beyond-reference and unseen as bins of their own."""

NAMES: Sequence[str] = (*DISTANCES, "ks", "wasserstein", "chi_squared")
"""All distances that `distance` knows. `ks` and `wasserstein` are of numeric fields, on the fine bins of finite values."""


def distance(reference: FieldState, state: FieldState, name: str = "psi") -> float:
    """A distance between a field's states in the reference and in another profile; NaN when it can't be told.

    Args:
        reference, state: states of one frame (from profiles of one reference).
        name: one of `NAMES`; `chi_squared` gives the contingency statistic; `wasserstein` is divided by the reference's
            standard deviation. `ks` and `wasserstein` of other than numeric fields fall back to `total_variation`.

    Raises:
        ProfileError: the name is unknown, or the frames differ.
    """
    if name not in NAMES:
        from mlobs.errors import nearest

        raise ProfileError(f"no distance {name!r}; {nearest(name, NAMES)}")
    if isinstance(reference, NumericState) and isinstance(state, NumericState) and name in ("ks", "wasserstein"):
        if reference.grid != state.grid:
            raise ProfileError("distances need two profiles on one reference: profile both against it")
        return ks_states(reference, state) if name == "ks" else wasserstein_scaled(reference, state)
    _, p, q = compared(reference, state)
    if name == "chi_squared":
        return chi_squared(p, q).statistic
    return DISTANCES["total_variation" if name in ("ks", "wasserstein") else name](p, q)


def distances(reference: Profile, profile: Profile, name: str = "psi") -> dict[str, float]:
    """The distance of every field that both profiles have.

    Raises:
        ProfileError: the profiles were taken against different references.
    """
    if reference.fingerprint != profile.fingerprint:
        raise ProfileError(
            f"distances need two profiles on one reference, got fingerprints {reference.fingerprint!r} and"
            f" {profile.fingerprint!r}: profile both against one"
        )
    shared = [n for n, s in reference.fields.items() if n in profile.fields and s.kind == profile.fields[n].kind]
    return {n: distance(reference.fields[n], profile.fields[n], name) for n in shared}
