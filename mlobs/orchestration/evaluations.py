"""Verdicts -> what a Dagster check says: passed, severity, one sentence, a table of failures, numbers and a picture.

Pure: plain verdicts in, plain data out.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlobs.detectors.verdict import Verdict

if TYPE_CHECKING:
    from mlobs.incidents import Explanation

MAX_ROWS = 50
"""Failing metrics listed in one evaluation; Dagster stores each evaluation three times."""

COLUMNS = ("field", "metric", "segment", "value", "expected range", "severity", "reason")
RANK = {"none": 0, "warn": 1, "error": 2}
Picture = Callable[[Verdict], str | None]


@dataclass(frozen=True)
class Evaluation:
    """One check's outcome in one window, ready for `AssetCheckResult` or `AssetCheckEvaluation`."""

    passed: bool
    severity: dg.AssetCheckSeverity
    description: str
    metadata: Mapping[str, Any]


def evaluate(
    check: str, verdicts: Sequence[Verdict], picture: Picture | None = None, extra: Mapping[str, Any] | None = None
) -> Evaluation:
    """What the check says of one window.

    A check fails when one of its verdicts failed; `learning` and `pending` verdicts pass, and say so. Numeric metadata
    keep their names from window to window, so that Dagster can plot them.

    Args:
        check: its name; `verdicts` of other checks are left out.
        verdicts: all verdicts of the window.
        picture: draws the worst failing metric as an SVG text; called only when there is one.
        extra: more metadata, such as rows.
    """
    own = [v for v in verdicts if v.detector == check]
    failed = sorted((v for v in own if v.failed), key=_badness, reverse=True)
    learning = [v for v in own if v.status == "learning"]
    pending = [v for v in own if v.status == "pending"]
    metadata: dict[str, Any] = {
        "failed metrics": len(failed),
        "judged metrics": sum(v.status in ("passed", "failed") for v in own),
        **series(check, own),
        **(extra or {}),
    }
    if learning:
        metadata["learning metrics"] = len(learning)
    if pending:
        metadata["pending metrics"] = len(pending)
    if failed:
        metadata["failing"] = failing_table(failed)
        image = picture(failed[0]) if picture else None
        if image:
            metadata["picture"] = markdown_image(image, f"{failed[0].metric} of {failed[0].field or failed[0].table}")
    severe = any(v.severity == "error" for v in failed)
    return Evaluation(
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=_sentence(failed, learning, pending, own),
        metadata=metadata,
    )


def series(check: str, verdicts: Sequence[Verdict]) -> dict[str, float]:
    """The check's main numbers, under names that stay the same: values of whole-table metrics, else the largest.

    A metric of the table itself gives its value and finite bounds; of a metric measured on many fields or segments
    the largest value is given (`largest psi`).
    """
    numbers: dict[str, float] = {}
    spread: dict[str, list[float]] = {}
    for verdict in verdicts:
        if not math.isfinite(verdict.value):
            continue
        if verdict.field or verdict.segment:
            spread.setdefault(verdict.metric, []).append(verdict.value)
            continue
        numbers[verdict.metric] = verdict.value
        for bound, limit in (("low", verdict.expected.low), ("high", verdict.expected.high)):
            if math.isfinite(limit):
                numbers[f"{verdict.metric} {bound}"] = limit
    if check == "drift":
        numbers.update({f"largest {metric}": max(values) for metric, values in spread.items()})
    if check in ("field_health", "mix"):
        scores = [abs(v.score) for v in verdicts if math.isfinite(v.score)]
        if scores:
            numbers["largest score"] = max(scores)
    return {name: float(value) for name, value in numbers.items()}


def failing_table(failed: Sequence[Verdict]) -> dg.TableMetadataValue:
    """The failing metrics, worst first, at most `MAX_ROWS`."""
    records = [
        dg.TableRecord(
            {
                "field": v.field or "(table)",
                "metric": v.metric,
                "segment": v.segment,
                "value": number(v.value),
                "expected range": f"{number(v.expected.low)} to {number(v.expected.high)}",
                "severity": v.severity,
                "reason": v.reason,
            }
        )
        for v in failed[:MAX_ROWS]
    ]
    return dg.TableMetadataValue(records=records, schema=dg.TableSchema([dg.TableColumn(name) for name in COLUMNS]))


def causes(found: Explanation) -> dict[str, Any]:
    """Why accuracy fell, as metadata: a sentence, the ranked causes, and the excess error by segment."""
    told: dict[str, Any] = {"why": found.sentence}
    if found.causes:
        names = ("rank", "kind", "cause", "score", "share of the rise", "evidence")
        records = [
            dg.TableRecord(
                {
                    "rank": rank,
                    "kind": cause.kind,
                    "cause": cause.sentence,
                    "score": round(cause.score, 2),
                    "share of the rise": f"{cause.share:.0%}",
                    "evidence": "; ".join(cause.evidence),
                }
            )
            for rank, cause in enumerate(found.causes, 1)
        ]
        columns = [dg.TableColumn(name) for name in names]
        told["likely causes"] = dg.TableMetadataValue(records=records, schema=dg.TableSchema(columns))
    parts = [part for field in found.segments.values() for part in field][:MAX_ROWS]
    if parts:
        names = ("segment", "rows before", "rows after", "error before", "error after", "share of the rise")
        records = [
            dg.TableRecord(
                {
                    "segment": part.change.segment,
                    "rows before": part.change.rows_before,
                    "rows after": part.change.rows_after,
                    "error before": number(part.change.error_before),
                    "error after": number(part.change.error_after),
                    "share of the rise": f"{part.share:.0%}",
                }
            )
            for part in parts
        ]
        columns = [dg.TableColumn(name) for name in names]
        told["excess error"] = dg.TableMetadataValue(records=records, schema=dg.TableSchema(columns))
    return told


def number(value: float) -> str:
    """Four significant digits, without a needless exponent.

    >>> number(1234567.0), number(0.000123), number(float("inf")), number(float("nan"))
    ('1234567', '0.000123', 'no limit', 'none')
    """
    if math.isnan(value):
        return "none"
    if math.isinf(value):
        return "no limit"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def markdown_image(svg: str, alt: str) -> dg.MarkdownMetadataValue:
    """An SVG text as a picture that Dagster's UI shows: raw HTML is stripped there, data: images are not."""
    data = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![{alt}](data:image/svg+xml;base64,{data})")


def _badness(verdict: Verdict) -> tuple[int, float]:
    return RANK[verdict.severity], math.inf if math.isnan(verdict.score) else abs(verdict.score)


def _sentence(
    failed: Sequence[Verdict], learning: Sequence[Verdict], pending: Sequence[Verdict], own: Sequence[Verdict]
) -> str:
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return f"{failed[0].reason}{more}"
    if not own:
        return "nothing to judge in this window"
    judged = len(own) - len(learning) - len(pending)
    if pending and not judged:
        return f"pending: {pending[0].reason}"
    if learning and not judged:
        return f"learning: {learning[0].reason}"
    rest = [f"{len(found)} {name}" for name, found in (("learning", learning), ("pending", pending)) if found]
    return f"{judged} metrics within their expected ranges" + (f", {', '.join(rest)}" if rest else "")
