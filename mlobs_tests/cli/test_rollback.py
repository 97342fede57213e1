"""Versions trained, compared, rolled back and restored by the command line alone, on a real MLflow store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from mlobs.history import History
from mlobs.tracking import Tracking
from mlobs_tests.cli.conftest import spawn

Run = Callable[..., Result]

LATER = ("2024-03-01T06:00", "2024-03-18T06:00")


@pytest.fixture
def trained(tmp_path: Path, run: Run) -> Path:
    """A sample project of its own with two versions; the second serves."""
    folder = tmp_path / "shop"
    made = spawn(tmp_path, "init", "shop", "--sample")
    assert made.returncode == 0, made.stderr
    until = ("--from", "2024-02-01", "--to", "2024-03-17", "--now", "2024-03-18T06:00")
    for table in ("orders", "deliveries"):
        judged = spawn(folder, "backfill", table, *until)
        assert judged.returncode == 0, judged.stderr
    for now in LATER:
        done = run(folder, "train", "delivery_time", "--now", now)
        assert done.exit_code == 0, done.output
    return folder


def versions(run: Run, folder: Path) -> dict[str, Any]:
    return {
        v["version"]: v
        for v in json.loads(run(folder, "versions", "delivery_time", "--json", "--now", "2024-04-01").output)
    }


def test_a_version_is_rolled_back_and_back_again_by_one_command_each_with_who_and_why(run: Run, trained: Path) -> None:
    told = ("--by", "bob", "--note", "worse on weekends", "--now", "2024-03-22")
    done = run(trained, "rollback", "delivery_time", "--yes", *told)
    assert (done.exit_code, done.output.split(";")[0]) == (0, "delivery_time: version 1 is the champion")
    found = versions(run, trained)
    assert [found[v]["champion"] for v in ("1", "2")] == [True, False]
    assert found["1"]["facts"]["Deployed"].endswith("by bob: worse on weekends")
    assert any(line.startswith("rows ") for line in found["2"]["changed"])
    assert "worse on weekends" in run(trained, "versions", "delivery_time", "--now", "2024-04-01").output
    with History(f"sqlite:///{trained / 'data' / 'history.db'}") as history:
        pinned = history.reference("orders")
    assert pinned is not None
    assert pinned.version == "1", "drift is measured against the data of the version that serves"
    told = ("--by", "ann", "--note", "mended", "--now", "2024-03-23")
    back = json.loads(run(trained, "rollback", "delivery_time", "--to", "2", "-y", "--json", *told).stdout)
    assert (back["champion"], back["by"], back["note"]) == ("2", "ann", "mended")
    assert back["training_data"]["start"] == "2024-02-01T00:00:00+00:00"
    with History(f"sqlite:///{trained / 'data' / 'history.db'}") as history:
        audit = [(p.version, p.by, p.reason) for p in history.promotions("delivery_time")]
    assert audit[2:] == [("1", "bob", "worse on weekends"), ("2", "ann", "mended")]


def test_an_alias_deleted_by_hand_is_set_again_by_the_command_that_the_error_names(run: Run, trained: Path) -> None:
    tracking = Tracking(f"sqlite:///{trained / 'data' / 'mlflow.db'}")
    tracking.client.delete_registered_model_alias("delivery_time", "champion")
    refused = run(trained, "train", "delivery_time", "--now", "2024-03-18T08:00")
    assert refused.exit_code != 0
    assert "mlobs rollback delivery_time --to 2" in str(refused.exception) + refused.output
    assert run(trained, "rollback", "delivery_time", "--to", "2", "-y", "--now", "2024-03-18T09:00").exit_code == 0
    champion = tracking.champion("delivery_time")
    assert champion is not None
    assert champion.version == "2"


def test_a_rollback_that_leads_nowhere_changes_nothing(run: Run, trained: Path) -> None:
    assert run(trained, "rollback", "delivery_time", "-y", "--to", "9").exit_code != 0
    assert versions(run, trained)["2"]["champion"]
