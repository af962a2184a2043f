"""CSV that a spreadsheet may open: OWASP's formula starts, read back by two parsers; numbers stay numbers."""

from __future__ import annotations

import csv
import hashlib
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import UsageError
from pipelines.exporting.spreadsheet import write_csv
from pipelines.exporting.tables import export_csv
from pipelines.publish import publish
from pipelines.settings import Settings
from tests import fake_warehouse
from tests.fake_warehouse import DAYS, HOSTILE, IDENTITY, settings_for

PAYLOADS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\0=1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x","a,b")', "＝1+1", "-2+3+cmd|' /C calc'!A0",
]  # fmt: skip
PLAIN = ["", "a", "'=1", "a=1", '"quoted"', "a,b\r\nc", "日本", "1"]


def written(path: Path, values: list[str | None], bom: bool = False) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table t (n bigint, label varchar, amount decimal(38,12), made_at timestamp, parts varchar[])")
        rows = [(n, value, Decimal("-1.5"), "2026-10-05 01:02:03", [value]) for n, value in enumerate(values)]
        connection.executemany("insert into t values (?, ?, ?, ?, ?)", rows)
        assert write_csv(connection, "select * from t order by n", path, bom=bom) == len(values)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_formula_becomes_text_for_both_parsers(tmp_path: Path, payload: str) -> None:
    path = tmp_path / "a.csv"
    written(path, [payload])
    with path.open(newline="", encoding="utf-8") as handle:
        [line] = list(csv.DictReader(handle))
    assert line["label"] == "'" + payload
    assert line["amount"] == "-1.500000000000"
    assert line["made_at"] == "2026-10-05T01:02:03Z"
    frame = pd.read_csv(path, dtype={"label": str}, keep_default_na=False, engine="python" if "\0" in payload else "c")
    assert frame["label"].tolist() == ["'" + payload]
    assert frame["amount"].tolist() == [-1.5]


def test_plain_text_is_as_it_was_and_null_is_not_an_empty_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    written(path, [*PLAIN, None])
    with path.open(newline="", encoding="utf-8") as handle:
        assert [line["label"] for line in csv.DictReader(handle)] == [*PLAIN, ""]
    last_two = path.read_bytes().splitlines()
    assert last_two[0] == b'"n","label","amount","made_at","parts"'
    assert last_two[1].startswith(b'0,"",-1.5') and last_two[-1].startswith(b"8,,-1.5")  # quoted: an empty text; nothing: NULL


def test_a_byte_order_mark_where_asked_for(tmp_path: Path) -> None:
    written(tmp_path / "a.csv", ["日本"], bom=True)
    written(tmp_path / "b.csv", ["日本"])
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbf" + (tmp_path / "b.csv").read_bytes()
    assert pd.read_csv(tmp_path / "a.csv", encoding="utf-8-sig")["label"].tolist() == ["日本"]


def test_a_failing_export_leaves_the_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("as it was")
    with duckdb.connect() as connection, pytest.raises(duckdb.Error):
        write_csv(connection, "select error('no') as a from range(3)", path)
    assert path.read_text() == "as it was" and [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = settings_for(tmp_path_factory.mktemp("released"))
    fake_warehouse.build(made)
    publish(made, set(DAYS), identity=IDENTITY)
    return made


def test_a_table_is_exported_safely_and_parquet_is_not_touched(released: Settings, tmp_path: Path) -> None:
    out = tmp_path / "workloads.csv"
    result = CliRunner().invoke(app, ["export", "csv", "--table", "dim_workload", "--out", str(out), "--home", str(released.home)])
    assert result.exit_code == 0, result.output
    with out.open(newline="", encoding="utf-8") as handle:
        found = [line["workload_key"] for line in csv.DictReader(handle)]
    assert sorted(found) == sorted(f"training_run/{text}" for text in HOSTILE)  # behind `training_run/` nothing is a formula
    twin = duckdb.connect().execute(
        "select workload_key from read_parquet(?)", [str(released.published / "parquet/dim_workload/*.parquet")]
    )
    assert sorted(key for (key,) in twin.fetchall()) == sorted(found)
    again = tmp_path / "again.csv"
    export_csv(released, "dim_workload", again)
    assert hashlib.sha256(out.read_bytes()).digest() == hashlib.sha256(again.read_bytes()).digest()


def test_a_table_that_is_not_there_or_not_a_teams_is_refused(released: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not published"):
        export_csv(released, 'x"; drop table dim_date; --', tmp_path / "a.csv")
    with pytest.raises(UsageError, match="fct_charge_bucket has no rows of one team: a charge may be of several teams"):
        export_csv(released, "fct_charge_bucket", tmp_path / "a.csv", team="nlp")
    assert export_csv(released, "fct_showback", tmp_path / "a.csv", team="nlp")["rows"] == 3  # used, idle and credit: nobody's
