"""The published ledger as a FOCUS 1.4 file: ``apportion export focus``.

Belongs here: which days, the two file formats, the last check against the bill, the swap into place. Does not: what a column means
(focus.sql, which docs/focus.md explains). Reads the published release only, as any BI client would.
"""

from __future__ import annotations

import datetime as dt
import os
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from pipelines.errors import ApportionError, GateError, UsageError
from pipelines.exporting.division import long_division
from pipelines.report import open_release, usd
from pipelines.settings import Settings

FOCUS_VERSION = "1.4"
FORMATS = ("parquet", "csv")
QUERY = Path(__file__).with_name("focus.sql")
BATCH_ROWS = 122_880  # also the row group: the bytes depend on the rows only
CHECKED = {"BilledCost": "billed_cost", "EffectiveCost": "effective_cost", "x_NetCost": "net_cost"}
# what a spreadsheet takes for the beginning of a formula (OWASP); only text is escaped, a negative number stays a number
FORMULA_STARTS = r"^([=+\-@\t\r\n\x00])"


def export_focus(
    settings: Settings, out: Path, *, first_day: dt.date | None = None, last_day: dt.date | None = None, file_format: str | None = None
) -> dict[str, Any]:
    """Write the allocated cost of the published days as one FOCUS file and return what it holds.

    Args:
        out: the file; replaced as a whole, or left as it was when anything fails.
        first_day, last_day: UTC usage days, both inclusive; None = as far as the release reaches.
        file_format: ``parquet`` or ``csv``; None = by the ending of ``out``.

    Raises UsageError for days that are not published or an unknown format, GateError where the file's sums are not those of the bill.
    """
    chosen = file_format or out.suffix.lstrip(".").lower()
    if chosen not in FORMATS:
        raise UsageError(f"format {chosen!r} is neither of {', '.join(FORMATS)}", remedy="name it with --format")
    if not out.parent.is_dir():
        raise UsageError("the folder does not exist", where=str(out.parent), remedy="create it, or name another --out")
    with open_release(settings) as connection:
        days = _days(connection, first_day, last_day)
        release_id = _one(connection, "select min(release_id) from meta_publication", {})
        bounds = {"first_day": days[0], "last_day": days[-1]}
        scratch = out.with_name(f".{out.name}.{os.getpid()}")
        try:
            found = _write(connection, days, scratch, chosen, release_id)
            _check(connection, bounds, found)
            with scratch.open("rb") as handle:
                os.fsync(handle.fileno())
            os.replace(scratch, out)
        finally:
            scratch.unlink(missing_ok=True)
    return {
        "release_id": release_id,
        "focus_version": FOCUS_VERSION,
        "out": str(out),
        "format": chosen,
        "rows": found["rows"],
        "first_day": days[0],
        "last_day": days[-1],
        "days": len(days),
        "billed_usd": found["BilledCost"],
        "effective_usd": found["EffectiveCost"],
    }


def export_lines(result: dict[str, Any]) -> list[str]:
    """The result in words."""
    return [
        f"FOCUS {result['focus_version']} from release {result['release_id']}: {result['rows']:,} rows, {result['days']} day(s),"
        f" {result['first_day']} to {result['last_day']}",
        f"billed {usd(result['billed_usd'])}, effective {usd(result['effective_usd'])}, as the bill says",
        f"written: {result['out']}",
    ]


def _days(connection: duckdb.DuckDBPyConnection, first: dt.date | None, last: dt.date | None) -> list[dt.date]:
    """The published days asked for; a day that is named and not published is an error, not an empty file."""
    published = [day for (day,) in connection.execute("select usage_date from dim_date order by usage_date").fetchall()]
    first, last = first or min(published, default=None), last or max(published, default=None)
    if first is None or last is None:
        raise UsageError("the release holds no day", remedy="run `apportion nightly` first")
    asked = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    if not asked:
        raise UsageError(f"{first} is after {last}", remedy="name the earlier day first")
    missing = [day for day in (first, last) if day not in published]
    if missing:
        raise UsageError(
            f"{' and '.join(str(day) for day in missing)} not published", remedy=f"published are {published[0]} to {published[-1]}"
        )
    return [day for day in asked if day in set(published)]


