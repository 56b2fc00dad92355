from __future__ import annotations

import io
import random
import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxcam.errors import Cancelled, ReadError
from voxcam.io.left_out import LeftOut
from voxcam.io.place import archive as module
from voxcam.io.place.archive import is_archive, unpack
from voxcam.io.place.caps import Caps

SLICE = bytes(range(256)) * 20
SECRET = b"DOE^JANE"


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive as Python's own writer makes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, data in members:
            file.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return stream.getvalue()


def deflated(data: bytes) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return machine.compress(data) + machine.flush()


def local(
    name: bytes, packed: bytes, size: int, crc: int, flags: int = 0, method: int = 8, extra=b""
) -> bytes:
    fields = (20, flags, method, 0, 0x21, crc, len(packed), size, len(name), len(extra))
    return struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + name + extra + packed


def entry(
    name: bytes, packed: int, size: int, crc: int, offset: int, flags=0, method=8, attributes=0, extra=b""
) -> bytes:
    fields = (20, 20, flags, method, 0, 0x21, crc, packed, size, len(name), len(extra), 0, 0, 0)
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields, attributes, offset) + name + extra


def end(members: int, length: int, offset: int, comment: bytes = b"") -> bytes:
    fields = (0, 0, members, members, length, offset, len(comment))
    return struct.pack("<4s4H2LH", b"PK\5\6", *fields) + comment


def forged(
    name: bytes = b"a.dcm", data: bytes = SLICE, *, both: dict | None = None, **listed: object
) -> bytes:
    """An archive of one member that lies: in both headers, or in the directory alone."""
    packed = deflated(data)
    true = {"size": len(data), "crc": zlib.crc32(data), **(both or {})}
    head = local(name, packed, **{key: value for key, value in true.items() if key != "attributes"})
    directory = entry(name, **{"packed": len(packed), "offset": 0, **true, **listed})
    return head + directory + end(1, len(directory), len(head))


def quoted_overlap(kernel: bytes, quotes: int) -> bytes:
    """Each file quotes the header of the next in a stored block, so that all inflate the same kernel."""
    packed, plain = deflated(kernel), kernel
    headers = [local(b"kernel", packed, len(plain), zlib.crc32(plain))[: -len(packed)]]
    listed = [(b"kernel", len(packed), len(plain), zlib.crc32(plain))]
    for number in range(quotes):
        quote, name = headers[-1], b"%d" % number
        packed = struct.pack("<BHH", 0, len(quote), len(quote) ^ 0xFFFF) + quote + packed
        plain = quote + plain
        headers.append(local(name, packed, len(plain), zlib.crc32(plain))[: -len(packed)])
        listed.append((name, len(packed), len(plain), zlib.crc32(plain)))
    archive, directory, at = headers[-1] + packed, b"", 0
    for header, fields in zip(reversed(headers), reversed(listed), strict=True):
        directory += entry(*fields, at)
        at += len(header) + 5
    return archive + directory + end(len(listed), len(directory), len(archive))


