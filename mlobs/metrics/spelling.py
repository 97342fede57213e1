"""New values of a field that are known ones spelt wrongly, or texts read in the wrong character set. Pure.

A value is misspelt when it is new, and one edit from a known value: a letter wrong, missing or too many, or two neighbours
swapped, which make four misspellings of five; or when it differs from one in case or outer blanks only. Where known values are
themselves so close to each other (codes, numbers, inflected words) that says nothing, and only swapped neighbours count; where
even these are close, nothing is said. A text is garbled when it holds what UTF-8 looks like in another character set, or the
replacement character.

Sources: F. J. Damerau, A technique for computer detection and correction of spelling errors, CACM 7 (1964); the edits are
counted by RapidFuzz (optimal string alignment), the signs of a wrong character set are those of ftfy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mlobs.states import CategoricalState

WORD = 5
"""Letters from which any one edit of a known value is a misspelling: most shorter texts are near some code."""
CODE = 3
"""Letters from which two swapped neighbours are."""
LONGEST = 80
"""Letters up to which a value is compared: of longer texts hardly two are alike."""
APART = 0.02
"""Share of the known values that may have another one as near before nearness says nothing."""
PROBED = 200
"""Known values of which that share is taken."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Spelling:
    """How new values of one field are read.

    Attributes:
        known: the known values without their case and outer blanks.
        names: these values as they are written.
        variants: whether one that differs in case or outer blanks only is misspelt.
        words: whether any value one edit from a known one is.
        codes: whether one with two neighbours swapped is.
    """

    known: tuple[str, ...]
    names: tuple[str, ...]
    variants: bool
    words: bool
    codes: bool

    def meant(self, values: Sequence[str]) -> list[str | None]:
        """The known value that each new value was meant for; None where it isn't misspelt.

        >>> spelling_of(("San Diego", "Chicago", "Auckland")).meant(["Sna Diego", "chicago ", "Oslo"])
        ['San Diego', 'Chicago', None]
        """
        plain = [_plain(value) for value in values]
        found: list[str | None] = [None] * len(values)
        for i, j in _near(plain, self.known):
            if found[i] is None and self._is_meant(plain[i], self.known[j]):
                found[i] = self.names[j]
        return found

    def _is_meant(self, value: str, known: str) -> bool:
        if value == known:
            return self.variants
        return (self.words and len(value) >= WORD) or (self.codes and _swapped(value, known))


@lru_cache(maxsize=512)
def spelling_of(names: tuple[str, ...]) -> Spelling | None:
    """How new values are read beside the known `names`; None where these are too close to each other to tell.

    >>> spelling_of(("98101", "98102", "98103", "98110", "98111")) is None
    True
    """
    written: dict[str, str] = {}
    for name in names:
        if _plain(name):
            written.setdefault(_plain(name), name)
    known = tuple(written)
    probed = known[:: max(-(-len(known) // PROBED), 1)]
    words, swaps = set(), set()
    for i, j in _near(probed, known):
        if probed[i] != known[j]:
            words |= {i} if len(probed[i]) >= WORD else set()
            swaps |= {i} if _swapped(probed[i], known[j]) else set()
    long = sum(len(name) >= WORD for name in probed)
    coded = sum(len(name) >= CODE for name in probed)
    variants = len(names) - len(known) <= APART * len(names)
    spelling = Spelling(
        known,
        tuple(written.values()),
        variants=variants and coded > 0,
        words=long > 0 and len(words) <= APART * long,
        codes=coded > 0 and len(swaps) <= APART * coded,
    )
    return spelling if spelling.words or spelling.codes else None


def garbled(value: str) -> bool:
    """Whether a text was decoded with another character set than it had been encoded with.

    >>> [garbled(text) for text in ("Zürich", "ZÃ¼rich", "Z\N{REPLACEMENT CHARACTER}rich")]
    [False, True, True]
    """
    if value.isascii() or REPLACEMENT in value:
        return REPLACEMENT in value
    from ftfy.badness import is_bad

    return bool(is_bad(value))


def misspelt_values(state: CategoricalState) -> dict[str, str]:
    """Misspelt value -> the known one it was meant for; of no more values than were kept by name."""
    spelling = _spelling(state)
    values = tuple(state.unseen)
    if spelling is None or not values:
        return {}
    return {value: known for value, known in zip(values, spelling.meant(values), strict=True) if known is not None}


def garbled_values(state: CategoricalState) -> list[str]:
    """New values that are garbled; of no more values than were kept by name."""
    return [value for value in state.unseen if garbled(value)] if _readable(state) else []


def misspelt_rows(state: CategoricalState) -> int | None:
    """Rows whose value is a known one spelt wrongly; None where that can't be told."""
    return _rows(state, misspelt_values(state)) if _spelling(state) is not None else None


def garbled_rows(state: CategoricalState) -> int | None:
    """Rows whose value is new and garbled; None where that can't be told."""
    return _rows(state, garbled_values(state)) if _readable(state) else None


def _spelling(state: CategoricalState) -> Spelling | None:
    return spelling_of(state.levels.names) if _readable(state) else None


def _readable(state: CategoricalState) -> bool:
    """Whether new values are told from known ones, and remembered as they are written."""
    return bool(state.levels.names) and state.levels.complete and not state.levels.sensitive


def _rows(state: CategoricalState, values: Collection[str]) -> int:
    """Rows of some of the new values; where not all new ones were kept, as large a share of all as of those that were."""
    kept = sum(rows for _, rows in state.unseen.values())
    return round(sum(state.unseen[value][1] for value in values) * state.unseen_rows / kept) if values else 0


def _plain(name: str) -> str:
    return name.strip().casefold()


def _near(values: Sequence[str], known: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of positions of texts that are the same or one edit apart."""
    from rapidfuzz.distance import OSA
    from rapidfuzz.process import cdist

    some = [i for i, value in enumerate(values) if CODE <= len(value) <= LONGEST]
    if some and known:
        edits = cdist([values[i] for i in some], known, scorer=OSA.distance, score_cutoff=1, dtype=np.uint8)
        for at, j in np.argwhere(edits <= 1).tolist():
            yield some[at], j


def _swapped(value: str, known: str) -> bool:
    """Whether two texts one edit apart differ in the order of two neighbours."""
    return len(value) >= CODE and len(value) == len(known) and value != known and sorted(value) == sorted(known)
