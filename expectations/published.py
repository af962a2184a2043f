"""What a release must be like at the exit: the schema ``published`` of the warehouse before anyone reads it.

Belongs here: the suite of a table, and what holds for every table. Does not: a table's own laws (laws/), its grain (grains.py), whether the
files of a release equal the warehouse (pipelines/release_audit.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from expectations import Severity, TableSuite, no_rows
from expectations.grains import GRAIN_ONLY_WARNS, GRAINS
from expectations.laws import governance, gpus, ledger, workloads
from expectations.laws.shared import within
from pipelines.published_tables import PublishedTable
from pipelines.warehouse import quote_name

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


_LAWS = {name: laws for topic in (ledger, gpus, workloads, governance) for name, laws in vars(topic).items() if name in GRAINS}


def published_suites(tables: Sequence[PublishedTable], dirty_days: Collection[dt.date]) -> list[TableSuite]:
    """One suite per table of ``GRAINS``, there or not; tables by day are checked for ``dirty_days``, the others as a whole."""
    found = {table.name: table for table in tables}
    suites = []
    for name, grain in GRAINS.items():
        table = found.get(name, PublishedTable(name, ()))
        where = f" where {within(dirty_days)}" if table.is_by_day else ""
        own = _LAWS.get(name)
        expectations = [_has_columns(grain), _unique(name, grain), *_finite(table), *(own(dirty_days) if own else [])]
        suites.append(TableSuite(f"published.{name}", f"select * from published.{quote_name(name)}{where}", expectations, grain))  # noqa: S608
    return suites


def _has_columns(grain: tuple[str, ...]) -> Expectation:
    import great_expectations.expectations as gxe

    return gxe.ExpectTableColumnsToMatchSet(column_set=list(grain), exact_match=False, severity="critical")


def _unique(table: str, grain: tuple[str, ...]) -> Expectation:
    """One row per grain; two NULLs are the same."""
    key = ", ".join(quote_name(column) for column in grain)
    severity: Severity = "warning" if table in GRAIN_ONLY_WARNS else "critical"
    query = f"select {key}, count(*) as row_count from {{batch}} group by {key} having count(*) > 1 order by all"  # noqa: S608
    return no_rows(f"one row per {', '.join(grain)}", query, column=", ".join(grain), severity=severity)


def _finite(table: PublishedTable) -> list[Expectation]:
    """No NaN and no infinity in any floating-point column: they pass comparisons that look safe."""
    columns = table.double_columns
    if not columns:
        return []
    bad = " or ".join(f"isnan({quote_name(c)}) or isinf({quote_name(c)})" for c in columns)
    key = ", ".join(quote_name(column) for column in dict.fromkeys([*GRAINS[table.name], *columns]))
    query = f"select {key} from {{batch}} where {bad}"  # noqa: S608
    return [no_rows("floating-point values are finite", query, column=", ".join(columns))]
