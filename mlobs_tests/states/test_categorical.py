"""Categories: exact counts, unseen ones by name, forms and shapes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs.errors import ProfileError
from mlobs.states.categorical import FORMS, UNSEEN_KEPT, CategoricalState, Levels, Values, form, shape

FRAME = Levels.learn({"JFK": 5, "LGA": 3, "EWR": 3})


def state(values: list[str | None], levels: Levels = FRAME) -> CategoricalState:
    counts = Counter(v for v in values if v is not None)
    made = Values.of(levels, counts)
    return made.state(
        "categorical", np.arange(len(counts)), np.array(list(counts.values()), np.int64), values.count(None)
    )


def test_a_literal_state() -> None:
    s = state(["JFK", "JFK", "LGA", "PIT", None, "jfk"])
    assert FRAME.names == ("JFK", "EWR", "LGA")
    assert s.counts.tolist() == [2, 0, 1]
    assert (s.rows, s.nulls, s.unseen_rows, s.distinct) == (6, 1, 2, 4)
    assert s.frequencies() == {"JFK": 2, "LGA": 1, "PIT": 1, "jfk": 1}
    assert s.new_shapes == 1  # "jfk" has a shape that the reference had not, "PIT" is new but of a known shape


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ["empty"]), ("   ", ["blank"]), ("NULL", ["null_keyword"]), (" n/a", ["null_keyword"]), ("Nothing", ["null_keyword"]),
        ("-1.5", ["number_like"]), ("1e5", ["number_like"]), ("1,5", ["number_like"]), (".5", ["number_like"]), ("1.2.3", []),
        ("123e4567-e89b-12d3-a456-426614174000", ["uuid_like"]), ("a.b+c@example.org", ["email_like"]), ("a@b", []),
        ("2024-02-29", ["timestamp_like"]), ("2024-02-29 12:00:01.5+02:00", ["timestamp_like"]), ("29.2.2024", []), ("JFK", []),
    ],
)  # fmt: skip
def test_forms(value: str, expected: list[str]) -> None:
    assert [name for bit, name in enumerate(FORMS) if form(value) >> bit & 1] == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("JFK", "A"), ("Jfk", "Aa"), ("A-12/b", "A-9/a"), ("", ""), ("Ñ1", "A9")]
)
def test_shapes(value: str, expected: str) -> None:
    assert shape(value) == expected


texts = st.lists(st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["JFK", "LGA"])), max_size=40)


@given(texts, texts, texts)
def test_merging_is_a_commutative_monoid(a: list[str | None], b: list[str | None], c: list[str | None]) -> None:
    x, y, z = state(a), state(b), state(c)
    assert (x + y) + z == x + (y + z)
    assert x + y == y + x
    assert x + CategoricalState(FRAME) == x


@given(texts, texts)
def test_merging_is_the_state_of_both(a: list[str | None], b: list[str | None]) -> None:
    assert state(a) + state(b) == state(a + b)


def test_more_unseen_values_than_are_kept_merge_exactly() -> None:
    many: list[str | None] = [f"id {i}" for i in range(2000)]
    thirds = [state(many[i::3]) for i in range(3)]
    assert (thirds[0] + thirds[1]) + thirds[2] == thirds[2] + (thirds[1] + thirds[0]) == state(many)
    assert len(state(many).unseen) == UNSEEN_KEPT
    assert state(many).rest == 2000 - UNSEEN_KEPT
    assert state(many).distinct == pytest.approx(2000, rel=0.2)


def test_other_frames_are_refused() -> None:
    with pytest.raises(ProfileError, match="profile both against one reference"):
        state(["JFK"]) + state(["JFK"], Levels.learn({"JFK": 1}))
