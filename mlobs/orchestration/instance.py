"""Whether the Dagster instance answers, in a sentence; for `mlobs doctor`, which runs it in a process of its own."""

from __future__ import annotations

import time

import dagster as dg


def state() -> str:
    """Runs that are remembered, and how long ago the daemon was last alive.

    Raises:
        Exception: Dagster's own, when its storage can't be opened.
    """
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs_count()
        beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    alive = f"daemon alive {time.time() - max(beats):.0f} s ago" if beats else "no daemon has run yet"
    return f"{runs} runs remembered; {alive}"
