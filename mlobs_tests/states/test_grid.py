"""The grid: monotone, the whole line, 0 on a boundary, and as stable as doubles allow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlobs.states.grid import HALF, LARGEST, NARROWEST, WIDEST, Grid

finite = st.floats(allow_nan=False, allow_infinity=False)
scales = st.floats(min_value=1e-12, max_value=1e12)
tails = st.one_of(st.just(0.0), st.floats(min_value=1e-12, max_value=1e18))
centres = st.floats(min_value=-1e12, max_value=1e12)


def test_a_literal_grid() -> None:
    grid = Grid(centre=0.0, scale=1.0)
    assert grid.bins([-1.0, 0.0, 1.0, 3.0]).tolist() == [-150, 0, 150, 225]
    assert grid.bins([-1e300, -1e-9, 1e-9, 1e300]).tolist() == [-HALF, -1, 0, HALF - 1]
    assert grid.edges[0] == -math.inf
    assert grid.edges[HALF] == 0.0
    assert grid.edges[-1] == math.inf


def test_a_literal_grid_with_a_tail() -> None:
    grid = Grid(centre=0.0, scale=1.0, tail=100.0)
    assert grid.tailed
    assert grid.bins([-1.0, 0.0, 1.0, 100.0]).tolist() == [-77, 0, 76, 223]
    assert grid.bins([-1e300, 1e300]).tolist() == [-HALF, HALF - 1]
    assert Grid(centre=0.0, scale=1.0, tail=1.0) == Grid(centre=0.0, scale=1.0)
    assert not Grid(centre=0.0, scale=1.0).tailed


@example(0.0, 13.0, [2.225073858507e-311])
@given(centres, scales, st.lists(finite, min_size=1, max_size=20))
def test_a_tail_equal_to_the_scale_changes_no_bin(centre: float, scale: float, values: list[float]) -> None:
    x = np.array(values)
    d = x - centre
    with np.errstate(all="ignore"):
        plain = HALF * d / (scale + np.abs(d))
    at = Grid(centre, scale, tail=scale).position(x)
    exact = np.abs(d) < 1e305  # beyond, HALF * d overflows
    assert at[exact].tolist() == plain[exact].tolist()


@given(centres, scales, tails, st.lists(finite, min_size=2, max_size=20))
def test_bins_are_in_range_and_monotone(centre: float, scale: float, tail: float, values: list[float]) -> None:
    bins = Grid.around(centre, scale, tail).bins(sorted(values))
    assert bins.min() >= -HALF
    assert bins.max() < HALF
    assert (np.diff(bins) >= 0).all()


@given(centres, scales)
def test_zero_is_a_boundary_wherever_it_is_resolved(centre: float, scale: float) -> None:
    grid = Grid.around(centre, scale)
    at = int(grid.bins([0.0])[0])
    if -HALF + 2 < at < HALF - 2:
        assert grid.bins([-1e-6 * max(scale, abs(centre))])[0] < at


@given(st.floats(min_value=-1e3, max_value=1e3), st.floats(min_value=0.1, max_value=10), st.floats(4, 1e3))
def test_zero_is_a_boundary_of_a_grid_with_a_tail_where_its_bins_are_narrow(
    c: float, scale: float, ratio: float
) -> None:
    grid = Grid.around(c, scale, scale * ratio)
    at = int(grid.bins([0.0])[0])
    below, above = grid.value(np.array([at, at + 1.0]))
    if above - below < 0.01 * scale:
        assert grid.bins([-1e-6 * scale])[0] < at


@given(centres, scales, tails)
def test_the_grid_stays_near_what_was_asked_for(centre: float, scale: float, tail: float) -> None:
    grid = Grid.around(centre, scale, tail)
    assert grid.tail / grid.scale == pytest.approx(max(tail, scale) / scale)
    assert 0.75 * scale <= grid.scale <= 1.34 * scale
    assert abs(grid.centre - centre) <= 0.011 * scale


@given(finite, finite)
def test_hostile_centres_and_scales_are_confined(centre: float, scale: float) -> None:
    grid = Grid.around(centre, scale)
    assert abs(grid.centre) <= LARGEST
    assert NARROWEST <= grid.scale <= WIDEST


@given(centres, scales, st.floats(min_value=1, max_value=1e9), st.floats(min_value=-0.99, max_value=0.99))
def test_value_is_the_inverse_of_position(centre: float, scale: float, ratio: float, u: float) -> None:
    grid = Grid(centre, scale, tail=scale * ratio)
    x = grid.value(np.array([u * HALF]))
    assert abs(float(grid.position(x)[0]) - u * HALF) <= 1e-6 + 1e-12 * abs(centre) / scale * HALF
