"""Columns added, removed, retyped against what is expected. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlobs.detectors.verdict import Range, Severity, Status, Verdict
from mlobs.windows import Window

NONE = Range(0.0, 0.0, 0.0)


def schema_verdicts(expected: Mapping[str, str], found: Mapping[str, str], table: str, window: Any) -> list[Verdict]:
    """One verdict per changed column, or one `passed` verdict of metric `columns` when nothing changed.

    A removed or retyped column is an `error`, an added one a `warn`. Column names that differ only in case are a
    removal and an addition, except where there is a single such pair: then the reason says so.

    Args:
        expected: column -> type as the engine prints it; empty means that nothing is known yet (`learning`).
        found: the same of this window; types are compared without regard to case.

    Returns:
        Metrics `column_removed`, `column_retyped`, `column_added`, with the column as `field` and value 1.

    >>> [v.reason for v in schema_verdicts({"a": "INTEGER"}, {"a": "VARCHAR"}, "t", ("2013-01-01", "2013-01-02"))]
    ['column a changed its type from INTEGER to VARCHAR']
    """
    at = Window.of(window)

    def verdict(status: Status, field: str, metric: str, severity: Severity, reason: str, learning: int = 0) -> Verdict:
        value = float(status == "failed") if field else float(len(found))
        bounds = NONE if field else Range(len(found), len(found), len(found), learning)
        score = float("inf") if status == "failed" else 0.0
        return Verdict(status, table, field, metric, "", at, value, bounds, severity, reason, "schema", score)

    if not expected:
        return [
            verdict(
                "learning",
                "",
                "columns",
                "none",
                f"first sight of {len(found)} columns; judged from the next window",
                1,
            )
        ]
    out = []
    for name, kind in expected.items():
        if name not in found:
            other = [c for c in found if c.lower() == name.lower() and c not in expected]
            hint = f" (there is {other[0]} now)" if len(other) == 1 else ""
            out.append(verdict("failed", name, "column_removed", "error", f"column {name} {kind} is gone{hint}"))
        elif found[name].lower() != kind.lower():
            reason = f"column {name} changed its type from {kind} to {found[name]}"
            out.append(verdict("failed", name, "column_retyped", "error", reason))
    out += [
        verdict("failed", name, "column_added", "warn", f"column {name} {kind} is new")
        for name, kind in found.items()
        if name not in expected
    ]
    return out or [verdict("passed", "", "columns", "none", f"all {len(found)} columns are there with their types")]
