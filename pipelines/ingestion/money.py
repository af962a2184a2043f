"""The gate at landing: money that cannot be read refuses the delivery.

Belongs here: whether a value is money. Does not: what it means, decimals and rounding (staging models).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.engine import connect, identifier

_DECIMAL = "'[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?'"
_LIMIT = "1e14"
_EXACT = (
    "DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
)  # fmt: skip


def check_money(parquet: Path, columns: Mapping[str, str], *, never_missing: Sequence[str] = (), where: str, scratch: Path) -> None:
    """Refuse money that cannot be read: every value is NULL, '' or a finite decimal below 1e14 in size.

    Args:
        columns: raw column -> the file's own column (both plain names).
        never_missing: raw columns in which NULL and '' are refused too.

    Raises DeliveryRefused naming file, row (from 1), column and value.
    """
    with connect(scratch) as con:
        types = {name: kind for name, kind, *_ in con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(parquet)]).fetchall()}
        problems = {raw: _money_problem(own, types[own], raw in never_missing, where) for raw, own in columns.items()}
        if not problems:
            return
        firsts = ", ".join(f"min(file_row_number) FILTER ({sql})" for sql in problems.values())
        rows = con.execute(f"SELECT {firsts} FROM read_parquet(?, file_row_number=true)", [str(parquet)]).fetchone()  # noqa: S608
        worst = min(((row, raw) for row, raw in zip(rows or (), problems, strict=True) if row is not None), default=None)
        if worst is None:
            return
        row, raw = worst
        value = con.execute(
            f"SELECT {identifier(columns[raw])}::VARCHAR FROM read_parquet(?, file_row_number=true) WHERE file_row_number = ?",  # noqa: S608
            [str(parquet), row],
        ).fetchone()[0]  # type: ignore[index]
    what = f"missing money in {raw}" if value in (None, "") else f"unreadable money in {raw}: {value[:80]!r}"
    raise DeliveryRefused(
        what, where=f"{where}, row {row + 1}", remedy="have the bill delivered again; a price is never guessed, nothing of it was used"
    )


def _money_problem(own: str, kind: str, never_missing: bool, where: str) -> str:
    name = identifier(own)
    if kind == "VARCHAR":
        missing = f"coalesce({name}, '') = ''"
        readable = f"regexp_full_match({name}, {_DECIMAL}) AND abs(TRY_CAST({name} AS DOUBLE)) < {_LIMIT}"
        bad = f"({name} <> '' AND NOT coalesce({readable}, false))"
    elif kind in ("DOUBLE", "FLOAT"):
        missing, bad = f"{name} IS NULL", f"NOT (isfinite({name}) AND abs({name}) < {_LIMIT})"
    elif kind.startswith(_EXACT):
        missing, bad = f"{name} IS NULL", f"abs({name}::DOUBLE) >= {_LIMIT}"
    else:
        raise DeliveryRefused(f"money column {own} has the type {kind}", where=where, remedy="export it as a number or as text")
    return f"{missing} OR {bad}" if never_missing else bad
