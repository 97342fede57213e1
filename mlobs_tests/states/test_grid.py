"""The grid: monotone, the whole line, 0 on a boundary, and as stable as doubles allow."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlobs.states.grid import HALF, LARGEST, Grid

finite = st.floats(allow_nan=False, allow_infinity=False)
scales = st.floats(min_value=1e-12, max_value=1e12)
centres = st.floats(min_value=-1e12, max_value=1e12)


def test_a_literal_grid() -> None:
    grid = Grid(centre=0.0, scale=1.0)
    assert grid.bins([-1.0, 0.0, 1.0, 3.0]).tolist() == [-150, 0, 150, 225]
    assert grid.bins([-1e300, -1e-9, 1e-9, 1e300]).tolist() == [-HALF, -1, 0, HALF - 1]
    assert grid.edges[0] == -math.inf
    assert grid.edges[HALF] == 0.0
    assert grid.edges[-1] == math.inf


@given(centres, scales, st.lists(finite, min_size=2, max_size=20))
def test_bins_are_in_range_and_monotone(centre: float, scale: float, values: list[float]) -> None:
    bins = Grid.around(centre, scale).bins(sorted(values))
    assert bins.min() >= -HALF
    assert bins.max() < HALF
    assert (np.diff(bins) >= 0).all()


@given(centres, scales)
def test_zero_is_a_boundary_wherever_it_is_resolved(centre: float, scale: float) -> None:
    grid = Grid.around(centre, scale)
    at = int(grid.bins([0.0])[0])
    if -HALF + 2 < at < HALF - 2:
        assert grid.bins([-1e-6 * max(scale, abs(centre))])[0] < at


@given(centres, scales)
def test_the_grid_stays_near_what_was_asked_for(centre: float, scale: float) -> None:
    grid = Grid.around(centre, scale)
    assert 0.75 * scale <= grid.scale <= 1.34 * scale
    assert abs(grid.centre - centre) <= 0.011 * scale


@given(finite, finite)
def test_hostile_centres_and_scales_are_confined(centre: float, scale: float) -> None:
    grid = Grid.around(centre, scale)
    assert abs(grid.centre) <= LARGEST
    assert 1e-100 <= grid.scale <= 1e100


@given(centres, scales, st.floats(min_value=-0.99, max_value=0.99))
def test_value_is_the_inverse_of_position(centre: float, scale: float, u: float) -> None:
    grid = Grid(centre, scale)
    x = grid.value(np.array([u * HALF]))
    assert abs(float(grid.position(x)[0]) - u * HALF) <= 1e-6 + 1e-12 * abs(centre) / scale * HALF
