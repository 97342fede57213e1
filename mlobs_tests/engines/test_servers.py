"""Postgres for real: lost connections, cancelled queries, landings at once, no password in messages; and other URLs."""

from __future__ import annotations

import threading
import time
from typing import Any

import pandas as pd
import pytest
import sqlalchemy

from mlobs.engines import Source, connect
from mlobs.errors import DataError, WarehouseError
from mlobs.spec import Table
from mlobs.windows import Window

FLIGHTS = Table("flights", key="id", time="at")
DAY = Window.day("2013-04-01")


def frame(ids: list[int], **columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "at": pd.to_datetime(["2013-04-01"] * len(ids), utc=True), **columns})


@pytest.fixture
def admin(postgres_url: str) -> Any:
    """A second connection, to act on the first."""
    engine = sqlalchemy.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def when_seen(admin: Any, act: str) -> threading.Thread:
    """Call the server's function `act` on whoever sleeps in this database, as soon as someone does."""
    sleeping = sqlalchemy.column("wait_event") == "PgSleep"
    here = sqlalchemy.column("datname") == sqlalchemy.func.current_database()
    acting = sqlalchemy.select(getattr(sqlalchemy.func, act)(sqlalchemy.column("pid")))
    query = acting.select_from(sqlalchemy.table("pg_stat_activity")).where(sleeping, here)

    def watch() -> None:
        for _ in range(200):
            if admin.execute(query).fetchall():
                return
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_cancelled_query_is_one_clear_error(postgres_url: str, admin: Any) -> None:
    engine = connect(postgres_url)
    watcher = when_seen(admin, "pg_cancel_backend")
    with pytest.raises(WarehouseError, match="the query was cancelled") as caught:
        engine.run("SELECT pg_sleep(30)")
    watcher.join()
    assert "\n" not in str(caught.value)
    assert engine.run("SELECT 1 AS n").to_pylist() == [{"n": 1}]
    engine.close()


def test_a_lost_connection_is_one_clear_error_and_the_next_one_works(postgres_url: str, admin: Any) -> None:
    engine = connect(postgres_url)
    watcher = when_seen(admin, "pg_terminate_backend")
    with pytest.raises(WarehouseError, match="the connection was lost") as caught:
        engine.run("SELECT pg_sleep(30)")
    watcher.join()
    assert "\n" not in str(caught.value)
    assert engine.run("SELECT 1 AS n").to_pylist() == [{"n": 1}]
    admin.execute(sqlalchemy.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                                  " AND datname = current_database()"))  # fmt: skip
    assert engine.run("SELECT 2 AS n").to_pylist() == [{"n": 2}]
    engine.close()


def test_a_connection_lost_amid_a_landing_changes_nothing(postgres_url: str, admin: Any) -> None:
    engine = connect(postgres_url)
    engine.land(FLIGHTS, DAY, frame([1, 2], x=[1.0, 2.0]))
    before = engine.columns(Source.table(FLIGHTS.path))
    # A slow trigger holds the landing's insert, so that there is time to cut the connection.
    admin.execute(
        sqlalchemy.text(
            "CREATE FUNCTION slow() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(30); RETURN NEW; END' LANGUAGE plpgsql"
        )
    )
    admin.execute(sqlalchemy.text("CREATE TRIGGER slow BEFORE INSERT ON flights FOR EACH ROW EXECUTE FUNCTION slow()"))

    cutter = when_seen(admin, "pg_terminate_backend")
    with pytest.raises(WarehouseError, match=r"table 'flights', window 2013-04-01: the connection was lost"):
        engine.land(FLIGHTS, DAY, frame([1, 9], x=[10.0, 90.0], new=[1, 2]))
    cutter.join()
    assert engine.columns(Source.table(FLIGHTS.path)) == before
    assert sorted(engine.fetch(FLIGHTS)["x"]) == [1.0, 2.0]
    engine.close()


