"""The reference: what the training data looked like, and the frames frozen from it. Learning asks aggregates only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mlobs.errors import ProfileError
from mlobs.metrics.profile_bytes import laid_out, restored
from mlobs.metrics.profiles import Profile
from mlobs.profiling.grouping import Segmentation
from mlobs.states import BooleanState, CategoricalState, FieldState, Grid, Levels, NumericState, TimestampState
from mlobs.states.packing import pack, unpack

MAGIC = b"mlobsr"
VERSION = 2

READ = (VERSION, 1)
"""Format versions that are read."""

PAST = datetime(1900, 1, 1, tzinfo=UTC)
"""Default bound before which a timestamp counts as past."""


@dataclass(frozen=True)
class Reference:
    """The profile that drift is measured against, and the frozen frames on which later profiles are taken.

    Attributes:
        profile: the profile of the reference rows.
        time: the time column, if there is one.
        key: the key columns.
        segmentation: the frozen segments.
        past: bound before which a timestamp counts as past.
        hashed: the fields that row hashes are made of: those with most distinct values.
    """

    profile: Profile
    time: str | None = None
    key: tuple[str, ...] = ()
    segmentation: Segmentation = field(default_factory=Segmentation)
    past: datetime = PAST
    hashed: tuple[str, ...] = ()

    @classmethod
    def learn(
        cls,
        data: Any,
        *,
        fields: Sequence[Any] | None = None,
        time: str | None = None,
        key: str | Sequence[str] | None = None,
        segments: str | Sequence[str] = (),
        where: str | None = None,
        past: datetime = PAST,
    ) -> Reference:
        """Freeze the frames from `data` alone, and profile it.

        Args:
            data: a pandas, polars or pyarrow frame, a Parquet path or glob, a DuckDB relation, read in place (a wide frame is
                copied once); a CSV path, whose text is parsed once.
            fields: names or `mlobs.Field`s; None takes every column but `time` and `key`.
            time: the column with the event time.
            key: column(s) that identify a row.
            segments: at most two fields whose values split the rows; at most 1,000 segments, the rest is `(other)`.
            where: a SQL condition on the rows.
            past: timestamps before it count as past.

        Raises:
            ProfileError: a column is unknown, or its type doesn't fit its declared kind.

        >>> import pandas as pd
        >>> reference = Reference.learn(pd.DataFrame({"x": [1.0, 2.0, 3.0, None]}))
        >>> reference.profile.rows, reference.profile.fields["x"].nulls
        (4, 1)
        """
        from mlobs.engines import open_data
        from mlobs.profiling.learning import learn
        from mlobs.profiling.refusals import told
        from mlobs.profiling.request import condition

        engine, source = open_data(data)
        keys = (key,) if isinstance(key, str) else tuple(key or ())
        split = (segments,) if isinstance(segments, str) else tuple(segments)
        with told(engine, source, ()):
            return learn(
                engine, source, fields=fields, time=time, key=keys, segments=split,
                where=condition(engine, where), past=past,
            )  # fmt: skip

    @property
    def fingerprint(self) -> str:
        return self.profile.fingerprint

    @property
    def fields(self) -> dict[str, FieldState]:
        """Field -> the reference's state."""
        return dict(self.profile.fields)

    @property
    def grids(self) -> dict[str, Grid]:
        """Numeric field -> its frozen grid."""
        return {name: s.grid for name, s in self.profile.fields.items() if isinstance(s, NumericState)}

    @property
    def mixed_zeros(self) -> frozenset[str]:
        """Numeric fields whose zeros share a fine bin with other values."""
        return frozenset(
            name
            for name, s in self.profile.fields.items()
            if isinstance(s, NumericState) and 0 < s.zeros < int(s.counts[s.bins == s.grid.bins([0.0])[0]].sum())
        )

    def empty(self) -> Profile:
        """The profile of no rows against this reference."""
        p = self.profile
        return Profile(
            table=p.table,
            columns=p.columns,
            fields={n: blank(s) for n, s in p.fields.items()},
            fingerprint=p.fingerprint,
        )

    def to_bytes(self) -> bytes:
        """A compact, versioned form, without pickle."""
        header, arrays = laid_out(self.profile)
        header["reference"] = {
            "time": self.time,
            "key": list(self.key),
            "segment_fields": list(self.segmentation.fields),
            "segments": [list(v) for v in self.segmentation.values],
            "past": self.past.isoformat(),
            "hashed": list(self.hashed),
        }
        return pack(MAGIC, VERSION, header, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Reference:
        """The reference that `to_bytes` wrote.

        Raises:
            ProfileError: when these bytes are no reference, are damaged, or come from an unknown version.
        """
        header, arrays = unpack(MAGIC, READ, data, "reference")
        try:
            own = header["reference"]
            segmentation = Segmentation(tuple(own["segment_fields"]), tuple(tuple(v) for v in own["segments"]))
            past = datetime.fromisoformat(own["past"]).astimezone(UTC)
            return cls(
                restored(header, arrays), own["time"], tuple(own["key"]), segmentation, past, tuple(own["hashed"])
            )
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ProfileError(f"this reference is damaged and can't be read ({error}): learn it again") from error


def blank(state: FieldState) -> FieldState:
    """The state of no rows with the same frame: the identity of its merge."""
    if isinstance(state, NumericState):
        return NumericState(state.grid)
    if isinstance(state, CategoricalState):
        return CategoricalState(state.levels, state.kind)
    if isinstance(state, TimestampState):
        return TimestampState(state.bound)
    if isinstance(state, BooleanState):
        return replace(state, rows=0, nulls=0, trues=0)
    return replace(state, rows=0, nulls=0)


def fingerprint(fields: Mapping[str, FieldState], declared: Mapping[str, Any]) -> str:
    """16 hex digits over the frames and what was declared."""
    frames = {name: _frame(state) for name, state in fields.items()}
    text = json.dumps({"frames": frames, "declared": declared}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _frame(state: FieldState) -> list[Any]:
    if isinstance(state, NumericState):
        g = state.grid
        return [
            "numeric",
            g.centre,
            g.scale,
            *([g.tail] if g.tailed else []),
            g.low,
            g.high,
            g.deviation,
            g.decimals,
            g.cuts,
        ]
    if isinstance(state, CategoricalState):
        v: Levels = state.levels
        return [state.kind, v.names, sorted(v.shapes), v.complete, v.sensitive, v.salt]
    return [state.kind]
