"""The replay's clock stands where it was put, is shared by processes through its file, and runs on when released."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mlobs.demo.clock import START, ReplayClock
from mlobs.errors import HistoryError
from mlobs.windows import instant


def test_it_begins_with_the_year(tmp_path: Path) -> None:
    assert ReplayClock(tmp_path / "clock.json")() == START == instant("2013-01-01")


def test_it_stands_still_and_others_read_the_same(tmp_path: Path) -> None:
    clock = ReplayClock(tmp_path / "deep" / "clock.json")
    clock.set(instant("2013-05-01"))
    assert clock() == clock() == ReplayClock(clock.file)() == instant("2013-05-01")


def test_released_it_runs_at_our_speed(tmp_path: Path) -> None:
    clock = ReplayClock(tmp_path / "clock.json")
    clock.set(instant("2013-05-01"))
    clock.release()
    first, second = clock(), clock()
    assert instant("2013-05-01") <= first < second < instant("2013-05-01") + timedelta(hours=1)


def test_a_spoiled_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text("{")
    with pytest.raises(HistoryError, match="make demo"):
        ReplayClock(tmp_path / "clock.json")()
