"""Row hashes: a repeated delivery overlaps with the one before, whatever is merged and however much is kept."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mlobs.states.rows import HASHES, KEPT, RowSketch

hashes = st.dictionaries(st.integers(0, 4000).map(lambda i: i * (HASHES // 4001)), st.integers(1, 3), max_size=600)


def sketch(found: dict[int, int]) -> RowSketch:
    return RowSketch.of("test", HASHES, found)


def test_a_repeated_delivery() -> None:
    today = sketch(dict.fromkeys(range(1000), 1))
    assert today.overlap(sketch(dict.fromkeys(range(1000), 1))) == 1.0
    assert today.overlap(sketch({h + 5000: 1 for h in range(1000)})) == 0.0
    assert today.overlap(sketch(dict.fromkeys(range(0, 2000, 2), 1))) == 0.5
    assert len(today.hashes) == KEPT


def test_rows_repeated_inside_a_delivery() -> None:
    assert sketch({1: 1, 2: 3}).repeated == 0.5
    assert sketch({1: 1, 2: 1}).repeated == 0.0
    assert math.isnan(sketch({}).repeated)


def test_other_columns_or_engines_cannot_be_compared() -> None:
    assert math.isnan(sketch({1: 1}).overlap(RowSketch.of("other", HASHES, {1: 1})))
    assert RowSketch.merged([sketch({1: 1}), RowSketch.of("other", HASHES, {1: 1})]) == RowSketch("", 0, {})


@given(hashes, hashes, hashes)
def test_merging_is_a_commutative_monoid(a: dict[int, int], b: dict[int, int], c: dict[int, int]) -> None:
    x, y, z = sketch(a), sketch(b), sketch(c)
    assert (x + y) + z == x + (y + z)
    assert x + y == y + x
    assert x + sketch({}) == x


@given(hashes, hashes)
def test_merging_is_the_sketch_of_both(a: dict[int, int], b: dict[int, int]) -> None:
    both = {h: a.get(h, 0) + b.get(h, 0) for h in {*a, *b}}
    assert sketch(a) + sketch(b) == sketch(both)
