from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended, generate_fragmented_frames

from voxcam.io.decoding.coding import DecodeError
from voxcam.io.decoding.frames import frame_fragments

END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
BEFORE = b"what comes before the pixels"
# As in compressed data, an end marker is at the end alone.
a_frame = st.binary(min_size=2, max_size=60).map(lambda raw: raw.replace(b"\xff", b"\0") + b"\xff\xd9")
frames_of_bytes = st.lists(a_frame, min_size=1, max_size=6)


def found(pixels, frames, extended=None, after=b"later elements"):
    """The frames' fragments as bytes, read through `frame_fragments`."""
    file = BEFORE + pixels + after
    fragments = frame_fragments(lambda at, n: file[at : at + n], len(BEFORE), len(file), frames, extended)
    return [[file[at : at + n] for at, n in frame] for frame in fragments]


def item(value):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def pixels_of(fragments, table=b""):
    return item(table) + b"".join(map(item, fragments)) + END


@given(frames_of_bytes, st.integers(1, 3), st.booleans())
def test_as_pydicom_reads_what_it_wrote(frames, each, has_table):
    each = min(each, *(len(frame) // 2 for frame in frames))  # a fragment has two bytes or more
    pixels = encapsulate(frames, fragments_per_frame=each, has_bot=has_table) + END
    read = found(pixels, len(frames))
    assert [b"".join(parts) for parts in read] == [frame + b"\0" * (len(frame) % 2) for frame in frames]
    if has_table:  # without one pydicom does not see a marker that lies across two fragments
        assert read == [list(f) for f in generate_fragmented_frames(pixels, number_of_frames=len(frames))]


@given(frames_of_bytes)
def test_the_extended_table_says_what_is_padding(frames):
    pixels, offsets, _ = encapsulate_extended(frames)
    unpadded = struct.pack(f"<{len(frames)}Q", *map(len, frames))
    assert found(pixels + END, len(frames), (offsets, unpadded)) == [[frame] for frame in frames]
    beside = struct.pack(f"<{len(frames)}Q", *(len(frame) + 2 for frame in frames))
    padded = [[frame + b"\0" * (len(frame) % 2)] for frame in frames]
    assert found(pixels + END, len(frames), (offsets, beside)) == padded


@given(frames_of_bytes, st.data())
def test_a_wrong_table_is_left_aside(frames, data):
    each = data.draw(st.integers(1, 2))
    fragments = [[frame[: len(frame) // 2], frame[len(frame) // 2 :]][2 - each :] for frame in frames]
    fragments = [[frame] if each == 1 else parts for frame, parts in zip(frames, fragments, strict=True)]
    starts = [sum(8 + len(p) for parts in fragments[:n] for p in parts) for n in range(len(frames))]
    table = data.draw(
        st.binary(max_size=4 * len(frames) + 4).filter(
            lambda t: t != struct.pack(f"<{len(starts)}I", *starts)
        )
    )
    flat = [part for parts in fragments for part in parts]
    edges = {sum(8 + len(p) for p in flat[:n]) for n in range(len(flat))}
    right = len(table) == 4 * len(frames) and set(struct.unpack(f"<{len(frames)}I", table)) <= edges
    if not right:
        assert found(pixels_of(flat, table), len(frames)) == fragments


def test_two_frames_in_unequal_fragments():
    flat = [b"ab", b"c\xff\xd9\x00", b"d\xff\xd9\x00"]
    assert found(pixels_of(flat), 2) == [flat[:2], flat[2:]]
    by_table = [b"ab", b"cd", b"ef"]  # no end markers: the table alone tells
    assert found(pixels_of(by_table, struct.pack("<2I", 0, 20)), 2) == [by_table[:2], by_table[2:]]
    with pytest.raises(DecodeError, match="3 fragments .* 2 frames"):
        found(pixels_of(by_table), 2)


def test_a_single_frame_takes_all_fragments():
    assert found(pixels_of([b"ab", b"cd", b"ef"]), 1) == [[b"ab", b"cd", b"ef"]]


@given(frames_of_bytes, st.data())
def test_a_file_cut_anywhere_is_damaged(frames, data):
    pixels = pixels_of(frames)
    cut = data.draw(st.integers(0, len(pixels) - 1))
    with pytest.raises(DecodeError) as refused:
        found(pixels[:cut], len(frames), after=b"")
    assert refused.value.kind == "damaged"


@given(st.binary(max_size=200), st.integers(-1, 1 << 40))
def test_any_bytes_are_frames_or_damaged(pixels, frames):
    with suppress(DecodeError):
        assert len(found(item(b"") + pixels, frames, after=b"")) == frames


def test_more_frames_than_fragments_is_damaged():
    with pytest.raises(DecodeError, match="1 fragments"):
        found(pixels_of([b"ab\xff\xd9"]), 2)
    with pytest.raises(DecodeError, match="too short"):
        found(pixels_of([b"ab\xff\xd9"]), 1 << 31)
