"""The frozen grid of a numeric field: one bounded monotone expression that bins the whole real line. Pure numpy.

    d = x - centre,   bin = floor(HALF/2 * d / (scale + |d|) + HALF/2 * d / (tail + |d|)),   -HALF <= bin < HALF

`centre` and `scale` are near the reference's median and four times its interquartile range, and such that 0 is a bin
boundary. `tail` is `scale` (and the two terms are one, HALF * d / (scale + |d|)) unless the 1st or 99th percentile lies
many scales away: then it is that distance, and half of the bins resolve the rows that are far out. There is no list of
edges, no clamp and nothing out of range; the arithmetic is IEEE, hence the same in every engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HALF = 300
"""Bins on each side of the centre: 600 in all."""

LARGEST = 1e140
"""Finite values beyond this magnitude fall into the outermost bins; squares below it can't overflow."""

SMALLEST = 1e-140
"""Where an engine raises on underflow, values below this magnitude are binned as 0."""

_CONFINED = HALF - 2

_MOVED = 0.01
"""Part of the scale by which the centre may be moved to make 0 a boundary: more than half a bin on a plain grid near 0."""

_STRETCHED = 4 / 3
"""Factor by which the scales may be stretched instead where 0 is far out; a plain grid's bins need no more there."""


NARROWEST, WIDEST = 1e-130, 1e130
"""Bounds of a grid's scales: their products and squares neither overflow nor underflow."""


def position(x: Any, centre: Any, scale: Any, tail: Any) -> Floats:
    """Where values lie on grids of that centre and scales (numbers, or an array each); see `Grid.position`."""
    with np.errstate(all="ignore"):
        d = np.asarray(x, dtype=np.float64) - centre
        size = np.abs(d)
        two = HALF / 2 * d / (scale + size) + HALF / 2 * d / (tail + size)
        # one term where they are equal, as in the engines: twice a half would round denormal numbers otherwise
        result: Floats = np.where(np.equal(scale, tail) & (size < LARGEST), HALF * d / (scale + size), two)
        return result


def value(position: Any, centre: Any, scale: Any, tail: Any) -> Floats:
    """The inverse of `position`: the positive root of a quadratic, in the form that doesn't cancel."""
    at = np.asarray(position, dtype=np.float64)
    p = np.abs(at)
    with np.errstate(all="ignore"):
        u = p / HALF
        plain = scale * u / (1.0 - u)
        b = HALF / 2 * (scale + tail) - p * (scale + tail)
        root = np.sqrt(b * b + 4.0 * (HALF - p) * p * scale * tail)
        far = np.where(b > 0, 2.0 * p * scale * tail / (b + root), (root - b) / (2.0 * (HALF - p)))
        d = np.where(np.equal(scale, tail), plain, far)
        found: Floats = centre + np.copysign(d, at)
        return found


@dataclass(frozen=True, eq=False)
class Grid:
    """Where a numeric field's values are binned, and what of them the reference had seen.

    Attributes:
        centre, scale: of the expression above.
        low, high: smallest and largest finite value of the reference (NaN when it had none).
        deviation: the reference's standard deviation (ddof 0), the unit of the Wasserstein distance.
        decimals: every reference value has at most that many decimals; -1 when they have many.
        cuts: fine bins at which a new coarse bin starts, ascending; the first coarse bin starts at -HALF.
        distinct: distinct values the reference had (an estimate above a few hundred).
        tail: of the expression above, `NARROWEST` <= scale <= tail <= `WIDEST`; left out (0), it is the scale.
    """

    centre: float = 0.0
    scale: float = 1.0
    low: float = float("nan")
    high: float = float("nan")
    deviation: float = 0.0
    decimals: int = -1
    cuts: tuple[int, ...] = ()
    distinct: int = 0
    tail: float = 0.0
    _edges: Floats | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.tail:
            object.__setattr__(self, "tail", self.scale)

    @property
    def tailed(self) -> bool:
        """Whether half of the bins are for rows far out."""
        return self.tail != self.scale

    @classmethod
    def around(cls, centre: float, scale: float, tail: float = 0.0) -> Grid:
        """The grid with 0 as a bin boundary that is closest to `centre`, `scale` and `tail`.

        >>> Grid.around(10.0, 4.0).bins([0.0, -1e-9])
        array([-214, -215])
        """
        narrowest, widest = NARROWEST * _STRETCHED, WIDEST / _STRETCHED
        scale = float(min(max(scale, narrowest), widest))
        tail = float(min(max(tail, scale), widest))
        centre = float(min(max(centre, -LARGEST), LARGEST))
        if abs(centre) < SMALLEST:
            centre = 0.0
        step = round(float(position(0.0, centre, scale, tail)))
        if abs(step) > _CONFINED:
            return cls(centre, scale, tail=tail)
        away = float(value(abs(step), 0.0, scale, tail))
        if abs(away - abs(centre)) <= _MOVED * scale:
            centre = math.copysign(away, -step) + 0.0
        elif away / _STRETCHED <= abs(centre) <= away * _STRETCHED:
            stretch = abs(centre) / away
            scale, tail = scale * stretch, tail * stretch
        else:
            return cls(centre, scale, tail=tail)
        grid = cls(centre, scale, tail=tail)
        for _ in range(8):  # rounding may leave 0 just below its boundary
            if grid.bins([0.0])[0] == step:
                break
            grid = cls(float(np.nextafter(grid.centre, -np.inf)), scale, tail=tail)
        return grid

    @cached_property
    def _key(self) -> tuple[object, ...]:
        ends = (None, None) if self.low != self.low else (self.low, self.high)
        return (self.centre, self.scale, self.tail, *ends, self.deviation, self.decimals, self.cuts, self.distinct)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Grid) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def position(self, x: Floats) -> Floats:
        """Where values lie on the grid, in units of bins: [-HALF, HALF], NaN for NaN and infinities."""
        return position(x, self.centre, self.scale, self.tail)

    def bins(self, x: Floats | list[float]) -> Ints:
        """The fine bin of finite values, as the engines compute it."""
        values = np.asarray(x, dtype=np.float64)
        position = self.position(values)
        outer = np.where(values < 0, -HALF, HALF - 1)
        position = np.where(np.isfinite(position), position, outer)
        return np.clip(np.floor(position), -HALF, HALF - 1).astype(np.int64)

    def value(self, position: Floats) -> Floats:
        """The value at a position of the grid; +-inf at the ends."""
        return value(position, self.centre, self.scale, self.tail)

    @property
    def edges(self) -> Floats:
        """The 601 edges of the fine bins, from -inf to inf."""
        if self._edges is None:
            object.__setattr__(self, "_edges", self.value(np.arange(-HALF, HALF + 1, dtype=np.float64)))
        assert self._edges is not None
        return self._edges
