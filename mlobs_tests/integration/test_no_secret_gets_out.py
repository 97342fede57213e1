"""Passwords of databases and tokens of receivers are found nowhere that anybody reads: a project at work, and one whose servers fail.

Warehouse, history and MLflow store are a Postgres server's, with a password in each address; receivers refuse,
are unknown, and are not there. Then every file, row, log line and word of the command line is searched.
"""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy

from mlobs.alerts import Route
from mlobs.orchestration.fast_storage import fast_storage
from mlobs.orchestration.replay import Replay
from mlobs_tests.alerts.receiver import Receiver
from mlobs_tests.cli.conftest import spawn
from mlobs_tests.conftest import PostgresServer
from mlobs_tests.orchestration.shop import NAME, Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOKENS = ("s3cretword", "t0kenpath", "xoxb-T0KENA", "T0KENB", "m4ilw0rd")
PROJECT = """
import os
from pathlib import Path
import mlobs
from mlobs_tests.orchestration.shop import Shop

shop = Shop(Path(__file__).parent)
project = mlobs.Project(
    models=[shop.model()],
    warehouse=os.environ["WAREHOUSE"],
    history=os.environ["HISTORY"],
    tracking=os.environ["TRACKING"],
    routes=[mlobs.Route(name) for name in ("REFUSING", "UNKNOWN", "ABSENT")],
    clock=shop.clock,
)
"""
COMMANDS = (
    ("doctor",),
    ("validate",),
    ("status", "--json"),
    ("incidents", "--all"),
    ("versions", NAME),
    ("check", "features", "--window", "2024-01-13"),
    ("explain-sql", "features", "--window", "2024-01-13"),
    ("profile", "features", "--window", "2024-01-13"),
    ("rollback", NAME, "--to", "1", "--yes", "--by", "ann"),
    ("report",),
)


@dataclass
class World:
    """A folder with a project, the addresses it works on, and every secret in them."""

    folder: Path
    addresses: dict[str, str]
    secrets: tuple[str, ...]

    def told(self, text: str) -> list[str]:
        """The secrets that a text holds."""
        return [secret for secret in self.secrets if secret.lower() in text.lower()]

    def definitions(self, **addresses: str) -> Any:
        found = self.addresses | addresses
        routes = [Route(name) for name in ("REFUSING", "UNKNOWN", "ABSENT")]
        given = {"warehouse": "WAREHOUSE", "history": "HISTORY", "tracking": "TRACKING"}
        return Shop(self.folder).definitions(routes=routes, **{name: found[key] for name, key in given.items()})


