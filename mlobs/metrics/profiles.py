"""A profile: all states of one table over one window, as a value that adds up, compares and turns into bytes. Pure."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pandas as pd

from mlobs.errors import ProfileError, nearest
from mlobs.metrics.field_health import age, between_fields, measured_fields, rate
from mlobs.metrics.measurement import Measurement
from mlobs.states import FieldState, PairState, ResidualState, RowSketch
from mlobs.windows import Window


@dataclass(frozen=True, eq=False)
class Profile:
    """All states of one table over one window.

    `a + b` is the profile of the rows of both: exact for counts, to rounding for moments, within the sketch's stated
    error for distinct counts. Adding is associative and commutative; `Profile.empty()` is its identity.

    Attributes:
        table: the table's name, "" for a frame.
        window: the window profiled; None for a frame, or the smallest window around several.
        rows: rows in it.
        columns: column -> type, as the engine prints it, of all columns of the table.
        fields: field -> state. A column that the reference knows and the table lacks (or holds in a type that fits no
            more) isn't there.
        duplicate_keys: rows whose key an earlier row of the same window has; None when no key is known.
        newest: newest event time in the rows, UTC; None when there is no time column or no row.
        segments: "origin=JFK" -> the profile of these rows; "origin is null" and "origin=(other)" where they occur.
        fingerprint: 16 hex digits over the frames (grids, levels) and the declaration; "" only for `Profile.empty()`.
        pairs: (field, twin) -> rows where the field is null and its twin, null together with it in the reference, isn't.
        relations: (y, x) -> residuals of the relation that the reference showed between two fields.
        sketch: a sample of row hashes, which tells repeated deliveries; None where none was taken.
    """

    table: str = ""
    window: Window | None = None
    rows: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldState] = field(default_factory=dict)
    duplicate_keys: int | None = None
    newest: datetime | None = None
    segments: Mapping[str, Profile] = field(default_factory=dict)
    fingerprint: str = ""
    pairs: Mapping[tuple[str, str], PairState] = field(default_factory=dict)
    relations: Mapping[tuple[str, str], ResidualState] = field(default_factory=dict)
    sketch: RowSketch | None = None

    @classmethod
    def empty(cls) -> Profile:
        """The profile of no rows: `p + Profile.empty() == p` for every profile."""
        return cls()

    @property
    def unprofiled(self) -> dict[str, str]:
        """Column -> type of the columns whose values can't be profiled; their nulls are counted."""
        return {name: self.columns.get(name, "") for name, s in self.fields.items() if s.kind == "unprofiled"}

    def field(self, name: str) -> FieldState:
        """The state of a field.

        Raises:
            ProfileError: when the profile has no such field, with the nearest name.
        """
        try:
            return self.fields[name]
        except KeyError:
            raise ProfileError(
                f"profile of {self.table or 'a frame'} has no field {name!r}; {nearest(name, self.fields)}"
            ) from None

    def __add__(self, other: Profile) -> Profile:
        if not isinstance(other, Profile):
            return NotImplemented
        return Profile.merged([self, other])

    @staticmethod
    def merged(profiles: Iterable[Profile]) -> Profile:
        """The profile of the rows of all `profiles`; faster than adding one by one.

        Raises:
            ProfileError: when they were taken against different references.
        """
        parts = [p for p in profiles if p.fingerprint]
        if len(parts) < 2:
            return parts[0] if parts else Profile.empty()
        prints = sorted({p.fingerprint for p in parts})
        if len(prints) > 1:
            raise ProfileError(
                f"profiles of {parts[0].table or 'a frame'} taken against different references can't be added"
                f" (fingerprints {', '.join(prints)}): profile the rows of both against one reference"
            )
        windows = [p.window for p in parts if p.window is not None]
        duplicates = [p.duplicate_keys for p in parts if p.duplicate_keys is not None]
        newest = [p.newest for p in parts if p.newest is not None]
        return Profile(
            table=min(p.table for p in parts),
            window=functools.reduce(Window.hull, windows) if windows else None,
            rows=sum(p.rows for p in parts),
            columns=_merged_columns(parts),
            fields=_merged_of(parts, lambda p: p.fields),
            duplicate_keys=sum(duplicates) if duplicates else None,
            newest=max(newest) if newest else None,
            segments=_merged_segments(parts),
            fingerprint=prints[0],
            pairs=_merged_of(parts, lambda p: p.pairs),
            relations=_merged_of(parts, lambda p: p.relations),
            sketch=_merged_sketch(parts),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return (
            self.fingerprint == other.fingerprint
            and (self.table, self.window, self.rows) == (other.table, other.window, other.rows)
            and (self.duplicate_keys, self.newest) == (other.duplicate_keys, other.newest)
            and dict(self.columns) == dict(other.columns)
            and dict(self.fields) == dict(other.fields)
            and dict(self.segments) == dict(other.segments)
            and dict(self.pairs) == dict(other.pairs)
            and dict(self.relations) == dict(other.relations)
            and self.sketch == other.sketch
        )

    __hash__ = None  # type: ignore[assignment]

    def measurements(self, leave_out: Container[str] = ()) -> list[Measurement]:
        """All metrics but those named in `leave_out`: of fields, between fields, of the table, rows and shares of segments."""
        known: list[Measurement] | None = self.__dict__.get("_measurements")
        if known is None:
            if leave_out:
                return self._measure(leave_out)
            known = self.__dict__["_measurements"] = self._measure(())
        return [m for m in known if m.metric not in leave_out]

    def _measure(self, leave_out: Container[str]) -> list[Measurement]:
        end = self.window.end if self.window else None
        split = {key.split("=", 1)[0].removesuffix(" is null") for key in self.segments}
        rest = list(between_fields(self.pairs.values(), self.relations.values()))
        rest.append(Measurement("", "rows", "count", float(self.rows), self.rows, self.rows))
        if self.duplicate_keys is not None:
            rest.append(rate("", "duplicate_rate", self.duplicate_keys, self.rows))
        if self.sketch is not None and self.sketch.family:
            repeated = self.sketch.repeated
            count = 0 if math.isnan(repeated) else round(repeated * self.rows)
            rest.append(rate("", "repeat_rate", count, self.rows))
        if end is not None and self.newest is not None:
            rest.append(Measurement("", "newest_age", "location", age(self.newest, end), self.rows))
        for key, part in self.segments.items():
            rest.append(Measurement("", "rows", "count", float(part.rows), part.rows, part.rows, key))
            rest.append(rate("", "share", part.rows, self.rows, key))
        fields = measured_fields(self.fields, end, unshared=split, leave_out=leave_out)
        return fields + [m for m in rest if m.metric not in leave_out]

    def metrics(self) -> pd.DataFrame:
        """Tidy frame of all metrics: columns field, metric, value, rows, segment; with the metrics of each segment.

        A field's `duplicate_rate`, the complement of its `unique_rate`, stands only here: nobody needs to watch both.
        """
        rows = [(m.field, m.metric, m.value, m.rows, m.segment) for m in self.measurements()]
        for key, part in self.segments.items():
            rows += [
                (m.field, m.metric, m.value, m.rows, key) for m in part.measurements() if m.field and not m.segment
            ]
        unique = [row for row in rows if row[1] == "unique_rate"]
        rows += [(field, "duplicate_rate", 1.0 - value, n, key) for field, _, value, n, key in unique]
        return pd.DataFrame(rows, columns=["field", "metric", "value", "rows", "segment"])

    def distribution(self, field: str) -> tuple[list[str], Any]:
        """Labels and counts of a field's coarse bins, aligned between all profiles of one reference.

        See `mlobs.metrics.distributions.distribution`.
        """
        from mlobs.metrics.distributions import distribution

        return distribution(self.field(field))

    def overlap(self, other: Profile) -> float:
        """Share of this profile's distinct rows that also occur in `other`, in [0, 1], standard error at most .04.

        Rows are compared by the hash of their profiled fields without key, time and timestamps; a repeated delivery has
        an overlap of 1. NaN when either has no sketch or no rows.
        """
        return math.nan if self.sketch is None or other.sketch is None else self.sketch.overlap(other.sketch)

    def to_bytes(self) -> bytes:
        """A compact, versioned form, without pickle; `Profile.from_bytes` gives an equal profile."""
        from mlobs.metrics.profile_bytes import encode

        return encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Profile:
        """The profile that `to_bytes` wrote.

        Raises:
            ProfileError: when these bytes are no profile, are damaged, or come from an unknown version.
        """
        from mlobs.metrics.profile_bytes import decode

        return decode(data)

    def with_window(self, window: Any) -> Profile:
        """The same states, as the profile of another window."""
        return replace(self, window=Window.of(window))


def _merged_columns(parts: list[Profile]) -> dict[str, str]:
    types: dict[str, set[str]] = {}
    for part in parts:
        for name, text in part.columns.items():
            types.setdefault(name, set()).update(text.split(" | "))
    return {name: " | ".join(sorted(found)) for name, found in types.items()}


def _merged_of(parts: list[Profile], states_of: Callable[[Profile], Mapping[Any, Any]]) -> dict[Any, Any]:
    groups: dict[Any, list[Any]] = {}
    for part in parts:
        for key, state in states_of(part).items():
            groups.setdefault(key, []).append(state)
    return {key: type(states[0]).merged(states) for key, states in groups.items()}


def _merged_sketch(parts: list[Profile]) -> RowSketch | None:
    """The sketch of all rows; None when a part with rows has none."""
    filled = [p.sketch for p in parts if p.rows]
    taken = [s for s in filled if s is not None]
    return RowSketch.merged(taken) if taken and len(taken) == len(filled) else None


def _merged_segments(parts: list[Profile]) -> dict[str, Profile]:
    groups: dict[str, list[Profile]] = {}
    for part in parts:
        for key, segment in part.segments.items():
            groups.setdefault(key, []).append(segment)
    return {key: Profile.merged(found) for key, found in groups.items()}
