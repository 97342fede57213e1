"""The state of a categorical or text field: frequencies, forms of the values, distinct count. No I/O.

Levels known from the reference are counted exactly, each. Values it had not seen ("unseen") are counted exactly in
total; each of them is kept with its exact count up to `UNSEEN_KEPT` values, beyond that those with the smallest hashes:
a uniform sample of the unseen values that merges exactly, and that estimates how many there are.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mlobs.errors import ProfileError
from mlobs.states.grid import Ints

LEVELS = 1000
"""Most levels a reference remembers; its rarer values are counted together ("other") and are not unseen."""

UNSEEN_KEPT = 256
"""Unseen values kept by name; with more of them distinct counts have a relative standard error of 1/sqrt(254) = 6.3%."""

FORMS = ("empty", "blank", "null_keyword", "number_like", "uuid_like", "email_like", "timestamp_like")
"""What a value may look like, as bits of a mask in this order."""

NULL_WORDS = ("null", "none", "nil", "nothing", "nan", "na", "n/a", "#n/a", "<na>", "nat", "undefined")
"""Texts that stand for a missing value, in lower case."""

PATTERNS = {
    "number_like": "[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?",
    "uuid_like": "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "email_like": "[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+[.][A-Za-z]{2,24}",
    "timestamp_like": (
        "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
    ),
}
"""What a whole text without its outer spaces must match; in what RE2, Java and POSIX expressions share."""

_COMPILED = {name: re.compile(pattern) for name, pattern in PATTERNS.items()}
_WORDS = frozenset(NULL_WORDS)


@lru_cache(maxsize=65536)
def form(value: str) -> int:
    """Bit mask over `FORMS`: empty, only spaces, a word for null, or one of `PATTERNS`.

    >>> [name for bit, name in enumerate(FORMS) if form(" 1e-3") >> bit & 1]
    ['number_like']
    """
    text = value.strip(" ")
    if not text:
        return 1 if value == "" else 2
    mask = 4 if text.lower() in _WORDS else 0
    for bit, pattern in enumerate(_COMPILED.values(), 3):
        if pattern.fullmatch(text):
            mask |= 1 << bit
    return mask


@lru_cache(maxsize=65536)
def shape(value: str) -> str:
    """A value's form: letters become A or a, digits 9, runs are collapsed, the rest stays; at most 24 characters.

    >>> shape("JFK-1042 Ñandú")
    'A-9 Aa'
    """
    out: list[str] = []
    for letter in value:
        mark = "9" if letter.isdigit() else "A" if letter.isupper() else "a" if letter.isalpha() else letter
        if not out or out[-1] != mark:
            out.append(mark)
            if len(out) == 24:
                break
    return "".join(out)


def digest(value: str) -> int:
    """The 64-bit hash that orders unseen values: the first 16 hex digits of the MD5 of the UTF-8 text, in any engine."""
    return int(hashlib.md5(value.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:16], 16)


def concealed(field_name: str, value: str) -> str:
    """What a sensitive field's value is remembered as: 16 hex digits of a SHA-256 salted with the field's name."""
    return hashlib.sha256(f"{field_name}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True)
class Levels:
    """The frozen frame of a categorical field: what the reference had seen.

    Attributes:
        names: known values, most frequent first in the reference; hashed where the field is sensitive.
        lengths: their lengths in characters.
        forms: their bit masks over `FORMS`.
        shapes: the known shapes (hashed where sensitive); empty when there are too many to tell.
        complete: whether `names` are all values of the reference; if not, the others count as "other", not as unseen.
        sensitive: whether values are remembered only as hashes.
        salt: what these hashes are salted with: the field's name.
        distinct: distinct values the reference had.
    """

    names: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()
    forms: tuple[int, ...] = ()
    shapes: frozenset[str] = frozenset()
    complete: bool = True
    sensitive: bool = False
    salt: str = ""
    distinct: int = 0
    _index: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._index.update({name: i for i, name in enumerate(self.names)})

    @classmethod
    def learn(
        cls, counts: Mapping[str, int], field: str = "", *, sensitive: bool = False, distinct: int | None = None
    ) -> Levels:
        """The frame made of a reference's values and their counts (all of them, or the most frequent)."""
        ranked = sorted(counts, key=lambda v: (-counts[v], v))
        kept = ranked[:LEVELS]
        total = len(ranked) if distinct is None else distinct
        shapes = {shape(v) for v in ranked}
        if len(shapes) > LEVELS // 4:
            shapes = set()
        return cls(
            names=tuple(concealed(field, v) if sensitive else v for v in kept),
            lengths=tuple(len(v) for v in kept),
            forms=tuple(form(v) for v in kept),
            shapes=frozenset(concealed(field, s) if sensitive else s for s in shapes),
            complete=total <= len(kept),
            sensitive=sensitive,
            salt=field,
            distinct=total,
        )

    def remembered(self, value: str) -> str:
        """How a value is remembered: itself, or its hash."""
        return concealed(self.salt, value) if self.sensitive else value

    def index(self, name: str) -> int:
        """Position of a remembered name in `names`, -1 when it is unseen."""
        return self._index.get(name, -1)

    def new_shape(self, value: str) -> bool:
        """Whether no value of the reference had this form (False when the reference's forms are too many)."""
        if not self.shapes:
            return False
        mark = shape(value)
        return (concealed(self.salt, mark) if self.sensitive else mark) not in self.shapes


