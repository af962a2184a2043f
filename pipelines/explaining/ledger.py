"""What the release says: the ledger rows that are asked for, how they were placed, and the figures that they must equal.

Belongs here: queries over the published file. Does not: words (words.py), bill rows (rebuild.py, charges.py).

In the given connection it keeps temporary tables: ``selected`` (the rows asked for) and ``whole`` (every row of their buckets and pools).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.errors import UsageError
from pipelines.explaining.question import Question, conditions
from pipelines.rows import rows_of

BASES = ("effective_cost", "billed_cost", "net_cost", "list_cost", "contracted_cost")
PLACEMENT = (
    "stage", "cost_class", "component", "route", "evidence", "reason", "method_id", "activity_rung", "sharing", "is_unmeasured", "rule_id", "distribution_key = bucket_key",
)  # fmt: skip
_RECONCILED = {  # cost class -> the reconciliation's column for it, and the basis that it sums
    "commitment_true_up": ("commitment_true_up_usd", "effective_cost"),
    "unused_commitment": ("unused_commitment_usd", "effective_cost"),
    "quarantined": ("quarantined_cost_usd", "effective_cost"),
    "credit": ("credit_cost_usd", "billed_cost"),
    "rounding": ("rounding_cost_usd", "billed_cost"),
}


@dataclass(frozen=True)
class Publication:
    """What a release was made from. deliveries: (source, period, delivery id), by source."""

    release_id: str
    code_digest: str
    policy_digest: str
    deliveries: tuple[tuple[str, str, str], ...]


def publication(connection: duckdb.DuckDBPyConnection) -> Publication:
    """What ``meta_publication`` says of the release."""
    rows = connection.execute(
        "select release_id, source, deliveries, code_digest, policy_digest from meta_publication order by source"
    ).fetchall()
    named = [(source, d["period"], d["delivery_id"]) for _, source, told, *_ in rows for d in json.loads(told)]
    release_id, _, _, code, policy = rows[0]
    return Publication(release_id, code, policy, tuple(named))


def workload_keys(connection: duckdb.DuckDBPyConnection, wanted: str, where: str) -> list[str]:
    """The workload keys that ``wanted`` means. Raises UsageError with near names where there is no cost under it."""
    if wanted == "":
        raise UsageError("a workload without a name cannot be asked for", remedy="ask by --cost-class, --node or --team ''")
    keys = [
        key
        for (key,) in connection.execute(
            "select distinct workload_key from fct_cost_allocation where workload_key = ? or workload_key in"
            " (select workload_key from dim_workload where workload_id = ?) order by 1",
            [wanted, wanted],
        ).fetchall()
    ]
    if not keys:
        near = connection.execute(
            "select workload_id from dim_workload order by jaro_winkler_similarity(workload_id, ?) desc, workload_id limit 3", [wanted]
        ).fetchall()
        hint = ", ".join(n for (n,) in near)
        raise UsageError(f"no published cost for {wanted!r}", where=where, remedy=f"near names: {hint}" if hint else None)
    return keys


def select(connection: duckdb.DuckDBPyConnection, condition: str, values: Sequence[Any]) -> int:
    """Fill ``selected`` by a condition on the ledger and ``whole`` with it; the number of selected rows."""
    connection.execute(
        f"create or replace temp table selected as select rowid as line_id, * from fct_cost_allocation where {condition}",  # noqa: S608
        list(values),
    )
    connection.execute(
        """
        create or replace temp table whole as
        with pools as (
            select distinct distribution_key from selected where stage = 'distributed' and bucket_key = distribution_key
        ), buckets as (
            select distinct usage_date, bucket_key from selected where stage = 'allocated' or bucket_key <> distribution_key
            union
            select distinct usage_date, bucket_key from fct_cost_allocation as l inner join pools on l.distribution_key = pools.distribution_key
            where l.bucket_key <> l.distribution_key
        )
        select l.rowid as line_id, l.* from fct_cost_allocation as l
        inner join buckets on l.usage_date = buckets.usage_date and l.bucket_key = buckets.bucket_key and l.stage = 'allocated'
        union all
        select l.rowid, l.* from fct_cost_allocation as l inner join pools on l.distribution_key = pools.distribution_key
        union all
        select s.* from selected as s where s.stage = 'distributed'
            and (s.distribution_key not in (select distribution_key from pools))
        """
    )
    return int(one(connection, "select count(*) from selected")[0])


def rows(connection: duckdb.DuckDBPyConnection, limit: int | None) -> list[dict[str, Any]]:
    """The selected rows with their buckets, dearest first; at most ``limit``."""
    return rows_of(
        connection,
        f"""
        select l.line_id, l.usage_date, l.window_start, l.window_end, l.source, l.account_id, l.node, l.pool, l.resource_id, l.service, l.sku, l.line_item_type,
            l.charge_category, l.workload_key, l.attempt_key, l.team, l.cost_class, l.component, l.route, l.evidence, l.reason, l.method_id,
            l.activity_rung, l.sharing, l.is_unmeasured, l.stage, l.rule_id, l.distribution_key, l.distribution_key = l.bucket_key as is_received, l.gpu_seconds,
            l.allocation_weight, l.bucket_weight, l.bucket_key, b.charge_count, b.tags,
            coalesce(b.effective_cost, (select sum(p.effective_cost) from whole as p where p.distribution_key = l.distribution_key
                and p.bucket_key = p.distribution_key)) as bucket_cost_usd,
            l.effective_cost as cost_usd, l.billed_cost as billed_cost_usd, l.list_cost as list_cost_usd
        from selected as l left join fct_charge_bucket as b on l.usage_date = b.usage_date and l.bucket_key = b.bucket_key
        order by abs(l.effective_cost) desc, l.window_start, l.node, l.bucket_key, l.cost_class, l.component, l.stage, l.line_id
        {"" if limit is None else f"limit {int(limit)}"}
        """,  # noqa: S608
    )


def placements(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The selected dollars by what placed them, dearest first."""
    columns = ", ".join(f"{c} as is_received" if "=" in c else c for c in PLACEMENT)
    return rows_of(
        connection,
        f"select {columns}, count(*) as row_count, sum(effective_cost) as cost_usd from selected group by all"  # noqa: S608
        f" order by abs(cost_usd) desc, {', '.join('is_received' if '=' in c else c for c in PLACEMENT)}",  # noqa: S608
    )


