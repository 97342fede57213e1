"""Incidents: failed verdicts grouped by cause, their lifecycle, and the likely root causes of a fall in accuracy.

Works on history and lineage; sends nothing (alerts do) and knows nothing of Dagster.
"""

from mlobs.incidents.lifecycle import (
    acknowledge,
    events,
    expected,
    incident,
    incidents,
    members,
    open_incidents,
    reopen,
    update,
)
from mlobs.incidents.records import Incident, IncidentEvent, Member, Touched

__all__ = [
    "Incident",
    "IncidentEvent",
    "Member",
    "Touched",
    "acknowledge",
    "events",
    "expected",
    "incident",
    "incidents",
    "members",
    "open_incidents",
    "reopen",
    "update",
]
