"""What every detector returns: a `Verdict`, and the `Range` it was judged against. Plain data, no logic of judging."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mlobs.windows import Window

Status = Literal["passed", "failed", "learning", "pending"]
Severity = Literal["none", "warn", "error"]

CHECKS = ("field_health", "drift", "freshness", "volume", "mix", "schema", "accuracy")
"""Names of the checks a verdict can belong to (`Verdict.detector`), in the order they are shown."""


@dataclass(frozen=True)
class Range:
    """The interval that history predicts for a metric.

    `low` <= `expected` <= `high`; a bound may be infinite. While there is too little history `learning` is the number
    of windows that are still missing (0 when the range can be used) and the bounds are infinite.
    """

    low: float
    high: float
    expected: float
    learning: int = 0

    def __contains__(self, value: float) -> bool:
        return not math.isnan(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Verdict:
    """What a monitor says of one metric in one window.

    Attributes:
        status: `passed`, `failed`, `learning` (too little history) or `pending` (labels not mature).
        table: the table's name (schema-qualified, as in `Table.id`); for accuracy the model's performance.
        field: the field, "" for a metric of the table itself.
        metric: a name of the metric catalogue (`null_rate`, `rows`, `psi`, `mae` ...).
        segment: "" for the whole table, else `field=value`.
        window: the window judged.
        value: what was measured; NaN when there was nothing to measure.
        expected: the range it was judged against.
        severity: `none` unless failed; `error` for a data fault or a broken limit, `warn` for a change worth a look.
        reason: one sentence for a person on call.
        detector: the check this belongs to, one of `CHECKS`.
        score: how far out of range, as a normal score (0 = at the centre); infinite for what can't happen.
    """

    status: Status
    table: str
    field: str
    metric: str
    segment: str
    window: Window
    value: float
    expected: Range
    severity: Severity
    reason: str
    detector: str
    score: float = 0.0

    @property
    def failed(self) -> bool:
        return self.status == "failed"
