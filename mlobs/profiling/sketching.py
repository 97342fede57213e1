"""Distinct sketches of numeric fields: which share of the values' hashes they are made of, and how the engine hands it over.

A field that the reference expects to have nearly as many values as rows is sampled so thinly that its bins can list the
hashes: then a sketch costs no scan of its own. Any other field is grouped by register, which needs one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlobs.profiling.assemble import FIELDS, Answer, Key
from mlobs.states import Grid, NumericState
from mlobs.states import distinct as sketches

HANDED_OVER = 1 << 19
"""Most hashes of a field that its bins list, if there are few groups: 4 MB, and less work than another scan."""

OF_A_GROUP = 4 * sketches.SAMPLED
"""Most hashes of a field and group, on average, that its bins list, if there are many: as many bytes as bins take."""

_AT_ONCE = 1 << 17
"""Bins whose hashes are put into registers at once, which bounds the memory it takes."""

_LEAST = 1.6
"""Values of a sample for each register with which a count's error is still `states.distinct.ERROR`."""

Registers = Mapping[Key, NDArray[np.uint8]]


def sampling_of(valued: int, distinct: int) -> int:
    """Which share 2^-r of the hash space a sketch needs: once to twice `states.distinct.SAMPLED` values, of those expected."""
    expected = min(valued, distinct) if distinct else valued
    return max(0, (expected // sketches.SAMPLED).bit_length() - 1)


def listing(grids: Mapping[int, Grid], sizes: Collection[int]) -> dict[int, int]:
    """Field -> sampling with which its bins list hashes, for fields that can do so; groups have `sizes` rows.

    An eighth of the rows may be null before the list is too thin for what is left.
    """
    if not sizes:
        return {}
    found = {at: min(sampling_of(n - n // 8, grid.distinct) for n in sizes) for at, grid in grids.items()}
    most = max(HANDED_OVER, OF_A_GROUP * len(sizes))
    return {at: level for at, level in found.items() if level and sum(sizes) >> level <= most}


def grouped_registers(answer: Answer) -> dict[Key, NDArray[np.uint8]]:
    """The registers of every group and field, from a query that grouped hashes by register."""
    at, keys = pd.factorize(answer["g"] * FIELDS + answer["f"])
    registers = sketches.registers(at * sketches.REGISTERS + answer["h"], answer["n"], len(keys) * sketches.REGISTERS)
    return _by_key(registers, keys)


def listed_registers(answer: Answer, lists: pa.ListArray) -> dict[Key, NDArray[np.uint8]]:
    """The registers of every group and field, from the hashes that its bins listed, in the order of the answer's rows."""
    at, keys = pd.factorize(answer["g"] * FIELDS + answer["f"])
    registers = np.zeros(len(keys) * sketches.REGISTERS, np.uint8)
    for start in range(0, len(lists), _AT_ONCE):
        part = lists.slice(start, _AT_ONCE)
        hashes = part.flatten().to_numpy(zero_copy_only=False)
        sizes = pc.list_value_length(part).fill_null(0).to_numpy(zero_copy_only=False)
        first = np.repeat(at[start : start + _AT_ONCE] * sketches.REGISTERS, sizes)
        index = first + (hashes & (sketches.REGISTERS - 1))
        sketches.add(registers, index, hashes >> sketches.REGISTER_BITS)
    return _by_key(registers, keys)


def _by_key(registers: NDArray[np.uint8], keys: NDArray[np.int64]) -> dict[Key, NDArray[np.uint8]]:
    table = registers.reshape(len(keys), sketches.REGISTERS)
    return {(k // FIELDS, k % FIELDS): row for k, row in zip(keys.tolist(), table, strict=True)}


@dataclass(frozen=True)
class Sketches:
    """How the sketches of the states' fields are sampled.

    Attributes:
        needed: (group, field) -> the sampling that its values ask for.
        levels: field -> the sampling with which the engine hands over its hashes.
        listed: the fields whose bins listed them.
    """

    needed: Mapping[Key, int]
    levels: Mapping[int, int]
    listed: frozenset[int]

    @classmethod
    def of(cls, states: Mapping[Key, NumericState], listed: Mapping[int, int]) -> Sketches:
        """Keep the listed hashes of fields where these are enough for every group."""
        needed = {key: sampling_of(s.rows - s.nulls, s.grid.distinct) for key, s in states.items() if s.rows > s.nulls}
        least: dict[int, int] = {}
        for (_, f), r in needed.items():
            least[f] = min(r, least.get(f, r))
        enough = {f: level for f, level in listed.items() if f in least and level <= least[f]}
        return cls(needed, {**least, **enough}, frozenset(enough))

    @property
    def asked(self) -> list[int]:
        """The fields that need a query, in order."""
        return sorted(set(self.levels) - self.listed)

    def thin(self, registers: Registers) -> frozenset[Key]:
        """The groups and fields with fewer values than expected, so that a sample says too little of them: with so many values
        for each register, the share exp(-values) of these is empty."""
        filled = sketches.REGISTERS * (1 - math.exp(-_LEAST))
        return frozenset(
            key for key, r in self.needed.items() if r and np.count_nonzero(_sampled(registers, key, r)) < filled
        )

    def put(
        self, states: Mapping[Key, NumericState], registers: Registers, thin: Collection[Key], family: str
    ) -> dict[Key, NumericState]:
        """The states with their sketches; those of `thin` are unsampled."""
        result = dict(states)
        for key, r in self.needed.items():
            taken = 0 if key in thin else r
            result[key] = replace(states[key], registers=_sampled(registers, key, taken), sampling=taken, family=family)
        return result


def with_zeros(registers: Registers, states: Mapping[Key, NumericState]) -> dict[Key, NDArray[np.uint8]]:
    """Registers of listed hashes, with zero, which isn't listed: its hash is 0."""
    zero = sketches.registers(np.array([0]), np.array([0]))
    return {
        key: np.maximum(registers.get(key, sketches.no_registers()), zero if state.zeros else 0)
        for key, state in states.items()
    }


def _sampled(registers: Registers, key: Key, sampling: int) -> NDArray[np.uint8]:
    found = registers.get(key)
    return sketches.no_registers() if found is None else sketches.sampled_to(found, sampling)


def sizes_of(groups: NDArray[np.int64], rows: Sequence[int]) -> list[int]:
    """The rows of each group that lies in a window; groups may be numbered with gaps."""
    sizes = pd.Series(rows, dtype=np.int64)[groups >= 0].groupby(groups[groups >= 0]).sum()
    return [int(n) for n in sizes if n]
