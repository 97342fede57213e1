"""Simulated years without a fault: is the false-alarm budget honest, whatever the fields, rows and patterns?

Metrics are drawn from their sampling distributions (normal, lognormal and uniform fields; binomial nulls and shares;
Poisson or weekly row counts; trend), not from rows, so that 200 fields of 50,000 rows cost no more than 5 of 50.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from mlobs.metrics.measurement import Measurement
from mlobs.windows import Window

FIRST = Window("2022-01-03", "2022-01-04")


@dataclass(frozen=True)
class Drawn:
    """A profile that is nothing but its measurements."""

    rows: int
    found: list[Measurement]

    def measurements(self) -> list[Measurement]:
        return self.found


def year(
    fields: int, rows: int, seed: int, *, windows: int = 393, weekly: float = 0.0, trend: float = 0.0, day: float = 0.0
) -> Iterator[tuple[Window, Drawn]]:
    """Clean windows of one table.

    Args:
        fields: number of fields, taking turns between normal, lognormal, uniform, categorical and boolean.
        rows: mean rows a window.
        weekly: amplitude of the weekday pattern of rows and of half of the means, in their own spread.
        trend: growth of rows and of a quarter of the means over a year, in their own spread.
        day: day-to-day movement of every mean, in standard deviations of the rows.
    """
    rng = np.random.default_rng(seed)
    nulls = rng.choice([0.0, 0.0, 0.002, 0.05], fields)
    true = rng.uniform(0.05, 0.9, fields)
    weights = [rng.dirichlet(np.ones(int(rng.integers(2, 7))) * 3) for _ in range(fields)]
    for t in range(windows):
        window = FIRST.shifted(timedelta(days=t))
        week = weekly * math.sin(2 * math.pi * (t % 7) / 7)
        n = max(int(rng.poisson(rows * math.exp(0.3 * week + trend * t / 365))), 1)
        found: list[Measurement] = []
        for f in range(fields):
            name = f"f{f}"
            k = int(rng.binomial(n, nulls[f]))
            m = max(n - k, 1)
            found.append(Measurement(name, "null_rate", "rate", k / n, n, k))
            move = (week if f % 2 else 0.0) * 0.3 + (trend * t / 365 if f % 4 == 0 else 0.0) + day * rng.normal()
            kind = f % 5
            if kind < 3:
                found += _numeric(name, kind, m, move, rng)
            elif kind == 3:
                counts = rng.multinomial(m, weights[f])
                found.append(
                    Measurement(name, "distinct", "count", float((counts > 0).sum()), m, int((counts > 0).sum()))
                )
                for level, count in enumerate(counts):
                    found.append(Measurement(name, "share", "rate", count / m, m, int(count), f"{name}=v{level}"))
            else:
                count = int(rng.binomial(m, true[f]))
                found.append(Measurement(name, "true_rate", "rate", count / m, m, count))
        found.append(Measurement("", "rows", "count", float(n), n, n))
        yield window, Drawn(n, found)


def _numeric(name: str, kind: int, n: int, move: float, rng: np.random.Generator) -> list[Measurement]:
    if n <= 400:
        z = rng.normal(size=n) if kind < 2 else rng.uniform(-1.7, 1.7, n)
        x = np.exp(0.8 * (z + move)) if kind == 1 else z + move
        mean, sd, low, high = float(x.mean()), float(x.std()), float(x.min()), float(x.max())
        p05, p50, p95 = (float(q) for q in np.quantile(x, [0.05, 0.5, 0.95]))
    else:
        # the central limit for means and quantiles, exact extremes of n draws
        grid = np.array([0.05, 0.5, 0.95])
        noise = rng.normal(size=3) * np.array([2.11, 1.25, 2.11]) / math.sqrt(n)
        edge = rng.uniform(size=2)
        if kind == 2:
            quantiles = -1.7 + 3.4 * grid + rng.normal(size=3) * 3.4 * np.sqrt(grid * (1 - grid) / n)
            low, high = -1.7 + 3.4 * (1 - edge[0] ** (1 / n)), 1.7 - 3.4 * (1 - edge[1] ** (1 / n))
            mean, sd = rng.normal() / math.sqrt(n) * 0.98, 0.98 * (1 + rng.normal() * 0.45 / math.sqrt(n))
        else:
            from scipy.special import ndtri

            quantiles = np.array([-1.6449, 0.0, 1.6449]) + noise
            low, high = float(ndtri(1 - edge[0] ** (1 / n))), float(-ndtri(1 - edge[1] ** (1 / n)))
            mean, sd = rng.normal() / math.sqrt(n), 1 + rng.normal() / math.sqrt(2 * n)
        if kind == 1:
            quantiles, low, high = (
                np.exp(0.8 * (quantiles + move)),
                math.exp(0.8 * (low + move)),
                math.exp(0.8 * (high + move)),
            )
            scale = math.exp(0.32 + 0.8 * move)
            mean, sd = scale * (1 + 0.95 * mean), scale * 0.95 * (1 + rng.normal() * 2.2 / math.sqrt(n))
        else:
            quantiles, low, high, mean = quantiles + move, low + move, high + move, mean + move
        p05, p50, p95 = (float(q) for q in quantiles)
    negative = 0.5 if kind != 1 else 0.0
    k = int(rng.binomial(n, negative))
    values = (
        ("mean", "location", mean),
        ("std", "scale", max(sd, 0.0)),
        ("min", "extreme", low),
        ("max", "extreme", high),
    )
    found = [Measurement(name, metric, what, value, n) for metric, what, value in values]  # type: ignore[arg-type]
    found += [
        Measurement(name, metric, "location", value, n) for metric, value in (("p05", p05), ("p50", p50), ("p95", p95))
    ]
    return [*found, Measurement(name, "negative_rate", "rate", k / n, n, k)]


SHAPES = (
    (5, 50, 0, 0, 0),
    (5, 5_000, 0.5, 0.5, 0),
    (20, 300, 1, 0, 0.1),
    (50, 1_000, 0, 1, 0),
    (50, 50_000, 0.5, 0, 0.02),
    (200, 200, 0.5, 0.3, 0),
)
"""(fields, rows, weekly amplitude, trend, day-to-day movement) of the simulated tables."""


def main(seeds: int = 2) -> None:
    """Print the realised alarms as a multiple of the budget asked for."""
    import sys

    from mlobs.detectors import TableMonitor

    budgets = (0.25, 1.0, 4.0)
    sys.stdout.write(
        "| fields | rows | weekly | trend | day | " + " | ".join(f"budget {b:g}" for b in budgets) + " |\n"
    )
    sys.stdout.write("|---" * (5 + len(budgets)) + "|\n")
    for fields, rows, weekly, trend, day in SHAPES:
        ratios = []
        for budget in budgets:
            alarms = days = 0
            for seed in range(seeds):
                monitor = TableMonitor("t", false_alarms_per_month=budget)
                for n, (window, profile) in enumerate(year(fields, rows, seed, weekly=weekly, trend=trend, day=day)):
                    if n >= 28:
                        days += 1
                        alarms += any(v.failed for v in monitor.judge(profile, window))
                    monitor.observe(profile, window)
            ratios.append(30 * alarms / days / budget)
        shown = " | ".join(f"{r:.2f}" for r in ratios)
        sys.stdout.write(f"| {fields} | {rows} | {weekly} | {trend} | {day} | {shown} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
