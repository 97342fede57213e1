"""Freshness on simulated cadences and drift without and with a shift, as figures: what the tests of both only bound.

`python -m mlobs_tests.benchmarks.alert_quality.freshness_and_drift` prints the tables of docs/alert_quality.md. Seeds are fixed.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import numpy as np

from mlobs.detectors import FreshnessMonitor
from mlobs.detectors.drift import FALSE_ALARM_RATE, judged_distance
from mlobs.metrics.distances import psi
from mlobs_tests.detectors.test_freshness import START, alarms, arrivals, usual_gap

CADENCES = {"hourly": 90, "daily": 90, "weekdays": 90, "twice a day": 90, "weekly": 200, "monthly": 500}
"""Cadence and simulated days of it."""
SEEDS = range(4)
PAIRS = 4_000


def false_alarms(cadence: str) -> float:
    """False alarms per 60 days, judged by a clock every 7 hours (31 for weekly and monthly) from day 30 on."""
    days, told = CADENCES[cadence], 0
    step = timedelta(hours=7 if days < 100 else 31)
    for seed in SEEDS:
        told += len(
            alarms(arrivals(cadence, days, seed), START + timedelta(days=30), START + timedelta(days=days), step)
        )
    return 60 * told / (len(SEEDS) * (days - 30))


def stop_found(cadence: str) -> float:
    """Learned gaps from the last arrival to the first failure, the worst of the seeds; judged every twentieth of a gap."""
    worst = 0.0
    for seed in SEEDS:
        times = arrivals(cadence, CADENCES[cadence], seed)
        gap = usual_gap(cadence)
        waited = next(
            n / 20
            for n in range(1, 60)
            if FreshnessMonitor("t").judge(times, times[-1] + timedelta(hours=gap * n / 20)).failed
        )
        worst = max(worst, waited)
    return worst


def clean_rate(rows: int, shift: float = 0.0) -> float:
    """Share of batches called drifted; bins of a reference of 10,000 rows, one in 50 fields, shifted by `shift` sd."""
    from scipy.special import ndtr, ndtri

    rng = np.random.default_rng(rows)
    edges = np.concatenate([[-np.inf], ndtri(np.arange(1, 10) / 10), [np.inf]])
    before, after = np.diff(ndtr(edges)), np.diff(ndtr(edges - shift))
    fired = 0
    for p, q in zip(rng.multinomial(10_000, before, PAIRS), rng.multinomial(rows, after, PAIRS), strict=True):
        found = judged_distance(psi(p, q), p.astype(float), q.astype(float), distance="psi", fields=50)
        fired += found.value > found.threshold
    return fired / PAIRS


def main() -> None:
    """Print Markdown."""
    say = sys.stdout.write
    say("| cadence | false alarms / 60 days | stop found within (learned gaps) |\n|---|---|---|\n")
    for cadence in CADENCES:
        say(f"| {cadence} | {false_alarms(cadence):.2f} | {stop_found(cadence):.2f} |\n")
    say(f"\nStated rate over all fields: {FALSE_ALARM_RATE:g}; a fiftieth of it for each of 50.\n\n")
    say("| rows of the batch | called drifted, no shift | shift of .5 sd |\n|---|---|---|\n")
    for rows in (50, 200, 1_000, 10_000, 100_000, 1_000_000):
        say(f"| {rows:,} | {clean_rate(rows):.2%} | {clean_rate(rows, 0.5):.0%} |\n")


if __name__ == "__main__":
    main()
