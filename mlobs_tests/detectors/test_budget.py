"""The false-alarm budget on simulated clean years: few here, all of them in the benchmark `clean_years`; and its cost."""

import time

import numpy as np
import pytest

from mlobs.detectors import TableMonitor
from mlobs.detectors.budget import tail_quantiles
from mlobs_tests.benchmarks.alert_quality.clean_years import BUDGETS, HISTORY, Shape, realised, year


@pytest.mark.parametrize(("fields", "rows", "weekly"), [(5, 200, 0.5), (30, 2_000, 0.0)])
def test_realised_alarms_lie_near_the_budget(fields, rows, weekly):
    alarms = days = 0
    for seed in range(2):
        monitor = TableMonitor("t", false_alarms_per_month=4.0)
        for n, (window, profile) in enumerate(year(fields, rows, seed, windows=208, weekly=weekly)):
            if n >= 28:
                days += 1
                alarms += any(v.failed for v in monitor.judge(profile, window))
            monitor.observe(profile, window)
    assert 0.3 * 4 <= 30 * alarms / days <= 1.3 * 4


def test_the_benchmark_s_shortcut_counts_what_the_monitor_does():
    for budget, (alarms, days) in zip(BUDGETS, realised(Shape(5, 50, weekly=0.5), 1, windows=120), strict=True):
        monitor, told = TableMonitor("t", false_alarms_per_month=budget), 0
        for n, (window, profile) in enumerate(year(5, 50, 1, windows=120, weekly=0.5)):
            if n >= HISTORY:
                told += any(v.failed for v in monitor.judge(profile, window))
            monitor.observe(profile, window)
        assert (told, 92) == (alarms, days)


def test_limits_of_families_seen_in_some_windows_only_are_those_of_each_by_itself():
    rng = np.random.default_rng(5)
    samples, rates = rng.pareto(4.0, (180, 4)) + 0.2, np.array([[0.001] * 4, [0.02] * 4, [0.4] * 4])
    samples[rng.random(samples.shape) < [0.0, 0.3, 0.9, 0.99]] = np.nan
    together = tail_quantiles(samples, rates)
    for at in range(4):
        own = samples[np.isfinite(samples[:, at]), at : at + 1]
        assert tail_quantiles(own, rates[:, at : at + 1])[:, 0] == pytest.approx(together[:, at])
    assert (np.diff(together, axis=0) <= 0).all(), "rarer is further out"
    # within what was seen it is the sample's own quantile
    assert together[2, 0] == pytest.approx(np.quantile(samples[:, 0], 0.6))


def test_judging_a_hundred_fields_is_cheap():
    windows = list(year(100, 1_000, 0, windows=182))
    monitor = TableMonitor("t")
    for window, profile in windows[:180]:
        monitor.observe(profile, window)
    began = time.process_time()
    monitor.judge(windows[180][1], windows[180][0])
    assert time.process_time() - began < 4.0  # learns 180 windows first
    began = time.process_time()
    for _ in range(5):
        monitor.judge(windows[180][1], windows[180][0])
    assert (time.process_time() - began) / 5 < 0.15  # 0.03 s on a quiet machine
