"""The main job: a short replay through real Dagster tells the story of the first fault, and mistakes are told kindly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from mlobs.demo import command, summary
from mlobs.demo.replay import MARKER, Result, last_day, prepare, replay
from mlobs.errors import SpecError, WarehouseError
from mlobs.incidents import incidents
from mlobs.metrics.accuracy import metrics
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window, instant

THROUGH = date(2013, 4, 12)
"""The day after the negative ages: blocked, held, alerted and recovered by then."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    before = dict(os.environ)
    yield replay(tmp_path_factory.mktemp("demo") / "out", THROUGH)
    os.environ.clear()
    os.environ.update(before)


def test_every_day_was_predicted_once_and_only_once(told: Result) -> None:
    with told.project.open() as opened:
        rows = opened.engine.fetch(told.project.models[0].predictions)
    per_day = rows["scheduled_at"].dt.floor("D").value_counts()
    assert sorted(per_day.index) == [instant(f"2013-04-{n:02d}") for n in range(1, 13)]
    assert rows["flight_id"].is_unique
    assert set(rows["model_version"]) == {"1"}


def test_the_negative_ages_block_hold_and_recover(told: Result) -> None:
    with told.project.open() as opened:
        found = [(e.day, e.what) for e in summary.events(told, opened.history)]
    assert (date(2013, 4, 11), "blocked") in found
    assert (date(2013, 4, 11), "hold") in found
    assert (date(2013, 4, 12), "recovered") in found
    assert found.index((date(2013, 4, 1), "promoted")) == 0


def test_no_other_day_was_blocked(told: Result) -> None:
    failed = [run.tags for _, run in told.runs if not run.success]
    assert [tags["dagster/partition"] for tags in failed] == ["2013-04-11"]


def test_the_corrected_day_has_no_live_fault(told: Result) -> None:
    with told.project.open() as opened:
        model = told.project.models[0]
        day = Window(instant("2013-04-11"), instant("2013-04-12"))
        live = opened.history.verdicts(model.features.id, since=day.start, until=day.end, status="failed")
        ever = opened.history.verdicts(model.features.id, since=day.start, until=day.end, status="failed", live=False)
        rows = opened.engine.fetch(model.features, day)
    negative = "minutes_since_weather_observation"
    assert not [v for v in live if v.verdict.field == negative and v.verdict.severity == "error"]
    assert [v for v in ever if v.verdict.field == negative and v.verdict.severity == "error"]
    assert (rows[negative] >= 0).all()


def test_one_fault_of_the_shared_features_is_one_incident_that_names_both_models(told: Result) -> None:
    day = Window(instant("2013-04-11"), instant("2013-04-12"))
    with told.project.open() as opened:
        found = incidents(opened.history, since=day.start, until=day.end)
        blocked = [opened.engine.fetch(model.predictions, day) for model in told.project.models]
    (broken,) = [i for i in found if "minutes_since_weather_observation" in i.title and i.severity != "warn"]
    assert {"arrival_delay", "late_arrival"} <= set(broken.touched.models)
    assert all(len(rows) for rows in blocked), "both followed when the day was delivered again"


def test_the_second_model_predicts_probabilities_with_their_expected_accuracy(told: Result) -> None:
    with told.project.open() as opened:
        rows = opened.engine.fetch(told.project.models[1].predictions)
        known = opened.history.accuracy("late_arrival")
        said = opened.history.verdicts("late_arrival.performance", metric="estimated_log_loss")
    assert rows["probability"].between(0, 1).all()
    assert rows["expected_accuracy"].between(0, 1).all()
    figures = metrics(AccuracyState.merge("binary", (AccuracyState.from_bytes(payload) for _, _, payload in known)))
    assert figures["roc_auc"] > 0.6
    assert figures["estimated_roc_auc"] == pytest.approx(figures["roc_auc"], abs=0.08)
    assert {stored.verdict.window for stored in said} == {Window.day(f"2013-04-{n:02d}") for n in range(1, 13)}


def test_the_alert_reached_the_receiver_and_named_the_field(told: Result) -> None:
    assert any("minutes_since_weather_observation" in title for title in told.messages), told.messages


def test_dagster_kept_partitions_checks_and_ticks(told: Result) -> None:
    home = told.project.root / "dagster" if told.project.root else None
    assert home is not None
    with dg.DagsterInstance.from_config(str(home)) as instance:
        key = dg.AssetKey(["flights", "features"])
        assert len(instance.get_materialized_partitions(key)) == 102
        checks = {e.check_name for _, run in told.runs for e in run.evaluations if e.asset_key == key}
        assert checks == {"field_health", "drift", "freshness", "volume", "mix", "schema"}


def test_the_summary_and_the_report_come_out(told: Result, capsys: pytest.CaptureFixture[str]) -> None:
    said = command.tell(told, Console(width=200))
    printed = capsys.readouterr().out
    assert "two clocks disagreed upstream" in printed
    pages = said["report"]
    assert all("minutes_since_weather_observation" in page.read_text() for page in pages if page.name != "index.html")
    faults = [event["text"] for event in said["events"] if event["what"] == "fault"]
    assert any("two clocks disagreed upstream" in text for text in faults)
    assert said["messages"] == told.messages
    assert said["alarm_days"]["scripted"] >= 1


# Mistakes


@pytest.mark.parametrize(
    ("until", "days", "words"),
    [
        ("2013-13-01", None, "is no date"),
        ("2013-03-31", None, "lies outside"),
        ("2014-01-01", None, "lies outside"),
        (None, 0, "at least 1"),
    ],
)
def test_bad_dates_are_refused(until: str | None, days: int | None, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        last_day(until, days)


def test_dates() -> None:
    assert last_day(None, None) == date(2013, 9, 30)
    assert last_day("2013-12-31", None) == date(2013, 12, 31)
    assert last_day(None, 30) == date(2013, 4, 30)
    assert last_day(None, 9999) == date(2013, 12, 31)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(WarehouseError, match="won't empty"):
        prepare(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_earlier_replay_is_replaced(tmp_path: Path) -> None:
    (prepare(tmp_path / "out") / "old").touch()
    assert not (prepare(tmp_path / "out") / "old").exists()
    assert (tmp_path / "out" / MARKER).exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(WarehouseError, match="it is a file"):
        prepare(tmp_path / "out")


def test_a_folder_that_cant_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WarehouseError, match="can't write"):
        prepare(tmp_path / "file" / "below")


def test_no_replay_to_open(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="run the demo first"):
        command.ui(tmp_path, 3000)


def test_mistakes_on_the_command_line_are_one_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    run = [sys.executable, "-m", "mlobs", "demo", "--days", "1", "--output", str(tmp_path)]
    found = subprocess.run(run, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "won't empty" in found.stderr + found.stdout
    assert "Traceback" not in found.stderr + found.stdout
    assert (tmp_path / "mine").exists()


def test_the_receiver_is_gone_afterwards(told: Result) -> None:
    from mlobs.demo.project import RECEIVER
    from mlobs.demo.receiver import receiver

    with receiver():
        address = os.environ[RECEIVER].removeprefix("json://").rstrip("/").split(":")
    assert RECEIVER not in os.environ
    with socket.socket() as probe:
        assert probe.connect_ex((address[0], int(address[1]))) != 0
