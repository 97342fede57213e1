"""CPU that learned monitors take beside the profiles: learning from a year of a table with 100 fields, judging one window of it.

    python -m mlobs_tests.benchmarks.alert_quality.cost

To compare, the same numbers get plain rolling z-scores (pandas), which look at one metric at a time and learn nothing else.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mlobs import TableMonitor
from mlobs_tests.benchmarks.alert_quality.clean_years import year
from mlobs_tests.benchmarks.profiles.clock import least

FIELDS, ROWS, WINDOWS, HISTORY, TIMES = 100, 1_000, 365, 180, 5


def main() -> None:
    windows = list(year(FIELDS, ROWS, 0, windows=WINDOWS + 1))
    (last, newest), past = windows[-1], windows[:-1]
    values = pd.DataFrame([[m.value for m in profile.found] for _, profile in past], dtype=float)

    def observed(known: int) -> TableMonitor:
        monitor = TableMonitor("simulated")
        for window, profile in past[:known]:
            monitor.observe(profile, window)
        return monitor

    # a monitor learns once, when it is first asked; each run needs its own
    fresh = iter([observed(WINDOWS) for _ in range(TIMES)])
    shorter = observed(HISTORY)
    shorter.judge(*reversed(past[HISTORY]))

    def z_scores() -> int:
        before = values.rolling(28).median().shift(1), values.rolling(28).std().shift(1)
        return int(np.nansum(np.abs((values - before[0]) / before[1]) > 4))

    took = least(
        {
            "learn a year": lambda: next(fresh).judge(newest, last),
            f"judge one window after {HISTORY}": lambda: shorter.judge(*reversed(past[HISTORY])),
            "rolling z-scores of the year": z_scores,
        },
        TIMES,
    )
    print(f"{FIELDS} fields, {values.shape[1]} metrics, {WINDOWS} windows; least CPU of {TIMES} runs")
    unit = took["rolling z-scores of the year"]
    for what, seconds in took.items():
        print(f"{what:<32} {seconds * 1e3:>8.0f} ms   {seconds / unit:>5.1f} x z-scores")


if __name__ == "__main__":
    main()