def zeros_bomb(sizes: list[int]) -> bytes:
    """Members of zeros: the packed bytes of a MiB, as often as need be."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    mebibyte = machine.compress(bytes(2**20)) + machine.flush(zlib.Z_FULL_FLUSH)
    archive = directory = b""
    for number, size in enumerate(sizes):
        packed = mebibyte * (size // 2**20) + deflated(b"")
        name = b"%d.dcm" % number
        directory += entry(name, len(packed), size, 0, len(archive))
        archive += local(name, packed, size, 0)
    return archive + directory + end(len(sizes), len(directory), len(archive))


class Place:
    """A private folder inside a larger one, to see what comes to lie where."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "private"
        self.folder.mkdir()
        self.archive = root / "study.zip"

    def unpack(self, data: bytes, **options: object) -> tuple[list[bytes], list[LeftOut]]:
        self.archive.write_bytes(data)
        files, left_out = unpack(self.archive, self.folder, **options)
        assert files == sorted(path for path in self.folder.rglob("*") if not path.is_dir())
        assert {path.name for path in self.root.iterdir()} == {"private", "study.zip"}
        assert all("JANE" not in item.reason and "\n" not in item.reason for item in left_out)
        return [path.read_bytes() for path in files], left_out

    def refused(self, data: bytes, **options: object) -> str:
        self.archive.write_bytes(data)
        with pytest.raises(ReadError) as error:
            unpack(self.archive, self.folder, **options)
        assert "\n" not in str(error.value)
        assert "JANE" not in str(error.value)
        assert list(self.folder.iterdir()) == []
        assert {path.name for path in self.root.iterdir()} == {"private", "study.zip"}
        return str(error.value)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_of_a_folder_stay_together_in_the_order_of_their_names(place: Place, method: int):
    names = ["b/3.dcm", "a/2.DCM", "a/10", "b/1.dcm", "a/brain.hdr", "a/brain.img", "x.nii.gz"]
    place.archive.write_bytes(zipped(*((name, name.encode()) for name in names), method=method))
    files, left_out = unpack(place.archive, place.folder)
    held = {path.read_bytes().decode(): path.relative_to(place.folder / "000001") for path in files}
    assert set(held) == set(names)
    assert left_out == []
    for one in names:
        for other in names:
            same = Path(one).parent == Path(other).parent
            assert (held[one].parent == held[other].parent) == same
            if same and Path(one).stem < Path(other).stem:
                assert held[one].name < held[other].name
    assert held["a/brain.hdr"].with_suffix("") == held["a/brain.img"].with_suffix("")
    assert [held[n].suffix for n in ("a/2.DCM", "a/10", "x.nii.gz")] == [".dcm", "", ".gz"]
    assert held["x.nii.gz"].name.endswith(".nii.gz")


def test_an_archive_is_told_by_its_first_bytes():
    assert is_archive(zipped(("a", b"1")))
    assert is_archive(zipped())
    assert not is_archive(b"\x1f\x8b\x08")
    assert not is_archive(b"PK")


