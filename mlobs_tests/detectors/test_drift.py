"""Drift on real profiles: found at once when large, by merged windows when slow, and not at all when there is none."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from mlobs.detectors import drift, drift_verdicts
from mlobs.detectors.drift import DISTANCES, FALSE_ALARM_RATE, distances_of, is_far, judged_distance
from mlobs.errors import SpecError
from mlobs.metrics.distances import psi
from mlobs.profiling import Reference, profile
from mlobs.windows import Window

AT = Window("2013-03-01", "2013-03-02")


def rows(n: int, seed: int, shift: float = 0.0, fields: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"x{f}": rng.normal(size=n) for f in range(fields)})
    frame["x0"] += shift
    frame["kind"] = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    return frame


def test_a_half_sd_shift_in_one_field_of_fifty_is_found_at_once():
    reference = Reference.learn(rows(20_000, 1, fields=50))
    verdicts = drift_verdicts(reference, profile(rows(1_000, 2, 0.5, fields=50), reference=reference), AT, table="t")
    assert {v.field for v in verdicts if v.failed} == {"x0"}
    (found,) = [v for v in verdicts if v.failed]
    assert (found.severity, found.metric, found.detector) == ("warn", "psi", "drift")
    assert "x0" in found.reason


def test_a_slow_drift_is_found_within_three_weeks_by_merged_windows():
    reference = Reference.learn(rows(20_000, 1))
    days = [profile(rows(1_000, 10 + d, 0.02 * d), reference=reference) for d in range(1, 22)]
    found = [
        d
        for d in range(7, 22)
        if any(v.failed for v in drift_verdicts(reference, days[d - 7 : d], AT) if v.field == "x0")
    ]
    assert found
    assert 21 in found


@pytest.mark.parametrize("distance", DISTANCES)
def test_frame_names_every_field_and_its_noise_floor(distance):
    reference = Reference.learn(rows(5_000, 1))
    same = drift(reference, profile(rows(300, 2), reference=reference), distance=distance)
    assert list(same.columns) == ["field", "distance", "value", "noise_floor", "threshold", "verdict"]
    assert set(same["verdict"]) == {"passed"}
    moved = drift(reference, profile(rows(300, 3, 3.0), reference=reference), distance=distance)
    assert moved.set_index("field")["verdict"].to_dict() == {"x0": "failed", "kind": "passed"}


@pytest.mark.parametrize("n", [50, 100, 200, 1_000, 100_000, 1_000_000])
def test_without_drift_alarms_are_as_rare_as_stated(n):
    rng = np.random.default_rng(n)
    shares = np.append(np.full(10, 0.0995), 0.005)
    pairs = zip(rng.multinomial(10_000, shares, 2_000), rng.multinomial(n, shares, 2_000), strict=True)
    alarms = 0
    for p, q in pairs:
        found = judged_distance(psi(p, q), p.astype(float), q.astype(float), distance="psi", floor=0.0)
        alarms += found.value > found.threshold
    assert alarms / 2_000 <= 3 * FALSE_ALARM_RATE


def test_nulls_and_unseen_values_are_drift():
    reference = Reference.learn(rows(5_000, 1))
    frame = rows(1_000, 2)
    frame.loc[:400, "x0"] = np.nan
    frame.loc[:400, "kind"] = "new"
    failed = {v.field for v in drift_verdicts(reference, profile(frame, reference=reference), AT) if v.failed}
    assert failed == {"x0", "kind", ""}


def test_no_rows_are_learning_and_unknown_distances_are_refused():
    reference = Reference.learn(rows(500, 1))
    empty = profile(rows(500, 1)[:0], reference=reference)
    assert {v.status for v in drift_verdicts(reference, empty, AT) if v.field} == {"learning"}
    with pytest.raises(SpecError, match="unknown"):
        drift(reference, empty, distance="distance")


def test_what_history_had_is_not_drift():
    reference = Reference.learn(rows(5_000, 1))
    before, now = (profile(rows(1_000, s, 0.6), reference=reference) for s in (2, 3))
    assert any(v.failed for v in drift_verdicts(reference, now, AT))
    strayed = distances_of(reference, [before])
    assert strayed["x0"].shape == (1,)
    assert not any(v.failed for v in drift_verdicts(reference, now, AT, strayed=strayed))


def test_a_season_is_reported_once_and_again_only_when_it_has_grown():
    reference = Reference.learn(rows(5_000, 1))
    shifts = [0.0] * 3 + [0.7] * 12 + [1.4] * 6
    earlier, failed, reasons = [], [], {}
    for n, shift in enumerate(shifts):
        at = AT.shifted(timedelta(days=n))
        told = drift_verdicts(reference, profile(rows(1_000, 50 + n, shift), reference=reference), at, earlier=earlier)
        (x0,) = [v for v in told if v.field == "x0"]
        assert (x0.value > x0.expected.high) == x0.failed
        assert is_far(x0) == (shift > 0)
        reasons[n] = x0.reason
        failed += [n] if x0.failed else []
        earlier += told
    assert failed == [3, 4, 5, 15, 16, 17]
    assert "known since 2013-03-04, reported again above" in reasons[8]
