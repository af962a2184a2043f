"""CSV and Parquet in files: every byte accounted for, or the file is refused by name and row."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pipelines.errors import DeliveryRefused
from pipelines.ingestion import csv_records, gunzip, parquet_files
from pipelines.ingestion.gunzip import expand, verify_gzip
from pipelines.ingestion.money import check_money
from pipelines.ingestion.parquet_files import parquet_facts
from pipelines.ingestion.tabular import CsvResult, csv_to_parquet

AB = {"a": "a", "b": "b"}


def convert(
    tmp_path: Path, content: bytes, columns: dict[str, str] | None = None, name: str = "f.csv", **options: Any
) -> tuple[CsvResult, list]:
    source, target = tmp_path / name, tmp_path / "out.parquet"
    source.write_bytes(content)
    result = csv_to_parquet(source, target, columns or AB, required=options.pop("required", []), where=name, **options)
    return result, duckdb.execute("SELECT * FROM read_parquet(?)", [str(target)]).fetchall()


def test_columns_are_found_by_name_not_by_position(tmp_path: Path) -> None:
    result, rows = convert(tmp_path, b"id,tag,cost\n7,blue,1.5\n", {"cost": "cost", "id": "id", "none": "none"})
    assert rows == [("1.5", "7", None)]
    assert result == CsvResult(1, ("id", "tag", "cost"), ("tag",), ("none",), [])


def test_several_header_names_may_lead_to_one_column(tmp_path: Path) -> None:
    names = {"Hostname": "host", "hostname": "host"}
    assert convert(tmp_path, b"hostname\nx\n", names)[1] == [("x",)]
    assert convert(tmp_path, b"hostname,Hostname\nx,y\nx,\n", names)[1] == [("y",), ("x",)]


def test_awkward_but_valid_csv_comes_out_verbatim(tmp_path: Path) -> None:
    content = '\ufeff"a","b\n2"\r\n1,"x\r\ny, ""z"""\r\n\r\n"","ü日本 \x00"\r\n \' ,=1+1'.encode()
    _, rows = convert(tmp_path, content, {"a": "a", "b\n2": "b"})
    assert rows == [("1", 'x\r\ny, "z"'), (None, "ü日本 \x00"), (" ' ", "=1+1")]


def test_header_only_file_is_an_empty_table(tmp_path: Path) -> None:
    for content in (b"a,b", b"a,b\n", b"a,b\r\n\r\n"):
        result, rows = convert(tmp_path, content, types={"b": "DOUBLE"})
        assert (result.rows, rows) == (0, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "without a header"),
        (b"\n1,2\n", "without a header"),
        (b"a,a\n1,2\n", "named twice in the header: 'a'"),
        (b"a,b\n1,2\n3", "row has 1 fields, the header 2.*row 2"),
        (b"a,b\n1,2,3\n3,4\n", "row has 3 fields, the header 2.*row 1"),
        (b'a,b\n1,2\n3,"4', "ends inside a quoted field"),
        (b'a,b\n1,x"y"\n', "quote inside an unquoted field.*row 1"),
        (b'a,b\n1,2\n"3" ,4\n', "text after a closing quote.*row 2"),
        (b"a,b\n1,x\ry\n", "bare carriage return.*row 1"),
        (b"a,b\n1,2\n3,\xff\n", "invalid UTF-8 at byte 10.*row 2"),
        (b"\xff\xfea\x00", "invalid UTF-8 at byte 0.*header"),
        (b"a\n1\n\n2\n", "blank line in a file of one column.*row 1"),
        (b"x,b\n1,2\n", "column missing from the header: 'a'"),
        ((",".join(f"c{i}" for i in range(2001)) + "\n").encode(), "2,001 columns"),
    ],
)
def test_defects_are_refused_with_their_place(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DeliveryRefused, match=f"(?s){message}") as caught:
        convert(tmp_path, content, required=["a"])
    assert "f.csv" in str(caught.value.where)
    assert not (tmp_path / "out.parquet").exists()


def test_types_are_read_and_what_cannot_be_is_null_and_counted(tmp_path: Path) -> None:
    stamps = ["2026-10-05T00:00:00.000Z", "2026-03-29T02:30:00+02:00", "2026-10-05 23:00:00-05:30", "2026-10-05 01:02:03", "1756666800",
              "1756666800000", "1.7566668E9", "yesterday", "infinity", "", "2026-13-01"]  # fmt: skip
    content = "t,n\n" + "".join(f"{s},{i}\n" for i, s in enumerate(stamps))
    result, rows = convert(tmp_path, content.encode(), {"t": "t", "n": "n"}, types={"t": "TIMESTAMP", "n": "BIGINT"})
    at = dt.datetime(2025, 8, 31, 19)
    assert [t for t, _ in rows] == [
        dt.datetime(2026, 10, 5), dt.datetime(2026, 3, 29, 0, 30), dt.datetime(2026, 10, 6, 4, 30), dt.datetime(2026, 10, 5, 1, 2, 3),
        at, at, at, None, None, None, None,
    ]  # fmt: skip
    assert [n for _, n in rows] == list(range(11))
    assert result.rejected == [
        {"reason": "t is not a TIMESTAMP: kept as NULL", "rows": 3, "example": {"file": "f.csv", "row": 8, "value": "yesterday"}}
    ]
    result, rows = convert(tmp_path, b"a,b\n1.7,nan\n12,1e400\n-3,-2.5\n", types={"a": "BIGINT", "b": "DOUBLE"})
    assert rows == [(None, None), (12, None), (-3, -2.5)]
    assert [(e["reason"], e["rows"]) for e in result.rejected] == [
        ("a is not a BIGINT: kept as NULL", 1), ("b is not a DOUBLE: kept as NULL", 2),
    ]  # fmt: skip


