"""From the history of a metric to a verdict: expected ranges, drift, freshness, schema, accuracy. Pure, no I/O, no clock."""

from mlobs.detectors.drift import drift, drift_verdicts
from mlobs.detectors.freshness import FreshnessMonitor
from mlobs.detectors.picture import history_svg
from mlobs.detectors.ranges import expected_range
from mlobs.detectors.schema import schema_verdicts
from mlobs.detectors.table_monitor import TableMonitor
from mlobs.detectors.verdict import CHECKS, Range, Severity, Status, Verdict

__all__ = [
    "CHECKS",
    "FreshnessMonitor",
    "Range",
    "Severity",
    "Status",
    "TableMonitor",
    "Verdict",
    "drift",
    "drift_verdicts",
    "expected_range",
    "history_svg",
    "schema_verdicts",
]