@pytest.fixture
def world(tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    receiver = Receiver()
    receiver.answer = 500
    addresses = {
        "REFUSING": receiver.url,
        "UNKNOWN": "slak://xoxb-T0KENA/T0KENB",
        "ABSENT": "mailto://bob:m4ilw0rd@127.0.0.1:1/?from=bob@example.org&to=ann@example.org",
    }
    databases = {name: f"secrets_{name.lower()}" for name in ("WAREHOUSE", "HISTORY", "TRACKING")}
    for name, database in databases.items():
        postgres_server.execute(f"CREATE DATABASE {database}")
        addresses[name] = postgres_server.url(database)
    for name, address in addresses.items():
        monkeypatch.setenv(name, address)
    (tmp_path / "monitoring.py").write_text(PROJECT)
    gc.disable()  # a connection that is collected before the engines are disposed of, below, complains
    yield World(tmp_path, addresses, (*TOKENS, postgres_server.password))
    receiver.close()
    for kept in gc.get_objects():  # a Dagster process ends with its connections open, and this one held several
        if isinstance(kept, sqlalchemy.Engine):
            kept.dispose()
    gc.enable()
    gc.collect()
    for database in databases.values():
        postgres_server.execute(f"DROP DATABASE {database} WITH (FORCE)")


def rows(url: str) -> Iterator[str]:
    """Every row of every table of a database, as text."""
    engine = sqlalchemy.create_engine(url)
    kept = sqlalchemy.MetaData()
    with engine.connect() as connection:
        for schema in sqlalchemy.inspect(connection).get_schema_names():
            if schema != "information_schema":
                kept.reflect(connection, schema=schema)
        for table in kept.tables.values():
            for row in connection.execute(sqlalchemy.select(table)):
                yield f"{table.name}: {tuple(row)}"
    engine.dispose()


def test_a_project_at_work_and_its_failing_receivers_and_servers_tell_no_secret(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shop = Shop(world.folder)
    shop.say(now="2024-01-14T06:00", faults={"2024-01-13": "missing column"})
    home = world.folder / "dagster"
    home.mkdir()
    quiet = {"telemetry": {"enabled": False}}
    nowhere = {name: _closed(world.addresses[name]) for name in ("WAREHOUSE", "HISTORY", "TRACKING")}
    complaints: list[str] = []
    with dg.DagsterInstance.local_temp(str(home), overrides=quiet) as instance, fast_storage(instance):
        replay = Replay(world.definitions(), instance)
        for job, days in ((f"{NAME}_backfill", ("2024-01-01", "2024-01-12")), (f"{NAME}_retrain", None)):
            run = replay.run(job, **({"partition": days[0], "through": days[1]} if days else {}))
            assert run.success, run.failures
        assert not replay.run(f"{NAME}_daily", partition="2024-01-13").success
        said = replay.tick(f"{NAME}_alerts").skipped
        assert "0 messages sent, 3 wait for another try" in str(said)
        complaints.append(str(said))
        for broken in nowhere:
            down = Replay(world.definitions(**{broken: nowhere[broken]}), instance)
            complaints += _refused(lambda down=down: down.run(f"{NAME}_daily", partition="2024-01-13").failures)
            complaints += _refused(lambda down=down: down.tick(f"{NAME}_alerts").skipped)
            complaints += _refused(lambda down=down: down.run(f"{NAME}_retrain").failures)
        logs = [str(record) for run in instance.get_runs() for record in instance.all_logs(run.run_id)]
        assert any("STEP_FAILURE" in log for log in logs)
        assert world.told("\n".join(logs)) == []
    assert world.told("\n".join(complaints)) == []
    assert world.told(repr(world.definitions())) == []
    assert any("status 500" in row or "500" in row for row in rows(world.addresses["HISTORY"]) if "deliveries" in row)
    for name in nowhere:
        assert {row for row in rows(world.addresses[name]) if world.told(row)} == set()

    statuses = {}
    for arguments in COMMANDS:
        for addresses in ({}, nowhere):
            done = spawn(world.folder, *arguments, "-d", "monitoring.py:project", **addresses)
            statuses[arguments[0], bool(addresses)] = done.returncode
            assert (arguments, world.told(done.stdout + done.stderr)) == (arguments, [])
            assert "Traceback" not in done.stderr, done.stderr
    assert {name for (name, down), status in statuses.items() if not down and status > 1} == set()
    assert {name for (name, down), status in statuses.items() if down and status == 0} == set()

    pages = list((world.folder / "report").glob("*.html"))
    assert len(pages) == 2
    files = [file for file in world.folder.rglob("*") if file.is_file()]
    assert {str(file) for file in files if world.told(file.read_bytes().decode("latin-1"))} == set()
    assert world.told(caplog.text) == []
    out, error = capfd.readouterr()
    assert world.told(out + error) == []


def _closed(url: str) -> str:
    """The same address on a port where nobody listens."""
    return sqlalchemy.make_url(url).set(port=1).render_as_string(hide_password=False)


def _refused(work: Callable[[], Any]) -> list[str]:
    """What a piece of work said when its servers were down, with the whole chain of errors if it raised."""
    try:
        return [str(work())]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is searched
        return ["".join(traceback.format_exception(error))]
