"""What can be asked: a selection of ledger rows, or one bill row.

Belongs here: the filters, how they read in SQL and in words, and the address of a bill row. Does not: any answer.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import Any

from pipelines.errors import UsageError

# field of Question -> the ledger's column; every one of them stands in fct_cost_allocation
COLUMNS = {
    "day": "usage_date", "team": "team", "cost_class": "cost_class", "node": "node", "pool": "pool", "account": "account_id",
    "source": "source", "bucket": "bucket_key", "rule": "rule_id",
}  # fmt: skip


@dataclass(frozen=True)
class ChargeAddress:
    """One bill row: ``<source>:<file or delivery id>:<row>``. ``row`` counts from 0 in the landed file."""

    source: str
    file: str
    row: int

    @classmethod
    def parse(cls, text: str) -> ChargeAddress:
        """Read an address. Raises UsageError for any other form."""
        source, _, rest = text.partition(":")
        file, _, row = rest.rpartition(":")
        if not (source and file and row.isdigit()):
            raise UsageError(
                f"--charge {text!r} is no address of a bill row",
                remedy="write <source>:<file or delivery id>:<row>, as `apportion explain ... --charges` prints it",
            )
        return cls(source, file, int(row))


@dataclass(frozen=True)
class Question:
    """Which dollars to explain. An empty text asks for rows that have none (``team=''``: dollars of no team).

    workload: a run id, an endpoint's name or a workload key. bucket: a key, or its first digits. charges: go down to bill rows. charge: one bill row, and what became of it.
    """

    workload: str | None = None
    team: str | None = None
    cost_class: str | None = None
    day: dt.date | None = None
    node: str | None = None
    pool: str | None = None
    account: str | None = None
    source: str | None = None
    bucket: str | None = None
    rule: str | None = None
    charge: ChargeAddress | None = None
    charges: bool = False

    def __post_init__(self) -> None:
        if self.charge is not None and self.filters.keys() - {"day"}:
            raise UsageError("--charge names one bill row by itself", remedy="leave the other filters out (--day is allowed)")
        if self.charge is None and not self.filters:
            raise UsageError(
                "nothing is asked", remedy="name a run or an endpoint, or --team, --cost-class, --day, --bucket, --rule, --charge ..."
            )

    @property
    def filters(self) -> dict[str, Any]:
        """What is asked of the ledger, by field."""
        names = [f.name for f in fields(self) if f.name not in ("charge", "charges")]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def where(self, workload_keys: list[str]) -> tuple[str, list[Any]]:
        """The condition on the ledger and its bound parameters; ``workload_keys``: what ``workload`` was found to mean."""
        return conditions(self.filters, workload_keys)

    def words(self) -> str:
        """The question in words."""
        told = [
            f"{name.replace('_', ' ')} {value}" if str(value) else f"no {name.replace('_', ' ')}" for name, value in self.filters.items()
        ]
        return ", ".join(t.removeprefix("workload ") for t in told)


def conditions(filters: dict[str, Any], workload_keys: list[str] | None = None) -> tuple[str, list[Any]]:
    """SQL for ``filters`` (field -> value) and its bound parameters."""
    parts: list[str] = []
    values: list[Any] = []
    for name, value in filters.items():
        if name == "workload":
            parts.append(f"workload_key in ({', '.join('?' * len(workload_keys or []))})")
            values += workload_keys or []
        elif value == "":
            parts.append(f"{COLUMNS[name]} is null")
        else:
            parts.append("starts_with(bucket_key, ?)" if name == "bucket" else f"{COLUMNS[name]} = ?")
            values.append(value)
    return " and ".join(parts) or "true", values