HOSTILE_NAMES = [
    *(
        "../evil",
        "/evil",
        "a/../../evil",
        "C:\\evil",
        "..\\..\\evil",
        "\\\\host\\share\\evil",
        "./evil",
        "//evil",
    ),
    *("new\nline", "\u202egnp.dcm", "CON", "a" * 65_000, "a/" * 30_000 + "b", "~/evil", "%2e%2e/evil", " "),
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_lead_nowhere(place: Place, name: str):
    contents, left_out = place.unpack(zipped((name, SLICE)))
    assert (contents, left_out) == ([SLICE], [])


@pytest.mark.parametrize("name", [b"a\0b", b"", b"\xff\xfe\x81", b"..", b"."])
def test_names_that_are_no_text_lead_nowhere(place: Place, name: bytes):
    assert place.unpack(forged(name)) == ([SLICE], [])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_and_colliding_names_are_all_kept(place: Place):
    members = [("a.nii", b"1"), ("a.nii", b"2"), ("A.nii", b"3"), ("A.NII", b"4"), ("a", b"5")]
    contents, left_out = place.unpack(zipped(*members))
    assert sorted(contents) == [b"1", b"2", b"3", b"4", b"5"]
    assert left_out == []


def test_links_are_not_followed(place: Place):
    link = forged(b"link", b"/etc", both={}, attributes=0o120777 << 16)
    contents, left_out = place.unpack(link)
    assert contents == []
    assert [item.refused for item in left_out] == [True]
    assert "link" in left_out[0].reason


def test_folders_are_not_counted_and_system_files_are_skipped(place: Place):
    junk = ["__MACOSX/a/._1.dcm", ".DS_Store", "a/.DS_Store", "a/Thumbs.db", "a/._1.dcm"]
    members = [("a/", b""), ("a/b/", b""), ("a/1.dcm", SLICE), *((name, b"junk") for name in junk)]
    contents, left_out = place.unpack(zipped(*members))
    assert contents == [SLICE]
    assert left_out == [LeftOut("system file")] * len(junk)


def test_a_bomb_is_refused_before_anything_is_written(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module._Unpacking, "_write", lambda *_: pytest.fail("a member was written"))
    bomb = zeros_bomb([2**30])
    assert len(bomb) < 1.1 * 2**20
    assert "VOXCAM_ARCHIVE_RATIO" in place.refused(bomb)
    assert "VOXCAM_ARCHIVE_RATIO" in place.refused(zeros_bomb([2**26] * 16))


def test_a_bomb_that_states_little_is_stopped_at_what_it_states(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    written = []
    count = module._Unpacking._count
    monkeypatch.setattr(
        module._Unpacking, "_count", lambda self, size: (written.append(size), count(self, size))[1]
    )
    packed = zeros_bomb([2**28])
    size = struct.pack("<L", 2**28)
    assert packed.count(size) == 2
    contents, left_out = place.unpack(packed.replace(size, struct.pack("<L", 1000)))
    assert contents == []
    assert left_out == [LeftOut("member 1 of an archive holds more bytes than stated", refused=True)]
    assert sum(written) == 0


def test_a_small_archive_may_pack_well(place: Place):
    mask = bytes(2**23)
    assert place.unpack(zipped(("mask.nii", mask))) == ([mask], [])


def test_a_quoted_overlap_bomb_is_refused(place: Place):
    bomb = quoted_overlap(SLICE, 20)
    with zipfile.ZipFile(io.BytesIO(bomb)) as file:
        stated = [member.file_size for member in file.infolist()]
    assert len(stated) == 21
    assert min(stated) == len(SLICE)  # each of 21 inflates the kernel that is there once
    assert "overlaps" in place.refused(bomb)


def test_entries_that_share_a_member_are_refused(place: Place):
    data = deflated(SLICE)
    head = local(b"a", data, len(SLICE), zlib.crc32(SLICE))
    directory = entry(b"a", len(data), len(SLICE), zlib.crc32(SLICE), 0) * 3
    assert "overlaps" in place.refused(head + directory + end(3, len(directory), len(head)))


def test_many_empty_members(place: Place):
    members = [(f"{number}.dcm", b"") for number in range(2000)]
    contents, left_out = place.unpack(zipped(*members), caps=Caps(members=2000))
    assert contents == []
    assert left_out == [LeftOut("empty file", refused=True)] * 2000
    shutil.rmtree(place.folder)
    place.folder.mkdir()
    assert "VOXCAM_ARCHIVE_MEMBERS" in place.refused(zipped(*members), caps=Caps(members=1999))


def nested(depth: int) -> bytes:
    data = zipped(("a.dcm", SLICE))
    for _ in range(depth):
        data = zipped(("deeper.zip", data), ("b.dcm", b"beside"))
    return data


@pytest.mark.parametrize("depth", [1, 2])
def test_archives_within_are_opened(place: Place, depth: int):
    contents, left_out = place.unpack(nested(depth))
    assert sorted(contents) == sorted([SLICE, *[b"beside"] * depth])
    assert left_out == []


def test_archives_too_deep_within_are_left_out(place: Place):
    contents, left_out = place.unpack(nested(10))
    assert contents == [b"beside"] * 3
    assert len(left_out) == 1
    assert left_out[0].refused
    assert "more than 2 deep" in left_out[0].reason


def test_caps_count_archives_within(place: Place):
    inner = zipped(*((f"{n}", b"1") for n in range(30)))
    both = zipped(("a.zip", inner), ("b.zip", inner))
    assert "VOXCAM_ARCHIVE_MEMBERS" in place.refused(both, caps=Caps(members=61))
    contents, _ = place.unpack(both, caps=Caps(members=62))
    assert len(contents) == 60


def test_a_bomb_within_refuses_all(place: Place):
    assert "VOXCAM_ARCHIVE_RATIO" in place.refused(zipped(("a.dcm", SLICE), ("b.zip", zeros_bomb([2**29]))))


def test_a_damaged_archive_within_is_left_out(place: Place):
    contents, left_out = place.unpack(zipped(("a.dcm", SLICE), ("b.zip", zipped(("c", SLICE))[:-30])))
    assert contents == [SLICE]
    assert left_out == [LeftOut("member 2 of an archive is an archive itself, and damaged", refused=True)]


def test_total_bytes_are_capped(place: Place):
    data = zipped(("a", SLICE), ("b", SLICE))
    assert "VOXCAM_ARCHIVE_BYTES" in place.refused(data, caps=Caps(total_bytes=2 * len(SLICE) - 1))
    assert place.unpack(data, caps=Caps(total_bytes=2 * len(SLICE)))[0] == [SLICE, SLICE]


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        ({"both": {"crc": 7}}, "checksum"),
        ({"both": {"size": 100}}, "more bytes"),
        ({"both": {"size": 6000}}, "fewer bytes"),
        ({"crc": 7}, "two ways"),
        ({"size": 100}, "two ways"),
        ({"packed": 7}, "two ways"),
        ({"method": 0}, "two ways"),
        ({"both": {"flags": 1}}, "encrypted"),
        ({"both": {"flags": 0x41}}, "encrypted"),
        ({"both": {"flags": 1, "method": 99}}, "encrypted"),
        ({"both": {"method": 9}}, "method 9"),
        ({"both": {"method": 93}}, "method 93"),
        ({"both": {"method": 0}}, "bytes than stated"),
    ],
)
def test_a_member_that_lies_is_left_out(place: Place, lie: dict, found: str):
    good = zipped(("good", b"good"))
    whole = forged(SECRET, **lie)
    at = whole.index(b"PK\1\2")
    # The same member behind a good one.
    with zipfile.ZipFile(io.BytesIO(good)) as file:
        listed = good[file.start_dir : -22]
        head = good[: file.start_dir]
    second = bytearray(whole[at:-22])
    second[42:46] = struct.pack("<L", len(head))
    directory = listed + bytes(second)
    data = head + whole[:at] + directory + end(2, len(directory), len(head) + at)
    contents, left_out = place.unpack(data)
    assert contents == [b"good"]
    assert [item.refused for item in left_out] == [True]
    assert found in left_out[0].reason
    assert "member 2 of" in left_out[0].reason or "encrypted" in found or "method" in found


