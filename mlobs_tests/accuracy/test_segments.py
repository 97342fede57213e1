"""Which segments carry the excess error: literal states, and the literal ranking."""

from __future__ import annotations

import pytest

from mlobs.metrics.accuracy import excess_by_segment
from mlobs.states.accuracy import AccuracyState


def days(errors: list[float], rows: int = 50) -> list[AccuracyState]:
    return [AccuracyState("regression", rows, labelled=rows, sums={"abs_error": e * rows}) for e in errors]


def test_segments_are_ranked_by_their_share_of_the_excess() -> None:
    found = excess_by_segment(
        {"origin=JFK": days([22.0] * 6), "origin=EWR": days([30.0] * 4), "origin=LGA": days([15.0] * 4)}, 20.0, "mae"
    )
    assert [(e.segment, e.rows, e.excess, round(e.share, 3), e.sure) for e in found] == [
        ("origin=EWR", 200, 2000.0, 0.769, True),
        ("origin=JFK", 300, 600.0, 0.231, True),
        ("origin=LGA", 200, -1000.0, 0.0, False),
    ]


def test_a_segment_that_was_always_hard_is_not_blamed() -> None:
    segments = {"origin=JFK": days([22.0] * 6), "origin=EWR": days([30.0] * 6)}
    found = excess_by_segment(segments, {"origin=JFK": 18.0, "origin=EWR": 30.0}, "mae")
    assert [(e.segment, e.share) for e in found] == [("origin=JFK", 1.0), ("origin=EWR", 0.0)]


def test_fields_are_weighed_by_themselves() -> None:
    segments = {"origin=JFK": days([30.0] * 4), "part=evening": days([25.0] * 4), "part=morning": days([22.0] * 10)}
    shares = {e.segment: round(e.share, 2) for e in excess_by_segment(segments, 20.0, "mae")}
    assert shares == {"origin=JFK": 1.0, "part=evening": 0.5, "part=morning": 0.5}


@pytest.mark.parametrize(
    ("states", "norm"), [(days([90.0], rows=40), 20.0), ([], 20.0), (days([90.0] * 5), {"origin=LGA": 20.0})]
)
def test_too_few_rows_or_no_norm_say_nothing(states: list[AccuracyState], norm: float) -> None:
    assert excess_by_segment({"origin=JFK": states}, norm, "mae") == []


def test_one_wild_day_is_not_sure() -> None:
    (found,) = excess_by_segment({"origin=JFK": days([19.0] * 9 + [90.0])}, 20.0, "mae")
    assert (found.error, found.sure) == (pytest.approx(26.1), False)
