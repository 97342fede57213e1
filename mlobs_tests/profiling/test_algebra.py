"""Profiles add up: the profile of rows together is the sum of the profiles of their parts, with numbers of any size."""

from __future__ import annotations

import base64
import functools
import json
import math
import operator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from mlobs.errors import ProfileError
from mlobs.metrics.profiles import Profile
from mlobs.profiling import Reference, profile, request
from mlobs.states import NumericState
from mlobs_tests.profiling.rows import hostile_rows

OLDER = Path(__file__).parent / "older_bytes.json"

few = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking a profile takes minutes
)

hostile = st.sampled_from(
    [0.0, -0.0, 1e308, -1e308, 5e-324, -5e-324, 1e-200, 1e150, -1e150, math.nan, math.inf, -math.inf, 1e16, 1.0, -1.0]
)
numbers = st.lists(st.one_of(st.none(), hostile, st.floats(), st.integers(-5, 5).map(float)), max_size=40)
words = st.lists(
    st.one_of(
        st.none(),
        st.sampled_from(["a", "b", "c d", "é", ""]),
        st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=4),
    ),
    max_size=40,
)


def table(xs: list[float | None], ws: list[str | None]) -> pa.Table:
    size = max(len(xs), len(ws))
    return pa.table(
        {
            "x": pa.array(xs + [None] * (size - len(xs)), pa.float64()),
            "w": pa.array(ws + [None] * (size - len(ws)), pa.string()),
            "b": pa.array([(True, False, None)[i % 3] for i in range(size)], pa.bool_()),
        }
    )


def assert_close(a: Profile, b: Profile) -> None:
    """Equal but for moments, which may differ by rounding."""
    assert a.rows == b.rows
    for name, state in b.fields.items():
        other = a.fields[name]
        if not isinstance(state, NumericState):
            assert other == state
            continue
        assert isinstance(other, NumericState)
        assert other.counts.tolist() == state.counts.tolist()
        assert other.bins.tolist() == state.bins.tolist()
        assert other.lows.tolist() == state.lows.tolist()
        assert other.highs.tolist() == state.highs.tolist()
        for count in ("nulls", "nans", "positive_inf", "negative_inf", "zeros", "negatives", "below", "above"):
            assert getattr(other, count) == getattr(state, count), count
        assert same_number(other.mean, state.mean, max(abs(state.low), abs(state.high)))
        assert same_number(
            math.sqrt(other.m2), math.sqrt(state.m2), max(abs(state.low), abs(state.high)) * 2 * state.rows
        )
    assert a.sketch == b.sketch


