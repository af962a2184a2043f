"""Parquet landed as it is: the verified bytes, with a map from raw columns to the file's own.

Belongs here: the check that a time column can be read, the days it spans, the hand-over. Does not: which columns a kind looks for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import Converted, Incoming
from pipelines.ingestion.records import utc
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.tabular import connect, identifier, literal
from pipelines.landing import Staging

_REMEDY = "write timestamps, ISO 8601 text, or numbers: epoch seconds or milliseconds"


def named(types: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """The file's columns that bear one of ``names`` (case aside), in the order of ``names``."""
    return list(dict.fromkeys(own for name in names for own in types if own.lower() == name.lower()))


def instant(own: str, kind: str, where: str) -> str:
    """SQL: a time column as a UTC timestamp, exactly as the raw relation will read it.

    Raises DeliveryRefused for a type that holds no time.
    """
    name = identifier(own)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"{name} AT TIME ZONE 'UTC'"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"CAST({name} AS TIMESTAMP)"
    if kind == "VARCHAR":
        return f"try_cast({name} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
    if kind in ("BIGINT", "INTEGER", "DOUBLE", "FLOAT", "UBIGINT", "UINTEGER") or kind.startswith("DECIMAL"):
        return utc(f"CAST({name} AS VARCHAR)")
    raise DeliveryRefused(f"the column {own} has type {kind}, which is no time", where=where, remedy=_REMEDY)


def land_as_is(
    incoming: Incoming,
    staging: Staging,
    table: str,
    *,
    rows: int,
    types: Mapping[str, str],
    columns: Mapping[str, str | list[str]],
    time: str,
    missing: Mapping[str, str],
) -> Converted:
    """Move the file into the delivery unchanged.

    Args:
        time: the file's own column with the rows' instant.
        missing: reason -> SQL condition over the file's columns; such rows stay in the file and are counted.

    Raises DeliveryRefused where an instant is there and cannot be read: what stays in the file must be readable later.
    """
    at = instant(time, types[time], incoming.where)
    rejects = Rejects(incoming.key)
    with connect(incoming.work) as con:
        con.execute(f"CREATE VIEW facts AS SELECT * FROM read_parquet({literal(incoming.path)}, file_row_number=true)")  # noqa: S608
        given = f"{identifier(time)} IS NOT NULL AND CAST({identifier(time)} AS VARCHAR) <> ''"
        first, last, unreadable = con.execute(  # type: ignore[misc]
            f"SELECT min(t)::DATE, max(t)::DATE, min(n) FILTER (t IS NULL AND given)"  # noqa: S608
            f" FROM (SELECT {at} AS t, {given} AS given, file_row_number + 1 AS n FROM facts)"
        ).fetchone()
        if unreadable is not None:
            raise DeliveryRefused(
                f"a {time} of type {types[time]} is no instant",
                where=f"{incoming.where}: row {unreadable}",
                remedy=_REMEDY,
            )
        for reason, condition in {f"no {time} (row kept in the file, without an instant)": f"{at} IS NULL", **missing}.items():
            count, row = con.execute(f"SELECT count(*), min(file_row_number) + 1 FROM facts WHERE {condition}").fetchone()  # type: ignore[misc]  # noqa: S608
            rejects.add(reason, count, row=row)
    target = staging.path(table)
    os.replace(incoming.path, target)
    staging.add(table, target, rows=rows, columns=dict(columns), origin=incoming.origin)
    return Converted((first, last) if first is not None else None, rejects.entries())