def test_ten_megabyte_field_passes_and_a_line_over_the_limit_does_not(tmp_path: Path) -> None:
    tag = "t" * 10_000_000
    _, rows = convert(tmp_path, f'a,b\n1,"{tag}"\n2,x\n'.encode())
    assert [(a, len(b)) for a, b in rows] == [("1", 10_000_000), ("2", 1)]
    with pytest.raises(DeliveryRefused, match="longer than 33,554,432 bytes"):
        convert(tmp_path, b'a,b\n1,"' + b"t" * (33 << 20) + b'"\n')


def test_same_bytes_give_the_same_parquet(tmp_path: Path) -> None:
    content = "a,b\n" + "".join(f"{i},{i % 7}\n" for i in range(200_000))
    convert(tmp_path, content.encode(), types={"a": "BIGINT"})
    first = (tmp_path / "out.parquet").read_bytes()
    convert(tmp_path, content.encode(), types={"a": "BIGINT"})
    assert (tmp_path / "out.parquet").read_bytes() == first
    rows = duckdb.execute("SELECT count(*), sum(a), bool_and(a = file_row_number) FROM read_parquet(?, file_row_number=true)",
                          [str(tmp_path / "out.parquet")]).fetchone()  # fmt: skip
    assert rows == (200_000, 19_999_900_000, True)


field = st.text(st.sampled_from('ab1 ,"\n\r\x00é日='), max_size=5)


