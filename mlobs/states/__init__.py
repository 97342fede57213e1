"""Mergeable states: what is known of one field over some rows. Identity, merge, frozen frames; no I/O, no metrics.

Each state carries the frame that was frozen from the reference (a `Grid`, `Levels`, a bound): states merge when their
frames are equal. `State.merged(states)` merges many at once, `a + b` two; a state of no rows is the identity.
"""

from __future__ import annotations

from mlobs.states.categorical import CategoricalState, Levels
from mlobs.states.grid import Grid
from mlobs.states.numeric import NumericState
from mlobs.states.plain import BooleanState, TimestampState, UnprofiledState
from mlobs.states.relations import PairState, Relation, ResidualState
from mlobs.states.rows import RowSketch

FieldState = NumericState | CategoricalState | BooleanState | TimestampState | UnprofiledState

__all__ = [
    "BooleanState",
    "CategoricalState",
    "FieldState",
    "Grid",
    "Levels",
    "NumericState",
    "PairState",
    "Relation",
    "ResidualState",
    "RowSketch",
    "TimestampState",
    "UnprofiledState",
]
