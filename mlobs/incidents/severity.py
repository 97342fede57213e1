"""How bad an incident is: from what it touches and from how far out of range it is. One table of rules; pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from mlobs.incidents.grouping import RANK, model_of
from mlobs.incidents.records import Level, Strand, Touched

FAR = 2.0
"""A value this many times as far from what is expected as the limit is lies far out: limits are set where chance ends, so
that twice their distance is beyond dispute."""

WEIGHTLESS, HEAVY = 0.01, 0.2
"""Share of a model's permutation importance below which a field doesn't matter to it, and from which it carries the model:
of ten fields that are alike each has a tenth."""

Reach = Literal["no model", "a model", "several models", "several harmed"]
Weights = Mapping[str, Mapping[str, float]]
"""Model -> field -> its share of the model's permutation importance, in [0, 1]; fields and models that aren't there are
unknown, and matter."""

RULES: Mapping[tuple[str, bool], Mapping[Reach, Level]] = {
    ("change", False): {"no model": "warn", "a model": "warn", "several models": "warn", "several harmed": "warn"},
    ("change", True): {"no model": "warn", "a model": "warn", "several models": "error", "several harmed": "error"},
    ("fault", False): {"no model": "warn", "a model": "error", "several models": "error", "several harmed": "error"},
    ("fault", True): {"no model": "error", "a model": "error", "several models": "error", "several harmed": "critical"},
}
"""(broken data or a broken limit? or a change that may be real, far out?) -> what it touches -> how bad that is."""


def severity(found: Iterable[Strand], touched: Touched, weights: Weights) -> Level:
    """The worst of the failures, each by its kind, how far out it is, and what it touches."""
    levels = [
        RULES["fault" if s.severity == "error" else "change", s.beyond >= FAR][reach(s, touched, weights)]
        for s in found
    ]
    return max(levels, key=RANK.__getitem__)


def reach(strand: Strand, touched: Touched, weights: Weights) -> Reach:
    """What a failure touches.

    - `several harmed`: several models that don't predict or whose accuracy fails;
    - `several models`: one such model, several that are made from it, or one that its field carries;
    - `a model`: one model is made from it;
    - `no model`: none is, or its field matters to none.
    """
    harmed = {*touched.held, *(model for table in touched.tables if (model := model_of(table)))}
    if harmed:
        return "several harmed" if len(harmed) > 1 else "several models"
    shares = [weights.get(model, {}).get(strand.key.field, math.nan) for model in touched.models]
    mattering = [share for share in shares if not share < WEIGHTLESS]
    if not mattering:
        return "no model"
    return "several models" if len(mattering) > 1 or mattering[0] >= HEAVY else "a model"


def shares(importances: Any) -> dict[str, float]:
    """Field -> its share of all importance; negative importance, which is chance, counts as none. Empty if none is known.

    >>> shares({"wind": 3.0, "rain": 1.0, "noise": -0.1})
    {'wind': 0.75, 'rain': 0.25, 'noise': 0.0}
    """
    if not isinstance(importances, Mapping):
        return {}
    known = {str(name): max(0.0, float(value)) for name, value in importances.items()}
    total = sum(known.values())
    return {name: value / total for name, value in known.items()} if total else {}
