"""Rows of fct_workload_hourly for hand-made fleets: who held how many GPUs in an hour, how busy, at which price.

Belongs here: the arithmetic from "so many GPUs, so busy" to seconds and dollars by class. Does not: companies, assertions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import duckdb

from tests.empty_warehouse import put

MONDAY = dt.date(2026, 10, 5)
FORTNIGHT = [MONDAY + dt.timedelta(days=n) for n in range(14)]
GIB = 1024 * 1024

Row = dict[str, Any]


def hours(days: Iterable[dt.date] = FORTNIGHT, of_day: Iterable[int] = range(24)) -> Iterator[dt.datetime]:
    """Every hour ``of_day`` of ``days``."""
    wanted = list(of_day)
    return (dt.datetime.combine(day, dt.time(hour)) for day in days for hour in wanted)


def held(
    when: dt.datetime, workload: str, busy: str | Decimal, *, gpus: int = 1, usd: str = "2", unknown: str = "0", **columns: Any
) -> Row:
    """``workload`` holds ``gpus`` for the hour at ``usd`` each; of the known part (1 - ``unknown``) the share ``busy`` is used."""
    known, active = 1 - Decimal(unknown), Decimal(busy)
    parts = {"used": known * active, "held_idle": known * (1 - active), "unknown": Decimal(unknown)}
    given = {
        "workload_key": workload, "workload_type": workload.split("/")[0], "attempt_count": gpus, "node": workload, "pool": workload,
        "peak_activity_ratio": active, "peak_memory_kib": None, "pricing_category": "on_demand",
    }  # fmt: skip
    return _row(when, parts, gpus, Decimal(usd), given | columns)


def free(when: dt.datetime, pool: str, *, gpus: int = 8, usd: str = "2", is_known: bool = True, **columns: Any) -> Row:
    """Nobody holds ``gpus`` of a node of ``pool`` for the hour: observed idle, or unknown."""
    given = {"workload_key": None, "workload_type": None, "node": f"{pool}-1", "pool": pool, "pricing_category": "on_demand"}
    return _row(when, {"unallocated_idle" if is_known else "unknown": Decimal(1)}, gpus, Decimal(usd), given | columns)


def _row(when: dt.datetime, parts: dict[str, Decimal], gpus: int, usd: Decimal, columns: Row) -> Row:
    given = {
        "usage_date": when.date(), "usage_hour": when, "node_key": columns["node"], "provider": "aws", "region": "us-east-1", "gpu_model": None,
        "node_gpu_count": gpus, "is_shared": False, "gpu_seconds": 3600 * gpus, "cost_usd": usd * gpus,
    }  # fmt: skip
    for name in ("used", "held_idle", "unallocated_idle", "stranded", "unattributed", "unknown"):
        share = parts.get(name, Decimal(0))
        given |= {f"{name}_seconds": 3600 * gpus * share, f"{name}_cost_usd": usd * gpus * share}
    return given | columns


def requests(when: dt.datetime, endpoint: str, count: int) -> Row:
    """``count`` successful requests to ``endpoint`` in the hour."""
    return {"usage_date": when.date(), "usage_hour": when, "endpoint": endpoint, "requests_ok": count, "requests_failed": 0}


def fill_fleet(
    connection: duckdb.DuckDBPyConnection, rows: Iterable[Row], counted: Iterable[Row] = (), attempts: Iterable[Row] = ()
) -> None:
    """Publish the rows, and their days."""
    rows = list(rows)
    days = sorted({row["usage_date"] for row in rows})
    put(connection, "dim_date", [{"usage_date": day, "month_start": day.replace(day=1)} for day in days])
    names = sorted({name for row in rows for name in row})
    frame = [[row.get(name) for name in names] for row in rows]
    _insert(connection, "fct_workload_hourly", names, frame)
    put(connection, "fct_inference_unit_cost_hourly", counted)
    put(connection, "fct_run_attempt_cost", attempts)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, names: list[str], rows: list[list[Any]]) -> None:
    import pyarrow as pa

    columns = {name: pa.array([row[n] if not isinstance(row[n], Decimal) else str(row[n]) for row in rows]) for n, name in enumerate(names)}
    connection.register("fleet_rows", pa.table(columns))
    connection.execute(f"insert into published.{table} by name select {', '.join(names)} from fleet_rows")  # noqa: S608
    connection.unregister("fleet_rows")
