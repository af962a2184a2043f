"""CSV that is safe to open in a spreadsheet: the one writer of every CSV file that leaves this project.

Belongs here: what a cell may begin with, quoting, how a time is written, the order of the rows. Does not: which rows
(tables.py, statement/), Parquet and DuckDB files (they are never escaped: nobody takes them for formulas).

A text cell that a spreadsheet would take for a formula gets a leading single quote (OWASP ASVS 1.2.10). Only text is escaped: a
negative number stays a number. Cells are quoted as RFC 4180 has it, every text in quotes; NULL is an empty cell without quotes, an empty
text one with them.
"""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.csv

from pipelines.warehouse import quote_name

# = + - @, TAB, CR, LF, NUL, and the full-width forms of the first four, which spreadsheets read alike
FORMULA_STARTS = r"^([=+\-@\t\r\n\x00\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}])"
BATCH_ROWS = 122_880
_PLAIN = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UBIGINT", "HUGEINT", "DOUBLE", "FLOAT", "BOOLEAN", "DATE")


def safe_query(connection: duckdb.DuckDBPyConnection, query: str, parameters: Any = None) -> str:
    """``query`` with its columns as a CSV file has them: times in ISO 8601 with Z, text (and whatever is no number) escaped."""
    columns = []
    for name, kind, *_ in connection.execute(f"describe {query}", parameters).fetchall():
        quoted = quote_name(name)
        if kind == "TIMESTAMP":
            columns.append(f"strftime({quoted}, '%Y-%m-%dT%H:%M:%SZ') as {quoted}")
        elif kind in _PLAIN or kind.startswith("DECIMAL"):
            columns.append(quoted)
        else:
            columns.append(f"regexp_replace(cast({quoted} as varchar), '{FORMULA_STARTS}', '''\\1') as {quoted}")
    return f"select {', '.join(columns)} from ({query})"  # noqa: S608 - names of the query's own columns, quoted


def write_csv(connection: duckdb.DuckDBPyConnection, query: str, path: Path, parameters: Any = None, *, bom: bool = False) -> int:
    """Write the rows of ``query``, in its order, to ``path``: UTF-8, replaced as a whole or left as it was. Returns the rows.

    bom: whether the file begins with a byte order mark, by which older spreadsheets tell UTF-8.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    rows = 0
    try:
        reader = connection.execute(safe_query(connection, query, parameters), parameters).to_arrow_reader(BATCH_ROWS)
        with scratch.open("wb") as sink:
            if bom:
                sink.write(codecs.BOM_UTF8)
            with pyarrow.csv.CSVWriter(sink, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
                    rows += batch.num_rows
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    return rows
