"""Opening a history: what is made, what is refused, and in which words."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import update

from mlobs.errors import HistoryError
from mlobs.history import History, tables
from mlobs.windows import instant

NOW = instant("2013-04-01")


def test_opening_twice_keeps_what_is_there(url):
    with History(url) as history:
        history.add_feedback("mute", {"table": "t"}, "ann", NOW)
    with History(url) as history:
        assert [f.by for f in history.feedback()] == ["ann"]


def test_a_newer_history_is_refused_and_left_alone(url):
    with History(url) as history, history.database.write("schema") as connection:
        connection.execute(update(tables.schema).values(version=99))
    with pytest.raises(
        HistoryError, match=r"written by a newer mlobs \(schema 99, this one knows \d+\); upgrade mlobs"
    ):
        History(url)


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(HistoryError, match=r"its folder .*/nowhere doesn't exist; make it"):
        History(f"sqlite:///{tmp_path}/nowhere/history.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named():
    with pytest.raises(HistoryError, match="its folder can't be written"):
        History("sqlite:////proc/history.db")


def test_a_file_that_cannot_be_written_is_named_and_can_be_read(tmp_path: Path):
    with History(f"sqlite:///{tmp_path}/history.db") as history:
        history.add_feedback("mute", {"table": "t"}, "ann", NOW)
    with History(f"sqlite:///file:{tmp_path}/history.db?mode=ro&uri=true") as history:
        assert len(history.feedback()) == 1
        with pytest.raises(HistoryError, match="it can't be written"):
            history.add_feedback("mute", {"table": "u"}, "ann", NOW)


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path):
    file = tmp_path / "history.db"
    file.write_bytes(b"this is no database, " * 100)
    with pytest.raises(HistoryError, match="the file is damaged or no history; move it away"):
        History(f"sqlite:///{file}")
    assert file.read_bytes() == b"this is no database, " * 100


def test_a_file_cut_short_is_named(tmp_path: Path):
    file = tmp_path / "history.db"
    with History(f"sqlite:///{file}") as history:
        for number in range(200):
            history.add_feedback("mute", {"table": f"t{number}"}, "ann", NOW)
    connection = sqlite3.connect(file)
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(HistoryError, match="the file is damaged"), History(f"sqlite:///{file}") as history:
        history.feedback()


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db", "duckdb:///h.db"])
def test_other_addresses_are_refused(url):
    with pytest.raises(HistoryError, match=r"give 'sqlite:///history\.db' or 'postgresql"):
        History(url)


def test_a_server_that_is_down_is_named_without_the_password():
    with pytest.raises(HistoryError, match="check that the server runs") as raised:
        History("postgresql+psycopg://mlobs:s3cret@127.0.0.1:1/db?connect_timeout=2")
    assert "s3cret" not in str(raised.value)


def test_a_history_in_memory_serves_one_process():
    with History("sqlite://") as history:
        history.add_feedback("mute", {"table": "t"}, "ann", NOW)
        assert len(history.feedback()) == 1
    assert repr(history) == "History(None)"