def _write(connection: duckdb.DuckDBPyConnection, days: list[dt.date], path: Path, file_format: str, release_id: str) -> dict[str, Any]:
    """Write the rows in their order, day after day; returns their number and the sums of the checked columns."""
    for macro in long_division():
        connection.execute(macro)
    query = _query(connection, days[0], file_format)
    sums: dict[str, Any] = {"rows": 0, **dict.fromkeys(CHECKED, Decimal(0))}
    with ExitStack() as open_files:
        sink = open_files.enter_context(path.open("wb"))
        writer = None
        for day in days:
            reader = connection.execute(query, {"day": day}).to_arrow_reader(BATCH_ROWS)
            schema = _schema(reader.schema, release_id)
            if writer is None:
                writer = open_files.enter_context(_writer(sink, schema, file_format))
            for batch in reader:
                writer.write_batch(batch.cast(schema))
                sums["rows"] += batch.num_rows
                for column in CHECKED:
                    sums[column] += pc.sum(batch.column(column)).as_py() or Decimal(0)
    return sums


def _schema(found: pa.Schema, release_id: str) -> pa.Schema:
    """The file's columns: published times are UTC without a zone, and a Parquet reader is told so."""
    fields = [pa.field(f.name, pa.timestamp("us", "UTC") if pa.types.is_timestamp(f.type) else f.type) for f in found]
    return pa.schema(fields, {"focus_version": FOCUS_VERSION, "data_generator": "Apportion", "release_id": release_id})


def _writer(sink: Any, schema: pa.Schema, file_format: str) -> pyarrow.csv.CSVWriter | pyarrow.parquet.ParquetWriter:
    if file_format == "csv":
        return pyarrow.csv.CSVWriter(sink, schema)
    return pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd")


def _query(connection: duckdb.DuckDBPyConnection, day: dt.date, file_format: str) -> str:
    """The columns as they are; for CSV the times in ISO 8601 and the text safe to open in a spreadsheet."""
    query = QUERY.read_text()
    if file_format == "parquet":
        return query
    columns = []
    for name, kind, *_ in connection.execute(f"describe {query}", {"day": day}).fetchall():  # noqa: S608 - our own file
        if kind == "TIMESTAMP":
            columns.append(f'strftime("{name}", \'%Y-%m-%dT%H:%M:%SZ\') as "{name}"')
        elif kind == "VARCHAR":
            columns.append(f"regexp_replace(\"{name}\", '{FORMULA_STARTS}', '''\\1') as \"{name}\"")
        else:
            columns.append(f'"{name}"')
    return f"select {', '.join(columns)} from ({query})"  # noqa: S608 - names of our own columns


def _check(connection: duckdb.DuckDBPyConnection, bounds: dict[str, dt.date], found: dict[str, Any]) -> None:
    """The file must hold every row of the ledger and sum to the bill; anything else is our mistake and is not handed out."""
    rows = _one(connection, "select count(*) from fct_cost_allocation where usage_date between $first_day and $last_day", bounds)
    problems = [] if rows == found["rows"] else [f"{found['rows']} rows, the ledger has {rows}"]
    for column, basis in CHECKED.items():
        total = _one(
            connection,
            f"select coalesce(sum({basis}), 0) from fct_charge_bucket where usage_date between $first_day and $last_day",  # noqa: S608
            bounds,
        )
        if total != found[column]:
            problems.append(f"{column} sums to {found[column]}, the bill to {total}")
    if problems:
        raise GateError("the export does not sum to the bill: " + "; ".join(problems), remedy="report this; nothing was written")


def _one(connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]) -> Any:
    row = connection.execute(query, parameters).fetchone()
    if row is None:
        raise ApportionError("the release answers nothing", where=query)
    return row[0]
