"""Arrays to compact bytes and back: a JSON header, then each array deflated by itself. No pickle, no I/O.

Layout: magic (6 bytes), format version (1 byte), length of the deflated header (4 bytes, little endian), header, arrays.
Integers are stored in the smallest type that holds them, their bytes regrouped by significance; an array is deflated
with or without looking for repetitions, whichever is shorter.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlobs.errors import ProfileError


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "iu" or array.size == 0:
        return array
    low, high = int(array.min()), int(array.max())
    for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "u8"):
        info = np.iinfo(kind)
        if info.min <= low and high <= info.max:
            return array.astype("<" + kind)
    return array.astype("<i8")


def _deflated(raw: bytes) -> bytes:
    plain = zlib.compress(raw, 6)
    coder = zlib.compressobj(6, strategy=zlib.Z_HUFFMAN_ONLY)
    counted = coder.compress(raw) + coder.flush()
    return min(plain, counted, key=len)


def pack(magic: bytes, version: int, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Bytes that `unpack` turns back into the same header and arrays."""
    layout, data = [], []
    for name, array in arrays.items():
        small = _smallest(np.ascontiguousarray(array))
        raw = small.view(np.uint8).reshape(len(small), small.itemsize).T.tobytes()
        kept = _deflated(raw) if len(raw) > 64 else raw
        layout.append([name, small.dtype.str, array.dtype.str, len(small), len(kept)])
        data.append(kept)
    text = json.dumps({"header": header, "arrays": layout}, ensure_ascii=False, separators=(",", ":"))
    head = zlib.compress(text.encode("utf-8", "surrogatepass"), 6)
    return magic + bytes([version]) + len(head).to_bytes(4, "little") + head + b"".join(data)


def unpack(
    magic: bytes, versions: Sequence[int], data: bytes, what: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of bytes made by `pack` in one of the format `versions`, the newest first.

    Raises:
        ProfileError: when these aren't such bytes, are cut short, or come from another format version.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)) or bytes(data[: len(magic)]) != magic:
        raise ProfileError(f"these bytes hold no {what}: they don't begin with {magic!r}")
    data = bytes(data)
    start = len(magic) + 1
    found = data[start - 1] if len(data) >= start else -1
    if found not in versions:
        raise ProfileError(
            f"this {what} has format version {found}, and this mlobs reads version {versions[0]}:"
            " read it with the mlobs that wrote it, or profile the rows again"
        )
    try:
        offset = start + 4 + int.from_bytes(data[start : start + 4], "little")
        content = json.loads(zlib.decompress(data[start + 4 : offset]).decode("utf-8", "surrogatepass"))
        arrays: dict[str, NDArray[Any]] = {}
        for name, stored, original, size, length in content["arrays"]:
            kind = np.dtype(stored)
            kept = data[offset : offset + length]
            offset += length
            raw = kept if size * kind.itemsize <= 64 else zlib.decompress(kept)
            columns = np.frombuffer(raw, np.uint8, size * kind.itemsize).reshape(kind.itemsize, size)
            arrays[name] = np.ascontiguousarray(columns.T).view(kind).reshape(size).astype(original)
        header: dict[str, Any] = content["header"]
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise ProfileError(f"this {what} is damaged and can't be read ({error}): profile the rows again") from error
    return header, arrays
