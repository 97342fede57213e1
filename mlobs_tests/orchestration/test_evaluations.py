"""Verdicts to what a Dagster check says: literal verdicts in, literal outcome out."""

import math
from dataclasses import replace

import dagster as dg

from mlobs.detectors.verdict import Range, Verdict
from mlobs.orchestration.evaluations import MAX_ROWS, evaluate
from mlobs.windows import Window

DAY = Window.day("2024-02-01")
ROWS = Verdict(
    "passed", "shop.features", "", "rows", "", DAY, 150.0, Range(120, 180, 151), "none", "150 rows", "volume"
)
NEGATIVE = Verdict(
    "failed", "shop.features", "amount", "negative_rate", "", DAY, 0.04, Range(0, 0.001, 0), "error",
    "6 of 150 values are negative; none of 4,500 was before", "field_health", math.inf,
)  # fmt: skip
MEAN = replace(NEGATIVE, metric="mean", value=55.0, expected=Range(30, 50, 40), severity="warn", reason="up", score=5.0)


def test_passed_gives_value_and_range_as_series() -> None:
    found = evaluate("volume", [ROWS, NEGATIVE])
    assert found.passed
    assert found.description == "1 metrics within their expected ranges"
    assert found.metadata == {
        "failed metrics": 0,
        "judged metrics": 1,
        "rows": 150.0,
        "rows low": 120.0,
        "rows high": 180.0,
    }


def test_failed_lists_the_worst_first_with_its_reason() -> None:
    found = evaluate("field_health", [MEAN, NEGATIVE, ROWS])
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.description == "6 of 150 values are negative; none of 4,500 was before (and 1 more)"
    table = found.metadata["failing"]
    assert [record.data["metric"] for record in table.records] == ["negative_rate", "mean"]
    assert table.records[0].data == {
        "field": "amount",
        "metric": "negative_rate",
        "segment": "",
        "value": "0.04",
        "expected range": "0 to 0.001",
        "severity": "error",
        "reason": "6 of 150 values are negative; none of 4,500 was before",
    }


def test_only_warnings_are_a_warning() -> None:
    assert evaluate("field_health", [MEAN]).severity is dg.AssetCheckSeverity.WARN


def test_learning_and_pending_pass_and_say_so() -> None:
    learning = replace(
        ROWS, status="learning", reason="3 windows of 8", expected=Range(-math.inf, math.inf, math.nan, 5)
    )
    found = evaluate("volume", [learning])
    assert found.passed
    assert found.description == "learning: 3 windows of 8"
    assert found.metadata["learning metrics"] == 1
    pending = replace(
        ROWS, status="pending", detector="accuracy", metric="mae", value=math.nan, reason="labels mature tomorrow"
    )
    found = evaluate("accuracy", [pending])
    assert (found.passed, found.description) == (True, "pending: labels mature tomorrow")
    assert found.metadata["pending metrics"] == 1


def test_nothing_to_judge_passes() -> None:
    found = evaluate("mix", [ROWS])
    assert (found.passed, found.description) == (True, "nothing to judge in this window")


def test_the_picture_is_drawn_for_the_worst_failure_only() -> None:
    asked = []

    def picture(verdict: Verdict) -> str:
        asked.append(verdict)
        return "<svg/>"

    assert "picture" not in evaluate("volume", [ROWS], picture).metadata
    image = evaluate("field_health", [MEAN, NEGATIVE], picture).metadata["picture"]
    assert asked == [NEGATIVE]
    assert image.md_str == "![negative_rate of amount](data:image/svg+xml;base64,PHN2Zy8+)"


def test_drift_plots_its_largest_distance() -> None:
    verdicts = [
        replace(MEAN, detector="drift", metric="psi", field=f, value=v, status="passed")
        for f, v in (("a", 0.1), ("b", 0.3))
    ]
    assert evaluate("drift", verdicts).metadata["largest psi"] == 0.3


def test_a_flood_of_failures_is_cut() -> None:
    found = evaluate("field_health", [replace(NEGATIVE, field=f"f{n}") for n in range(MAX_ROWS + 10)])
    assert len(found.metadata["failing"].records) == MAX_ROWS
    assert found.metadata["failed metrics"] == MAX_ROWS + 10
