"""CPU seconds of several pieces of work, taken in turns so that a busy machine disturbs all alike; the least of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def least(work: Mapping[str, Callable[[], object]], times: int) -> dict[str, float]:
    """Name -> the least CPU seconds (user and system, all threads) out of `times` runs."""
    found = dict.fromkeys(work, float("inf"))
    for _ in range(times):
        for name, one in work.items():
            before = time.process_time()
            one()
            found[name] = min(found[name], time.process_time() - before)
    return found
