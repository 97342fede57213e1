"""DuckDB lets one process write: two Dagster runs in two processes at the same time, and a third that holds the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from mlobs_tests.integration.conftest import ROOT
from mlobs_tests.orchestration.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HOLDER = """
import sys, time, duckdb
with duckdb.connect(sys.argv[1]) as connection:
    print("held", flush=True)
    time.sleep(8)
"""


def test_two_runs_at_the_same_time_both_succeed(folder: Path, environment: dict[str, str]) -> None:
    Shop(folder).say(now="2024-02-02T06:00")
    warehouse = folder / "warehouse.duckdb"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(warehouse)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    runs = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mlobs_tests.integration.run_once",
                "basket_daily",
                day,
                "shop/features",
                "shop/predictions",
            ],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for day in ("2024-02-01", "2024-02-02")
    ]
    said = [run.communicate(timeout=400)[0] for run in runs]
    holder.communicate(timeout=60)
    assert [run.returncode for run in runs] == [0, 0], said
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        counted = 'select "at"::date::text, count(*) from shop.predictions group by 1 order by 1'
        assert connection.sql(counted).fetchall() == [("2024-02-01", 150), ("2024-02-02", 150)]
    with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey(["shop", "predictions"])) == {
            "2024-02-01",
            "2024-02-02",
        }
