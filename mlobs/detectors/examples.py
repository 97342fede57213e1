"""The new, misspelt or garbled values behind a failed verdict, a few of them. Pure.

Values of free text and of sensitive fields are never told.
"""

from __future__ import annotations

from mlobs.metrics.profiles import Profile
from mlobs.metrics.spelling import garbled_values, misspelt_values
from mlobs.states import CategoricalState

MOST = 3
LONGEST = 40


def examples(profile: object, field: str, metric: str) -> str:
    """Such as "'Sna Diego' for 'San Diego' and 'Chicgao' for 'Chicago'", the most frequent first; empty where there are none."""
    state = profile.fields.get(field) if isinstance(profile, Profile) else None
    if not isinstance(state, CategoricalState) or state.kind != "categorical" or state.levels.sensitive:
        return ""
    if metric == "misspelt_rate":
        told = {value: f"{_quoted(value)} for {_quoted(known)}" for value, known in misspelt_values(state).items()}
    elif metric == "garbled_rate":
        told = {value: _quoted(value) for value in garbled_values(state)}
    elif metric == "unseen_rate":
        told = {value: _quoted(value) for value in state.unseen}
    else:
        return ""
    most = sorted(told, key=lambda value: (-state.unseen[value][1], value))[:MOST]
    *others, last = [told[value] for value in most] or [""]
    return f"{', '.join(others)} and {last}" if others else last


def _quoted(value: str) -> str:
    return repr(value if len(value) <= LONGEST else f"{value[:LONGEST]}…")
