"""Simulated years without a fault: is the false-alarm budget honest, whatever the fields, rows and patterns?

Metrics are drawn from their sampling distributions (normal, lognormal and uniform fields; binomial nulls and shares;
Poisson or weekly row counts; trend), not from rows, so that 200 fields of 50,000 rows cost no more than 5 of 50.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from mlobs.detectors.columns import columns_of
from mlobs.detectors.families import UNJUDGED
from mlobs.detectors.judged import FAILED
from mlobs.detectors.learner import Learner
from mlobs.detectors.series import Row, Series
from mlobs.metrics.measurement import Measurement
from mlobs.states.grid import HALF, value
from mlobs.windows import Window

HISTORY = 28
"""Windows before the first one that is judged."""
NORMAL_BINS = np.diff(
    ndtr(np.concatenate([[-np.inf], value(np.arange(1 - HALF, HALF), 0.0, 4 * 1.35, 4 * 1.35), [np.inf]]))
)
"""Shares of a normal field's rows in the bins of its grid, whose scale is four interquartile ranges."""
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
    found = [Measurement(name, metric, what, of, n) for metric, what, of in values]  # type: ignore[arg-type]
    found += [
        Measurement(name, metric, "location", value, n) for metric, value in (("p05", p05), ("p50", p50), ("p95", p95))
    ]
    fullest = int(rng.multinomial(n, NORMAL_BINS).max())
    found.append(Measurement(name, "mode_count", "count", float(fullest), n, fullest))
    return [*found, Measurement(name, "negative_rate", "rate", k / n, n, k)]


class Shape(NamedTuple):
    """What a simulated table looks like; see `year`."""

    fields: int
    rows: int
    weekly: float = 0.0
    trend: float = 0.0
    day: float = 0.0


SHAPES = (
    Shape(5, 50),
    Shape(5, 5_000, weekly=0.5, trend=0.5),
    Shape(10, 200, weekly=0.5),
    Shape(20, 300, weekly=1, day=0.1),
    Shape(20, 50_000, trend=1),
    Shape(50, 1_000, trend=1),
    Shape(50, 50_000, weekly=0.5, day=0.02),
    Shape(100, 500, weekly=1, trend=0.5),
    Shape(100, 10_000, day=0.05),
    Shape(200, 200, weekly=0.5, trend=0.3),
)
BUDGETS = (0.25, 1.0, 4.0)
YEARS = 4
"""Years of each shape: 40 in all."""


def realised(shape: Shape, seed: int, windows: int = 393) -> list[tuple[int, int]]:
    """(windows with an alarm, windows judged) of one year for each of `BUDGETS`.

    It walks the learner itself, as `TableMonitor` does, but judges each window once instead of once to judge and once to learn,
    and writes no sentences; a test holds the two together.
    """
    series, walked = Series(), []
    moves = {"weekly": shape.weekly, "trend": shape.trend, "day": shape.day}
    for window, profile in year(shape.fields, shape.rows, seed, windows=windows, **moves):
        found = [m for m in profile.measurements() if m.metric not in UNJUDGED]
        walked.append((series.align(found), window.start.weekday()))
    columns, size = columns_of(series.keys, series.kinds), len(series.keys)
    nothing = np.zeros(size, bool)
    out = []
    for budget in BUDGETS:
        learner, alarms = Learner(budget / 30), 0
        for n, (row, weekday) in enumerate(walked):
            full = Row(*(np.concatenate([part, np.full(size - len(part), np.nan)]) for part in row))
            judged = learner.judge(full, columns, weekday, bounds=False)
            failed = judged.status == FAILED
            if n >= HISTORY:
                alarms += bool(failed.any() or judged.drifting.failed.any())
            learner.learn(full, columns, weekday, judged, failed=failed, skip=nothing, accept=nothing)
        out.append((alarms, len(walked) - HISTORY))
    return out


def main() -> None:
    """Print the realised alarms of each group of years as a multiple of the budget asked for."""
    heads = " | ".join(f"budget {b:g}" for b in BUDGETS)
    sys.stdout.write(f"| fields | rows | weekly | trend | day | {heads} |\n" + "|---" * (5 + len(BUDGETS)) + "|\n")
    total = np.zeros((len(BUDGETS), 2))
    with ProcessPoolExecutor() as pool:
        work = [(shape, seed) for shape in SHAPES for seed in range(YEARS)]
        found = list(pool.map(realised, *zip(*work, strict=True)))
    for at, shape in enumerate(SHAPES):
        group = np.array(found[at * YEARS : (at + 1) * YEARS]).sum(axis=0)
        total += group
        sys.stdout.write("| " + " | ".join([f"{x:,g}" for x in shape] + _ratios(group)) + " |\n")
    sys.stdout.write("| all | | | | | " + " | ".join(_ratios(total)) + " |\n")


def _ratios(group: np.ndarray) -> list[str]:
    return [f"{30 * alarms / days / budget:.2f}" for (alarms, days), budget in zip(group, BUDGETS, strict=True)]


if __name__ == "__main__":
    main()
