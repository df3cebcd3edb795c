"""Groups of JSON lines in a file that survives a kill: each group is written whole, or not at all.

A group is one zstd frame, with a skippable frame of 16 bytes before it that holds the length and the
CRC-32 of what follows. `zstdcat` reads the file as plain JSON lines. A killed writer leaves at most one
cut group at the end; a damaged byte costs the group that it is in, and no other.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LEVEL = 12
"""Of 1 to 22; a run of 50 kB takes some milliseconds, and more makes it hardly smaller."""
LONGEST = 1 << 28
"""Bytes that one group may unpack to: a file from elsewhere may not fill the memory."""
MARK = struct.pack("<II", 0x184D2A50, 8)
HEAD = len(MARK) + 8


class Group(NamedTuple):
    """The lines of one group, and where it begins in the file, in bytes."""

    offset: int
    lines: list[bytes]


class Damage(NamedTuple):
    """A part of the file that holds no readable group: where, and whether the file just ends there."""

    offset: int
    cut: bool


def pack(lines: Iterable[bytes]) -> bytes:
    """The bytes of one group; lines hold no line break."""
    from zstandard import ZstdCompressor

    # one of its own each time, which costs nothing: two threads in one crash the process
    body = ZstdCompressor(level=LEVEL).compress(b"".join(line + b"\n" for line in lines))
    return MARK + struct.pack("<II", len(body), zlib.crc32(body)) + body


def unpack(data: bytes) -> Iterator[Group | Damage]:
    """Every group of a file, in order, and every part that is none."""
    offset = 0
    while offset < len(data):
        found = _group(data, offset)
        yield found[0]
        offset = found[1]


def whole_until(data: bytes) -> int:
    """How many bytes stay when a cut group at the end is taken off."""
    last = next(iter(deque(unpack(data), maxlen=1)), None)
    return last.offset if isinstance(last, Damage) and last.cut else len(data)


def _group(data: bytes, offset: int) -> tuple[Group | Damage, int]:
    """What begins at an offset, and where the next group may begin."""
    head = data[offset : offset + HEAD]
    if len(head) < HEAD and MARK.startswith(head[: len(MARK)]):
        return Damage(offset, cut=True), len(data)
    following = data.find(MARK, offset + 1)
    after = len(data) if following < 0 else following
    if not head.startswith(MARK):
        return Damage(offset, cut=False), after
    size, checksum = struct.unpack("<II", head[len(MARK) :])
    body = data[offset + HEAD : offset + HEAD + size]
    if len(body) < size or zlib.crc32(body) != checksum:
        # a length that was damaged points past the end as a cut group does, but others follow it
        return Damage(offset, cut=len(body) < size and following < 0), after
    text = _text(body)
    found = Damage(offset, cut=False) if text is None else Group(offset, text.splitlines())
    return found, offset + HEAD + size


def _text(body: bytes) -> bytes | None:
    """What a group unpacks to, None where it is no zstd frame of ours or longer than we take."""
    from zstandard import ZstdDecompressor, ZstdError, frame_content_size

    try:
        # the limit of `decompress` holds only for frames that do not say how long they are
        if not 0 <= frame_content_size(body) <= LONGEST:
            return None
        return ZstdDecompressor().decompress(body)
    except ZstdError:
        return None
