"""Counting distinct values in a mergeable way: HyperLogLog registers made of hashes that the engine computed. Numpy only.

A hash has 63 bits. Its lowest 9 number a register, which keeps the longest run of leading zeros, plus one, of the other
54; the engine gives `min(hash >> 9)` of each register. A sketch may be taken of the share 2^-r of the hash space only (so
that most rows need no grouping): its registers are 0 or above r, and merging takes the larger r.
Standard error of a count: 1.04 / sqrt(512) = 4.6%; with what sampling adds at most 5.1%.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

REGISTER_BITS = 9
REGISTERS = 1 << REGISTER_BITS
ERROR = math.hypot(1.04 / math.sqrt(REGISTERS), 1.0 / math.sqrt(4 * REGISTERS))
"""Largest relative standard error of an estimated distinct count, 5.1%: that of the registers and of sampling."""

_RANK_BITS = 54
_LINEAR = 1 / (2 * math.log(2))


def no_registers() -> NDArray[np.uint8]:
    """The sketch of no value: the identity of the merge, which is the elementwise maximum."""
    return np.zeros(REGISTERS, np.uint8)


def registers(index: NDArray[np.int64], smallest: NDArray[np.uint64], size: int = REGISTERS) -> NDArray[np.uint8]:
    """Registers of shape (size,) from register numbers, each once, and the smallest `hash >> 9` (54 bits) in each."""
    result = np.zeros(size, np.uint8)
    # the bit length of 54 bits: the exponent of a double is exact for 53
    _, length = np.frexp((smallest >> np.uint64(1)).astype(np.float64))
    length = np.where(smallest > 0, length + 1, 0)
    result[index] = _RANK_BITS - length + 1
    return result


def sampled_to(sketch: NDArray[np.uint8], sampling: int) -> NDArray[np.uint8]:
    """The sketch that the share 2^-sampling of the hash space would have given."""
    return np.where(sketch <= sampling, 0, sketch).astype(np.uint8) if sampling else sketch


def estimate(sketch: NDArray[np.uint8], sampling: int = 0) -> float:
    """Distinct values behind a sketch; 0 when it is empty, relative standard error `ERROR`.

    Source: O. Ertl, New cardinality estimation algorithms for HyperLogLog sketches (2017), algorithm 6.
    """
    q = _RANK_BITS - sampling
    ranks = sketch.astype(np.int64)
    counts = np.bincount(np.where(ranks > 0, ranks - sampling, 0), minlength=q + 2).astype(np.float64)
    m = float(REGISTERS)
    if counts[0] == m:
        return 0.0
    z = m * _tau(1.0 - counts[q + 1] / m)
    for k in range(q, 0, -1):
        z = 0.5 * (z + float(counts[k]))
    z += m * _sigma(float(counts[0]) / m)
    return float(_LINEAR * m * m / z * 2.0**sampling)


def _sigma(x: float) -> float:
    y, z = 1.0, x
    while True:
        x *= x
        previous = z
        z += x * y
        y += y
        if z == previous:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        previous = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == previous:
            return z / 3.0
