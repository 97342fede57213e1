"""States of what was learned between fields, frozen in them: twins that are null together, and learned relations.

A relation predicts y from one or more x on robust scores z = (value - centre) / scale of each field's grid, clipped to +-8,
so that no outlier can own it. Its residual is kept in units of the reference's residual standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlobs.errors import ProfileError

CLIP = 8.0
"""Robust scores are clipped to this magnitude."""


@dataclass(frozen=True)
class PairState:
    """Rows in which a field is null while its twin, null together with it in the reference, isn't.

    Attributes:
        field, twin: names.
        rows: all rows.
        alone: rows where `field` is null and `twin` is not.
    """

    field: str
    twin: str
    rows: int = 0
    alone: int = 0

    def __add__(self, other: PairState) -> PairState:
        return PairState.merged([self, other])

    @staticmethod
    def merged(states: Sequence[PairState]) -> PairState:
        return PairState(states[0].field, states[0].twin, sum(s.rows for s in states), sum(s.alone for s in states))


@dataclass(frozen=True)
class Relation:
    """How y follows from x, or from its own rounding, in the reference; frozen.

    Attributes:
        y, x: names of the fields; y is numeric, x a categorical one, or the numeric ones, joined by ", "; "" for a rounding.
        kind: "linear" (score of y = intercept + sum of slope * score of each input) or "category" (score of y = mean of
            the level), or "rounding": y has no more decimals than `decimals`. Its residual is 1 where it has more, -1 where
            it is rounded one digit further (if that is looked at), else 0, so that total and squares give both counts.
        y_centre, y_scale: make scores of y's values.
        inputs: (name, centre, scale, slope) of each numeric x; none for a category.
        intercept: of the line.
        levels, means: the known levels and the mean score of y in each; rows of other levels have no residual.
        deviation: standard deviation of the reference's residuals, in scores; above 0.
        r2: share of y's variance that x explains in the reference.
        decimals: of a rounding.
        further: whether values rounded one digit further are counted, too.
    """

    y: str
    x: str
    kind: Literal["linear", "category", "rounding"]
    y_centre: float
    y_scale: float
    inputs: tuple[tuple[str, float, float, float], ...] = ()
    intercept: float = 0.0
    levels: tuple[str, ...] = ()
    means: tuple[float, ...] = ()
    deviation: float = 1.0
    r2: float = 0.0
    decimals: int = 0
    further: bool = False

    @property
    def explaining(self) -> tuple[str, ...]:
        """Names of the fields that y is predicted from."""
        if self.kind == "category":
            return (self.x,)
        return tuple(name for name, *_ in self.inputs)


@dataclass(frozen=True)
class ResidualState:
    """Residuals of a relation over some rows, in units of its `deviation`.

    Attributes:
        relation: the frozen relation; only states of one relation merge.
        rows: rows where all its fields have a value (and the level is known).
        total, squares: sum of the residuals and of their squares.
    """

    relation: Relation
    rows: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Mean residual; 0 in the reference, NaN without rows."""
        return self.total / self.rows if self.rows else math.nan

    @property
    def finer(self) -> int:
        """Of a rounding: values with more decimals."""
        return round((self.squares + self.total) / 2)

    @property
    def coarser(self) -> int:
        """Of a rounding: values rounded one digit further."""
        return round((self.squares - self.total) / 2)

    @property
    def deviation(self) -> float:
        """Standard deviation of the residuals; 1 in the reference, NaN without rows."""
        if not self.rows:
            return math.nan
        return math.sqrt(max(self.squares / self.rows - self.mean**2, 0.0))

    def __add__(self, other: ResidualState) -> ResidualState:
        return ResidualState.merged([self, other])

    @staticmethod
    def merged(states: Sequence[ResidualState]) -> ResidualState:
        """The state of all rows of `states` (at least one).

        Raises:
            ProfileError: when their relations differ.
        """
        first = states[0].relation
        if any(s.relation is not first and s.relation != first for s in states):
            raise ProfileError(
                f"residuals of {first.y!r} given {first.x!r} under different relations can't be merged:"
                " profile both against one reference"
            )
        return ResidualState(
            first,
            sum(s.rows for s in states),
            math.fsum(s.total for s in states),
            math.fsum(s.squares for s in states),
        )
