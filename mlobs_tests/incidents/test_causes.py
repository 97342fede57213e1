"""Why accuracy fell: literal evidence, literal ranking."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mlobs.incidents.causes import (
    Evidence,
    Fall,
    FieldDrift,
    Labels,
    SegmentChange,
    VersionChange,
    root_causes,
)
from mlobs.windows import instant
from mlobs_tests.incidents.world import day, failure

FALL = Fall("delay", day(1), "mae", 20.0, 26.0, 1.0)
IMPORTANCES = {"wind": 8.0, "rain": 0.1, "hour": 3.0}


def named(evidence: Evidence) -> list[tuple[str, str, float]]:
    return [(c.kind, c.subject, round(c.score, 2)) for c in root_causes(evidence)]


def test_no_fall_no_causes():
    assert root_causes(Evidence(replace(FALL, after=19.0), [failure("features", 1)])) == []
    assert root_causes(Evidence(replace(FALL, after=math.nan), [failure("features", 1)])) == []


def test_a_broken_important_field_comes_before_a_broken_unimportant_one():
    broken = [failure("features", 1, "rain", score=math.inf), failure("features", 1, "wind", "negative_rate")]
    assert named(Evidence(FALL, broken, importances=IMPORTANCES)) == [
        ("data fault", "features.wind", 1.0),
        ("data fault", "features.rain", 0.21),
    ]


def test_a_broken_field_of_unknown_importance_is_still_named():
    (found,) = root_causes(Evidence(FALL, [failure("features", 1)]))
    assert found.sentence == "wind of features is broken: mean of wind is out of range"
    assert found.score == found.share == pytest.approx(0.6)


def test_failures_of_accuracy_and_changes_are_no_data_faults():
    assert root_causes(Evidence(FALL, [failure("delay.performance", 1), failure("features", 1, severity="warn")])) == []


def test_a_change_of_an_important_field_is_a_suspect():
    changes = [failure(table, 1, severity="warn") for table in ("features", "actuals")]
    changes += [failure("features", 1, "rain", severity="warn"), failure("predictions", 1, "delay", severity="warn")]
    evidence = Evidence(FALL, changes, importances=IMPORTANCES, actuals="actuals")
    (found,) = root_causes(evidence)
    assert (found.kind, found.subject, found.score) == ("drift", "features.wind", 0.7)
    assert found.sentence == "wind of features has changed: mean of wind is out of range"
    far = replace(evidence, drift=[FieldDrift("features", "wind", 0.3, 0.1)])
    (both,) = root_causes(far)
    assert (both.score, both.evidence[1:]) == (0.7, ("mean of wind is out of range",))
    assert both.sentence == "wind of features has moved away from the training data (PSI 0.30, threshold 0.10)"


def test_a_change_comes_before_the_segment_where_it_shows_most_if_it_can_explain_the_rise():
    origins = [SegmentChange("origin=EWR", 500, 500, 5, 17, 0.5), SegmentChange("origin=LGA", 500, 500, 35, 35, 2.0)]
    evidence = Evidence(FALL, [failure("features", 1, severity="warn")], (), IMPORTANCES, {"origin": origins})
    assert [c.kind for c in root_causes(evidence)] == ["drift", "segment"]
    slight = replace(evidence, importances={"wind": 1.0})
    assert [c.kind for c in root_causes(slight)] == ["segment", "drift"]


def test_drift_counts_by_distance_and_importance():
    moved = [
        FieldDrift("features", "hour", 1.0, 0.1),
        FieldDrift("features", "wind", 0.3, 0.1),
        FieldDrift("features", "rain", 5.0, 0.1),
        FieldDrift("features", "calm", 0.05, 0.1),
    ]
    found = root_causes(Evidence(FALL, drift=moved, importances=IMPORTANCES))
    assert [c.subject for c in found] == ["features.hour", "features.wind"]
    assert found[0].evidence == ("PSI 1.00, threshold 0.10; destroying the field costs 3 of mean absolute error",)


def test_a_drifted_field_that_is_broken_is_named_once():
    evidence = Evidence(FALL, [failure("features", 1)], [FieldDrift("features", "wind", 2.0, 0.1)], IMPORTANCES)
    assert named(evidence) == [("data fault", "features.wind", 1.0)]


def test_the_segment_that_alone_got_worse_is_named():
    origins = [
        SegmentChange("origin=EWR", 500, 500, 20, 20.1, 0.5),
        SegmentChange("origin=JFK", 300, 300, 20, 40, 1.0),
        SegmentChange("origin=LGA", 200, 200, 20, 19.9, 0.8),
    ]
    (found,) = root_causes(Evidence(FALL, segments={"origin": origins}))
    assert (found.kind, found.subject, round(found.share, 2)) == ("segment", "origin=JFK", 1.0)
    assert (
        found.sentence == "error rose from 20 to 40 where origin=JFK: 100% of the rise comes from its 30% of the rows"
    )


def test_segments_that_got_worse_alike_are_no_cause():
    origins = [SegmentChange(f"origin={o}", 100, 100, 20, 26, 1.0) for o in "ABC"]
    assert root_causes(Evidence(FALL, segments={"origin": origins})) == []


def test_a_mix_that_moved_to_harder_rows_is_told_from_segments_that_got_worse():
    origins = [SegmentChange("origin=EWR", 800, 100, 10, 10, 0.5), SegmentChange("origin=LGA", 200, 200, 40, 40, 1.0)]
    evidence = Evidence(Fall("delay", day(1), "mae", 16.0, 30.0), segments={"origin": origins})
    (found,) = root_causes(evidence)
    assert (found.kind, found.subject, round(found.share, 2)) == ("mix", "origin=LGA", 1.0)
    assert "share of origin=LGA went from 20% to 67%" in found.sentence


def test_a_lost_segment_is_a_data_fault_when_its_monitor_says_so():
    origins = [SegmentChange("origin=EWR", 800, 0, 10, math.nan), SegmentChange("origin=LGA", 200, 200, 40, 40, 1.0)]
    share = failure("features", 1, "", "share", segment="origin=EWR", detector="mix")
    evidence = Evidence(Fall("delay", day(1), "mae", 16.0, 40.0), [share], segments={"origin": origins})
    assert [(c.kind, c.subject) for c in root_causes(evidence)] == [
        ("data fault", "features.origin=EWR"),
        ("mix", "origin=LGA"),
    ]


def lost(segment: str, score: float, table: str = "features"):
    return failure(table, 1, "", f"rows of {segment}", segment=segment, detector="mix", score=score)


def test_a_part_of_a_segment_whose_value_holds_a_comma_is_the_same_cause():
    verdicts = [lost("city=Bath, ME, dest=MIA", 9.0), lost("city=Bath, ME", 5.0), lost("city=Bath", 6.0)]
    found = root_causes(Evidence(FALL, verdicts))
    assert {c.subject for c in found} == {"features.city=Bath, ME", "features.city=Bath"}


def test_a_part_of_a_broken_segment_is_the_same_cause():
    parts = [lost("origin=EWR, dest=MIA", 9.0), lost("origin=EWR", 5.0), lost("dest=BOS, origin=JFK", 6.0)]
    found = root_causes(Evidence(FALL, [*parts, lost("origin=EWR, dest=MIA", 7.0, "actuals")]))
    assert {c.subject: c.evidence for c in found} == {
        "features.origin=EWR": tuple(
            f"rows of {part} of features is out of range" for part in ("origin=EWR, dest=MIA", "origin=EWR")
        ),
        "features.dest=BOS, origin=JFK": ("rows of dest=BOS, origin=JFK of features is out of range",),
        "actuals.origin=EWR, dest=MIA": ("rows of origin=EWR, dest=MIA of actuals is out of range",),
    }
    whole = next(c for c in found if c.subject == "features.origin=EWR")
    assert whole.sentence == "origin=EWR of features is broken: rows of origin=EWR of features is out of range"


def test_a_version_that_is_worse_is_named_and_one_that_is_not_is_not():
    changes = [
        VersionChange("2", "1", instant("2013-03-01"), 20.0, 20.1, 0.5),
        VersionChange("3", "2", instant("2013-03-28"), 20.0, 26.0, 1.0),
    ]
    (found,) = root_causes(Evidence(FALL, versions=changes))
    assert (found.kind, found.subject) == ("version", "3")
    assert found.sentence == "version 3 took over from 2 at 2013-03-28, and the error went from 20 to 26"


def test_a_version_that_came_with_the_rise_comes_before_the_segment_where_it_shows_most():
    origins = [SegmentChange("origin=EWR", 500, 500, 5, 17, 0.5), SegmentChange("origin=LGA", 500, 500, 35, 35, 2.0)]
    change = VersionChange("3", "2", FALL.window.start, 20.0, 26.0, 1.0)
    evidence = Evidence(FALL, segments={"origin": origins}, versions=[change])
    assert [c.kind for c in root_causes(evidence)] == ["version", "segment"]
    before = replace(change, at=instant("2013-03-20"))
    assert [c.kind for c in root_causes(replace(evidence, versions=[before]))] == ["segment", "version"]


def test_late_labels_are_named():
    (found,) = root_causes(Evidence(FALL, labels=Labels(0.98, 0.55), actuals="actuals"))
    assert (found.kind, found.subject) == ("labels", "actuals")
    assert found.share == pytest.approx(0.43 / 0.98 / 2 * 26 / 6)
    assert found.sentence.startswith("labels are late: 55% of predictions have their label, usually 98% do")


def test_broken_actuals_are_a_matter_of_labels():
    evidence = Evidence(FALL, [failure("actuals", 1, "", "rows", detector="volume")], actuals="actuals")
    (broken,) = root_causes(evidence)
    assert (broken.kind, broken.subject) == ("labels", "actuals")
    late = replace(evidence, labels=Labels(0.98, 0.55))
    (both,) = root_causes(late)
    assert both.score == max(c.score for c in (broken, *root_causes(replace(late, verdicts=()))))
    assert set(both.evidence) == {*broken.evidence, "55% of predictions have their label, usually 98% do"}


def test_a_harder_season_is_said_last():
    evidence = Evidence(FALL, [failure("features", 1)], importances=IMPORTANCES, harder=(30.0, 36.0))
    assert [c.kind for c in root_causes(evidence)] == ["data fault", "harder"]


def test_numbers_that_are_not_known_break_nothing():
    unknown = SegmentChange("origin=EWR", 0, 10, math.nan, math.nan, math.nan)
    evidence = Evidence(
        FALL,
        [failure("features", 1, score=math.nan)],
        [FieldDrift("features", "hour", math.inf, 0.1)],
        {"wind": math.nan},
        {"origin": [unknown, SegmentChange("origin=JFK", 100, 0, 20, math.nan)], "carrier": []},
        [VersionChange("2", "1", instant("2013-04-01"), math.nan, 5.0)],
        Labels(math.nan, 0.1),
        (math.nan, 1.0),
    )
    found = root_causes(evidence)
    assert all(math.isfinite(c.score) and 0 <= c.score <= 1 for c in found)


@pytest.mark.parametrize("many", [1, 50])
def test_the_order_is_the_same_for_the_same_evidence(many):
    verdicts = [failure("features", 1, f"f{i}") for i in range(many)]
    assert named(Evidence(FALL, verdicts)) == named(Evidence(FALL, verdicts[::-1]))
