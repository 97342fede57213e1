"""What commands say and leave behind, on a real project with a real warehouse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from mlobs.history import History
from mlobs_tests.cli.conftest import PROGRAM, environment, spawn

NOW = "2024-03-21T06:00"


def test_check_tells_the_fault_with_its_reason_and_leaves_status_1(run, shop):
    done = run(shop, "check", "orders", "--window", "2024-03-20", "--json")
    assert done.exit_code == 1
    failed = {(v["field"], v["metric"]): v for v in json.loads(done.output) if v["status"] == "failed"}
    negative = failed["courier_wait_min", "negative_rate"]
    assert negative["severity"] == "error"
    assert negative["expected"]["high"] == 0.0
    assert "5 of 236 rows" in negative["reason"]


def test_check_of_a_clean_window_leaves_status_0(run, shop):
    done = run(shop, "check", "orders", "--window", "2024-03-19", "--now", NOW)
    assert done.exit_code == 0, done.output
    assert "field_health" in done.output


def test_fail_on_never_leaves_status_0_with_the_same_failures(run, shop):
    done = run(shop, "check", "orders", "--window", "2024-03-20", "--fail-on", "never")
    assert done.exit_code == 0
    assert "negative_rate" in done.output


def test_status_shows_every_model_and_can_leave_a_status(run, shop):
    done = run(shop, "status", "--json", "--now", NOW)
    assert done.exit_code == 0
    (model,) = json.loads(done.output)
    assert model["model"] == "delivery_time"
    assert model["checks"]["data"]["state"] == "error"
    assert run(shop, "status", "--exit-code", "--now", NOW).exit_code == 1


def test_incidents_are_acknowledged_expected_and_reopened_by_number(run, shop):
    listed = json.loads(run(shop, "incidents", "--json").output)
    number = str(next(i["id"] for i in listed if "courier_wait_min" in json.dumps(i)))
    assert "ann has it" in run(shop, "ack", number, "--by", "ann", "--now", "2024-03-21T07:00").output
    detail = run(shop, "incidents", number).output
    assert "acknowledged" in detail
    assert "negative rate of courier_wait_min" in detail
    assert "the monitors learn from it" in run(shop, "expected", number, "--by", "ann").output
    assert "is open again" in run(shop, "expected", number, "--undo", "--by", "ann").output
    taken = json.loads(run(shop, "ack", number, "--by", "bob", "--json").stdout)
    assert (str(taken["id"]), taken["state"], taken["acknowledged_by"]) == (number, "acknowledged", "bob")
    assert json.loads(run(shop, "expected", number, "--by", "ann", "--json").stdout)["state"] == "expected"
    assert json.loads(run(shop, "expected", number, "--undo", "--by", "ann", "--json").stdout)["state"] == "open"


def test_two_people_acknowledging_at_once_are_both_recorded_and_one_has_it(shop):
    listed = json.loads(spawn(shop, "incidents", "--json").stdout)
    number = str(listed[0]["id"])
    command = [sys.executable, "-c", PROGRAM, "ack", number, "--by"]
    both = [
        subprocess.Popen([*command, who], cwd=shop, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for who in ("ann", "bob")
    ]
    assert [one.wait(60) for one in both] == [0, 0]
    for one in both:
        one.communicate()
    told = json.loads(spawn(shop, "incidents", number, "--json").stdout)
    said = {event["by"] for event in told["events"] if event["what"] == "acknowledged"}
    assert {"ann", "bob"} <= said
    assert told["acknowledged_by"] in ("ann", "bob")


def test_a_mute_is_listed_until_it_is_revoked(run, shop):
    done = run(shop, "mute", "orders", "--field", "pieces", "--until", "2024-05-01", "--by", "ann", "--note", "sale")
    assert done.exit_code == 0
    (listed,) = json.loads(run(shop, "mute", "--list", "--json").output)
    assert listed["scope"] == {"table": "orders", "field": "pieces"}
    assert run(shop, "mute", "--revoke", str(listed["id"]), "--by", "ann").exit_code == 0
    assert run(shop, "mute", "--list").output == "nothing is muted\n"
    made = json.loads(run(shop, "mute", "orders", "--until", "2024-05-01", "--by", "bob", "--json").stdout)
    assert (made["scope"], made["by"], made["until"]) == ({"table": "orders"}, "bob", "2024-05-01T00:00:00+00:00")
    gone = json.loads(run(shop, "mute", "--revoke", str(made["id"]), "--by", "ann", "--json").stdout)
    assert (gone["id"], gone["revoked_by"]) == (made["id"], "ann")


def test_profile_of_a_file_needs_no_project(run, tmp_path):
    (tmp_path / "rides.csv").write_text("id,minutes\n" + "\n".join(f"{i},{i % 7}" for i in range(70)))
    done = run(tmp_path, "profile", "rides.csv", "--field", "minutes", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["rows"] == 70
    assert {m["metric"]: m["value"] for m in told["metrics"]}["mean"] == pytest.approx(3.0)


def test_profile_of_a_window_remembers_nothing(run, shop):
    with History(f"sqlite:///{shop / 'data' / 'history.db'}") as history:
        before = history.revision("orders")
    done = run(shop, "profile", "orders", "--window", "2024-03-20", "--field", "courier_wait_min")
    assert "-1 min" in done.output
    with History(f"sqlite:///{shop / 'data' / 'history.db'}") as history:
        assert history.revision("orders") == before


def test_explain_sql_prints_what_the_warehouse_can_run(run, shop):
    import sqlglot

    done = run(shop, "explain-sql", "orders", "--window", "2024-03-20")
    assert done.exit_code == 0
    assert all(sqlglot.parse(done.output, read="duckdb"))
    told = json.loads(run(shop, "explain-sql", "orders", "--window", "2024-03-20", "--json").stdout)
    assert told["sql"] + "\n" == done.output
    assert (told["table"], told["dialect"], told["window"]["start"]) == (
        "orders",
        "duckdb",
        "2024-03-20T00:00:00+00:00",
    )


def test_validate_finds_a_column_that_is_missing_and_names_the_nearest(run, shop, tmp_path):
    text = (shop / "monitoring.py").read_text()
    text = text.replace('"duckdb:///data', f'"duckdb:///{shop}/data').replace(
        '            "pieces",', '            "peices",'
    )
    (tmp_path / "misspelt_project.py").write_text(text)
    done = run(tmp_path, "validate", "-d", "misspelt_project.py:project", "--json")
    assert done.exit_code == 1
    told = {found["what"]: found for found in json.loads(done.output)}
    assert told["table orders"] == {
        "what": "table orders",
        "state": "broken",
        "detail": "no column 'peices', did you mean 'pieces'?",
    }
    assert told["table delivery_predictions"]["state"] == "missing"


def test_report_writes_its_files_where_it_says(run, shop, tmp_path):
    done = run(shop, "report", "--output", str(tmp_path / "pages"), "--json", "--now", NOW)
    assert done.exit_code == 0, done.output
    files = json.loads(done.output)["files"]
    assert files == [str(tmp_path / "pages" / name) for name in ("delivery_time.html", "index.html")]
    assert "negative rate of courier_wait_min" in (tmp_path / "pages" / "delivery_time.html").read_text()


def test_doctor_finds_what_is_there_and_what_is_not(run, shop):
    done = run(shop, "doctor", "--json")
    told = {found["what"]: found for found in json.loads(done.output)}
    assert told["warehouse"]["state"] == "ok"
    assert "not yet: delivery_predictions" in told["warehouse"]["detail"]
    assert told["history"]["state"] == "ok"


def test_status_of_several_models_is_one_table_with_those_in_need_first(capsys, monkeypatch):
    from mlobs.cli.reading import _all_models
    from mlobs_tests.report import pages

    monkeypatch.setenv("COLUMNS", "200")
    bad = pages.page(200, 1)
    calm = replace(bad, name="a_calm_one", glances=tuple(replace(g, state="passed") for g in bad.glances))
    _all_models([calm, bad])
    told = capsys.readouterr().out.splitlines()
    lines = [line.split() for line in told if "arrival_delay" in line or "a_calm_one" in line]
    assert [line[:3] for line in lines] == [["failed", "arrival_delay", "2"], ["passed", "a_calm_one", "2"]]
    assert "30.8 min (failed)" in next(line for line in told if "arrival_delay" in line)


def test_status_of_one_model_names_the_nearest(run, shop):
    assert "delivery_time (regression)" in run(shop, "status", "delivery_time", "--now", NOW).output
    assert "did you mean 'delivery_time'?" in run(shop, "status", "delivery_tme").stderr


@pytest.mark.slow
def test_doctor_says_whether_dagster_answers(shop, tmp_path):
    home = tmp_path / "home"
    home.mkdir()

    def finding() -> dict[str, str]:
        done = spawn(shop, "doctor", "--json", DAGSTER_HOME=str(home), DAGSTER_DISABLE_TELEMETRY="yes")
        return next(f for f in json.loads(done.stdout) if f["what"] == "Dagster instance")

    assert finding() == {
        "what": "Dagster instance",
        "state": "ok",
        "detail": f"{home}: 0 runs remembered; no daemon has run yet",
    }
    (home / "dagster.yaml").write_text("storage: {sqlite: {base_dir: /proc/nowhere}}\n")
    down = finding()
    assert down["state"] == "broken"
    assert down["detail"].startswith(f"{home}: ")
    assert "check dagster.yaml" in down["detail"]


def test_init_keeps_what_is_there(run, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    (tmp_path / "monitoring.py").write_text("# mine\n")
    done = run(tmp_path, "init")
    assert done.exit_code == 0
    assert (tmp_path / "monitoring.py").read_text() == "# mine\n"
    text = (tmp_path / "pyproject.toml").read_text()
    assert text.startswith('[project]\nname = "mine"\n')
    assert 'project = "monitoring:project"' in text
    again = json.loads(run(tmp_path, "init", "--json").stdout)
    assert {one["file"]: one["done"] for one in again["files"]} == dict.fromkeys(
        ("monitoring.py", "definitions.py", "workspace.yaml", "pyproject.toml"), "kept"
    )
    assert (tmp_path / "pyproject.toml").read_text() == text


def test_init_writes_a_project_that_loads_with_the_names_given(run, tmp_path):
    run(
        tmp_path,
        "init",
        "app",
        "--features",
        "orders",
        "--key",
        "id",
        "--time",
        "placed_at",
        "--model",
        "eta",
        "--field",
        'o"dd',
    )
    done = run(tmp_path / "app", "validate", "--no-warehouse", "-d", "monitoring.py:project")
    assert done.exit_code == 0, done.output
    assert "model eta" in done.output


@pytest.mark.slow
def test_what_init_writes_loads_in_dagster(tmp_path):
    assert spawn(tmp_path, "init", "app", "--model", "eta").returncode == 0
    program = (
        "from definitions import defs; print(*sorted(s.key.to_user_string() for s in defs.resolve_all_asset_specs()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path / "app",
        env=environment(DAGSTER_DISABLE_TELEMETRY="yes"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"features", "predictions", "actuals", "eta/performance"} <= set(done.stdout.split())


@pytest.mark.slow
def test_ctrl_c_leaves_finished_windows_and_the_next_run_goes_on(shop, tmp_path):
    done = spawn(tmp_path, "init", "--sample")
    assert done.returncode == 0
    command = [sys.executable, "-c", PROGRAM, "backfill", "orders", "--from", "2024-02-01", "--to", "2024-03-20"]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    database = tmp_path / "data" / "history.db"
    for _ in range(600):
        if database.exists() and _arrivals(database) >= 3:
            break
        time.sleep(0.1)
    os.kill(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert told.splitlines()[-1].startswith("error: interrupted")
    assert "Traceback" not in told
    assert 3 <= _arrivals(database) < 49
    again = spawn(tmp_path, "backfill", "orders", "--from", "2024-02-01", "--to", "2024-02-05")
    assert again.returncode == 0, again.stderr


def _arrivals(database) -> int:
    try:
        with History(f"sqlite:///{database}") as history:
            return len(history.arrivals("orders"))
    except Exception:  # noqa: BLE001 - the other process is just making it
        return 0
