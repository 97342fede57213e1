"""Several processes on one history: written at once, killed, held. Real processes, no threads."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from pathlib import Path

import pytest

from mlobs.errors import HistoryError
from mlobs.history import History

pytestmark = pytest.mark.slow


def finished(process) -> str:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def test_three_processes_open_and_write_at_once_and_nothing_is_lost(url, workers):
    names = ["a", "b", "c"]
    for process in [workers.start("many", url, name, "10") for name in names]:
        finished(process)
    with History(url) as history:
        found = Counter(kept.verdict.table for kept in history.verdicts())
        assert found == {"a": 200, "b": 200, "c": 200, "shared": 200}
        assert [len(history.arrivals(name)) for name in names] == [10, 10, 10]


def test_feedback_of_two_people_at_once_is_all_kept(url, workers):
    for process in [workers.start("say", url, name, "25") for name in ("ann", "bob")]:
        finished(process)
    with History(url) as history:
        assert Counter(f.by for f in history.feedback()) == {"ann": 25, "bob": 25}


@pytest.mark.parametrize("after", [0.05, 0.11, 0.23])
def test_a_killed_process_leaves_no_half_written_window(url, workers, after):
    process = workers.start("forever", url, "t")
    assert process.stdout.readline() == "open\n"
    time.sleep(after)
    process.kill()
    process.wait()
    with History(url) as history:
        sizes = Counter(kept.verdict.window for kept in history.verdicts("t"))
        assert set(sizes.values()) <= {200}
        history.add_feedback("mute", {"table": "t"}, "ann", history_start())  # and the lock is free


def history_start():
    from mlobs.windows import instant

    return instant("2013-01-01")


def test_a_killed_process_leaves_a_sound_file(tmp_path: Path, workers):
    url = f"sqlite:///{tmp_path}/history.db"
    process = workers.start("forever", url, "t")
    process.stdout.readline()
    time.sleep(0.2)
    process.kill()
    process.wait()
    connection = sqlite3.connect(tmp_path / "history.db")
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert connection.execute("pragma journal_mode").fetchall() == [("wal",)]
    connection.close()


def test_a_writer_waits_for_another(tmp_path: Path, workers):
    url = f"sqlite:///{tmp_path}/history.db"
    process = workers.start("hold", url, "0.5")
    assert [process.stdout.readline() for _ in range(2)] == ["open\n", "holding\n"]
    with History(url) as history:
        assert history.feedback() == []  # readers don't wait
        history.add_feedback("mute", {"table": "t"}, "ann", history_start())
        assert len(history.feedback()) == 1
    finished(process)


def test_a_lock_that_is_held_too_long_is_named(tmp_path: Path, workers):
    url = f"sqlite:///{tmp_path}/history.db"
    process = workers.start("hold", url, "30")
    assert [process.stdout.readline() for _ in range(2)] == ["open\n", "holding\n"]
    with (
        History(url, wait=0.2) as history,
        pytest.raises(HistoryError, match=r"another process has held it for more than 0.2 s; end that process"),
    ):
        history.add_feedback("mute", {"table": "t"}, "ann", history_start())