def pools(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Each pool of a distribution rule among the selected rows: what the rule took, by class and account, and who received how much of it."""
    found = rows_of(
        connection,
        "select usage_date, rule_id, distribution_key, min(cost_class) filter (bucket_key <> distribution_key) as cost_class, min(source) as source,"
        " min(account_id) as account_id, min(reason) as reason, min(service) as service,"
        " count(*) filter (bucket_key <> distribution_key) as taken_rows,"
        " sum(effective_cost) filter (bucket_key <> distribution_key) as taken_usd,"
        " sum(effective_cost) filter (bucket_key = distribution_key) as received_usd, sum(effective_cost) as residual_usd from fct_cost_allocation"
        " where distribution_key in (select distribution_key from selected) group by all order by usage_date, rule_id, taken_usd, distribution_key",
    )
    received = rows_of(
        connection,
        "select distribution_key, coalesce(workload_key, 'team ' || team) as recipient, method_id as weight, allocation_weight, bucket_weight,"
        " effective_cost as cost_usd from fct_cost_allocation where bucket_key = distribution_key"
        " and distribution_key in (select distribution_key from selected) order by distribution_key, cost_usd desc, recipient",
    )
    by_pool: dict[str, list[dict[str, Any]]] = {}
    for entry in received:
        by_pool.setdefault(entry.pop("distribution_key"), []).append(entry)
    return [{**pool, "recipients": by_pool.get(pool["distribution_key"], [])} for pool in found]


def sums(connection: duckdb.DuckDBPyConnection) -> dict[str, Decimal]:
    """The selected dollars: before distribution, by it, and in all."""
    allocated, distributed, total = one(
        connection,
        "select coalesce(sum(effective_cost) filter (stage = 'allocated'), 0), coalesce(sum(effective_cost) filter (stage = 'distributed'), 0),"
        " coalesce(sum(effective_cost), 0) from selected",
    )
    return {"allocated_usd": allocated, "distributed_usd": distributed, "cost_usd": total}


def figures(connection: duckdb.DuckDBPyConnection, question: Question, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The release's other figures for the same dollars, each beside the explained sum: {figure, explained_usd, published_usd, is_equal}."""
    told: list[tuple[str, Decimal | None, Decimal | None]] = []
    asked = set(question.filters)
    told += _by_workload(connection, asked, keys, question)
    if asked <= {"day", "source", "account", "bucket"} and asked:
        condition, values = conditions(question.filters)
        published = one(connection, f"select sum(effective_cost) from fct_charge_bucket where {condition}", values)[0]  # noqa: S608
        told.append(("fct_charge_bucket.effective_cost, before distribution", sums(connection)["allocated_usd"], published))
    if asked == {"source"}:
        published = one(connection, "select sum(effective_cost_usd) from fct_reconciliation where source = ?", [question.source])[0]
        told.append(("fct_reconciliation.effective_cost_usd", sums(connection)["allocated_usd"], published))
    if asked - {"source"} == {"cost_class"} and question.cost_class in _RECONCILED:
        column, basis = _RECONCILED[question.cost_class]
        condition, values = conditions({k: v for k, v in question.filters.items() if k == "source"})
        published = one(connection, f"select sum({column}) from fct_reconciliation where {condition}", values)[0]  # noqa: S608
        explained = one(connection, f"select sum({basis}) from selected where stage = 'allocated'")[0]  # noqa: S608
        told.append((f"fct_reconciliation.{column}, before distribution", explained, published))
    return [compared(*entry) for entry in told] + whole_figures(connection)


def compared(figure: str, explained: Decimal | None, published: Decimal | None) -> dict[str, Any]:
    """One figure of the release beside the explained sum."""
    return {"figure": figure, "explained_usd": explained, "published_usd": published, "is_equal": explained == published}


def _by_workload(
    connection: duckdb.DuckDBPyConnection, asked: set[str], keys: Sequence[str], question: Question
) -> list[tuple[str, Decimal | None, Decimal | None]]:
    """The published cost of each workload that is asked for as a whole."""
    told: list[tuple[str, Decimal | None, Decimal | None]] = []
    for key in keys if asked <= {"workload", "day"} else ():
        own, loaded = one(
            connection,
            "select sum(effective_cost) filter (stage = 'allocated'), sum(effective_cost) from selected where workload_key = ?",
            [key],
        )
        if key.startswith("endpoint/"):
            days, values = conditions({k: v for k, v in question.filters.items() if k == "day"})
            published = one(
                connection,
                f"select sum(allocated_cost_usd) from fct_inference_unit_cost where endpoint = ? and {days}",  # noqa: S608
                [key.removeprefix("endpoint/"), *values],
            )[0]
            told.append((f"fct_inference_unit_cost.allocated_cost_usd of {key}", own, published))
        elif asked == {"workload"}:
            run = connection.execute("select run_cost_usd, fully_loaded_usd from fct_run_cost where workload_key = ?", [key]).fetchone()
            told.append((f"fct_run_cost.run_cost_usd of {key}", own, run[0] if run else None))
            told.append((f"fct_run_cost.fully_loaded_usd of {key}", loaded, run[1] if run else None))
    return told


def whole_figures(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Whatever is selected: the whole buckets that its rows lie in, against the bill; and its pools, against zero. In every basis."""
    told: list[dict[str, Any]] = []
    count, *pairs = one(
        connection,
        "with ledger as (select usage_date, bucket_key, "  # noqa: S608
        + ", ".join(f"sum({b}) as {b}" for b in BASES)
        + " from whole where stage = 'allocated' group by usage_date, bucket_key) select count(*), "
        + ", ".join(f"sum(ledger.{b}), sum(bucket.{b}), count(*) filter (ledger.{b} is distinct from bucket.{b})" for b in BASES)
        + " from ledger left join fct_charge_bucket as bucket on ledger.usage_date = bucket.usage_date and ledger.bucket_key = bucket.bucket_key",
    )
    if count:
        for number, basis in enumerate(BASES):
            explained, published, unequal = pairs[3 * number : 3 * number + 3]
            if basis == "effective_cost" or unequal:
                what = f"fct_charge_bucket.{basis} of the {count} bucket(s) that these rows lie in, whole"
                told.append(compared(what, explained, published if unequal == 0 else None))
    pools_found, residual = one(
        connection,
        "select count(distinct distribution_key), "  # noqa: S608
        + " + ".join(f"coalesce(sum(abs(r_{b})), 0)" for b in BASES)
        + " from (select distribution_key, "
        + ", ".join(f"sum({b}) as r_{b}" for b in BASES)
        + " from fct_cost_allocation where distribution_key in (select distribution_key from selected) group by distribution_key)",
    )
    if pools_found:
        told.append(compared(f"zero: the {pools_found} pool(s) of distribution rules that these rows lie in, whole", residual, Decimal(0)))
    return told


def one(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
    """The one row of an aggregate."""
    row = connection.execute(query, list(values)).fetchone()
    assert row is not None
    return row
