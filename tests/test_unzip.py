"""ZIP: one verified file, or a refusal by name."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from pathlib import Path

import pytest

from pipelines.errors import DeliveryRefused
from pipelines.ingestion import unzip
from pipelines.ingestion.unzip import expand_zip

CONTENT = bytes(random.Random(1).choices(b"abc,\n0123", k=50_000))  # noqa: S311


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as made:
        for name, content in members:
            made.writestr(zipfile.ZipInfo(name), content, method)
    return sink.getvalue()


def expand(tmp_path: Path, content: bytes, **options: int) -> bytes:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    return b"".join(expand_zip(path, "a.zip", **options))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_one_file_comes_out_as_it_went_in(tmp_path: Path, method: int) -> None:
    assert expand(tmp_path, archive(("bill-1.csv", CONTENT), method=method)) == CONTENT
    assert expand(tmp_path, archive(("bill-1.csv", b""), method=method)) == b""


def test_pieces_are_small(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(archive(("a", b"x" * (9 << 20))))
    assert [len(piece) >> 20 for piece in expand_zip(path)] == [4, 4, 1]


def test_every_cut_and_every_wrong_bit_of_the_content_is_refused(tmp_path: Path) -> None:
    whole = archive(("bill-1.csv", CONTENT))
    chance = random.Random(2)  # noqa: S311
    for cut in [0, 1, 4, len(whole) - 1, len(whole) - 22, *chance.sample(range(len(whole)), 40)]:
        with pytest.raises(DeliveryRefused, match="truncated or corrupted ZIP file, or none at all"):
            expand(tmp_path, whole[:cut])
    start = 30 + len("bill-1.csv")
    for place in chance.sample(range(start, whole.index(b"PK\x01\x02")), 60):
        broken = bytearray(whole)
        broken[place] ^= 1 << chance.randrange(8)
        with pytest.raises(DeliveryRefused, match="ZIP file"):
            expand(tmp_path, bytes(broken))


def test_a_wrong_checksum_or_length_is_refused(tmp_path: Path) -> None:
    whole = archive(("a.csv", CONTENT))
    central = whole.index(b"PK\x01\x02")
    for offset, value in [(16, 0), (24, len(CONTENT) - 1), (24, len(CONTENT) + 1)]:  # CRC-32; length, one byte less and one more
        broken = bytearray(whole)
        struct.pack_into("<I", broken, central + offset, value)
        with pytest.raises(DeliveryRefused, match="ZIP file"):
            expand(tmp_path, bytes(broken))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive(), "0 members"),
        (archive(("a.csv", b"1"), ("b.csv", b"2")), "2 members"),
        (archive(("../a.csv", b"1")), "unsafe object key"),
        (archive(("/etc/passwd", b"1")), "unsafe object key"),
        (archive(("a\\..\\b.csv", b"1")), "unsafe object key"),
        (archive(("folder/", b"")), "a folder where a file is expected"),
        (archive(("a.csv", b"1"), method=zipfile.ZIP_BZIP2), "packed by method 12"),
        (b"junk" + archive(("a.csv", b"1")), "other bytes before its member"),
        (b"id,cost\n1,2\n", "none at all"),
    ],
)
def test_archives_that_are_not_one_plain_file_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DeliveryRefused, match=message):
        expand(tmp_path, content)


def test_encrypted_archives_are_refused(tmp_path: Path) -> None:
    broken = bytearray(archive(("a.csv", b"1")))
    for offset in (6, broken.index(b"PK\x01\x02") + 8):
        broken[offset] |= 1
    with pytest.raises(DeliveryRefused, match="encrypted"):
        expand(tmp_path, bytes(broken))


def test_bombs_stop_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = archive(("a.csv", b"0" * (80 << 20)))
    assert len(bomb) < 100_000
    with pytest.raises(DeliveryRefused, match="more than 200 times"):
        expand(tmp_path, bomb)
    with pytest.raises(DeliveryRefused, match="more than 1,000 bytes"):
        expand(tmp_path, archive(("a.csv", CONTENT)), max_expanded_bytes=1000)
    monkeypatch.setattr(unzip, "MAX_RATIO", 10_000)
    assert len(expand(tmp_path, bomb)) == 80 << 20
