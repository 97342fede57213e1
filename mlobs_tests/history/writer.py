"""A process that writes to a history, to be run beside others or killed; used by test_processes.py.

writer.py many URL NAME COUNT    writes COUNT windows of verdicts and arrivals of one table, then ends
writer.py forever URL TABLE      writes windows of PER_WINDOW verdicts until it is killed
writer.py hold URL SECONDS       keeps the write lock for so long
writer.py say URL NAME COUNT     adds COUNT pieces of feedback as NAME
"""

from __future__ import annotations

import itertools
import sys
import time
from datetime import UTC, datetime, timedelta

from mlobs.detectors.verdict import Range, Verdict
from mlobs.history import History
from mlobs.windows import Window

START = datetime(2013, 1, 1, tzinfo=UTC)
PER_WINDOW = 200


def day(number: int) -> Window:
    return Window(START + timedelta(number), START + timedelta(number + 1))


def verdicts(table: str, window: Window, count: int) -> list[Verdict]:
    return [
        Verdict("passed", table, f"f{i}", "mean", "", window, float(i), Range(0, 1, 0.5), "none", "fine", "mix")
        for i in range(count)
    ]


def write_window(history: History, table: str, number: int, count: int) -> None:
    window = day(number)
    history.save_verdicts(table, window, ["mix"], verdicts(table, window, count), window.end)


def main(task: str, url: str, what: str, count: str = "0") -> None:
    with History(url) as history:
        print("open", flush=True)
        if task == "many":
            for number in range(int(count)):
                write_window(history, "shared", number, 20)
                write_window(history, what, number, 20)
                history.record_arrival(what, day(number), day(number).end, 1, {"a": "int"}, None)
        elif task == "forever":
            for number in itertools.count():
                write_window(history, what, number, PER_WINDOW)
        elif task == "hold":
            with history.database.write("held"):
                print("holding", flush=True)
                time.sleep(float(what))
        elif task == "say":
            for number in range(int(count)):
                history.add_feedback("mute", {"table": "t", "field": f"{what}{number}"}, what, START)


if __name__ == "__main__":
    main(*sys.argv[1:])
