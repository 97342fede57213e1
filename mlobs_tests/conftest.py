"""Fixtures for every room: `engine` runs a test on DuckDB, Postgres and Spark, all of them real and started here.

MLOBS_TEST_ENGINES (comma list) says which; without it duckdb and postgres. Tests that need Spark are marked `spark`, so that
`make spark` runs these alone, in one session. An engine that is asked for and can't be started fails the test; mlobs_tests/services.sh installs what is missing on Debian.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings

from mlobs.engines import Engine, Source, connect, spark_engine
from mlobs.engines.column_types import column_type
from mlobs.engines.protocol import table_node
from mlobs.engines.statements import create_schema, create_table
from mlobs.spec import Table

# an example may take long where other processes have the cores: that is no failure
settings.register_profile("patient", parent=settings(), deadline=None)
settings.load_profile("patient")

KNOWN = ("duckdb", "postgres", "spark")


def wanted_engines() -> list[str]:
    """The engines that tests run on."""
    listed = os.environ.get("MLOBS_TEST_ENGINES")
    names = (listed or "duckdb,postgres").split(",")
    found = [name.strip() for name in names if name.strip()]
    unknown = sorted(set(found) - set(KNOWN))
    if unknown or not found:
        raise pytest.UsageError(f"MLOBS_TEST_ENGINES={listed!r}: name engines out of {', '.join(KNOWN)}")
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that need Spark, and leave out those of a service that MLOBS_TEST_ENGINES leaves out."""
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if params.get("engine") == "spark" or "spark_home_session" in getattr(item, "fixturenames", ()):
            item.add_marker("spark")
    services = {"postgres": "postgres_server", "spark": "spark_home_session"}
    absent = {fixture for name, fixture in services.items() if name not in wanted_engines()}
    left_out = [item for item in items if absent & set(getattr(item, "fixturenames", ()))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


# Postgres


@dataclass(frozen=True)
class PostgresServer:
    """A server of our own, gone with the tests."""

    folder: Path
    port: int
    password: str

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        import psycopg

        address = f"host=127.0.0.1 port={self.port} user=postgres password={self.password} dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)


def _postgres_program(name: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: float(p.parts[-3]), reverse=True)
    found = str(versions[0]) if versions else shutil.which(name)
    if not found:
        pytest.fail(
            f"Postgres is not installed ({name} not found): run mlobs_tests/services.sh (apt-get install postgresql),"
            " or set MLOBS_TEST_ENGINES=duckdb to leave Postgres out"
        )
    return found


def _other_user() -> dict[str, Any]:
    """Who runs the server: Postgres refuses root, so the user that Debian's package made, or nobody."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    pytest.fail("Postgres can't run as root, and there is no user postgres: run mlobs_tests/services.sh")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    initdb, postgres = _postgres_program("initdb"), _postgres_program("postgres")
    user = _other_user()
    folder = Path(tempfile.mkdtemp(prefix="mlobs-pg-"))
    password = secrets.token_hex(12)
    try:
        (folder / "password").write_text(password)
        if user:
            for path in (folder, folder / "password"):
                os.chown(path, user["user"], user["group"])
        data = folder / "data"
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        command = [initdb, "-D", str(data), "-U", "postgres", "-E", "UTF8", "--no-sync", "--auth=scram-sha-256"]
        made = subprocess.run(
            [*command, f"--pwfile={folder / 'password'}"],
            capture_output=True, text=True, cwd=folder, env=environment, check=False, **user,
        )  # fmt: skip
        if made.returncode:
            pytest.fail(f"initdb failed: {made.stderr or made.stdout}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB", "autovacuum": "off",
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [postgres, "-D", str(data), *options], stdout=log, stderr=log, cwd=folder, env=environment, **user
            )
        try:
            server = PostgresServer(folder, port, password)
            _wait_for(server, process)
            yield server
        finally:
            process.send_signal(2)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            return server.execute("SELECT 1")
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"Postgres did not start ({error}): {(server.folder / 'log').read_text()[-2000:]}")
        time.sleep(0.05)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a new, empty database."""
    name = f"t{uuid.uuid4().hex}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


# Spark


@pytest.fixture(scope="session")
def spark_home_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        pytest.fail("pyspark is not installed: pip install 'mlobs[spark]', or leave spark out of MLOBS_TEST_ENGINES")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.fail("Java is not installed: run mlobs_tests/services.sh, or leave spark out of MLOBS_TEST_ENGINES")
    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.default.parallelism": "1",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={folder} -Duser.timezone=Asia/Tokyo -XX:TieredStopAtLevel=1",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master("local[1]").appName("mlobs tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture
def spark(spark_home_session: Any) -> Iterator[Any]:
    """A Spark session in a new, empty database. Its time zone is New York's: mlobs must not care."""
    session = spark_home_session.newSession()
    name = f"t{uuid.uuid4().hex}"
    session.sql(f"CREATE DATABASE {name}")
    session.sql(f"USE {name}")
    before = {row.namespace for row in session.sql("SHOW DATABASES").collect()}
    yield session
    session.sql("USE default")
    made = {row.namespace for row in session.sql("SHOW DATABASES").collect()} - before
    for database in (name, *made):
        session.sql(f"DROP DATABASE IF EXISTS `{database.strip('`')}` CASCADE")


# Engines


@pytest.fixture(params=wanted_engines())
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty warehouse on each engine."""
    if request.param == "duckdb":
        found = connect(f"duckdb:///{tmp_path / 'warehouse.duckdb'}", wait=10)
    elif request.param == "postgres":
        found = connect(request.getfixturevalue("postgres_url"))
    else:
        found = spark_engine(request.getfixturevalue("spark"))
    yield found
    found.close()


FillTable = Callable[..., Source]


@pytest.fixture
def fill(engine: Engine) -> FillTable:
    """`fill(name, arrow_table, schema="")` makes a table with exactly these values (NaN stays NaN) and gives its source."""

    def fill_table(name: str, rows: pa.Table, schema: str = "") -> Source:
        table = Table(name, time="-", key="-", schema=schema)
        _FILL[engine.dialect](engine, table, rows)
        return Source.table(table.path)

    return fill_table


def _fill_duckdb(engine: Any, table: Table, rows: pa.Table) -> None:
    from sqlglot import exp

    with engine._connection(write=True) as connection:
        if table.schema:
            connection.execute(engine.sql(create_schema(table)))
        connection.register("filling", rows)
        made = exp.Create(this=table_node(table.path), kind="TABLE", expression=exp.select("*").from_("filling"))
        connection.execute(engine.sql(made))


def _fill_postgres(engine: Any, table: Table, rows: pa.Table) -> None:
    from mlobs.engines.server import _Hands

    with engine._connection() as connection, connection.begin():
        hands = _Hands(engine, connection)
        if table.schema:
            hands.do(create_schema(table))
        hands.do(create_table(table.path, {f.name: column_type(f.type) for f in rows.schema}))
        hands.write(table_node(table.path), rows)


def _fill_spark(engine: Any, table: Table, rows: pa.Table) -> None:
    from mlobs.engines.session import _Hands

    if table.schema:
        engine.spark.sql(engine.sql(create_schema(table)))
    with engine._work() as session:
        schema = _Hands(engine, session)._schema(rows)
        session.createDataFrame(rows, schema=schema).write.saveAsTable(engine.sql(table_node(table.path)))


_FILL = {"duckdb": _fill_duckdb, "postgres": _fill_postgres, "spark": _fill_spark}