def test_landings_of_one_window_at_once_leave_one_of_them(postgres_url: str) -> None:
    engines = [connect(postgres_url) for _ in range(4)]
    failures: list[BaseException] = []

    def land(n: int) -> None:
        try:
            for _ in range(3):
                engines[n].land(FLIGHTS, DAY, frame([n * 100 + i for i in range(20)], x=[n] * 20))
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            failures.append(error)

    threads = [threading.Thread(target=land, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = engines[0].fetch(FLIGHTS)
    assert (len(found), found["x"].nunique()) == (20, 1)
    for engine in engines:
        engine.close()


def test_a_session_s_own_time_zone_does_not_matter(postgres_url: str, admin: Any) -> None:
    admin.execute(sqlalchemy.text("ALTER ROLE postgres SET timezone = 'Asia/Tokyo'"))
    try:
        engine = connect(postgres_url)
        engine.land(FLIGHTS, DAY, pd.DataFrame({"id": [1], "at": pd.to_datetime(["2013-04-01 23:00"])}))
        assert engine.columns(Source.table(FLIGHTS.path))["at"] == "timestamp without time zone"
        assert engine.fetch(FLIGHTS, DAY)["id"].tolist() == [1]
        types = engine.run("SELECT CAST('2013-04-01 23:00' AS TIMESTAMPTZ) AS at").to_pylist()
        assert [row["at"].isoformat() for row in types] == ["2013-04-01T23:00:00+00:00"]
        engine.close()
    finally:
        admin.execute(sqlalchemy.text("ALTER ROLE postgres RESET timezone"))


def test_types_that_postgres_alone_has(postgres_url: str, admin: Any) -> None:
    admin.execute(sqlalchemy.text("CREATE DOMAIN percentage AS numeric(5, 2)"))
    admin.execute(sqlalchemy.text("CREATE TYPE mood AS ENUM ('sad', 'happy')"))
    admin.execute(
        sqlalchemy.text(
            "CREATE TABLE odd (u uuid, j jsonb, a integer[], v varchar(5), n numeric, p percentage, m mood, i interval, ip inet,"
            " t time, c char(3), s smallint, r real)"
        )
    )
    admin.execute(
        sqlalchemy.text(
            "INSERT INTO odd VALUES ('00000000-0000-0000-0000-000000000001', '{\"a\": [1]}', '{1,2}', 'abc', 'NaN', 12.5,"
            " 'happy', '1 day', '10.0.0.1', '05:00', 'ab', 1, 0.5)"
        )
    )
    admin.execute(sqlalchemy.text("INSERT INTO odd DEFAULT VALUES"))
    engine = connect(postgres_url)
    odd = Source.table(("odd",))
    assert engine.columns(odd) == {
        "u": "uuid", "j": "jsonb", "a": "integer[]", "v": "character varying(5)", "n": "numeric", "p": "numeric(5,2)",
        "m": "mood", "i": "interval", "ip": "inet", "t": "time without time zone", "c": "character(3)", "s": "smallint",
        "r": "real",
    }  # fmt: skip
    kinds = engine.kinds(odd)
    assert {n: k for n, k in kinds.items() if k} == {
        "u": "categorical", "v": "categorical", "n": "numeric", "p": "numeric", "c": "categorical", "s": "numeric", "r": "numeric"
    }  # fmt: skip
    found = engine.run(odd.select()).to_pylist()
    assert found[0]["u"] == "00000000-0000-0000-0000-000000000001"
    assert found[0]["n"] != found[0]["n"]
    assert found[0]["m"] == "happy"
    assert set(found[1].values()) == {None}
    engine.close()


def test_a_value_that_postgres_refuses_is_a_data_error(postgres_url: str, admin: Any) -> None:
    admin.execute(sqlalchemy.text("CREATE TABLE flights (id bigint, at timestamptz, code varchar(3))"))
    engine = connect(postgres_url)
    engine.land(FLIGHTS, DAY, frame([1], code=["abc"]))
    with pytest.raises(DataError, match=r"window 2013-04-01: value too long .*varying\(3\)\. Nothing was changed"):
        engine.land(FLIGHTS, DAY, frame([2], code=["abcd"]))
    with pytest.raises(DataError, match=r"Nothing was changed"):
        engine.land(FLIGHTS, DAY, frame([2], code=["a\x00"]))
    with pytest.raises(DataError, match=r"longer than Postgres's 63 bytes"):
        engine.land(FLIGHTS, DAY, frame([2], **{"x" * 64: [1]}))
    assert engine.fetch(FLIGHTS)["id"].tolist() == [1]
    engine.close()


def test_a_view_can_be_read_but_not_landed_in(postgres_url: str, admin: Any) -> None:
    admin.execute(sqlalchemy.text("CREATE VIEW flights AS SELECT 1::bigint AS id, now() AS at GROUP BY 1"))
    engine = connect(postgres_url)
    assert engine.exists(FLIGHTS)
    assert engine.run(Source.table(FLIGHTS.path).select("count(*) AS n")).to_pylist() == [{"n": 1}]
    with pytest.raises(WarehouseError, match=r"cannot delete from view"):
        engine.land(FLIGHTS, DAY, frame([1]))
    engine.close()


def test_a_query_can_change_nothing(postgres_url: str, admin: Any) -> None:
    admin.execute(sqlalchemy.text("CREATE SEQUENCE s"))
    engine = connect(postgres_url)
    for text in ("SELECT nextval('s')", "CREATE TABLE made (n int)"):
        with pytest.raises(WarehouseError, match="read-only transaction"):
            engine.run(text)
    engine.close()


def test_passwords_stay_out_of_messages(postgres_url: str) -> None:
    password = sqlalchemy.make_url(postgres_url).password
    assert password
    engine = connect(postgres_url)
    with pytest.raises(WarehouseError) as caught:
        engine.columns(Source.table(("nope",)))
    assert password not in str(caught.value)
    assert "***" in str(caught.value)
    engine.close()
    wrong = connect(postgres_url.replace(password, "secret-but-wrong"))
    with pytest.raises(WarehouseError, match="password authentication failed") as caught:
        wrong.exists(FLIGHTS)
    assert "secret-but-wrong" not in str(caught.value)


def test_a_server_that_is_not_there(postgres_url: str) -> None:
    url = sqlalchemy.make_url(postgres_url)
    for wrong in (url.set(port=1), url.set(host="no-such-host.invalid"), url.set(database="no_such_database")):
        engine = connect(wrong.render_as_string(hide_password=False))
        for work in (lambda e=engine: e.run("SELECT 1"), lambda e=engine: e.land(FLIGHTS, DAY, frame([1]))):
            with pytest.raises(WarehouseError, match=r"can't be reached .*check that it is up, and the URL") as caught:
                work()
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "is no warehouse URL"),
        ("warehouse.duckdb", "is no warehouse URL"),
        ("postgres://u:secret@h/db", r"no warehouse dialect 'postgres'; did you mean 'postgresql'"),
        ("sqlite:///x.db", "no warehouse dialect 'sqlite'"),
        ("mysql://u:secret@h/db", "no warehouse dialect 'mysql'"),
        (
            "snowflake://u:secret@account/db",
            r"snowflake: its driver is not installed; pip install 'snowflake-sqlalchemy'",
        ),
        ("bigquery://project/dataset", r"driver is not installed; pip install 'sqlalchemy-bigquery'"),
        ("databricks://token:secret@h", r"driver is not installed; pip install 'databricks-sqlalchemy'"),
        ("trino://u:secret@h/c", r"driver is not installed; pip install 'trino\[sqlalchemy\]'"),
        ("clickhouse://u:secret@h/db", r"driver is not installed; pip install 'clickhouse-connect'"),
        ("postgresql+nodriver://u:secret@h/db", r"driver is not installed; pip install 'mlobs\[postgres\]'"),
        ("postgresql://u:secret@h:port/db", "can't be read"),
    ],
)
def test_urls_that_can_t_be_used(url: str, message: str) -> None:
    with pytest.raises(WarehouseError, match=message) as caught:
        connect(url)
    assert "secret" not in str(caught.value)


def test_many_rows_land_by_copy(postgres_url: str) -> None:
    engine = connect(postgres_url)
    count = 20_000
    rows = frame(list(range(count)), x=[i / 7 for i in range(count)], s=[f"row\t{i}\n\\N" for i in range(count)])
    engine.land(FLIGHTS, DAY, rows)
    found = engine.fetch(FLIGHTS, DAY).sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(found, rows, check_dtype=False)
    engine.close()
