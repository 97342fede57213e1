"""A page filled with a made-up but plausible year, for tests of the HTML alone (no history, no engine)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np

from mlobs.detectors.verdict import Range, Verdict
from mlobs.report import content as c
from mlobs.windows import Window

HOSTILE = '<script>alert("x")</script>&<img src=x onerror=alert(1)>$$\\frac{1}{2}$$'


def days(n: int, first: str = "2013-01-01") -> tuple[Window, ...]:
    start = Window.day(first)
    return tuple(start.shifted(timedelta(days=i)) for i in range(n))


def series(n: int, seed: int, level: float, spread: float, fail: tuple[int, ...] = (), jump: float = 6.0) -> c.Series:
    rng = np.random.default_rng(seed)
    values = level + spread * rng.standard_normal(n)
    for i in fail:
        values[i] = level + jump * spread
    states = tuple("learning" if i < 28 else "error" if i in fail else "passed" for i in range(n))
    nan = math.nan
    return c.Series(
        windows=days(n),
        values=tuple(map(float, values)),
        low=tuple(nan if i < 28 else level - 3.5 * spread for i in range(n)),
        high=tuple(nan if i < 28 else level + 3.5 * spread for i in range(n)),
        expected=tuple(nan if i < 28 else level for i in range(n)),
        states=states,
        reasons=tuple(
            "mean is 41.2, above the 11.4 to 28.9 that 120 windows predict" if i in fail else "" for i in range(n)
        ),
    )


def verdict(field: str, window: Window, metric: str = "mean", severity: str = "error") -> Verdict:
    return Verdict(
        status="failed",
        table="flights.features",
        field=field,
        metric=metric,
        segment="",
        window=window,
        value=0.0123 if metric.endswith("rate") else 41.2,
        expected=Range(0.0, 0.0, 0.0) if metric.endswith("rate") else Range(11.4, 28.9, 20.0),
        severity=severity,
        reason=f"{field}: 5 of 406 rows are negative; 47,210 rows of history never were.",
        detector="field_health",
    )


def accuracy(n: int) -> c.AccuracyStory:
    rng = np.random.default_rng(7)
    points = []
    season = 24 + 7 * np.sin(np.linspace(0, 2.6 * np.pi, n))
    for i, window in enumerate(days(n, "2013-04-01")):
        trailing = float(season[i])
        late = i >= n - 2
        points.append(
            c.AccuracyPoint(
                window=window,
                versions=("1",) if i < 95 else ("2",),
                error=math.nan if late else trailing + 5 * float(rng.standard_normal()),
                trailing=math.nan if late else trailing,
                naive=math.nan if late else trailing * 1.06 + 0.6,
                limit=29.5,
                coverage=0.0 if late else 0.97 + 0.02 * float(rng.random()),
                rows=150 + i % 40,
                state="pending" if late else "error" if trailing > 29.5 else "passed",
                reason="mae 30.8 min over 14 windows, above the limit 29.5" if trailing > 29.5 else "",
                estimate=trailing * 0.97 if i > 20 else math.nan,
            )
        )
    segments = tuple(
        c.SegmentError(f"origin={name}", error, error + 1.5, rows)
        for name, error, rows in (("EWR", 31.4, 280), ("JFK", 22.1, 1713), (HOSTILE, 19.0, 250))
    )
    excess = (
        c.ExcessLine(f"origin={HOSTILE}", 0.11, 0.12, 19.0, 41.0, 0.91),
        c.ExcessLine("origin=JFK", 0.89, 0.88, 22.0, 22.5, 0.09),
    )
    fall = c.FallStory(
        points[n // 3].window.hull(points[n // 2].window),
        f"mae rose from 21.6 to 24.7 on 2013-05-29; most likely: error rose where origin={HOSTILE}",
        (
            c.CauseLine(
                "segment", f"error rose from 19 to 41 where origin={HOSTILE}", 0.9, 0.81, ("elsewhere by 0.5",)
            ),
            c.CauseLine("drift", "wind_speed has moved away from the training data", 0.2, 0.14, ("PSI 0.31",)),
        ),
        excess,
    )
    return c.AccuracyStory("mae", "min", 14, tuple(points), segments, (fall,))


def page(n: int = 270, fields: int = 5) -> c.ModelPage:
    """A model's page with `n` windows and `fields` failed fields; names and reasons hold hostile text."""
    windows = days(n)
    at = lambda i, hours=0: windows[i].end + timedelta(hours=hours)  # noqa: E731
    names = ["minutes_since_weather_observation", "wind_speed", "dest", "visib", HOSTILE]
    names += [f"field_{i:03d}" for i in range(fields)]
    failed = []
    for k in range(fields):
        hits = (40 + k % 20, 60 + 3 * (k % 50), n - 1 - 2 * k % 30)
        labels = ("null", "below 0", "0 to 5", "5 to 10", "10 to 15", "15 to 20", "20 to 30", "above 30", HOSTILE)
        failed.append(
            c.FailedField(
                table="flights.features",
                field=names[k],
                unit="min" if k == 0 else "",
                description="Minutes between the observation and the departure; never negative." if k == 0 else "",
                histories=(
                    c.MetricHistory("negative_rate" if k == 0 else "mean", "field_health", series(n, k, 20, 3, hits)),
                ),
                distribution=c.Distribution(
                    labels=labels,
                    reference=(0.02, 0.0, 0.1, 0.2, 0.28, 0.2, 0.15, 0.05, 0.0),
                    current=(0.03, 0.012, 0.08, 0.16, 0.25, 0.22, 0.17, 0.078, 0.01),
                    reference_name="version 2, training data",
                    current_name="7 windows to 2013-09-27",
                ),
                failures=tuple(
                    verdict(names[k], windows[i], "negative_rate" if k == 0 else "mean", "warn" if k == 2 else "error")
                    for i in sorted(hits, reverse=True)
                ),
                failed_windows=3,
            )
        )
    rows = [
        c.HeatRow(
            name,
            tuple(
                (
                    w,
                    "learning"
                    if i < 28
                    else "error"
                    if i in (33 + k, 120, 121, 122 + k)
                    else "warn"
                    if i == 200 - k
                    else "passed",
                    f"{name}: 5 of 406 rows are negative" if i in (33 + k, 120, 121, 122 + k) else "",
                )
                for i, w in enumerate(windows)
            ),
        )
        for k, name in enumerate(["volume", "mix", "freshness", *names[:fields]])
    ]
    perf = [
        c.HeatRow("accuracy", tuple((w, "error" if 40 < i < 60 else "passed", "") for i, w in enumerate(windows[90:])))
    ]
    features = c.TableStory(
        table="flights.features",
        role="features",
        volume=series(n, 3, 150, 9, (120, 121, 122, 123)),
        mix=tuple(
            (f"origin={o}", series(n, 50 + k, s, 0.02))
            for k, (o, s) in enumerate((("JFK", 0.77), ("EWR", 0.12), ("LGA", 0.11)))
        ),
        arrivals=tuple(
            c.Arrival(w, w.end + timedelta(hours=2 + (i % 7) / 4), 150, 2 + (i % 7) / 4 + (22 if i == 180 else 0))
            for i, w in enumerate(windows)
        ),
        newest=windows[-1].end - timedelta(minutes=7),
    )
    actuals = c.TableStory("flights.actuals", "actuals", series(n, 4, 149, 9), (), ())
    predictions = c.TableStory("flights.predictions", "predictions", c.Series(), (), ())
    return c.ModelPage(
        name="arrival_delay",
        task="regression",
        description="Arrival delay of JetBlue flights, in minutes, from what is known before departure.",
        owners=("team:flights",),
        now=datetime(2013, 9, 28, 6, tzinfo=UTC),
        champion="2",
        glances=(
            c.Glance("Accuracy", "error", "30.8 min", "mean absolute error, 14 windows; limit 29.5"),
            c.Glance("Data", "passed", "27 of 27 pass", "newest window 2013-09-27"),
            c.Glance("Freshness", "passed", "on time", "newest row 2013-09-27 23:53"),
            c.Glance("Incidents", "warn", "1 open", "wind_speed out of range"),
            c.Glance("Retraining", "pending", "waiting", "cooldown until 2013-10-05"),
        ),
        accuracy=accuracy(n - 90),
        heat_maps=(
            c.HeatMap("flights.features", "features", tuple(rows), 14, n),
            c.HeatMap("arrival_delay", "performance", tuple(perf), 0, n - 90),
            c.HeatMap("flights.actuals", "actuals", (), 6, n),
        ),
        fields=tuple(failed),
        tables=(features, predictions, actuals),
        incidents=(
            c.IncidentLine(
                "3",
                "open",
                "error",
                at(-1),
                None,
                f"wind_speed out of range in flights.features {HOSTILE}",
                "1,048 mph where at most 38 was expected.",
                ("flights.features", "arrival_delay"),
                (f"mae rose from 21.6 to 24.7, where origin={HOSTILE}",),
                "ann",
            ),
            c.IncidentLine(
                "2",
                "resolved",
                "error",
                at(120),
                at(128),
                "Half of the afternoon's rows are missing",
                "Volume and mix failed for 7 windows.",
                ("flights.features", "predictions", "arrival_delay"),
            ),
            c.IncidentLine("1", "acknowledged", "warn", at(60), None, "New destinations", "", ("flights.features",)),
        ),
        versions=(
            c.VersionCard(
                "2",
                True,
                (
                    ("Trained", "2013-07-05"),
                    ("Training window", "2013-01-01 to 2013-06-20"),
                    ("Rows", "25,113"),
                    ("Cross-validated mae", "27.1 ± 1.2"),
                    ("Live mae", "24.4"),
                    ("Training time", "4.2 s"),
                    ("Why", "better by 6% on 14 windows (80% sure)"),
                ),
                changes=("rows 12,871 → 25,113 (+95%)", "weight of dest 12% → 31%"),
            ),
            c.VersionCard(
                "1",
                False,
                (
                    ("Trained", "2013-04-01"),
                    ("Training window", "2013-01-01 to 2013-03-31"),
                    ("Rows", "12,871"),
                    ("Cross-validated mae", "23.7 ± 0.9"),
                    ("Live mae", "30.9"),
                    ("Training time", "2.9 s"),
                ),
            ),
        ),
        promotions=(
            c.Promotion("1", datetime(2013, 4, 1, tzinfo=UTC), "mlobs", "first version"),
            c.Promotion("2", datetime(2013, 7, 5, tzinfo=UTC), "mlobs", "better"),
        ),
        decisions=(
            c.DecisionLine(
                datetime(2013, 9, 20, tzinfo=UTC),
                "refused",
                "challenger 3 is not better: 24.9 against 24.4 on 14 windows",
                "accuracy",
            ),
            c.DecisionLine(datetime(2013, 8, 2, tzinfo=UTC), "wait", "cooldown until 2013-08-09", "accuracy"),
            c.DecisionLine(
                datetime(2013, 7, 5, tzinfo=UTC),
                "retrain",
                "accuracy failed in 3 mature windows: mae 30.8, limit 29.5",
                "accuracy",
            ),
            c.DecisionLine(
                datetime(2013, 5, 4, tzinfo=UTC),
                "hold",
                "volume of flights.features failed on 2013-05-01 to 2013-05-04",
                "accuracy",
            ),
        ),
        said=(
            c.Said("calendar", "flights.features", at(150), at(153), "ann", f"Labour Day {HOSTILE}"),
            c.Said("mute", "flights.features, visib", at(90), None, "bob", ""),
        ),
    )
