"""A mergeable sample of row hashes: whether two windows hold the same rows, and whether rows repeat inside one. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KEPT = 256
"""Distinct row hashes kept; a share estimated from them has a standard error of at most .5 / sqrt(256) = .03."""

HASHES = 1 << 63
"""Hashes lie in [0, 2^63)."""


@dataclass(frozen=True)
class RowSketch:
    """All distinct row hashes below `limit`, with the rows of each; at most `KEPT` of them.

    Hashes are of all profiled fields but key, time and timestamps, so that a delivery repeated under another date shows.

    Attributes:
        family: which hash function and columns; sketches of different families can't be compared.
        limit: exclusive bound of the hashes kept; `HASHES` when all are.
        hashes: hash -> rows.
    """

    family: str = ""
    limit: int = HASHES
    hashes: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, family: str, limit: int, hashes: Mapping[int, int]) -> RowSketch:
        """The sketch of all rows whose hash lies below `limit`, cut down to `KEPT` hashes."""
        if len(hashes) > KEPT:
            ordered = sorted(hashes)
            limit = ordered[KEPT]
            hashes = {h: hashes[h] for h in ordered[:KEPT]}
        return cls(family, limit, dict(hashes))

    def __add__(self, other: RowSketch) -> RowSketch:
        return RowSketch.merged([self, other])

    @staticmethod
    def merged(sketches: Sequence[RowSketch]) -> RowSketch:
        """The sketch of all rows; of no family (and empty) when the families differ."""
        families = {s.family for s in sketches}
        if len(families) > 1:
            return RowSketch("", 0, {})
        limit = min(s.limit for s in sketches)
        hashes: dict[int, int] = {}
        for s in sketches:
            for h, n in s.hashes.items():
                if h < limit:
                    hashes[h] = hashes.get(h, 0) + n
        return RowSketch.of(families.pop(), limit, hashes)

    @property
    def repeated(self) -> float:
        """Share of rows that equal an earlier row, in [0, 1]; NaN without rows. Exact while all hashes are kept."""
        total = sum(self.hashes.values())
        return (total - len(self.hashes)) / total if total else math.nan

    def overlap(self, other: RowSketch) -> float:
        """Share of this sketch's distinct rows that also occur in `other`, in [0, 1]; NaN when it can't be told."""
        if self.family != other.family:
            return math.nan
        limit = min(self.limit, other.limit)
        mine = [h for h in self.hashes if h < limit]
        return sum(h in other.hashes for h in mine) / len(mine) if mine else math.nan
