"""From ledger rows to bill rows and back: each charge's exact share of each row.

Belongs here: filling the scratch tables, checking them against the release, and reading shares. Does not: the split itself (the macro
``split_parts`` and the analyses of dbt_project/), the scratch database (rebuild.py).

Tables in the scratch database: ``explained.ledger`` (the rows of ``whole``), ``explained.charges`` (the charges of their buckets, ranked in key
order), ``explained.shares`` (charge x row, every basis).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import ApportionError, UsageError
from pipelines.explaining.ledger import BASES, one
from pipelines.explaining.question import ChargeAddress
from pipelines.explaining.rebuild import Rebuilt
from pipelines.rows import rows_of
from pipelines.source import Delivery, LandedFile

_AMOUNTS = ("source_cost", *BASES)


def prepare(rebuilt: Rebuilt) -> None:
    """Let ``explained.keyed`` be every charge of the scratch database's days with the key of its bucket."""
    rebuilt.connection.execute("create schema if not exists explained")
    rebuilt.connection.execute(f"create or replace view explained.keyed as {rebuilt.sql['keyed_charges']}")


def trace(rebuilt: Rebuilt, release: duckdb.DuckDBPyConnection) -> None:
    """Fill the scratch tables for the release's temporary table ``whole``.

    Raises ApportionError where a rebuilt bucket is not the published one, in any basis, or a margin of the shares is not exact.
    """
    scratch = rebuilt.connection
    _copy(release, scratch, "ledger", "select * from whole")
    _copy(
        release,
        scratch,
        "buckets",
        f"select usage_date, bucket_key, charge_count, {', '.join(_AMOUNTS)} from fct_charge_bucket"  # noqa: S608
        " where (usage_date, bucket_key) in (select (usage_date, bucket_key) from whole where stage = 'allocated')",
    )
    scratch.execute(
        "create or replace table explained.charges as select keyed.*, row_number() over (partition by usage_date, bucket_key order by"  # noqa: S608
        f" delivery_id, file_name, row_number, {', '.join(_AMOUNTS)}) as charge_rank"
        " from explained.keyed as keyed where (usage_date, bucket_key) in (select (usage_date, bucket_key) from explained.buckets)"
    )
    _verify_buckets(scratch)
    scratch.execute(f"create or replace table explained.shares as {rebuilt.sql['charge_shares']}")
    scratch.execute(f"insert into explained.shares {rebuilt.sql['pool_shares']}")
    _verify_margins(scratch)


