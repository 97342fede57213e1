"""What was decided comes back as it was said; nothing is deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from mlobs.detectors.verdict import Range, Verdict
from mlobs.errors import HistoryError
from mlobs.history import Feedback, Promotion, StoredDecision, StoredVersion
from mlobs.windows import Window, instant

MON, TUE, WED = (instant(f"2013-04-0{n}") for n in (1, 2, 3))


def test_the_same_answer_at_the_same_time_is_kept_once(history):
    history.save_decision("m", MON, "hold", "weather is broken", "accuracy", {"window": "2013-03-31"})
    history.save_decision("m", MON, "hold", "weather is still broken", "accuracy", {"window": "2013-03-31"})
    history.save_decision("m", TUE, "retrain", "accuracy failed", "accuracy")
    hold = StoredDecision("m", MON, "hold", "weather is still broken", "accuracy", {"window": "2013-03-31"})
    retrain = StoredDecision("m", TUE, "retrain", "accuracy failed", "accuracy", {})
    assert history.decisions("m") == [hold, retrain]
    assert history.decisions("m", since=TUE) == [retrain]
    assert history.decisions("other") == []


def test_versions_are_replaced_by_name_and_keep_plain_values(history):
    history.save_version("m", "1", MON, {"mae": 27.0, "window": Window(MON, TUE), "at": MON})
    history.save_version("m", "1", TUE, {"mae": 26.5, "window": Window(MON, TUE), "at": MON})
    history.save_version("m", "2", WED, {})
    iso = ["2013-04-01T00:00:00+00:00", "2013-04-02T00:00:00+00:00"]
    assert history.versions("m") == [
        StoredVersion("m", "1", TUE, {"mae": 26.5, "window": iso, "at": iso[0]}),
        StoredVersion("m", "2", WED, {}),
    ]


def test_the_champion_is_what_was_promoted_last(history):
    assert history.champion("m") is None
    history.record_promotion("m", "1", MON, "mlobs", "first version")
    history.record_promotion("m", "2", TUE, "mlobs", "8% better")
    history.record_promotion("m", "2", WED, "mlobs", "said twice")
    history.record_promotion("m", "1", WED, "ann", "rolled back")
    assert history.champion("m") == Promotion("m", "1", WED, "ann", "rolled back")
    assert [p.version for p in history.promotions("m")] == ["1", "2", "1"]


class TestFeedback:
    def test_is_kept_with_who_and_when(self, history):
        given = history.add_feedback("mute", {"table": "t", "field": "wind"}, "ann", MON, until=WED, note="sensor swap")
        scope = {"table": "t", "field": "wind"}
        assert history.feedback() == [Feedback(given, "mute", scope, "ann", MON, MON, WED, "sensor swap")]

    def test_said_again_it_is_kept_once(self, history):
        ids = {history.add_feedback("mute", {"table": "t"}, "ann", MON) for _ in range(2)}
        assert len(ids) == len(history.feedback()) == 1

    def test_is_revoked_by_whoever_came_first_and_stays_on_record(self, history):
        given = history.add_feedback("expected", {"table": "t"}, "ann", MON)
        history.revoke_feedback(given, "bob", TUE)
        revoked = history.revoke_feedback(given, "cat", WED)
        assert (revoked.revoked_by, revoked.revoked_at, revoked.active) == ("bob", TUE, False)
        assert history.feedback() == []
        assert history.feedback(revoked=True) == [revoked]

    def test_can_be_asked_for_by_kind_and_table(self, history):
        history.add_feedback("mute", {"table": "t"}, "ann", MON)
        history.add_feedback("calendar", {}, "ann", MON)
        history.add_feedback("mute", {"table": "u"}, "ann", MON)
        assert [f.kind for f in history.feedback(table="t")] == ["mute", "calendar"]
        assert [f.scope for f in history.feedback(kind="mute")] == [{"table": "t"}, {"table": "u"}]

    @pytest.mark.parametrize(
        ("kind", "by", "until", "said"),
        [
            ("expcted", "ann", None, "did you mean 'expected'"),
            ("mute", " ", None, "say who gives it"),
            ("mute", "ann", MON, "must be after its start"),
        ],
    )
    def test_nonsense_is_refused(self, history, kind, by, until, said):
        with pytest.raises(HistoryError, match=said):
            history.add_feedback(kind, {}, by, MON, until=until)
        assert history.feedback(revoked=True) == []

    def test_an_unknown_id_is_named(self, history):
        with pytest.raises(HistoryError, match="there is no feedback 7"):
            history.revoke_feedback(7, "ann", MON)

    @pytest.mark.parametrize(
        ("scope", "until", "speaks"),
        [
            ({}, None, True),
            ({"table": "t"}, None, True),
            ({"table": "u"}, None, False),
            ({"table": "t", "field": "wind", "metric": "mean", "detector": "mix", "segment": ""}, None, True),
            ({"table": "t", "field": "rain"}, None, False),
            ({"table": "t", "incident": 4}, None, True),
            ({}, MON + timedelta(hours=12), True),
        ],
    )
    def test_speaks_of_verdicts_in_its_scope(self, history, scope, until, speaks):
        history.add_feedback("mute", scope, "ann", MON, until=until)
        (given,) = history.feedback()
        day = Window(MON, TUE)
        judged = Verdict("failed", "t", "wind", "mean", "", day, 1.0, Range(0, 1, 0), "warn", "", "mix")
        assert given.speaks_of(judged) is speaks
        assert not given.speaks_of(Verdict(**(vars(judged) | {"window": day.shifted(-timedelta(days=1))})))


def test_a_claim_is_granted_to_one_until_it_lapses(history):
    later, end = MON + timedelta(minutes=4), MON + timedelta(minutes=5)
    assert history.claim("run:1", "a", MON, end)
    assert not history.claim("run:1", "b", later, later + timedelta(minutes=5))
    assert history.claim("run:1", "a", later, end)
    assert history.claim("run:2", "b", later, end)
    assert history.claim("run:1", "b", end, end + timedelta(minutes=5))


def test_of_many_that_claim_at_once_one_may(history):
    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda n: history.claim("run", f"daemon {n}", MON, TUE), range(8)))
        assert sum(granted) == 1
