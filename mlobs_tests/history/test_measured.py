"""What was measured and judged comes back as it was saved; saved twice, it is there once."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest

from mlobs.detectors.verdict import Range, Verdict
from mlobs.history import Arrival, Pin
from mlobs.metrics.profiles import Profile
from mlobs.windows import Window, instant

D1, D2, D3 = (Window.day(f"2013-04-0{n}") for n in (1, 2, 3))
MON, TUE, WED = (w.end for w in (D1, D2, D3))


def profile(rows: int, window: Window = D1) -> Profile:
    return Profile(table="t", window=window, rows=rows, columns={"a": "BIGINT"}, fingerprint="f")


def verdict(window: Window, field: str, value: float = 0.5, status: str = "passed", detector: str = "mix") -> Verdict:
    severity = "error" if status == "failed" else "none"
    return Verdict(status, "t", field, "mean", "", window, value, Range(0, 1, 0.5), severity, "why", detector, 2.0)


class TestProfiles:
    def test_come_back_oldest_first(self, history):
        history.save_profile("t", D2, "f", profile(2, D2), TUE)
        history.save_profile("t", D1, "f", profile(1, D1), MON)
        assert history.profiles("t", "f") == [(D1, profile(1, D1)), (D2, profile(2, D2))]

    def test_one_window_is_replaced(self, history):
        history.save_profile("t", D1, "f", profile(1), MON)
        history.save_profile("t", D1, "f", profile(3), TUE)
        assert history.profiles("t", "f") == [(D1, profile(3))]

    def test_fingerprints_and_tables_are_kept_apart(self, history):
        history.save_profile("t", D1, "f", profile(1), MON)
        assert history.profiles("t", "g") == []
        assert history.profiles("u", "f") == []

    @pytest.mark.parametrize(
        ("limits", "windows"),
        [
            ({}, [D1, D2, D3]),
            ({"before": D3.start}, [D1, D2]),
            ({"before": D3.start + timedelta(hours=1)}, [D1, D2]),
            ({"last": 2}, [D2, D3]),
            ({"before": D3.start, "last": 1}, [D2]),
            ({"since": D2.start}, [D2, D3]),
            ({"last": 0}, []),
        ],
    )
    def test_can_be_limited(self, history, limits, windows):
        history.save_profiles("t", "f", {w: profile(1, w) for w in (D1, D2, D3)}, WED)
        assert [window for window, _ in history.profiles("t", "f", **limits)] == windows

    def test_the_revision_counts_changes(self, history):
        assert history.revision("t") == 0
        assert history.save_profile("t", D1, "f", profile(1), MON) == 1
        assert history.save_profile("t", D1, "f", profile(1), TUE) == 1
        assert history.save_profiles("t", "f", {D1: profile(1), D2: profile(2)}, TUE) == 2
        assert history.save_profiles("t", "f", {}, TUE) == 2
        assert (history.revision("t"), history.revision("u")) == (2, 0)


class TestReferences:
    def test_none_at_first(self, history):
        assert history.reference("m") is None
        assert history.references("m") == []

    def test_the_one_pinned_last_is_in_force_and_all_are_kept(self, history):
        history.save_reference("m", "1", b"one", MON)
        history.save_reference("m", "2", b"two", TUE, "retrained")
        history.save_reference("m", "1", b"one", WED, "rolled back")
        assert history.reference("m") == ("1", b"one", WED)
        assert history.reference("m", version="2") == ("2", b"two", TUE)
        assert history.references("m") == [
            Pin("1", MON, "", b"one"),
            Pin("2", TUE, "retrained", b"two"),
            Pin("1", WED, "rolled back", b"one"),
        ]

    def test_pinning_again_what_is_in_force_changes_nothing(self, history):
        history.save_reference("m", "1", b"one", MON)
        history.save_reference("m", "1", b"one", TUE)
        assert history.reference("m") == ("1", b"one", MON)


class TestVerdicts:
    def test_come_back_as_they_were(self, history):
        odd = Verdict(
            "learning", "t", "a", "psi", "origin=JFK", D1, math.nan, Range(-math.inf, math.inf, 0.5, 9),
            "none", "needs 9 more windows; é <b> '", "drift", math.inf,
        )  # fmt: skip
        history.save_verdicts("t", D1, ["drift"], [odd], MON, "print", "run 1")
        (kept,) = history.verdicts()
        assert math.isnan(kept.verdict.value)
        assert repr(kept.verdict) == repr(odd)
        assert (kept.at, kept.run_id, kept.fingerprint, kept.superseded_at) == (MON, "run 1", "print", None)

    def test_a_later_judgement_supersedes_and_nothing_is_lost(self, history):
        history.save_verdicts("t", D1, ["mix"], [verdict(D1, "a", status="failed"), verdict(D1, "b")], MON)
        history.save_verdicts("t", D1, ["mix"], [verdict(D1, "a", 0.6), verdict(D1, "b")], TUE, run_id="run 2")
        live = [(k.verdict.field, k.verdict.value, k.at, k.run_id) for k in history.verdicts("t")]
        assert live == [("b", 0.5, MON, "run 2"), ("a", 0.6, TUE, "run 2")]
        every = [(k.verdict.field, k.verdict.status, k.superseded_at) for k in history.verdicts("t", live=False)]
        assert every == [("a", "failed", TUE), ("b", "passed", None), ("a", "passed", None)]

    def test_the_same_again_changes_nothing(self, history):
        again = [verdict(D1, "a", math.nan), verdict(D1, "a", math.nan)]
        history.save_verdicts("t", D1, ["mix"], again, MON)
        history.save_verdicts("t", D1, ["mix"], again, TUE)
        assert [(k.at, k.superseded_at) for k in history.verdicts(live=False)] == [(MON, None), (MON, None)]

    def test_only_the_named_detectors_and_window_are_replaced(self, history):
        history.save_verdicts("t", D1, ["mix", "drift"], [verdict(D1, "a"), verdict(D1, "a", detector="drift")], MON)
        history.save_verdicts("t", D2, ["mix"], [verdict(D2, "a")], TUE)
        history.save_verdicts("t", D1, ["mix"], [], WED)
        assert [(k.verdict.window, k.verdict.detector) for k in history.verdicts()] == [(D1, "drift"), (D2, "mix")]

    def test_many_windows_at_once(self, history):
        history.save_all_verdicts("t", {w: [verdict(w, "a")] for w in (D1, D2, D3)}, ["mix"], WED)
        history.save_all_verdicts("t", {D1: [verdict(D1, "b")], D3: []}, ["mix"], WED)
        assert [(k.verdict.window, k.verdict.field) for k in history.verdicts()] == [(D1, "b"), (D2, "a")]

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({}, ["1a", "1b", "2a"]),
            ({"table": "t"}, ["1a", "1b", "2a"]),
            ({"table": "u"}, []),
            ({"status": "failed"}, ["1b"]),
            ({"detector": "drift"}, ["1b"]),
            ({"field": "a"}, ["1a", "2a"]),
            ({"metric": "psi"}, []),
            ({"since": D2.start}, ["2a"]),
            ({"until": D2.start}, ["1a", "1b"]),
            ({"since": D1.start, "until": D1.end}, ["1a", "1b"]),
            ({"since": D2.end}, []),
        ],
    )
    def test_can_be_asked_for(self, history, wanted, found):
        first = [verdict(D1, "a"), verdict(D1, "b", status="failed", detector="drift")]
        history.save_verdicts("t", D1, ["mix", "drift"], first, MON)
        history.save_verdicts("t", D2, ["mix"], [verdict(D2, "a")], TUE)
        assert [f"{k.verdict.window.start.day}{k.verdict.field}" for k in history.verdicts(**wanted)] == found


class TestArrivals:
    def test_every_delivery_counts_and_the_same_one_once(self, history):
        for _ in range(2):
            history.record_arrival("t", D1, MON, 150, {"a": "BIGINT"}, D1.start, 3)
        history.record_arrival("t", D1, TUE, 0, {}, None)
        assert history.arrivals("t") == [
            Arrival("t", D1, MON, 150, {"a": "BIGINT"}, D1.start, 3),
            Arrival("t", D1, TUE, 0, {}, None, 0),
        ]
        assert [a.at for a in history.arrivals("t", since=TUE)] == [TUE]
        assert history.arrivals("u") == []


class TestAccuracy:
    def test_by_version_and_segment(self, history):
        history.save_accuracy("m", D2, "2", "", b"d2", TUE)
        history.save_accuracy("m", D1, "1", "", b"d1", MON)
        history.save_accuracy("m", D1, "1", "origin=JFK", b"jfk", MON)
        history.save_accuracy("m", D1, "1", "", b"late labels", TUE)
        assert history.accuracy("m") == [(D1, "1", b"late labels"), (D2, "2", b"d2")]
        assert history.accuracy("m", version="2") == [(D2, "2", b"d2")]
        assert history.accuracy("m", since=D2.start) == [(D2, "2", b"d2")]
        assert history.accuracy("m", until=D2.start) == [(D1, "1", b"late labels")]
        assert history.accuracy("m", segment="origin=JFK") == [(D1, "1", b"jfk")]
        assert history.accuracy_segments("m") == [(D1, "1", b"jfk", "origin=JFK")]

    def test_a_window_is_replaced_as_a_whole(self, history):
        history.save_accuracies("m", {D1: {"1": {"": b"old", "origin=LGA": b"gone"}}}, MON)
        history.save_accuracies("m", {D1: {"1": {"": b"new"}}, D2: {}}, TUE)
        assert history.accuracy("m") == [(D1, "1", b"new")]
        assert history.accuracy_segments("m") == []


def test_times_come_back_in_utc(history):
    new_york = timezone(timedelta(hours=-5))
    history.record_arrival("t", D1, datetime(2013, 4, 1, 20, 30, tzinfo=new_york), 1, {}, datetime(2013, 4, 1, 5))
    (arrival,) = history.arrivals("t")
    assert arrival.at == instant("2013-04-02T01:30Z")
    assert arrival.newest == instant("2013-04-01T05:00Z")
    assert arrival.at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("name", ["x'; drop table verdicts; --", "ünï", '"', "a.b", ""])
def test_names_are_only_names(history, name):
    history.save_verdicts(name, D1, ["mix"], [verdict(D1, name)], MON)
    history.save_accuracy(name, D1, name, name, b"", MON)
    assert [k.verdict.field for k in history.verdicts(name)] == [name]
    assert history.accuracy(name, segment=name) == [(D1, name, b"")]


def test_what_was_known_of_accuracy_at_an_instant(history):
    history.save_accuracies("m", {D1: {"1": {"": b"few labels", "origin=JFK": b"jfk"}}}, MON)
    history.save_accuracies("m", {D1: {"1": {"": b"more labels", "origin=JFK": b"jfk"}}}, TUE)
    later = TUE + timedelta(days=1)
    history.save_accuracies("m", {D1: {"1": {"": b"more labels"}, "2": {"": b"shadow"}}}, later)
    known = {at: history.accuracy("m", as_of=at) for at in (MON - timedelta(days=1), MON, TUE, later)}
    assert known == {
        MON - timedelta(days=1): [],
        MON: [(D1, "1", b"few labels")],
        TUE: [(D1, "1", b"more labels")],
        later: [(D1, "1", b"more labels"), (D1, "2", b"shadow")],
    }
    assert history.accuracy("m", segment="origin=JFK", as_of=TUE) == [(D1, "1", b"jfk")]
    assert history.accuracy("m", segment="origin=JFK", as_of=later) == []
    assert [(name, at) for _, name, _, at in history.accuracy_trail("m")] == [("1", MON), ("1", TUE), ("2", later)]