def _copy(release: duckdb.DuckDBPyConnection, scratch: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    rows = release.execute(query).to_arrow_table()
    scratch.register("handed_over", rows)
    scratch.execute(f"create or replace table explained.{name} as select * from handed_over")  # noqa: S608
    scratch.unregister("handed_over")


def _verify_buckets(scratch: duckdb.DuckDBPyConnection) -> None:
    sums = ", ".join(f"sum({c}) as {c}" for c in _AMOUNTS)
    differs = " or ".join(f"b.{c} is distinct from r.{c}" for c in _AMOUNTS)
    wrong = scratch.execute(
        f"with rebuilt as (select usage_date, bucket_key, count(*) as charge_count, {sums} from explained.charges group by all)"  # noqa: S608
        " select b.bucket_key, b.usage_date, b.charge_count, coalesce(r.charge_count, 0), b.effective_cost, r.effective_cost from explained.buckets as b"
        " left join rebuilt as r on b.usage_date = r.usage_date and b.bucket_key = r.bucket_key"
        f" where b.charge_count is distinct from r.charge_count or {differs} order by 1, 2 limit 1"
    ).fetchone()
    if wrong:
        key, day, count, found, published, rebuilt_cost = wrong
        raise ApportionError(
            f"bucket {key} of {day} is published with {count} charge(s) of {published} in all, and comes out of the landed deliveries with"
            f" {found} of {rebuilt_cost}",
            where="int_charges",
            remedy="the landed files, the engine, or (for a frozen day) the code are not those that it was computed by: explain it without --charges",
        )


def _verify_margins(scratch: duckdb.DuckDBPyConnection) -> None:
    sums = ", ".join(f"sum({b}) as {b}" for b in BASES)
    differs = " or ".join(f"a.{b} is distinct from s.{b}" for b in BASES)
    by_line = one(
        scratch,
        f"with s as (select line_id, {sums} from explained.shares group by all)"  # noqa: S608
        f" select count(*) from explained.ledger as a left join s on a.line_id = s.line_id where {differs}",
    )[0]
    by_charge = one(
        scratch,
        f"with s as (select group_key, charge_rank, {sums} from explained.shares where line_id in"  # noqa: S608
        " (select line_id from explained.ledger where stage = 'allocated') group by all)"
        " select count(*) from explained.charges as a left join s"
        f" on concat(cast(a.usage_date as varchar), '/', a.bucket_key) = s.group_key and a.charge_rank = s.charge_rank where {differs}",
    )[0]
    if by_line or by_charge:
        raise ApportionError(
            f"the shares of {by_line} ledger row(s) and {by_charge} charge(s) do not sum to them",
            where="explained.shares",
            remedy="this is a defect of explain, not of the release: please report it",
        )


def shares_of_lines(scratch: duckdb.DuckDBPyConnection, line_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """The charges of each ledger row, dearest share first."""
    return _grouped(scratch, "s.line_id in (select unnest(?))", [list(line_ids)])


def shares_of_charge(
    scratch: duckdb.DuckDBPyConnection, usage_date: dt.date, bucket_key: str, charge_rank: int
) -> dict[int, list[dict[str, Any]]]:
    """One charge's share of each ledger row that has one."""
    return _grouped(scratch, "c.usage_date = ? and c.bucket_key = ? and c.charge_rank = ?", [usage_date, bucket_key, charge_rank])


def _grouped(scratch: duckdb.DuckDBPyConnection, condition: str, values: Sequence[Any]) -> dict[int, list[dict[str, Any]]]:
    found = rows_of(
        scratch,
        "select s.line_id, c.source, c.delivery_id, c.file_name, c.row_number, c.usage_start, c.line_item_type, c.sku, c.charge_description,"  # noqa: S608
        " c.bucket_key, c.charge_rank, c.source_cost, c.currency, c.effective_cost as charge_usd, s.effective_cost as cost_usd,"
        " s.billed_cost as billed_cost_usd, s.net_cost as net_cost_usd, s.list_cost as list_cost_usd, s.contracted_cost as contracted_cost_usd"
        " from explained.shares as s inner join explained.charges as c"
        " on s.group_key = concat(cast(c.usage_date as varchar), '/', c.bucket_key) and s.charge_rank = c.charge_rank"
        f" where {condition} order by s.line_id, abs(s.effective_cost) desc, c.delivery_id, c.file_name, c.row_number, c.charge_rank",
        values,
    )
    by_line: dict[int, list[dict[str, Any]]] = {}
    for share in found:
        share["charge"] = address(share)
        by_line.setdefault(share.pop("line_id"), []).append(share)
    return by_line


def charges_at(scratch: duckdb.DuckDBPyConnection, file: LandedFile, row: int) -> list[dict[str, Any]]:
    """The charges that staging made of one landed row (a Google row with a promotion is two), with their buckets; no ranks yet."""
    return rows_of(
        scratch,
        f"select usage_date, bucket_key, source, delivery_id, file_name, row_number, line_item_type, sku, {', '.join(_AMOUNTS)}"  # noqa: S608
        " from explained.keyed where file_name = ? and row_number = ? order by usage_date, bucket_key",
        [str(file.path), row],
    )


def ranks_at(scratch: duckdb.DuckDBPyConnection, file: LandedFile, row: int) -> list[dict[str, Any]]:
    """The same with their places in their buckets, after ``trace``."""
    found = rows_of(
        scratch,
        "select usage_date, bucket_key, charge_rank, source, delivery_id, file_name, row_number, line_item_type, charge_category, service, sku,"  # noqa: S608
        f" charge_description, usage_start, usage_end, resource_id, account_id, currency, exchange_rate, {', '.join(_AMOUNTS)},"
        " (select count(*) from explained.charges as o where o.usage_date = c.usage_date and o.bucket_key = c.bucket_key) as charge_count"
        " from explained.charges as c where file_name = ? and row_number = ? order by usage_date, bucket_key, charge_rank",
        [str(file.path), row],
    )
    for charge in found:
        charge["charge"] = address(charge)
    return found


def address(charge: dict[str, Any]) -> str:
    """How a bill row is asked for again: <source>:<delivery id>/<landed file>:<row>."""
    return f"{charge['source']}:{charge['delivery_id']}/{Path(charge['file_name']).name}:{charge['row_number']}"


def landed_file(deliveries: Sequence[Delivery], asked: ChargeAddress) -> tuple[Delivery, LandedFile]:
    """The landed file that an address names: by delivery id, landed file name, both, or the name of the file it was made from."""
    own = [d for d in deliveries if d.source == asked.source]
    if not own:
        known = ", ".join(sorted({d.source for d in deliveries}))
        raise UsageError(f"the release has no source {asked.source!r}", remedy=f"its sources: {known}")
    found = [(d, f) for d in own for f in d.files if asked.file in _names(d, f)]
    if len(found) == 1:
        return found[0]
    choices = [f"{d.delivery_id}/{f.path.name} ({d.period})" for d, f in found or [(d, f) for d in own for f in d.files]]
    raise UsageError(
        f"{asked.file!r} is no file of {asked.source} in this release" if not found else f"{asked.file!r} names {len(found)} files",
        remedy=f"name one of: {', '.join(choices[:6])}{', ...' if len(choices) > 6 else ''}",
    )


def _names(delivery: Delivery, file: LandedFile) -> set[str]:
    names = {delivery.delivery_id, file.path.name, f"{delivery.delivery_id}/{file.path.name}", str(file.path)}
    key = file.origin.get("key")
    return names | {str(key), Path(str(key)).name} if key else names
