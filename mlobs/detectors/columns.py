"""What is fixed of each metric of a table, from its name and kind: arrays that the learner reads. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors.families import GIVEN_ROWS, ONE_SIDED, OPEN_ENDED, RESIDUALS, SLACK, TRENDED, VALUES, family_of
from mlobs.detectors.novelty import DEFAULT_PRIOR, LEARNED_ONCE, PRIORS
from mlobs.detectors.series import KINDS, Key
from mlobs.metrics.field_health import SHARES

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RATE, LOCATION, SCALE, COUNT, EXTREME = range(5)
assert KINDS == ("rate", "location", "scale", "count", "extreme")


@dataclass
class Columns:
    """What is fixed of each metric, as arrays of shape (n_metrics,).

    Attributes:
        kind: index into `KINDS`.
        family: index into `FAMILIES`.
        prior: chance that a never-seen event is possible at all; see `novelty.PRIORS`.
        spread: column of the same field's standard deviation, -1 where there is none.
        pair: column of the other extreme of the same field, -1 where there is none.
        distinct: column of the same field's number of distinct values, -1 where there is none.
        values: distinct values that the field must usually show for this metric to say something; see `families.VALUES`.
        near: column of the outer quantile (5% or 95%) on the side of an extreme, -1 where there is none.
        open_ended: events in `families.OPEN_ENDED`.
        levels: known values of the field of such an event; 0 where they are as many as shares are measured of, or more.
        misspelt: shares of values that are known ones misspelt: not due as new values are.
        once: events that are learned after their first alert, since they mostly stay (a new category).
        upper: extremes that are maxima; the others are minima.
        part: shares and rows of a category or segment, which are 0 where it is missing.
        slack: values up to which a metric doesn't fail, whatever is usual; see `families.SLACK`.
        rising: metrics of which only a rise is bad.
        nulls, varied: null rates, and numbers of distinct values.
        given: counts that are judged given the number of rows; see `families.GIVEN_ROWS`.
        volume: the table's rows.
        residual_mean: mean residuals of relations.
        trended: metrics whose slow drift is watched.
        free: levels and spreads that are judged only where they vary freely.
    """

    kind: NDArray[np.int8]
    family: NDArray[np.int8]
    prior: Floats
    spread: NDArray[np.int64]
    pair: NDArray[np.int64]
    near: NDArray[np.int64]
    distinct: NDArray[np.int64]
    values: Floats
    open_ended: Mask
    levels: Floats
    misspelt: Mask
    once: Mask
    upper: Mask
    part: Mask
    slack: Floats
    rising: Mask
    nulls: Mask
    varied: Mask
    given: Mask
    free: Mask
    volume: Mask
    residual_mean: Mask
    trended: Mask

    def __len__(self) -> int:
        return len(self.kind)


def columns_of(keys: Sequence[Key], kinds: NDArray[np.int8]) -> Columns:
    """What is fixed of each metric, from its name and kind."""
    both = list(zip(keys, kinds, strict=True))
    spread = {(f, s): i for i, (f, m, s) in enumerate(keys) if m == "std"}
    extremes = {(f, m, s): i for i, (f, m, s) in enumerate(keys) if kinds[i] == EXTREME}
    index = {key: i for i, key in enumerate(keys)}
    known = Counter(s.partition("=")[0] for _, m, s in keys if m == "share")
    outer = {"min": "p05", "max": "p95"}
    other = {"min": "max", "max": "min", "length_min": "length_max", "length_max": "length_min"}
    return Columns(
        kind=kinds,
        family=np.array([family_of(*key, KINDS[kind]) for key, kind in both], np.int8),
        prior=np.array([PRIORS.get(m, DEFAULT_PRIOR) for _, m, _ in keys], float),
        spread=np.array([spread.get((f, s), -1) for f, _, s in keys], np.int64),
        pair=np.array([extremes.get((f, other.get(m, ""), s), -1) for f, m, s in keys], np.int64),
        distinct=np.array([index.get((f, "distinct", s), -1) for f, _, s in keys], np.int64),
        values=np.array([VALUES.get(m, 0.0) for _, m, _ in keys], float),
        near=np.array([index.get((f, outer.get(m, ""), s), -1) for f, m, s in keys], np.int64),
        open_ended=np.array([m in OPEN_ENDED for _, m, _ in keys], bool),
        levels=np.array([known[f] if m in OPEN_ENDED and known[f] < SHARES else 0 for f, m, _ in keys], float),
        misspelt=np.array([m == "misspelt_rate" for _, m, _ in keys], bool),
        once=np.array([m in LEARNED_ONCE for _, m, _ in keys], bool),
        upper=np.array([m.endswith("max") for _, m, _ in keys], bool),
        nulls=np.array([m == "null_rate" for _, m, _ in keys], bool),
        varied=np.array([m == "distinct" for _, m, _ in keys], bool),
        given=np.array([m in GIVEN_ROWS for _, m, _ in keys], bool),
        free=np.array([KINDS[k] in ("location", "scale") and m not in RESIDUALS for (_, m, _), k in both], bool),
        residual_mean=np.array([m == "residual_mean" for _, m, _ in keys], bool),
        volume=np.array([key == ("", "rows", "") for key in keys], bool),
        trended=np.array([m in TRENDED and not s for _, m, s in keys], bool),
        slack=np.array([_slack(m, keyed=("", "duplicate_rate", "") in index) for _, m, _ in keys], float),
        rising=np.array([m in ONE_SIDED for _, m, _ in keys], bool),
        part=np.array([bool(s) and m in ("share", "rows") for _, m, s in keys], bool),
    )


def _slack(metric: str, *, keyed: bool) -> float:
    return 0.0 if metric == "repeat_rate" and not keyed else SLACK.get(metric, 0.0)
