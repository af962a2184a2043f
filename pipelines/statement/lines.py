"""A statement in words and as CSV.

Belongs here: layout. Does not: figures (figures.py), files. Names come from tags: no control character of theirs reaches a line, no formula a cell.
"""

from __future__ import annotations

import json
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.exporting.spreadsheet import write_csv
from pipelines.report import usd
from pipelines.statement.figures import Figure

LAYOUT = 1  # raise it when the same figures are laid out otherwise
IDENTITY = "statement "
SECTIONS = {
    "finality": "Is this final?",
    "total": "What the team pays",
    "own by model and environment": "Its own, by model and environment",
    "what it bought": "What the money bought (without distribution)",
    "idle by pool": "Pools of the team that nobody held, idle",
    "shared by rule": "Shared cost, by distribution rule",
    "list price against paid": "List price against paid",
    "dearest endpoints": "The dearest endpoints",
    "dearest runs": "The dearest runs",
    "change against the month before": "Change against the month before, and why",
}


def command(identity: dict[str, Any]) -> str:
    """What makes the statement again."""
    return (
        f"apportion statement --team {shlex.quote(identity['team'])} --month {identity['month']} --release {identity['release']}"
        f" --format {identity['format']}"
    )


def text_lines(identity: dict[str, Any], figures: list[Figure]) -> list[str]:
    """The statement in words; the last line names it for machines."""
    lines = [one_line(f"Statement of team {identity['team']} for {identity['month']}"), "US dollars, effective basis, UTC days"]
    section = None
    for figure in figures:
        if figure.section != section:
            section = figure.section
            lines += ["", SECTIONS[section]]
        label = figure.item + (f" ({figure.measure})" if figure.measure else "")
        lines.append(f"  {one_line(label):<64} {_value(figure):>20}")
    return [
        *lines,
        "",
        f"release {identity['release']}; sha256 of the figures, to the last digit, {identity['sha256']}",
        one_line(f"again: {command(identity)}"),
        IDENTITY + json.dumps(identity, sort_keys=True),
    ]


def _value(figure: Figure) -> str:
    if figure.amount is None:
        return figure.text or ""
    if figure.unit == "usd":
        return usd(figure.amount)
    return f"{figure.amount:,.1f} GPU-h" if figure.unit == "gpu_hours" else f"{figure.amount:f} days"


def one_line(text: str) -> str:
    """``text`` without any character that moves a cursor or ends a line: those stand as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write_statement_csv(identity: dict[str, Any], figures: list[Figure], path: Path) -> None:
    """The statement as CSV, amounts to the last digit; its last row names it for machines."""
    rows = [*figures, Figure("statement", "again", "", "text", text=command(identity))]
    rows.append(Figure("statement", "identity", "", "text", text=json.dumps(identity, sort_keys=True)))
    columns: dict[str, Any] = {"position": pa.array(range(1, len(rows) + 1), pa.int64())}
    for name in ("section", "item", "measure", "unit"):
        columns[name] = pa.array([getattr(row, name) for row in rows], pa.string())
    columns["amount"] = pa.array([None if row.amount is None else Decimal(row.amount) for row in rows], pa.decimal128(38, 12))
    columns["text"] = pa.array([row.text for row in rows], pa.string())
    with duckdb.connect(":memory:") as connection:
        connection.register("figures", pa.table(columns))
        write_csv(connection, "select * from figures order by position", path)