@dataclass(frozen=True, eq=False)
class CategoricalState:
    """What is known of a categorical or text field over some rows.

    Attributes:
        levels: the frozen frame; only states of one frame merge.
        kind: "categorical" or "text".
        rows, nulls: counts.
        counts: rows of each known level, shape (len(levels.names),).
        unseen_rows: rows whose value is no known level.
        unseen: remembered name -> (hash, rows) of unseen values, those with the smallest hashes.
        forms: rows of each of `FORMS`, shape (7,).
        new_shapes: rows whose shape the reference had not.
        length_sum, length_min, length_max: of the values' lengths in characters; min and max are -1 without values.
    """

    levels: Levels
    kind: str = "categorical"
    rows: int = 0
    nulls: int = 0
    counts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    unseen_rows: int = 0
    unseen: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    forms: Ints = field(default_factory=lambda: np.zeros(len(FORMS), np.int64))
    new_shapes: int = 0
    length_sum: int = 0
    length_min: int = -1
    length_max: int = -1

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.levels.names):
            object.__setattr__(self, "counts", np.zeros(len(self.levels.names), np.int64))

    @property
    def valued(self) -> int:
        return self.rows - self.nulls

    @property
    def unseen_distinct(self) -> float:
        """Distinct unseen values: exact up to `UNSEEN_KEPT`, else estimated from their smallest hashes."""
        kept = len(self.unseen)
        if kept < UNSEEN_KEPT:
            return float(kept)
        largest = max(h for h, _ in self.unseen.values())
        return max(float(kept), (kept - 1) * 2.0**64 / (largest + 1.0))

    @property
    def distinct(self) -> float:
        """Distinct values; at most the rows that have one."""
        return min(float(np.count_nonzero(self.counts)) + self.unseen_distinct, float(self.valued))

    def frequencies(self) -> dict[str, int]:
        """Value -> rows, most frequent first: known levels and the unseen values that were kept; see `rest`."""
        pairs = [(name, int(n)) for name, n in zip(self.levels.names, self.counts, strict=True) if n]
        pairs += [(name, n) for name, (_, n) in self.unseen.items()]
        return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))

    @property
    def rest(self) -> int:
        """Rows whose value isn't in `frequencies()`; no value left out there is a known level."""
        return self.unseen_rows - sum(n for _, n in self.unseen.values())

    def __add__(self, other: CategoricalState) -> CategoricalState:
        return CategoricalState.merged([self, other])

    @staticmethod
    def merged(states: Sequence[CategoricalState]) -> CategoricalState:
        """The state of all rows of `states` (at least one).

        Raises:
            ProfileError: when their frames differ.
        """
        first = states[0]
        if any(s.kind != first.kind or (s.levels is not first.levels and s.levels != first.levels) for s in states):
            raise ProfileError("states with different known levels can't be merged: profile both against one reference")
        filled = [s for s in states if s.rows]
        if len(filled) < 2:
            return filled[0] if filled else first
        unseen: dict[str, tuple[int, int]] = {}
        for s in filled:
            for name, (h, n) in s.unseen.items():
                unseen[name] = (h, unseen[name][1] + n if name in unseen else n)
        shortest = [s.length_min for s in filled if s.length_min >= 0]
        return CategoricalState(
            first.levels,
            first.kind,
            rows=sum(s.rows for s in filled),
            nulls=sum(s.nulls for s in filled),
            counts=np.sum([s.counts for s in filled], axis=0, dtype=np.int64),
            unseen_rows=sum(s.unseen_rows for s in filled),
            unseen=smallest(unseen),
            forms=np.sum([s.forms for s in filled], axis=0, dtype=np.int64),
            new_shapes=sum(s.new_shapes for s in filled),
            length_sum=sum(s.length_sum for s in filled),
            length_min=min(shortest) if shortest else -1,
            length_max=max(s.length_max for s in filled),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CategoricalState):
            return NotImplemented
        return (
            self.levels == other.levels
            and self.kind == other.kind
            and (self.rows, self.nulls, self.unseen_rows, self.new_shapes)
            == (other.rows, other.nulls, other.unseen_rows, other.new_shapes)
            and (self.length_sum, self.length_min, self.length_max)
            == (other.length_sum, other.length_min, other.length_max)
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.forms, other.forms)
            and dict(self.unseen) == dict(other.unseen)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        facts = f"distinct={self.distinct:.6g}, unseen_rows={self.unseen_rows}"
        return f"CategoricalState(rows={self.rows}, nulls={self.nulls}, {facts})"