def test_bytes_after_the_end_of_a_member_are_seen(place: Place):
    packed = deflated(SLICE) + b"smuggled"
    head = local(b"a", packed, len(SLICE), zlib.crc32(SLICE)) + local(
        b"b", b"1", 1, zlib.crc32(b"1"), method=0
    )
    directory = entry(b"a", len(packed), len(SLICE), zlib.crc32(SLICE), 0)
    directory += entry(b"b", 1, 1, zlib.crc32(b"1"), len(head) - 32, method=0)
    contents, left_out = place.unpack(head + directory + end(2, len(directory), len(head)))
    assert contents == [b"1"]
    assert left_out == [LeftOut("member 1 of an archive holds bytes after its end", refused=True)]


@pytest.mark.parametrize("cut", [1, 10, 21, 22, 23, 60, 200])
def test_a_cut_archive_is_refused(place: Place, cut: int):
    place.refused(zipped(("a.dcm", SLICE))[:-cut])


def test_bytes_before_and_after_are_passed_over(place: Place):
    data = zipped(("a.dcm", SLICE))
    assert place.unpack(b"junk" * 99 + data) == ([SLICE], [])
    shutil.rmtree(place.folder)
    place.folder.mkdir()
    assert place.unpack(data + bytes(500)) == ([SLICE], [])


def test_two_directories_are_refused(place: Place):
    one, other = zipped(("a.dcm", SLICE)), zipped(("b.dcm", b"other"))
    assert "two directories" in place.refused(one + other)
    fake = one[:-22] + end(1, *struct.unpack("<2L", one[-10:-2]), comment=other)
    assert "two directories" in place.refused(fake)


