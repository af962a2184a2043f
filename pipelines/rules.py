"""What the parts of the policy file share: rules that hold for some days, and lists that become relations which SQL reads.

Belongs here: those two shapes. Does not: any rule, any section's schema.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Self

import duckdb
from pydantic import BaseModel, ConfigDict, model_validator


class Dated(BaseModel):
    """Something that holds from ``valid_from`` (None: always did) up to, but not on, ``valid_to`` (None: still does). UTC days."""

    model_config = ConfigDict(extra="forbid")

    valid_from: dt.date | None = None
    valid_to: dt.date | None = None

    @model_validator(mode="after")
    def _holds_on_a_day(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("valid_to (exclusive) must be after valid_from")
        return self


def write_relation(connection: duckdb.DuckDBPyConnection, name: str, columns: str, rows: Sequence[Sequence[object]]) -> None:
    """Replace ``policy.<name>`` by ``rows``; ``columns``: names with their SQL types."""
    connection.execute(f"create or replace table policy.{name} ({columns})")
    if rows:
        connection.executemany(f"insert into policy.{name} values ({', '.join('?' for _ in rows[0])})", rows)  # noqa: S608
