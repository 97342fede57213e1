"""Deliveries that no schedule knows of: corrected ones, late ones, tables filled elsewhere, and silence.

Functions that look (they read the warehouse or call `load`) return plain findings; sensors turn these into requests.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from sqlglot import exp

from mlobs.detectors.accuracy import performance_name
from mlobs.errors import DataError, MlobsError, nearest
from mlobs.orchestration.calendar import Family
from mlobs.orchestration.deployment import Deployment
from mlobs.orchestration.plan import after_arrival, mature_window, request
from mlobs.orchestration.runs import REASON, short
from mlobs.spec import Table
from mlobs.windows import Window

LOOK_BACK = 14
"""Newest windows in which a corrected or late delivery is looked for."""
SETTLE = 3
"""Newest windows of a table filled elsewhere that are looked at."""

Job = Any


# What a delivery contains


def digest(frame: pd.DataFrame, table: Table) -> str:
    """16 hex digits over the rows of a delivery; the order of rows and columns and the width of types don't matter.

    So a frame from `load` and the same rows read back from the warehouse agree.
    """
    columns = {}
    for name in sorted(map(str, frame.columns)):
        values = frame[name]
        if values.isna().all():
            continue  # a column of nulls says no more than its absence
        columns[name] = pd.util.hash_array(_plain(values), categorize=True)
    rows = np.zeros(len(frame), dtype="uint64")
    for position, hashed in enumerate(columns.values()):
        rows ^= pd.util.hash_array(hashed + np.uint64(position + 1), categorize=False)
    names = pd.util.hash_array(np.array([*columns, *table.keys], dtype=object), categorize=False)
    return f"{(int(rows.astype(object).sum()) ^ int(names.astype(object).sum())) % 2**64:016x}"


def _plain(values: pd.Series) -> Any:
    """Values as instants (ns), floats or texts, whatever width or zone they came in."""
    if isinstance(values.dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_dtype(values.dtype):
        stamps = pd.to_datetime(values, utc=True)
        return stamps.astype("datetime64[us, UTC]").astype("int64").to_numpy()
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return np.round(pd.to_numeric(values).astype("float64").to_numpy(dtype="float64", na_value=np.nan), 12)
    return values.astype("str").where(values.notna(), "\0").to_numpy(dtype=object)


# Corrected and late deliveries of tables that mlobs lands


@dataclass(frozen=True)
class Redelivery:
    """A window whose source now holds something else than the warehouse does."""

    table: Table
    window: Window
    content: str
    reason: str

    @property
    def run_key(self) -> str:
        return f"redelivery:{self.table.id}:{self.window.start.isoformat()}:{self.content}"


def redeliveries(deployment: Deployment, family: Family, now: datetime, last: int = LOOK_BACK) -> list[Redelivery]:
    """Broken or missing windows of loaded tables whose source has changed; nothing else is loaded again.

    Looks only at windows with a live data fault, and at windows within the arrivals that never arrived, among the newest
    `last`. A source that fails to answer is looked at again next time.
    """
    found = []
    for table in family.tables:
        if table.load is None or not deployment.produced(table):
            continue
        for window, why in unsettled(deployment, family, table, now, last).items():
            try:
                delivered = table.load(window)
            except Exception:  # noqa: BLE001  whatever a source that isn't ready raises
                continue
            if not isinstance(delivered, pd.DataFrame) or delivered.empty:
                continue
            content = digest(delivered, table)
            try:
                held = digest(deployment.engine.fetch(table, window), table)
            except MlobsError:
                held = ""
            if content != held:
                found.append(Redelivery(table, window, content, why))
    return found


def unsettled(deployment: Deployment, family: Family, table: Table, now: datetime, last: int) -> dict[Window, str]:
    """Windows of a table with a live data fault, or that never arrived, and why; oldest first."""
    cadence = family.calendar.cadence
    since = family.calendar.at(now).start - last * cadence
    broken = {
        stored.verdict.window: stored.verdict.reason
        for stored in deployment.history.verdicts(table.id, since=since, status="failed")
        if stored.verdict.severity == "error"
    }
    arrived = {arrival.window for arrival in deployment.history.arrivals(table.id)}
    if arrived:
        expected = Window(max(since, min(arrived).start), max(arrived).end).split(cadence)
        broken |= {window: "it never arrived" for window in expected if window not in arrived}
    return {window: broken[window] for window in sorted(broken) if family.calendar.at(window.start) == window}


def redelivery_requests(
    deployment: Deployment, family: Family, job: str, now: datetime, last: int = LOOK_BACK
) -> list[dg.RunRequest]:
    """One run for each corrected delivery: the table again, its checks, and what was made of it.

    The run key holds the delivery's content, so each correction is landed once.
    """
    requests = []
    for found in redeliveries(deployment, family, now, last):
        scored = [
            m
            for m in family.models
            if deployment.history.verdicts(performance_name(m), since=found.window.start, until=found.window.end)
        ]
        target = after_arrival(deployment, family, found.table, found.window, scored)
        tags = {REASON: short(f"corrected delivery of {found.table.id} in {found.window}: {found.reason}")}
        requests.append(request(family, target, job, run_key=found.run_key, tags=tags))
    return requests


def redelivery_sensor(
    deployment: Deployment, family: Family, job: Job, *, interval: int = 300
) -> dg.SensorDefinition | None:
    """Looks whether broken windows were delivered again; None when mlobs lands none of the tables."""
    if not any(table.load is not None and deployment.produced(table) for table in family.tables):
        return None

    @dg.sensor(
        name=f"{family.name}_redelivery",
        job=job,
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Recomputes a window when a corrected or late delivery of it arrives.",
    )
    def redelivery(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        known = json.loads(context.cursor) if context.cursor else []
        requests = redelivery_requests(deployment, family, job.name, deployment.now())
        fresh = [r for r in requests if r.run_key not in known]
        cursor = json.dumps([r.run_key for r in requests])
        if not fresh:
            if cursor != context.cursor:
                context.update_cursor(cursor)
            return dg.SkipReason("no corrected delivery of a broken window")
        return dg.SensorResult(run_requests=fresh, cursor=cursor)

    return redelivery


# Tables that are filled elsewhere


@dataclass(frozen=True)
class Sighting:
    """What a window of a table holds now."""

    rows: int
    newest: str


def sightings(deployment: Deployment, table: Table, windows: Iterable[Window]) -> dict[Window, Sighting]:
    """Rows and newest event time of each window, with one query. A table that doesn't exist yet holds nothing.

    Raises:
        WarehouseError: the warehouse can't be reached.
    """
    from mlobs.engines import Source

    engine, source, wanted = deployment.engine, Source.table(table.path), sorted(windows)
    if not wanted or not engine.exists(table):
        return {}
    columns = engine.columns(source)
    if table.time not in columns:
        raise DataError(
            f"table {table.id!r} has no time column {table.time!r} to see deliveries by; {nearest(table.time, columns)}"
        )
    kind, time = columns[table.time], exp.column(table.time, quoted=True)
    cells: list[exp.Expr] = []
    for place, window in enumerate(wanted):
        within = engine.forms.within(time, kind, window)
        counted = exp.Case().when(within.copy(), exp.Literal.number(1)).else_(exp.Literal.number(0))
        cells.append(exp.alias_(exp.Sum(this=counted), f"rows_{place}", quoted=True))
        newest = exp.Case().when(within.copy(), time.copy())
        cells.append(exp.alias_(exp.Max(this=newest), f"newest_{place}", quoted=True))
    span = Window(wanted[0].start, wanted[-1].end)
    query = exp.select(*cells).from_(source.expression.copy()).where(engine.forms.within(time, kind, span))
    (row,) = engine.run(query).to_pylist()
    return {
        window: Sighting(int(row[f"rows_{place}"] or 0), str(row[f"newest_{place}"] or ""))
        for place, window in enumerate(wanted)
    }


@dataclass(frozen=True)
class Watch:
    """What was seen at the last look, and what was reported already: "table|window" -> "rows|newest"."""

    seen: Mapping[str, str]
    reported: Mapping[str, str]


def settled(watch: Watch, now_seen: Mapping[str, str]) -> list[str]:
    """Windows that hold rows, look as they did at the last look (so nobody is still writing), and were not reported so."""
    return [
        name
        for name, content in now_seen.items()
        if not content.startswith("0|") and watch.seen.get(name) == content and watch.reported.get(name) != content
    ]


def external_sensor(
    deployment: Deployment, family: Family, job: Job, checks: Job, *, interval: int = 60
) -> dg.SensorDefinition | None:
    """Observes tables that are filled elsewhere: reports each delivery and requests its checks and what follows."""
    tables = [table for table in family.tables if not deployment.produced(table)]
    if not tables:
        return None

    @dg.sensor(
        name=f"{family.name}_external_tables",
        jobs=[job, checks],
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sees deliveries to tables that are filled elsewhere, once they look the same twice.",
    )
    def external_tables(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        kept = json.loads(context.cursor) if context.cursor else {"seen": {}, "reported": {}}
        watch, now = Watch(kept["seen"], kept["reported"]), deployment.now()
        looked: dict[str, tuple[Table, Window, Sighting]] = {}
        for table in tables:
            windows = [w for w in newest_windows(family, now, SETTLE) if family.calendar.holds(w)]
            for window, sighting in sightings(deployment, table, windows).items():
                looked[f"{table.id}|{family.calendar.key(window)}"] = (table, window, sighting)
        seen = {name: f"{s.rows}|{s.newest}" for name, (_, _, s) in looked.items()}
        arrived = settled(watch, seen)
        requests, events = [], []
        for name in arrived:
            table, window, sighting = looked[name]
            _remember(deployment, table, window, sighting, now)
            target = after_arrival(deployment, family, table, window)
            key = f"arrival:{name}:{seen[name]}"
            requests.append(request(family, target, job.name if target.assets else checks.name, run_key=key))
            if table.id not in deployment.keys:
                events.append(
                    dg.AssetMaterialization(
                        deployment.table_key(table),
                        partition=family.calendar.key(window),
                        metadata={"dagster/partition_row_count": sighting.rows, "newest event": sighting.newest},
                    )
                )
        reported = {name: content for name, content in watch.reported.items() if name in seen}
        cursor = json.dumps({"seen": seen, "reported": {**reported, **{name: seen[name] for name in arrived}}})
        if not requests:
            context.update_cursor(cursor)
            return dg.SkipReason(f"no new delivery in {len(tables)} tables that are filled elsewhere")
        return dg.SensorResult(run_requests=requests, asset_events=events, cursor=cursor)

    return external_tables


def newest_windows(family: Family, now: datetime, count: int) -> list[Window]:
    """The window that holds `now` and those before it, oldest first."""
    current = family.calendar.at(now)
    return [current.shifted(-n * family.calendar.cadence) for n in reversed(range(count))]


def _remember(deployment: Deployment, table: Table, window: Window, sighting: Sighting, now: datetime) -> None:
    from mlobs.engines import Source

    columns = deployment.engine.columns(Source.table(table.path))
    newest = pd.Timestamp(sighting.newest) if sighting.newest else None
    moment = (
        None if newest is None else (newest.tz_localize("UTC") if newest.tzinfo is None else newest).to_pydatetime()
    )
    deployment.history.record_arrival(table.id, window, now, sighting.rows, columns, moment, 0)


# Silence


def overdue(deployment: Deployment, family: Family, now: datetime) -> list[tuple[Table, Window, str, str]]:
    """Tables whose next delivery is late by their own habits: (table, window to judge, newest arrival, reason)."""
    late = []
    for table in family.tables:
        if not any(monitor.check == "freshness" for monitor in deployment.monitors(table)):
            continue
        if table.end is not None and now >= table.end + 2 * table.cadence:
            continue  # complete: nothing more is expected
        verdict = deployment.monitoring.freshness(table, now)
        if not verdict.failed:
            continue
        models = [model for model, role in deployment.users(table).items() if role == "actuals"]
        window = mature_window(family, models[0], now) if models else family.calendar.at(now)
        arrivals = deployment.history.arrivals(table.id)
        if window not in {arrival.window for arrival in arrivals} and family.calendar.holds(window):
            late.append((table, window, arrivals[-1].at.isoformat(), verdict.reason))
    return late


def freshness_sensor(
    deployment: Deployment, family: Family, checks: Job, *, interval: int = 300
) -> dg.SensorDefinition | None:
    """Judges tables when nothing happens: one run of the checks per silence. None when no table has a freshness check."""
    watched = [t for t in family.tables if any(m.check == "freshness" for m in deployment.monitors(t))]
    if not watched:
        return None

    @dg.sensor(
        name=f"{family.name}_freshness",
        job=checks,
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs the checks of a table whose delivery is late by its own habits, once per silence.",
    )
    def freshness() -> dg.SensorResult | dg.SkipReason:
        from mlobs.orchestration.plan import Target
        from mlobs.orchestration.specs import table_checks

        requests = []
        for table, window, newest, reason in overdue(deployment, family, deployment.now()):
            target = Target(window, (), tuple(spec.key for spec in table_checks(deployment, family, table)))
            key = f"silence:{table.id}:{newest}"
            requests.append(request(family, target, checks.name, run_key=key, tags={REASON: short(reason)}))
        if not requests:
            return dg.SkipReason(f"deliveries of {len(watched)} tables are on time")
        return dg.SensorResult(run_requests=requests)

    return freshness
