"""Histories to test on: a fresh SQLite file for every test, and a fresh Postgres schema where a server is installed.

Starts its own Postgres server in a temporary folder; touches nothing else.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlobs
from mlobs.history import History

ROOT = str(Path(next(iter(mlobs.__path__))).parent)


def postgres_folder() -> Path | None:
    """Where the server's programs are, if one is installed."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


POSTGRES = postgres_folder()
KINDS = ["sqlite", "postgres"] if POSTGRES else ["sqlite"]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of our own, that ends with the tests."""
    assert POSTGRES is not None
    home = (
        Path(tempfile.gettempdir()) / f"mlobs-postgres-{os.getpid()}"
    )  # not below pytest's folder, which other users can't enter
    home.mkdir()
    user = {"user": "postgres"} if os.getuid() == 0 else {}
    if user:
        shutil.chown(home, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = str(home / "data")
    calm = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": home}
    subprocess.run([POSTGRES / "initdb", "-D", data, "-U", "mlobs", "-A", "trust", "-N"], check=True, **calm, **user)
    options = ["-p", str(port), "-h", "127.0.0.1", "-k", str(home), "-F"]
    server = subprocess.Popen([POSTGRES / "postgres", "-D", data, *options], **calm, **user)
    try:
        wait_for(port)
        yield f"postgresql+psycopg://mlobs@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)  # at once, without saving: the data goes with the folder
        server.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def wait_for(port: int) -> None:
    """Returns when the server answers."""
    import psycopg

    for _ in range(300):
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="mlobs", dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("Postgres doesn't start")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty history, on each database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    server = request.getfixturevalue("postgres")
    import sqlalchemy

    name = f"t{abs(hash(request.node.nodeid))}"
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"create schema {name}")
    engine.dispose()
    return f"{server}?options=-csearch_path%3D{name}"


@pytest.fixture
def history(url: str) -> Iterator[History]:
    with History(url) as opened:
        yield opened


class Workers:
    """Runs `writer.py` in processes of their own."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "writer.py"), *arguments],
            env=os.environ | {"PYTHONPATH": ROOT},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(process)
        return process


@pytest.fixture
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    for process in started.running:
        process.kill()
        process.communicate()
