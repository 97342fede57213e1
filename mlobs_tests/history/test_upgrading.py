"""An older history is brought up to date in place: nothing is lost, once, by whoever opens it first."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import DDL, Column, MetaData, Table, Text, inspect, select, update

from mlobs.errors import HistoryError
from mlobs.history import History, tables
from mlobs.history.tables import SCHEMA_VERSION, metadata
from mlobs.history.upgrading import _add_columns
from mlobs.windows import instant

NOW = instant("2013-04-01")
FIRST = json.loads((Path(__file__).parent / "schema_1.json").read_text())


def shape(history: History) -> dict[str, tuple[set[str], set[str]]]:
    """Table -> names of its columns and of its indexes."""
    with history.database.read() as connection:
        found = inspect(connection)
        return {
            name: (
                {column["name"] for column in found.get_columns(name)},
                {str(index["name"]) for index in found.get_indexes(name)},
            )
            for name in found.get_table_names()
        }


@pytest.fixture
def old(url: str) -> str:
    """A history with something in it, made older than any: it lacks a table, an index and two columns."""
    with History(url) as history:
        history.add_feedback("mute", {"table": "t"}, "ann", NOW)
        with history.database.write("schema") as connection:
            tables.deliveries.drop(connection)
            next(i for i in tables.verdicts.indexes if i.name == "verdicts_lapsed").drop(connection)
            for column in ("revoked_by", "revoked_at"):
                connection.execute(DDL(f"ALTER TABLE feedback DROP COLUMN {column}"))
            connection.execute(update(tables.schema).values(version=0))
    return url


def test_an_older_history_gets_what_it_lacks_and_keeps_what_it_holds(old: str, tmp_path: Path) -> None:
    with History(f"sqlite:///{tmp_path}/fresh.db") as fresh:
        wanted = shape(fresh)
    with History(old) as history:
        found = shape(history)
        assert {name: found[name][0] for name in wanted} == {name: columns for name, (columns, _) in wanted.items()}
        assert all(indexes <= found[name][1] for name, (_, indexes) in wanted.items())
        (kept,) = history.feedback()
        assert (kept.by, kept.revoked_by) == ("ann", None)
        assert history.revoke_feedback(kept.id, "bob", NOW).revoked_by == "bob"
        with history.database.read() as connection:
            assert sorted(connection.scalars(select(tables.schema.c.version))) == [0, SCHEMA_VERSION]


def test_several_that_open_it_at_once_upgrade_it_once(old: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: History(old), range(4)))
    try:
        with opened[0].database.read() as connection:
            assert sorted(connection.scalars(select(tables.schema.c.version))) == [0, SCHEMA_VERSION]
        assert all(len(history.feedback()) == 1 for history in opened)
    finally:
        for history in opened:
            history.close()


def test_an_older_history_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    with History(f"sqlite:///{file}") as history, history.database.write("schema") as connection:
        connection.execute(update(tables.schema).values(version=0))
    with pytest.raises(HistoryError, match="it can't be written"):
        History(f"sqlite:///file:{file}?mode=ro&uri=true")


@pytest.mark.parametrize("name", FIRST)
def test_the_schema_only_grows_in_ways_that_an_upgrade_can_follow(name: str) -> None:
    now = metadata.tables[name].columns
    assert set(FIRST[name]) <= set(now.keys())
    added = [column for column in now if column.name not in FIRST[name]]
    assert all(column.nullable or column.server_default is not None for column in added)


def test_a_column_that_old_rows_cannot_have_is_refused(url: str) -> None:
    grown = Table("feedback", MetaData(), Column("mood", Text, nullable=False))
    with (
        History(url) as history,
        pytest.raises(HistoryError, match=r"column feedback\.mood can't be added"),
        history.database.write("schema") as connection,
    ):
        _add_columns(connection, grown, set())