@given(
    rows=st.lists(st.tuples(field, field, field), max_size=8),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    cut=st.integers(1, 40),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_writer_writes_is_read_back(tmp_path: Path, rows: list, end: str, quoting: int, cut: int) -> None:
    # Python leaves a lone carriage return unquoted, which is not RFC 4180
    assume(quoting == csv.QUOTE_ALL or not any("\r" in value for row in rows for value in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerow(["x", "y", "z"])
    writer.writerows(rows)
    content = text.getvalue().encode()
    sink = io.BytesIO()
    pieces = [content[i : i + cut] for i in range(0, len(content), cut)]  # block borders fall anywhere
    assert csv_records.copy_canonical(pieces, sink, where="f").rows == len(rows)
    _, read = convert(tmp_path, content, {"x": "x", "y": "y", "z": "z"})
    assert read == [tuple(value or None for value in row) for row in rows]


def test_truncated_gzip_is_refused_at_every_cut(tmp_path: Path) -> None:
    random.seed(7)
    rows = "".join(f"{i},{random.random()}\n" for i in range(3000))  # noqa: S311
    whole = gzip.compress(f"a,b\n{rows}".encode(), mtime=0)
    assert convert(tmp_path, whole, name="f.csv.gz")[0].rows == 3000
    cuts = {0, 1, 2, 9, 10, 18, len(whole) - 1, len(whole) - 4, len(whole) - 8} | set(random.sample(range(len(whole)), 300))
    for cut in sorted(cuts):
        (tmp_path / "cut.gz").write_bytes(whole[:cut])
        with pytest.raises(DeliveryRefused, match="truncated|empty file|not a gzip"):
            verify_gzip(tmp_path / "cut.gz")
    for cut in random.sample(sorted(cuts), 20):
        with pytest.raises(DeliveryRefused):
            convert(tmp_path, whole[:cut], name="f.csv.gz")


def test_corrupted_gzip_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"a,b\n1,2\n" * 500, mtime=0)
    for position, what in [(-8, "incorrect data check"), (-4, "incorrect length check")]:
        broken = bytearray(whole)
        broken[position] ^= 1
        (tmp_path / "f.gz").write_bytes(broken)
        with pytest.raises(DeliveryRefused, match=what):
            verify_gzip(tmp_path / "f.gz")
    (tmp_path / "f.gz").write_bytes(whole + b"rubbish")
    with pytest.raises(DeliveryRefused, match="data after the end"):
        verify_gzip(tmp_path / "f.gz")


def test_gzip_members_and_padding_are_one_file(tmp_path: Path) -> None:
    members = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"") + gzip.compress(b"3,4\n") + b"\x00" * 700_000
    assert convert(tmp_path, members, name="f.csv.gz")[1] == [("1", "2"), ("3", "4")]
    assert verify_gzip(tmp_path / "f.csv.gz") == 12


def test_gzip_bombs_stop_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packer = zlib.compressobj(9, wbits=31)
    zeros = b"0" * (1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(300)) + packer.flush()
    (tmp_path / "bomb.gz").write_bytes(bomb)
    seen = 0
    with pytest.raises(DeliveryRefused, match="more than 200 times"):
        for piece in expand(tmp_path / "bomb.gz"):
            seen += len(piece)
    assert seen <= gunzip.RATIO_FREE_BYTES
    with pytest.raises(DeliveryRefused, match="more than 1,000 bytes"):
        verify_gzip(tmp_path / "bomb.gz", max_expanded_bytes=1000)


def write_parquet(path: Path, rows: int = 5000) -> bytes:
    table = pa.table({"n": list(range(rows)), "t": [f"text {i}" for i in range(rows)]})
    pq.write_table(table, path, row_group_size=1000, write_page_checksum=True)
    return path.read_bytes()


def test_parquet_facts(tmp_path: Path) -> None:
    write_parquet(tmp_path / "f")
    assert parquet_facts(tmp_path / "f", "f") == (5000, {"n": "BIGINT", "t": "VARCHAR"})
    assert parquet_facts(tmp_path / "f", "f", ["n", "absent"]) == (5000, {"n": "BIGINT", "t": "VARCHAR"})
    assert parquet_facts(tmp_path / "f", "f", ["absent"])[0] == 5000


def test_truncated_or_corrupted_parquet_is_refused(tmp_path: Path) -> None:
    whole = write_parquet(tmp_path / "f")
    random.seed(11)
    for cut in [0, 3, 4, 8, 11, len(whole) - 1, len(whole) - 8, *random.sample(range(len(whole)), 40)]:
        (tmp_path / "f").write_bytes(whole[:cut])
        with pytest.raises(DeliveryRefused):
            parquet_facts(tmp_path / "f", "f")
    footer = struct.unpack("<I", whole[-8:-4])[0]
    for position in random.sample(range(100, len(whole) - footer - 8), 40):  # page checksums catch every flipped data bit
        broken = bytearray(whole)
        broken[position] ^= 4
        (tmp_path / "f").write_bytes(broken)
        with pytest.raises(DeliveryRefused):
            parquet_facts(tmp_path / "f", "f")


def test_parquet_beyond_the_limits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({f"c{i}": [1] for i in range(2001)}), tmp_path / "wide")
    with pytest.raises(DeliveryRefused, match="2,001 columns"):
        parquet_facts(tmp_path / "wide", "wide")
    pq.write_table(pa.table({"c": ["x" * 1000] * 100_000}), tmp_path / "bomb", use_dictionary=False, compression="zstd")
    with pytest.raises(DeliveryRefused, match="expands from"):
        parquet_facts(tmp_path / "bomb", "bomb")
    monkeypatch.setattr(parquet_files, "MAX_ROWS_PER_BYTE", 0.01)
    write_parquet(tmp_path / "f")
    with pytest.raises(DeliveryRefused, match="claims 5,000 rows"):
        parquet_facts(tmp_path / "f", "f")


@pytest.mark.parametrize(
    "value", ["NaN", "nan", "inf", "-Infinity", "1,234.5", "abc", "1e14", "-1e400", "0x10", " 1", "1_000", "$5", "--1", "."]
)
def test_text_that_is_not_money_is_refused(tmp_path: Path, value: str) -> None:
    pq.write_table(pa.table({"cost": ["1.5", None, "", value, "2"]}), tmp_path / "f")
    with pytest.raises(DeliveryRefused, match="unreadable money in usd") as caught:
        check_money(tmp_path / "f", {"usd": "cost"}, where="key", scratch=tmp_path)
    assert caught.value.where == "key, row 4" and repr(value) in caught.value.what


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e14, -1e300])
def test_doubles_that_are_not_money_are_refused(tmp_path: Path, value: float) -> None:
    pq.write_table(pa.table({"cost": [0.1, None, value]}), tmp_path / "f")
    with pytest.raises(DeliveryRefused, match="unreadable money in cost.*\n.*row 3"):
        check_money(tmp_path / "f", {"cost": "cost"}, where="key", scratch=tmp_path)


def test_money_passes_with_any_sign_and_notation_and_missing_only_where_it_may(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"a": ["-0.0000001", "5.28E-4", "+1", ".5", "7.", "99999999999999", None, ""], "b": [1.5] * 7 + [None]}), tmp_path / "f"
    )
    check_money(tmp_path / "f", {"a": "a", "b": "b"}, where="key", scratch=tmp_path)
    for column, row in [("a", 7), ("b", 8)]:
        with pytest.raises(DeliveryRefused, match=f"missing money in {column}.*\n.*row {row}"):
            check_money(tmp_path / "f", {"a": "a", "b": "b"}, never_missing=[column], where="key", scratch=tmp_path)
    pq.write_table(pa.table({"a": [True]}), tmp_path / "g")
    with pytest.raises(DeliveryRefused, match="type BOOLEAN"):
        check_money(tmp_path / "g", {"a": "a"}, where="key", scratch=tmp_path)
