"""What a page says, gathered from a real history: filled through its own methods, read back as content."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlobs.detectors.accuracy import performance_name
from mlobs.detectors.verdict import Range, Verdict
from mlobs.errors import HistoryError, MlobsError
from mlobs.history import History
from mlobs.incidents import lineage_of, update
from mlobs.report import write
from mlobs.report.collect import model_page
from mlobs.spec import Field, Model, Table
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window

COMMON = {"key": "id", "time": "at", "start": "2024-01-01"}
MODEL = Model(
    name="eta",
    task="regression",
    features=Table("features", fields=(Field("wait", unit="min"), "city"), segments=("city",), **COMMON),
    predictions=Table("predictions", fields=("eta",), **COMMON),
    actuals=Table("actuals", fields=(Field("minutes", unit="min"),), **COMMON),
    prediction="eta",
    actual="minutes",
)
NOW = datetime(2024, 2, 10, 6, tzinfo=UTC)
DAYS = [Window.day("2024-01-01").shifted(timedelta(days=i)) for i in range(40)]


def said(status: str, window: Window, table: str = "features", **given: object) -> Verdict:
    basis = Verdict(
        status=status,
        table=table,
        field="",
        metric="rows",
        segment="",
        window=window,
        value=100.0,
        expected=Range(80.0, 120.0, 100.0),
        severity="error" if status == "failed" else "none",
        reason="rows are 100",
        detector="volume",
    )
    return replace(basis, **given)


@pytest.fixture
def history() -> Iterator[History]:
    with History("sqlite://") as made:
        yield made


def test_a_model_that_was_never_checked_has_an_empty_page(history):
    page = model_page(MODEL, history, NOW)
    assert [(g.name, g.state) for g in page.glances] == [
        ("Accuracy", "learning"),
        ("Data", "learning"),
        ("Freshness", "learning"),
        ("Incidents", "passed"),
        ("Retraining", "passed"),
    ]
    assert page.fields == page.versions == page.decisions == page.incidents == ()
    assert page.accuracy.points == ()


def test_a_failed_field_is_a_row_of_the_heat_map_beside_windows_in_which_it_passed(history):
    for day in DAYS:
        history.save_verdicts("features", day, ["volume"], [said("passed", day)], NOW)
    negative = said(
        "failed",
        DAYS[30],
        field="wait",
        metric="negative_rate",
        value=0.02,
        expected=Range(0.0, 0.0, 0.0),
        reason="5 of 250 rows are negative",
        detector="field_health",
    )
    history.save_verdicts("features", DAYS[30], ["field_health"], [negative], NOW)
    page = model_page(MODEL, history, NOW)
    heat = page.heat_maps[0]
    assert [(row.label, row.failures) for row in heat.rows] == [("wait", 1)]
    assert heat.windows == 40
    assert heat.rows[0].cells[30] == (DAYS[30], "error", "5 of 250 rows are negative")
    assert {state for _, state, _ in heat.rows[0].cells} == {"passed", "error"}
    field = page.fields[0]
    assert (field.field, field.unit, field.failed_windows, field.state) == ("wait", "min", 1, "error")
    assert field.histories[0].series.values == (0.02,)
    assert page.glances[1].value == "1 check pass"
    assert page.tables[0].volume.values == (100.0,) * 40


def test_later_windows_than_now_are_left_out(history):
    for day in DAYS:
        history.save_verdicts("features", day, ["volume"], [said("passed", day)], NOW)
    page = model_page(MODEL, history, DAYS[9].end)
    assert page.heat_maps[0].windows == 10
    assert page.tables[0].volume.windows == tuple(DAYS[:10])


def state(error: float, rows: int = 100, labelled: int = 100) -> AccuracyState:
    sums = {"abs_error": error * labelled, "naive_rows": labelled, "naive_abs_error": 2.0 * error * labelled}
    return AccuracyState("regression", rows, labelled=labelled, sums=sums)


def test_accuracy_is_trailing_over_mature_windows_and_shows_the_lowest_limit(history):
    name = performance_name(MODEL)
    for i, day in enumerate(DAYS[:20]):
        history.save_accuracy("eta", day, "1" if i < 10 else "2", "", state(4.0 if i < 10 else 6.0), NOW)
        verdict = said("passed", day, name, metric="mae", value=4.0, expected=Range(0.0, 5.5, 4.4), detector="accuracy")
        history.save_verdicts(name, day, ["accuracy"], [verdict], NOW)
    history.save_accuracy("eta", DAYS[20], "2", "", state(9.0, labelled=3), NOW)
    pending = said(
        "pending", DAYS[20], name, metric="mae", expected=Range(-math.inf, math.inf, math.nan), detector="accuracy"
    )
    history.save_verdicts(name, DAYS[20], ["accuracy"], [pending], NOW)
    story = model_page(MODEL, history, NOW).accuracy
    assert (story.metric, story.unit, story.span) == ("mae", "min", 14)
    assert [p.versions for p in story.points[9:11]] == [("1",), ("2",)]
    newest = story.mature[-1]
    assert newest.window == DAYS[19]
    assert newest.error == pytest.approx(6.0)
    assert newest.trailing == pytest.approx((4 * 4.0 + 10 * 6.0) / 14)
    assert newest.naive == pytest.approx(2 * (4 * 4.0 + 10 * 6.0) / 14)
    assert newest.limit == 5.5
    last = story.points[-1]
    assert (last.state, last.coverage) == ("pending", 0.03)
    assert math.isnan(last.trailing)


def test_decisions_are_newest_first_repeated_ones_once_and_refused_challengers_among_them(history):
    for i, (answer, reason) in enumerate(
        (("wait", "cooldown"), ("wait", "cooldown"), ("hold", "volume failed"), ("retrain", "mae"))
    ):
        history.save_decision("eta", DAYS[i].end, answer, reason, "accuracy", {})
    info = {
        "promoted": False,
        "verdict": "not better",
        "trigger": "accuracy",
        "rows": 1234,
        "cv_error": 4.2,
        "fit_seconds": 75,
    }
    history.save_version("eta", "2", DAYS[5].end, info)
    page = model_page(MODEL, history, NOW)
    assert [(d.answer, d.reason) for d in page.decisions] == [
        ("refused", "version 2: not better"),
        ("retrain", "mae"),
        ("hold", "volume failed"),
        ("wait", "cooldown"),
    ]
    assert dict(page.versions[0].facts) == {
        "Trained": "2024-01-07",
        "Rows": "1,234",
        "Cross-validated mae": "4.2",
        "Fit time": "1 min 15 s",
        "Asked for by": "accuracy",
        "Outcome": "not better",
    }


def test_the_champion_is_the_version_promoted_last(history):
    for version, day in (("1", 2), ("2", 9), ("1", 12)):
        history.save_version("eta", version, DAYS[int(version)].end, {"rows": 10})
        history.record_promotion("eta", version, DAYS[day].end, "ann", "better")
    page = model_page(MODEL, history, NOW)
    assert page.champion == "1"
    assert [(v.version, v.champion) for v in page.versions] == [("2", False), ("1", True)]
    assert [p.version for p in page.promotions] == ["1", "2", "1"]


def test_incidents_of_its_tables_are_listed(history):
    for day in DAYS[:3]:
        history.save_verdicts(
            "features", day, ["volume"], [said("failed", day, reason="half the rows are missing")], NOW
        )
    update(history, lineage_of([MODEL]), DAYS[2].end)
    page = model_page(MODEL, history, NOW)
    assert [(i.status, i.severity, i.detail) for i in page.incidents] == [
        ("open", "error", "half the rows are missing")
    ]
    assert (page.glances[3].value, page.glances[3].state) == ("1 open", "error")


def test_files_are_written_whole_and_say_the_same_again(history, tmp_path):
    history.save_verdicts("features", DAYS[0], ["volume"], [said("failed", DAYS[0])], NOW)
    first = write([MODEL], history, tmp_path / "new" / "report", NOW)
    assert [file.name for file in first] == ["eta.html", "index.html"]
    before = [file.read_bytes() for file in first]
    assert [
        file.read_bytes() for file in write([MODEL], history, tmp_path / "new" / "report", "2024-02-10T06:00")
    ] == before
    assert sorted(file.name for file in (tmp_path / "new" / "report").iterdir()) == ["eta.html", "index.html"]


def test_a_folder_that_cannot_be_written_is_named(history, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MlobsError, match=r"report folder .*file.* can't be written: .*choose another folder"):
        write([MODEL], history, tmp_path / "file" / "report", NOW)


def test_a_closed_database_is_an_error_not_half_a_page(tmp_path):
    made = History(f"sqlite:///{tmp_path / 'history.db'}")
    made.close()
    (tmp_path / "history.db").write_bytes(b"no database at all, just some bytes that are long enough to be read as one")
    with pytest.raises(HistoryError, match=r"history\.db"):
        write([MODEL], made, tmp_path / "report", NOW)
    assert not (tmp_path / "report").exists()


def test_a_table_that_models_share_is_worked_out_once_and_told_alike(history, monkeypatch):
    from mlobs.report import tables as told

    bad = said("failed", DAYS[3], field="wait", metric="negative_rate", detector="field_health")
    history.save_verdicts("features", DAYS[3], ["field_health"], [bad], NOW)
    other = replace(MODEL, name="eta2")
    asked: list[str] = []
    whole = told.failed_fields

    def counted(table, known, verdicts):
        asked.append(table.id)
        return whole(table, known, verdicts)

    monkeypatch.setattr(told, "failed_fields", counted)
    read = told.Tables(history, DAYS[0].start, NOW)
    first, second = (model_page(model, history, NOW, tables=read) for model in (MODEL, other))
    assert asked == ["features", "predictions", "actuals"]
    assert [f.field for f in first.fields] == ["wait"]
    assert (first.fields, first.tables, first.heat_maps) == (second.fields, second.tables, second.heat_maps)
