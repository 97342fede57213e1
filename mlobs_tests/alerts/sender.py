"""A process that updates incidents and delivers alerts, to be run beside others or killed; used by test_processes.py.

sender.py URL NOW    says "ready", waits for a line on its input, updates and delivers, says what was sent
"""

from __future__ import annotations

import sys

from mlobs.alerts import Route, deliver
from mlobs.history import History
from mlobs.incidents import update
from mlobs.windows import instant
from mlobs_tests.incidents.world import LINEAGE


def main(url: str, at: str) -> None:
    import apprise  # noqa: F401 (so that processes start sending at one moment)

    now = instant(at)
    with History(url) as history:
        print("ready", flush=True)
        sys.stdin.readline()
        update(history, LINEAGE, now)
        print(sum(d.sent for d in deliver(history, [Route("CHAT")], now)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