@pytest.mark.parametrize("begin", range(2**20 - 4, 2**20 + 2))
def test_a_second_directory_is_found_wherever_it_lies(place: Place, begin: int):
    hidden = bytes(begin) + end(0, 0, 0) + bytes(99)
    assert "two directories" in place.refused(hidden + zipped(("a.dcm", SLICE)))


def test_a_cut_comment_is_refused(place: Place):
    data = zipped(("a.dcm", SLICE))
    commented = data[:-2] + struct.pack("<H", 9) + b"a comment"
    assert place.unpack(commented) == ([SLICE], [])
    shutil.rmtree(place.folder)
    place.folder.mkdir()
    assert "end record is cut" in place.refused(commented[:-3])


def of_other_kinds() -> dict[str, bytes]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        member = tarfile.TarInfo("a.dcm")
        member.size = len(SLICE)
        file.addfile(member, io.BytesIO(SLICE))
    return {
        "tar": stream.getvalue(),
        "7z": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(99),
        "rar": b"Rar!\x1a\7\1\0" + bytes(99),
        "empty": b"",
        "text": b"<html>not found</html>",
        "signature": b"PK\3\4",
        "end": b"PK\5\6",
    }


@pytest.mark.parametrize("kind", list(of_other_kinds()))
def test_other_files_named_zip_are_refused(place: Place, kind: str):
    assert "expected a zip archive" in place.refused(of_other_kinds()[kind])


def wide(member: bytes, directory: bytes, **lies: int) -> bytes:
    stated = {"members": 1, "length": len(directory), "offset": len(member), **lies}
    numbers = (stated["members"], stated["members"], stated["length"], stated["offset"])
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *numbers)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(member) + len(directory), 1)
    return member + directory + record + locator + end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def wide_parts(size: int, packed: int, offset: int) -> tuple[bytes, bytes]:
    data = deflated(SLICE)
    head = local(b"a", data, len(SLICE), zlib.crc32(SLICE))
    extra = struct.pack("<2H3Q", 1, 24, size, packed, offset)
    return head, entry(b"a", 0xFFFFFFFF, 0xFFFFFFFF, zlib.crc32(SLICE), 0xFFFFFFFF, extra=extra)


def test_zip64_is_read(place: Place):
    sound = wide(*wide_parts(len(SLICE), len(deflated(SLICE)), 0))
    with zipfile.ZipFile(io.BytesIO(sound)) as file:
        assert file.read("a") == SLICE
    assert place.unpack(sound) == ([SLICE], [])


def test_end_records_that_disagree_are_refused(place: Place):
    sound = wide(*wide_parts(len(SLICE), len(deflated(SLICE)), 0))
    assert "disagree" in place.refused(sound[:-22] + end(0xFFFF, 17, 0xFFFFFFFF))


@pytest.mark.parametrize("absurd", [2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1])
def test_zip64_with_absurd_sizes_is_refused(place: Place, absurd: int):
    packed = len(deflated(SLICE))
    for parts in [(absurd, packed, 0), (len(SLICE), absurd, 0), (len(SLICE), packed, absurd)]:
        place.refused(wide(*wide_parts(*parts)))
    for lie in ("members", "length", "offset"):
        place.refused(wide(*wide_parts(len(SLICE), packed, 0), **{lie: absurd + 1 - absurd // 2**63}))


def test_a_part_of_a_split_archive_is_refused(place: Place):
    data = bytearray(zipped(("a", SLICE)))
    data[-18] = 1
    assert "join them" in place.refused(bytes(data))


def test_progress_counts_members_and_may_cancel(place: Place):
    seen: list[tuple[int, int]] = []
    place.archive.write_bytes(zipped(("d/", b""), *((f"d/{n}", SLICE) for n in range(5))))
    unpack(place.archive, place.folder, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 5) for n in range(1, 6)]
    shutil.rmtree(place.folder)
    place.folder.mkdir()

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        unpack(place.archive, place.folder, stop)
    assert list(place.folder.iterdir()) == []


def test_a_full_disk_is_seen_before_and_while(place: Place, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(place.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**30 + len(SLICE) - 1))
    assert "free" in place.refused(zipped(("a", SLICE)))
    asked = iter([2**33, 2**29])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(asked)))
    assert "free" in place.refused(zipped(("a", bytes(2**27)), method=zipfile.ZIP_STORED))


