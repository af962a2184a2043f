"""What a delivery that is kept aside for a closed period would move.

Belongs here: measuring and saying it. Does not: which deliveries are kept aside (periods.py).
"""

from __future__ import annotations

from typing import Any

import duckdb

from pipelines.facts import staged_models
from pipelines.history.periods import KeptAside
from pipelines.warehouse import quote_name, write_raw_relations


def aside_lines(aside: list[dict[str, Any]]) -> list[str]:
    """What is kept aside for closed periods, in words."""
    return [
        f"period {', '.join(a['periods'])} of {a['source']} is closed; delivery {a['delivery_id']} would move its bill by"
        f" {a['effective_move']:+,.2f} {a['currency'] or ''} effective, {a['billed_move']:+,.2f} billed;"
        f" `apportion correct {a['periods'][0]} --reason ...` takes it"
        for a in aside
    ]


def measure(connection: duckdb.DuckDBPyConnection, aside: list[KeptAside]) -> list[dict[str, Any]]:
    """What each kept-aside delivery would move, per currency of the bill: staged once for each pair, then remembered.

    ``connection``: the warehouse, with the staging views of the last night. The raw relations are replaced: the caller sets them anew.
    """
    connection.execute(
        "create table if not exists ops.kept_aside (frozen_id varchar, newer_id varchar, currency varchar, billed_move decimal(38, 12),"
        " effective_move decimal(38, 12), row_move bigint)"
    )
    known = set(connection.execute("select distinct frozen_id, newer_id from ops.kept_aside").fetchall())
    fresh = [a for a in aside if (a.frozen.delivery_id, a.newer.delivery_id) not in known]
    if fresh:
        write_raw_relations(connection, {d.delivery_id: d for a in fresh for d in (a.frozen, a.newer)}.values())
        models = [m for m in staged_models("charges") if m.removeprefix("stg_").removesuffix("__charges") in {a.newer.kind for a in fresh}]
        union = " union all ".join(
            f"select delivery_id, currency, billed_cost, effective_cost from staging.{quote_name(model)}"  # noqa: S608
            for model in models
        )
        for a in fresh:
            connection.execute(
                "insert into ops.kept_aside select ?, ?, currency, coalesce(sum(sign * billed_cost), 0), coalesce(sum(sign * effective_cost), 0),"  # noqa: S608
                " sum(sign) from (select *, case when delivery_id = ? then 1 else -1 end as sign"
                f" from ({union}) where delivery_id in (?, ?)) group by currency",
                [a.frozen.delivery_id, a.newer.delivery_id, a.newer.delivery_id, a.frozen.delivery_id, a.newer.delivery_id],
            )
    told = []
    for a in aside:
        moves = connection.execute(
            "select currency, billed_move, effective_move, row_move from ops.kept_aside where frozen_id = ? and newer_id = ? order by currency",
            [a.frozen.delivery_id, a.newer.delivery_id],
        ).fetchall()
        for currency, billed, effective, rows in moves:
            told.append({"source": a.newer.source, "periods": list(a.periods), "delivery_id": a.newer.delivery_id, "currency": currency,
                         "billed_move": billed, "effective_move": effective, "row_move": rows})  # fmt: skip
    return told
