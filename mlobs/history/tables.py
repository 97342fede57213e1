"""The tables of the history database and how values are stored in them; declarations only, nothing is opened or run.

Instants are whole microseconds since 1970 UTC, so they sort and compare as numbers on every database. NaN is stored as
NULL. Free-form details are JSON text.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from mlobs.windows import Window, instant

SCHEMA_VERSION = 3
"""Raised with every change of a table; a database with a higher number comes from a newer mlobs."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        if value is None:
            return None
        moment = value if type(value) is datetime and value.tzinfo is UTC else instant(value)
        return (moment - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Number(TypeDecorator[float]):
    """A float in which NaN means "nothing was measured" and is stored as NULL."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> float | None:
        if value is None:
            return None
        number = float(value)
        return None if math.isnan(number) else number

    def process_result_value(self, value: float | None, dialect: Dialect) -> float:
        return math.nan if value is None else value


class Plain(TypeDecorator[Any]):
    """Dicts and lists of plain values as JSON text; instants become ISO text, numpy scalars plain numbers."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, default=_plain)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Window):
        return [value.start.isoformat(), value.end.isoformat()]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


@lru_cache(maxsize=8192)
def window_of(start: datetime, end: datetime) -> Window:
    """The window of two stored instants; remembered, because many rows share one window."""
    return Window(start, end)


metadata = MetaData()
Id = BigInteger().with_variant(Integer, "sqlite")


def _required(name: str, kind: Any = Text, **more: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **more)


schema = Table("mlobs_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

profiles = Table(
    "profiles",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("window_start", Instant, primary_key=True),
    Column("window_end", Instant, primary_key=True),
    _required("at", Instant),
    _required("payload", LargeBinary),
)

revisions = Table(
    "revisions", metadata, Column("table_name", Text, primary_key=True), _required("revision", BigInteger)
)

reference_pins = Table(
    "reference_pins",
    metadata,
    Column("id", Id, primary_key=True),
    _required("name"),
    _required("version"),
    _required("at", Instant),
    _required("note"),
    _required("payload", LargeBinary),
    Index("reference_pins_by_name", "name", "id"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Id, primary_key=True),
    _required("table_name"),
    _required("window_start", Instant),
    _required("window_end", Instant),
    _required("detector"),
    _required("field"),
    _required("metric"),
    _required("segment"),
    _required("status"),
    _required("severity"),
    Column("value", Number),
    Column("low", Number),
    Column("high", Number),
    Column("expected", Number),
    _required("learning", Integer),
    Column("score", Number),
    _required("reason"),
    _required("at", Instant),
    _required("run_id"),
    _required("fingerprint"),
    Column("superseded_at", Instant),
    _required("filed", Boolean),
)
Index("verdicts_by_window", verdicts.c.table_name, verdicts.c.window_start)
_failed_and_live = (verdicts.c.status == "failed") & verdicts.c.superseded_at.is_(None)
Index(
    "verdicts_failed",
    verdicts.c.window_end,
    verdicts.c.table_name,
    sqlite_where=_failed_and_live,
    postgresql_where=_failed_and_live,
)

arrivals = Table(
    "arrivals",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("window_start", Instant, primary_key=True),
    Column("window_end", Instant, primary_key=True),
    Column("at", Instant, primary_key=True),
    _required("rows", BigInteger),
    _required("columns", Plain),
    Column("newest", Instant),
    _required("outside", BigInteger),
    Index("arrivals_by_time", "table_name", "at"),
)

accuracy = Table(
    "accuracy",
    metadata,
    Column("model", Text, primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("window_start", Instant, primary_key=True),
    Column("window_end", Instant, primary_key=True),
    Column("version", Text, primary_key=True),
    _required("at", Instant),
    _required("payload", LargeBinary),
)

accuracy_past = Table(
    "accuracy_past",
    metadata,
    Column("id", Id, primary_key=True),
    _required("model"),
    _required("segment"),
    _required("window_start", Instant),
    _required("window_end", Instant),
    _required("version"),
    _required("at", Instant),
    _required("payload", LargeBinary),
    _required("superseded_at", Instant),
    Index("accuracy_past_by_window", "model", "window_start"),
)

claims = Table(
    "claims", metadata, Column("name", Text, primary_key=True), _required("by_whom"), _required("until", Instant)
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True),
    _required("model"),
    _required("at", Instant),
    _required("answer"),
    _required("reason"),
    _required("trigger_name"),
    _required("detail", Plain),
    UniqueConstraint("model", "at", "answer", "trigger_name"),
)

versions = Table(
    "versions",
    metadata,
    Column("model", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    _required("at", Instant),
    _required("info", Plain),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Id, primary_key=True),
    _required("model"),
    _required("version"),
    _required("at", Instant),
    _required("by_whom"),
    _required("reason"),
    Index("promotions_by_model", "model", "id"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Id, primary_key=True),
    _required("kind"),
    _required("scope", Plain),
    _required("by_whom"),
    _required("at", Instant),
    _required("start", Instant),
    Column("until", Instant),
    _required("note"),
    Column("revoked_by", Text),
    Column("revoked_at", Instant),
)

_unfiled = _failed_and_live & verdicts.c.filed.is_(False)
_lapsed = verdicts.c.superseded_at.is_not(None) & verdicts.c.filed.is_(True)
for _name, _which in (("verdicts_unfiled", _unfiled), ("verdicts_lapsed", _lapsed)):
    Index(_name, verdicts.c.window_start, sqlite_where=_which, postgresql_where=_which)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Id, primary_key=True),
    _required("cause_table"),
    _required("state"),
    _required("severity"),
    _required("title"),
    _required("reason"),
    _required("opened_at", Instant),
    _required("changed_at", Instant),
    _required("window_start", Instant),
    _required("window_end", Instant),
    Column("resolved_at", Instant),
    _required("announced", Boolean),
    _required("acknowledged_by"),
    _required("touched", Plain),
    _required("strands", Plain),
)
Index("incidents_by_state", incidents.c.state, incidents.c.window_end)

incident_members = Table(
    "incident_members",
    metadata,
    Column("incident_id", Id, primary_key=True, autoincrement=False),
    Column("table_name", Text, primary_key=True),
    Column("detector", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("segment", Text, primary_key=True),
    Column("window_start", Instant, primary_key=True),
    Column("window_end", Instant, primary_key=True),
    _required("severity"),
    Column("score", Number),
    _required("reason"),
    Column("beyond", Number),
    _required("failing", Boolean),
    Index("incident_members_by_place", "table_name", "window_start", "field", "metric"),
)

incident_events = Table(
    "incident_events",
    metadata,
    Column("id", Id, primary_key=True),
    _required("incident_id", Id),
    _required("at", Instant),
    _required("kind"),
    _required("by_whom"),
    _required("note"),
    Index("incident_events_by_incident", "incident_id", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    _required("event_id", Id, unique=True),
    _required("incident_id", Id),
    _required("change"),
    _required("at", Instant),
    _required("content", Plain),
    _required("routed", Boolean),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("outbox_id", Id, primary_key=True, autoincrement=False),
    Column("route", Text, primary_key=True),
    _required("state"),
    _required("attempts", Integer),
    _required("due_at", Instant),
    Column("claimed_until", Instant),
    _required("claim"),
    Column("sent_at", Instant),
    _required("error"),
)
Index("deliveries_due", deliveries.c.state, deliveries.c.due_at)
