"""Groups of lines in a file: whole or not at all, whatever happens to the bytes."""

import io
import struct
import threading
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zstandard import ZstdCompressor, ZstdDecompressor

from merchgraph.runtime import frames
from merchgraph.runtime.frames import HEAD, MARK, Damage, Group, pack, unpack, whole_until

LINES = [[b'{"a":1}', b'{"b":2}'], [b'{"c":"' + b"x" * 90 + b'"}'], [b'{"d":4}']]
FILE = b"".join(map(pack, LINES))
STARTS = [0, len(pack(LINES[0])), len(pack(LINES[0])) + len(pack(LINES[1]))]


def read(data: bytes) -> list[list[bytes]]:
    return [part.lines for part in unpack(data) if isinstance(part, Group)]


def damage(data: bytes) -> list[Damage]:
    return [part for part in unpack(data) if isinstance(part, Damage)]


def framed(body: bytes) -> bytes:
    """A group whose checksum is right, whatever is in it."""
    return MARK + struct.pack("<II", len(body), zlib.crc32(body)) + body


@given(st.lists(st.lists(st.binary().map(lambda line: line.hex().encode()), min_size=1)))
def test_what_was_packed_comes_back(groups: list[list[bytes]]) -> None:
    data = b"".join(map(pack, groups))
    assert list(unpack(data)) == [
        Group(len(b"".join(map(pack, groups[:n]))), lines) for n, lines in enumerate(groups)
    ]
    assert whole_until(data) == len(data)


def test_zstdcat_reads_the_file_as_plain_lines() -> None:
    with ZstdDecompressor().stream_reader(io.BytesIO(FILE), read_across_frames=True) as reader:
        assert reader.read().splitlines() == [line for lines in LINES for line in lines]


def test_a_flipped_byte_costs_its_own_group_and_is_reported() -> None:
    for place in range(len(FILE)):
        for bit in (1, 128):
            data = bytearray(FILE)
            data[place] ^= bit
            hit = max(n for n, start in enumerate(STARTS) if start <= place)
            kept = [lines for n, lines in enumerate(LINES) if n != hit]
            assert read(bytes(data)) == kept, (place, bit)
            assert damage(bytes(data))[0].offset == STARTS[hit], (place, bit)


def test_a_cut_file_keeps_its_whole_groups() -> None:
    for length in range(len(FILE) + 1):
        whole = [n for n, end in enumerate([*STARTS[1:], len(FILE)]) if end <= length]
        data = FILE[:length]
        assert read(data) == [LINES[n] for n in whole]
        end = [*STARTS, len(FILE)][len(whole)]
        assert damage(data) == ([] if length == end else [Damage(end, cut=True)])
        assert whole_until(data) == end


def test_after_a_cut_the_file_goes_on() -> None:
    for length in range(len(FILE)):
        data = FILE[: whole_until(FILE[:length])] + pack([b"new"])
        assert read(data)[-1] == [b"new"]
        assert not damage(data)


def test_damage_inside_the_file_is_not_cut_off() -> None:
    data = bytearray(FILE)
    data[STARTS[1] + len(MARK)] ^= 128  # the length, which points far past the end now
    assert damage(bytes(data)) == [Damage(STARTS[1], cut=False)]
    assert whole_until(bytes(data)) == len(FILE)


def test_bytes_in_front_and_between_cost_nothing_but_themselves() -> None:
    data = b"once upon" + FILE[: STARTS[1]] + b"\0" * 50 + FILE[STARTS[1] :]
    assert read(data) == LINES
    assert [part.offset for part in damage(data)] == [0, 9 + STARTS[1]]


@pytest.mark.parametrize("body", [b"", b"no zstd at all", ZstdCompressor().compress(b"x\n")[:9]])
def test_a_group_that_is_no_zstd_frame_is_damage(body: bytes) -> None:
    assert next(iter(unpack(framed(body) + FILE))) == Damage(0, cut=False)
    assert read(framed(body) + FILE) == LINES


def test_a_group_that_would_fill_the_memory_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "LONGEST", 1000)
    told = ZstdCompressor(level=1).compress(b"0" * 1001)
    writing = ZstdCompressor(level=1).compressobj()  # such a frame does not say how long it is
    untold = writing.compress(b"0" * 5000) + writing.flush()
    for bomb in (told, untold):
        assert list(unpack(framed(bomb))) == [Damage(0, cut=False)]
    assert read(framed(ZstdCompressor().compress(b"0" * 1000))) == [[b"0" * 1000]]


def test_many_threads_pack_and_unpack_at_once() -> None:
    lines = [f'{{"n":{n},"text":"{n % 7}"}}'.encode() for n in range(3000)]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(8):
            if read(pack(lines)) != [lines]:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_empty_file_holds_nothing_and_is_whole() -> None:
    assert list(unpack(b"")) == []
    assert whole_until(b"") == 0
    assert len(pack([])) > HEAD
