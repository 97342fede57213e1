"""History: what is remembered of tables, models and their incidents, in SQLite or Postgres through SQLAlchemy Core.

Knows tables and transactions; judges nothing, reads no clock.
"""

from mlobs.history.records import (
    Arrival,
    Feedback,
    FeedbackKind,
    Pin,
    PinnedReference,
    Promotion,
    StoredDecision,
    StoredVerdict,
    StoredVersion,
)
from mlobs.history.store import History

__all__ = [
    "Arrival",
    "Feedback",
    "FeedbackKind",
    "History",
    "Pin",
    "PinnedReference",
    "Promotion",
    "StoredDecision",
    "StoredVerdict",
    "StoredVersion",
]
