"""A user's mistake is one clear sentence on stderr and status 2; never a traceback, never something lost."""

from __future__ import annotations

import sqlite3

import pytest

from mlobs_tests.cli.conftest import spawn


def mistake(done) -> str:
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr.removeprefix("error: ").strip()


def test_no_project(run, tmp_path):
    assert mistake(run(tmp_path, "status")).startswith("no project named: give -d module:attribute, set MLOBS_PROJECT")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("monitorin.py:project", "doesn't exist; did you mean 'monitoring.py'?"),
        ("monitoring.py:projekt", "module 'monitoring.py' has no 'projekt'; did you mean 'project'?"),
        ("monitoring.py:delivery_time", "is a Model, not an mlobs.Project; known: project"),
        ("monitoring.py:", "write it as module:attribute"),
        ("no_such_module_anywhere:project", "project module 'no_such_module_anywhere' can't be found from"),
    ],
)
def test_a_project_that_is_not_there(run, shop, given, said):
    assert said in mistake(run(shop, "status", "-d", given))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import not_installed_anywhere", "it imports 'not_installed_anywhere', which is not installed"),
        ("x = (", "fails on import at line 1: SyntaxError"),
        ("\n1 / 0", "fails on import at line 2: ZeroDivisionError: division by zero"),
        ("import mlobs\nmlobs.Table('t', time='at', key=())", "table 't': name at least one key column"),
    ],
)
def test_a_project_that_fails_says_where(run, tmp_path, text, said):
    (tmp_path / "broken_project.py").write_text(text)
    assert said in mistake(run(tmp_path, "status", "-d", "broken_project.py:project"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "oders"), "no table or model 'oders' in this project; did you mean 'orders'?"),
        (("versions", "delivery_tim"), "no model 'delivery_tim' in this project; did you mean 'delivery_time'?"),
        (("explain-sql", "order"), "no table 'order' in this project; did you mean 'orders'?"),
        (("profile", "orders", "-f", "peices"), "orders has no field 'peices'; did you mean 'pieces'?"),
        (("check", "orders", "-w", "yesterdayish"), "'yesterdayish' is no instant"),
        (("backfill", "orders", "--from", "2024-03-02", "--to", "2024-03-01"), "lies after --to 2024-03-01: swap them"),
        (("mute", "orders", "--check", "drifd", "--until", "2024-05-01"), "no check 'drifd'; did you mean 'drift'?"),
        (("mute", "orders"), "say until when: --until TIME"),
        (("ack", "999"), "there is no incident 999; open ones:"),
        (("mute", "--revoke", "999"), "there is no mute 999; `mlobs mute --list`"),
        (("profile", "missing.parquet"), "file missing.parquet doesn't exist"),
        (("demo", "--until", "2013-13-01"), "'2013-13-01' is no date"),
    ],
)
def test_unknown_names_come_with_the_nearest(run, shop, arguments, said):
    assert said in mistake(run(shop, *arguments))


def test_a_history_that_is_not_there_is_not_made_by_looking(run, tmp_path):
    run(tmp_path, "init", "--sample")
    assert "nothing has been checked yet" in mistake(run(tmp_path, "status", "-d", "monitoring.py"))
    assert not (tmp_path / "data").exists()


def test_a_history_of_a_newer_mlobs_is_refused(run, tmp_path, shop):
    run(tmp_path, "init", "--sample")
    (tmp_path / "data").mkdir()
    with (
        sqlite3.connect(shop / "data" / "history.db") as source,
        sqlite3.connect(tmp_path / "data" / "history.db") as copy,
    ):
        source.backup(copy)
        name = next(
            n
            for (n,) in copy.execute(
                "select name from sqlite_master where name like '%schema%' or name like '%version%'"
            )
        )
        column = next(row[1] for row in copy.execute(f"pragma table_info({name})") if row[1] in ("version", "number"))
        copy.execute(f"update {name} set {column} = 9999")  # noqa: S608 - names read from the database itself
    copy.close()
    source.close()
    assert "newer" in mistake(run(tmp_path, "status", "-d", "monitoring.py"))


def test_a_report_folder_in_the_way(run, shop, tmp_path):
    (tmp_path / "file").write_text("in the way")
    told = mistake(run(shop, "report", "-o", str(tmp_path / "file" / "pages")))
    assert "can't be written" in told
    assert "choose another folder" in told


def test_init_into_a_file(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "can't be written" in mistake(run(tmp_path, "init", "file"))


def test_usage_mistakes_leave_status_2_as_well(tmp_path):
    done = spawn(tmp_path, "backfill", "orders")
    assert done.returncode == 2
    assert "--from" in done.stderr
