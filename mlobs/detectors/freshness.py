"""`FreshnessMonitor`: learns a table's cadence from its arrivals and says when the next is late, stopped or changed. Pure.

The clock is an argument: it is judged also when nothing arrives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from mlobs.detectors.verdict import Range, Severity, Status, Verdict
from mlobs.windows import Window, instant

MIN_ARRIVALS = 6
LATE = 1.25
STOPPED = 2.0


class FreshnessMonitor:
    """Learned cadence of one table.

    Args:
        table: its name in verdicts.
    """

    def __init__(self, table: str = "") -> None:
        self.table = table

    def judge(self, arrivals: Sequence[Any], now: Any) -> Verdict:
        """Whether the newest arrival is as recent as the past ones say, at `now`.

        Args:
            arrivals: instants at which data landed, in any order; later ones than `now` are left out.
            now: the instant of judgement.

        Returns:
            A verdict of check `freshness`, metric `hours_since_arrival`; its window runs from the newest arrival to
            `now`. Severity `error` when late or stopped.
        """
        at = instant(now)
        known = sorted({instant(a) for a in arrivals if instant(a) <= at})
        window = _span(known[-1] if known else at, at)
        gaps = np.array([(b - a).total_seconds() / 3600 for a, b in zip(known, known[1:], strict=False)])
        age = (at - known[-1]).total_seconds() / 3600 if known else math.nan

        def verdict(status: Status, expected: Range, severity: Severity, reason: str, score: float = 0.0) -> Verdict:
            return Verdict(
                status,
                self.table,
                "",
                "hours_since_arrival",
                "",
                window,
                age,
                expected,
                severity,
                reason,
                "freshness",
                score,
            )

        if len(known) < MIN_ARRIVALS:
            missing = MIN_ARRIVALS - len(known)
            reason = f"{len(known)} arrivals seen; {missing} more are needed to learn the cadence"
            return verdict("learning", Range(-math.inf, math.inf, math.nan, missing), "none", reason)
        usual = float(np.median(gaps[-28:]))
        longest = float(np.max(gaps[-28:]))
        limit = max(LATE * usual, 1.1 * longest)
        expected = Range(0.0, limit, min(usual, limit))
        said = f"newest data arrived {age:.1f} h ago; the usual gap is {usual:.1f} h and the longest of late was {longest:.1f} h"
        if age > limit:
            word = "stopped" if age > STOPPED * limit else "late"
            return verdict("failed", expected, "error", f"deliveries are {word}: {said}", age / limit)
        return verdict("passed", expected, "none", said)


def _span(start: datetime, end: datetime) -> Window:
    return Window(start, max(end, start + timedelta(seconds=1)))
