"""Incidents: failed verdicts grouped by cause, their lifecycle, and the likely root causes of a fall in accuracy.

Works on history and lineage; sends nothing (alerts do) and knows nothing of Dagster.
"""

from mlobs.incidents.causes import Evidence, RootCause, SegmentExcess, excess_by_segment, root_causes
from mlobs.incidents.evidence import gather
from mlobs.incidents.explanation import LISTED, Explanation, explain, explain_incident
from mlobs.incidents.lifecycle import update
from mlobs.incidents.people import (
    acknowledge,
    events,
    expected,
    incident,
    incidents,
    members,
    open_incidents,
    reopen,
    run_of,
)
from mlobs.incidents.records import Incident, IncidentEvent, Member, Touched
from mlobs.incidents.scope import lineage_of, strongest_check

__all__ = [
    "LISTED",
    "Evidence",
    "Explanation",
    "Incident",
    "IncidentEvent",
    "Member",
    "RootCause",
    "SegmentExcess",
    "Touched",
    "acknowledge",
    "events",
    "excess_by_segment",
    "expected",
    "explain",
    "explain_incident",
    "gather",
    "incident",
    "incidents",
    "lineage_of",
    "members",
    "open_incidents",
    "reopen",
    "root_causes",
    "run_of",
    "strongest_check",
    "update",
]
