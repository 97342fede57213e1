"""A small world of tables to break: weather -> features -> predictions -> accuracy, with actuals beside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mlobs.detectors.verdict import Range, Verdict
from mlobs.history import History
from mlobs.incidents import Incident, update
from mlobs.windows import Window, instant

START = instant("2013-04-01")

LINEAGE = {
    "weather": [],
    "features": ["weather"],
    "actuals": [],
    "predictions": ["features"],
    "delay.performance": ["predictions", "actuals"],
    "other_predictions": ["features"],
    "other.performance": ["other_predictions", "actuals"],
}


def day(number: int) -> Window:
    return Window(START + timedelta(number - 1), START + timedelta(number))


def failure(
    table: str,
    window: int,
    field: str = "wind",
    metric: str = "mean",
    *,
    severity: str = "error",
    detector: str = "field_health",
    score: float = 5.0,
    segment: str = "",
    status: str = "failed",
    value: float = 1.2,
) -> Verdict:
    if table.endswith(".performance"):
        detector, field, metric = "accuracy", "", "mae"
    said = f"{metric} of {field or table} is out of range"
    found = Range(0, 1, 0.5)
    severity = severity if status == "failed" else "none"
    return Verdict(status, table, field, metric, segment, day(window), value, found, severity, said, detector, score)


class World:
    """Judges windows, and keeps the clock: a day is judged when it has ended."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.now: datetime = START

    def judge(self, number: int, *failures: Verdict, tables: Sequence[str] = tuple(LINEAGE)) -> None:
        """All tables are judged in that window; what doesn't fail passes."""
        window = day(number)
        self.now = max(self.now, window.end)
        for table in tables:
            failed = [v for v in failures if v.table == table]
            passed = failure(table, number, field="calm", status="passed")
            checks = ("accuracy",) if table.endswith(".performance") else ("field_health", "drift", "volume", "mix")
            self.history.save_verdicts(table, window, checks, [*failed, passed], self.now)

    def update(self, **options) -> list[Incident]:
        return update(self.history, LINEAGE, self.now, **options)

    def changes(self) -> list[tuple[int, str]]:
        """(incident, change) of all messages in the outbox."""
        from sqlalchemy import select

        from mlobs.history import tables

        c = tables.outbox.c
        with self.history.database.read() as connection:
            return [tuple(row) for row in connection.execute(select(c.incident_id, c.change).order_by(c.id))]