def same_number(a: float, b: float, scale: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= 1e-9 * scale


@few
@given(numbers, numbers, words, words, st.booleans())
@example([None, -2.0, 0.0, -3.0, 4.0], [-5.181654892794384e16, 1.0], [None, "", "é"], [], False)
@example([-1e308], [1e308], [], [], True)
@example([None], [1e308, -1e308], [], [], False)
@example([1e308], [-1.0000000000000003e140], [], [], True)
@example([0.0], [None, 4.4494025414212515e-302, -1.435055454868212e-307, 1e308], [], [], True)
def test_the_sum_is_the_profile_of_both(a: Any, b: Any, v: Any, w: Any, many: bool) -> None:
    first, second = table(a, v), table(b, w)
    reference = Reference.learn(pa.concat_tables([first, second]).slice(0, len(a)))
    before = request.FEW
    try:
        request.FEW = 0 if many else before
        parts = profile(first, reference=reference), profile(second, reference=reference)
        whole = profile(pa.concat_tables([first, second]), reference=reference)
    finally:
        request.FEW = before
    assert_close(parts[0] + parts[1], whole)
    assert parts[0] + parts[1] == parts[1] + parts[0]
    assert parts[0] + Profile.empty() == parts[0] == Profile.empty() + parts[0]
    assert parts[0] + reference.empty() == parts[0]


@few
@given(numbers, words)
def test_bytes_and_back(a: Any, w: Any) -> None:
    rows = table(a, w)
    reference = Reference.learn(rows)
    for made in (reference.profile, profile(rows.slice(0, 3), reference=reference), reference.empty()):
        assert Profile.from_bytes(made.to_bytes()) == made
    again = Reference.from_bytes(reference.to_bytes())
    assert again.profile == reference.profile
    assert again.fingerprint == reference.fingerprint
    assert profile(rows, reference=again) == profile(rows, reference=reference)


@few
@given(st.lists(numbers, min_size=3, max_size=3))
def test_adding_is_associative(parts: Any) -> None:
    reference = Reference.learn(table(functools.reduce(operator.iadd, parts, []), []))
    a, b, c = (profile(table(p, []), reference=reference) for p in parts)
    assert_close((a + b) + c, a + (b + c))
    assert_close(Profile.merged([a, b, c]), (a + b) + c)


def test_a_year_of_merged_days_equals_the_rows_together() -> None:
    rows = hostile_rows(600)
    reference = Reference.learn(rows, time="at", key="id", segments="origin")
    days = [profile(rows, reference=reference, window=(f"2024-03-0{d}", f"2024-03-0{d + 1}")) for d in (1, 2, 3)]
    whole = profile(rows, reference=reference, window=("2024-03-01", "2024-03-04"))
    total = Profile.merged(days)
    assert total.window == whole.window
    assert total.newest == whole.newest
    assert (total.rows, dict(total.columns)) == (whole.rows, dict(whole.columns))
    assert {k: s.rows for k, s in total.segments.items()} == {k: s.rows for k, s in whole.segments.items()}
    assert total.pairs == whole.pairs
    for name in whole.fields:
        assert total.distribution(name)[1].tolist() == whole.distribution(name)[1].tolist()


def test_profiles_of_other_references_are_refused() -> None:
    a = Reference.learn(pa.table({"x": [1.0, 2.0]})).profile
    b = Reference.learn(pa.table({"x": [1.0, 3.0]})).profile
    with pytest.raises(ProfileError, match="different references") as caught:
        a + b
    assert a.fingerprint in str(caught.value)
    with pytest.raises(ProfileError, match="different grids"):
        a.fields["x"] + b.fields["x"]  # type: ignore[operator]


def test_unknown_versions_and_damaged_bytes_are_refused() -> None:
    made = Reference.learn(pa.table({"x": [1.0, 2.0], "w": ["a", "b"]}))
    for stored, read in ((made.profile.to_bytes(), Profile.from_bytes), (made.to_bytes(), Reference.from_bytes)):
        with pytest.raises(ProfileError, match="format version 250"):
            read(stored[:6] + bytes([250]) + stored[7:])
        with pytest.raises(ProfileError, match="hold no"):
            read(b"something else")
        for cut in (7, 12, len(stored) // 2, len(stored) - 1):
            with pytest.raises(ProfileError, match="damaged"):
                read(stored[:cut])
    with pytest.raises(ProfileError, match="hold no profile"):
        Profile.from_bytes(made.to_bytes())


def test_bytes_of_the_version_before_are_read() -> None:
    older = {name: base64.b64decode(text) for name, text in json.loads(OLDER.read_text()).items() if len(text) > 200}
    assert {name: data[6] for name, data in older.items()} == {"profile": 2, "reference": 1}
    stored, reference = Profile.from_bytes(older["profile"]), Reference.from_bytes(older["reference"])
    x = np.array([i * i + i / 7 for i in range(40)])
    rows = pa.table({"x": x, "c": ["a", "b"] * 20})
    made = profile(rows.slice(0, 30), reference=reference)
    kept, now = stored.field("x"), made.field("x")
    assert isinstance(kept, NumericState)
    assert isinstance(now, NumericState)
    assert not kept.grid.tailed
    assert (kept.grid, kept.bins.tolist(), kept.counts.tolist()) == (now.grid, now.bins.tolist(), now.counts.tolist())
    # ends of bins were rounded to 1/7 of the bin then, and are to 1/15 now: outwards both
    assert (kept.lows <= now.lows).all()
    assert (kept.highs >= now.highs).all()
    assert kept.quantiles([0.1, 0.5, 0.9]) == pytest.approx(np.quantile(x[:30], [0.1, 0.5, 0.9]), abs=0.01 * x.std())
    assert (stored + made).rows == 60
    assert Profile.from_bytes(stored.to_bytes()) == stored


def test_moments_near_a_billion_agree_with_numpy() -> None:
    rng = np.random.default_rng(2)
    x = 1e9 + rng.normal(0, 1e-3, 50_000)
    reference = Reference.learn(pa.table({"x": x[:1000]}))
    days = [profile(pa.table({"x": part}), reference=reference) for part in np.array_split(x, 30)]
    found = Profile.merged(Profile.from_bytes(d.to_bytes()) for d in days).field("x")
    assert isinstance(found, NumericState)
    shifted = x - 1e9
    assert found.mean == pytest.approx(1e9 + shifted.mean(), rel=1e-15)
    assert found.variance == pytest.approx(shifted.var(), rel=1e-6)
    assert found.sum == pytest.approx(x.sum(), rel=1e-12)


@pytest.mark.parametrize("many", [True, False])
def test_moments_far_from_the_reference_agree_with_numpy(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if many:
        monkeypatch.setattr(request, "FEW", 0)
    rng = np.random.default_rng(2)
    x = 1e9 + rng.normal(0, 1e-3, 5000)
    reference = Reference.learn(pa.table({"x": rng.normal(0, 1, 1000)}))
    found = profile(pa.table({"x": x}), reference=reference).field("x")
    assert isinstance(found, NumericState)
    assert found.mean == pytest.approx(x.mean(), rel=1e-12)
    assert found.variance == pytest.approx((x - 1e9).var(), rel=1e-6)


def test_single_rows_and_nothing_at_all() -> None:
    reference = Reference.learn(pa.table({"x": pa.array([5.0]), "t": pa.array([datetime(2024, 1, 1, tzinfo=UTC)])}))
    one = profile(
        pa.table({"x": pa.array([7.0]), "t": pa.array([datetime(1969, 1, 1, tzinfo=UTC)])}), reference=reference
    )
    state = one.field("x")
    assert isinstance(state, NumericState)
    assert state.quantiles([0.0, 0.5, 1.0]).tolist() == [7.0, 7.0, 7.0]
    assert (state.variance, state.above, state.distinct) == (0.0, 1, 1.0)
    nothing = profile(pa.table({"x": pa.array([None], pa.float64())}), reference=reference)
    assert list(nothing.fields) == ["x"]
    assert {m.metric: m.value for m in nothing.measurements() if m.field == "x"}["null_rate"] == 1.0
    assert Profile.from_bytes(Profile.empty().to_bytes()) == Profile.empty()