def smallest(unseen: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The `UNSEEN_KEPT` entries with the smallest hashes (all when there are no more)."""
    if len(unseen) <= UNSEEN_KEPT:
        return unseen
    kept = sorted(unseen.items(), key=lambda item: (item[1][0], item[0]))[:UNSEEN_KEPT]
    return dict(kept)


@dataclass(frozen=True)
class Values:
    """What is asked of distinct values once, whatever number of windows and segments they occur in.

    Attributes, all of shape (len(names),): remembered `names`, `known` index or -1, `lengths`, `forms` masks,
    `new_shape` flags, and `hashes` (0 for known levels, whose hash is never asked for).
    """

    levels: Levels
    names: list[str]
    known: Ints
    lengths: Ints
    forms: Ints
    new_shape: NDArray[np.bool_]
    hashes: NDArray[np.uint64]

    @classmethod
    def of(cls, levels: Levels, values: Iterable[str]) -> Values:
        texts = list(values)
        names = [levels.remembered(v) for v in texts]
        known = np.array([levels.index(name) for name in names], np.int64)
        unknown = known < 0
        return cls(
            levels,
            names,
            known,
            np.array([len(v) for v in texts], np.int64),
            np.array([form(v) for v in texts], np.int64),
            np.array([bool(u) and levels.new_shape(v) for v, u in zip(texts, unknown, strict=True)], np.bool_),
            np.array([digest(name) if u else 0 for name, u in zip(names, unknown, strict=True)], np.uint64),
        )

    def state(self, kind: str, codes: Ints, counts: Ints, nulls: int) -> CategoricalState:
        """The state of rows that hold the values at `codes`, `counts` times each, and of `nulls` rows without."""
        valued = int(counts.sum())
        if not len(codes):
            return CategoricalState(self.levels, kind, rows=nulls, nulls=nulls)
        known = self.known[codes]
        seen = known >= 0
        per_level = np.zeros(len(self.levels.names), np.int64)
        np.add.at(per_level, known[seen], counts[seen])
        fresh, fresh_counts = codes[~seen], counts[~seen]
        unseen_rows = int(fresh_counts.sum())
        if len(fresh) > UNSEEN_KEPT:
            first = np.argpartition(self.hashes[fresh], UNSEEN_KEPT - 1)[:UNSEEN_KEPT]
            fresh, fresh_counts = fresh[first], fresh_counts[first]
        kept = zip(fresh.tolist(), self.hashes[fresh].tolist(), fresh_counts.tolist(), strict=True)
        unseen = {self.names[c]: (h, n) for c, h, n in kept}
        masks, lengths = self.forms[codes], self.lengths[codes]
        shown = int(np.bitwise_or.reduce(masks))
        return CategoricalState(
            self.levels,
            kind,
            rows=valued + nulls,
            nulls=nulls,
            counts=per_level,
            unseen_rows=unseen_rows,
            unseen=unseen,
            forms=np.array(
                [int(counts[(masks >> bit & 1) == 1].sum()) if shown >> bit & 1 else 0 for bit in range(len(FORMS))],
                np.int64,
            ),
            new_shapes=int(counts[self.new_shape[codes]].sum()),
            length_sum=int((lengths * counts).sum()),
            length_min=int(lengths.min()),
            length_max=int(lengths.max()),
        )


def mean_length(state: CategoricalState) -> float:
    """Mean length in characters, NaN without values."""
    return state.length_sum / state.valued if state.valued else math.nan
