"""Incidents: failed verdicts grouped by cause, their lifecycle, and the likely root causes of a fall in accuracy.

Works on history and lineage; sends nothing (alerts do) and knows nothing of Dagster.
"""

from mlobs.incidents.causes import Evidence, RootCause, root_causes
from mlobs.incidents.evidence import gather
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
)
from mlobs.incidents.records import Incident, IncidentEvent, Member, Touched

__all__ = [
    "Evidence",
    "Incident",
    "IncidentEvent",
    "Member",
    "RootCause",
    "Touched",
    "acknowledge",
    "events",
    "expected",
    "gather",
    "incident",
    "incidents",
    "members",
    "open_incidents",
    "reopen",
    "root_causes",
    "update",
]