def test_an_archive_that_cannot_be_opened_or_written_is_one_line(place: Place):
    with pytest.raises(ReadError, match="cannot be opened"):
        unpack(place.root / "none.zip", place.folder)
    with pytest.raises(ReadError, match="no file"):
        unpack(place.root, place.folder)
    place.archive.write_bytes(zipped(("a", SLICE)))
    with pytest.raises(ReadError, match="temporary folder"):
        unpack(place.archive, place.archive)


def test_caps_come_from_the_environment(place: Place, monkeypatch: pytest.MonkeyPatch):
    data = zipped(("a", SLICE), ("b", SLICE))
    monkeypatch.setenv("VOXCAM_ARCHIVE_MEMBERS", "1")
    assert "more than 1 members" in place.refused(data)
    monkeypatch.setenv("VOXCAM_ARCHIVE_MEMBERS", "2")
    monkeypatch.setenv("VOXCAM_ARCHIVE_BYTES", "many")
    assert "VOXCAM_ARCHIVE_BYTES" in place.refused(data)
    monkeypatch.setenv("VOXCAM_ARCHIVE_BYTES", "1000000")
    assert place.unpack(data)[0] == [SLICE, SLICE]


PARTS = st.text("ab .\\é", min_size=1, max_size=3)
TREES = st.dictionaries(
    st.lists(PARTS, min_size=1, max_size=3).map("/".join), st.binary(min_size=1, max_size=400)
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES, method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes], method: int):
    place = Place(tmp_path_factory.mktemp("tree"))
    contents, left_out = place.unpack(zipped(*tree.items(), method=method))
    system = [name for name in tree if name.rsplit("/", 1)[-1].startswith("._")]
    archives = [data for data in tree.values() if is_archive(data)]
    assert len(contents) + len(left_out) == len(tree)
    assert not system
    assert archives or sorted(contents) == sorted(tree.values())


def mutants(count: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    members = [(f"d/{n}.dcm", SLICE[n:] + bytes(50)) for n in range(4)]
    good = [zipped(*members), zipped(*members, method=zipfile.ZIP_STORED), nested(1)]
    made = []
    for number in range(count):
        data = bytearray(good[number % 3])
        headers = chance.random() < 0.7
        for _ in range(chance.choice([1, 1, 2, 5])):
            marks = [at for at in range(len(data) - 4) if data[at : at + 2] == b"PK"] if headers else []
            at = chance.choice(marks) + chance.randrange(46) if marks else chance.randrange(len(data))
            data[min(at, len(data) - 1)] ^= chance.choice([1 << chance.randrange(8), 0xFF])
        if chance.random() < 0.1:
            del data[chance.randrange(len(data)) :]
        made.append(bytes(data))
    return made


def check_mutants(root: Path, count: int, seed: int) -> dict[str, int]:
    true = {SLICE[n:] + bytes(50) for n in range(4)} | {SLICE, b"beside"}
    outcome = {"refused": 0, "some left out": 0, "whole": 0}
    archive = root / "study.zip"
    for number, data in enumerate(mutants(count, seed)):
        archive.write_bytes(data)
        folder = root / f"{number}"
        folder.mkdir()
        try:
            files, left_out = unpack(archive, folder)
        except ReadError:
            assert list(folder.iterdir()) == []
            outcome["refused"] += 1
        else:
            assert all(path.read_bytes() in true for path in files)
            assert sum(path.is_file() for path in folder.rglob("*")) == len(files)
            assert len(files) + len(left_out) == (4, 4, 2)[number % 3]
            outcome["some left out" if left_out else "whole"] += 1
        shutil.rmtree(folder)
    return outcome


def test_a_mutated_archive_gives_true_bytes_or_is_refused(tmp_path: Path):
    outcome = check_mutants(tmp_path, 300, seed=1)
    assert min(outcome.values()) > 10
