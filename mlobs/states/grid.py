"""The frozen grid of a numeric field: one bounded monotone expression that bins the whole real line. Pure numpy.

    d = x - centre,   bin = floor(HALF * d / (scale + |d|)),   -HALF <= bin < HALF

`centre` and `scale` are near the reference's median and four times its interquartile range, and such that 0 is a bin
boundary. There is no list of edges, no clamp and nothing out of range; the arithmetic is IEEE, hence the same in every
engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


def position(x: Any, centre: Any, scale: Any) -> Floats:
    """Where values lie on grids of that centre and scale (numbers, or an array each); see `Grid.position`."""
    with np.errstate(all="ignore"):
        d = np.asarray(x, dtype=np.float64) - centre
        result: Floats = HALF * d / (scale + np.abs(d))
        return result


@dataclass(frozen=True, eq=False)
class Grid:
    """Where a numeric field's values are binned, and what of them the reference had seen.

    Attributes:
        centre, scale: of the expression above; 1e-100 <= scale <= 1e100.
        low, high: smallest and largest finite value of the reference (NaN when it had none).
        deviation: the reference's standard deviation (ddof 0), the unit of the Wasserstein distance.
        decimals: every reference value has at most that many decimals; -1 when they have many.
        cuts: fine bins at which a new coarse bin starts, ascending; the first coarse bin starts at -HALF.
        distinct: distinct values the reference had (an estimate above a few hundred).
    """

    centre: float = 0.0
    scale: float = 1.0
    low: float = float("nan")
    high: float = float("nan")
    deviation: float = 0.0
    decimals: int = -1
    cuts: tuple[int, ...] = ()
    distinct: int = 0
    _edges: Floats | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def around(cls, centre: float, scale: float) -> Grid:
        """The grid with 0 as a bin boundary that is closest to `centre` and `scale`.

        >>> Grid.around(10.0, 4.0).bins([0.0, -1e-9])
        array([-214, -215])
        """
        scale = float(min(max(scale, 1e-100), 1e100))
        centre = float(min(max(centre, -LARGEST), LARGEST))
        if abs(centre) < SMALLEST:
            centre = 0.0
        zero = -centre / scale
        step = round(HALF * zero / (1.0 + abs(zero)))
        if abs(step) > _CONFINED:
            return cls(centre, scale)
        u = step / HALF
        # near 0 the centre is moved, by at most .01 of the scale; far from it the scale is stretched, by at most a quarter
        if 2 * abs(step) <= HALF:
            centre = -scale * u / (1.0 - abs(u)) + 0.0
        else:
            scale = abs(centre) * (1.0 - abs(u)) / abs(u)
        grid = cls(centre, scale)
        for _ in range(8):  # rounding may leave 0 just below its boundary
            if grid.bins([0.0])[0] == step:
                break
            grid = cls(float(np.nextafter(grid.centre, -np.inf)), scale)
        return grid

    @property
    def _key(self) -> tuple[object, ...]:
        ends = (None, None) if self.low != self.low else (self.low, self.high)
        return (self.centre, self.scale, *ends, self.deviation, self.decimals, self.cuts, self.distinct)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Grid) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def position(self, x: Floats) -> Floats:
        """Where values lie on the grid, in units of bins: [-HALF, HALF], NaN for NaN and infinities."""
        return position(x, self.centre, self.scale)

    def bins(self, x: Floats | list[float]) -> Ints:
        """The fine bin of finite values, as the engines compute it."""
        values = np.asarray(x, dtype=np.float64)
        position = self.position(values)
        outer = np.where(values < 0, -HALF, HALF - 1)
        position = np.where(np.isfinite(position), position, outer)
        return np.clip(np.floor(position), -HALF, HALF - 1).astype(np.int64)

    def value(self, position: Floats) -> Floats:
        """The value at a position of the grid; +-inf at the ends."""
        u = np.asarray(position, dtype=np.float64) / HALF
        with np.errstate(all="ignore"):
            return self.centre + self.scale * u / (1.0 - np.abs(u))

    @property
    def edges(self) -> Floats:
        """The 601 edges of the fine bins, from -inf to inf."""
        if self._edges is None:
            object.__setattr__(self, "_edges", self.value(np.arange(-HALF, HALF + 1, dtype=np.float64)))
        assert self._edges is not None
        return self._edges
