"""Arrays to compact bytes and back: a JSON header beside byte-shuffled columns, deflated. No pickle, no I/O.

Layout: magic (6 bytes), format version (1 byte), then deflated: header length (4 bytes, little endian), JSON header,
array data. Integers are stored in the smallest type that holds them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
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


def pack(magic: bytes, version: int, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Bytes that `unpack` turns back into the same header and arrays (integers come back as int64 or uint64)."""
    layout = []
    data = []
    for name, array in arrays.items():
        small = _smallest(np.ascontiguousarray(array))
        layout.append([name, small.dtype.str, array.dtype.str, len(small)])
        data.append(small.view(np.uint8).reshape(len(small), small.itemsize).T.tobytes())
    text = json.dumps({"header": header, "arrays": layout}, ensure_ascii=False, separators=(",", ":")).encode()
    body = len(text).to_bytes(4, "little") + text + b"".join(data)
    return magic + bytes([version]) + zlib.compress(body, 6)


def unpack(magic: bytes, version: int, data: bytes, what: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of bytes made by `pack`.

    Raises:
        ProfileError: when these aren't such bytes, are cut short, or come from another format version.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)) or bytes(data[: len(magic)]) != magic:
        raise ProfileError(f"these bytes hold no {what}: they don't begin with {magic!r}")
    data = bytes(data)
    found = data[len(magic)] if len(data) > len(magic) else -1
    if found != version:
        raise ProfileError(
            f"this {what} has format version {found}, and this mlobs reads version {version}:"
            " read it with the mlobs that wrote it, or profile the rows again"
        )
    try:
        body = zlib.decompress(data[len(magic) + 1 :])
        length = int.from_bytes(body[:4], "little")
        content = json.loads(body[4 : 4 + length])
        offset = 4 + length
        arrays: dict[str, NDArray[Any]] = {}
        for name, stored, original, size in content["arrays"]:
            kind = np.dtype(stored)
            raw = np.frombuffer(body, np.uint8, size * kind.itemsize, offset)
            offset += size * kind.itemsize
            plain = np.ascontiguousarray(raw.reshape(kind.itemsize, size).T).view(kind).reshape(size)
            arrays[name] = plain.astype(original)
        header: dict[str, Any] = content["header"]
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise ProfileError(f"this {what} is damaged and can't be read ({error}): profile the rows again") from error
    return header, arrays
