"""The restatement report: which figures moved between two releases, by how much, and why.

Belongs here: bringing the changed days of both releases before ``restatement.sql``, and what is told of its result. Does not: the
rules of the causes (they are in that file), any day whose files are the same in both releases (it is not read).

Two releases may have other columns: what is compared are the columns that both have, and the report says which are not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import ApportionError
from pipelines.history.archive import Archived, object_path
from pipelines.published_tables import BUCKETS, LEDGER
from pipelines.rows import rows_of
from pipelines.settings import Settings
from pipelines.warehouse import limit, quote_name, quote_text

SQL = Path(__file__).with_name("restatement.sql")
BASES = ("billed", "effective", "list")
AMOUNTS = {"source_cost", "net_cost", "billed_cost", "effective_cost", "list_cost", "contracted_cost", "charge_count", "usage_quantity"}
# what names a bucket without telling it apart (a digest of its dimensions), and what only converts its amounts
NO_DIMENSION = {"bucket_key", "exchange_rate"}
# dimensions of a bucket that older releases have on the ledger only
LEDGER_DIMENSIONS = ("charge_class", "pricing_category", "commitment_id", "region", "billing_account_id")
INVOICE = {"invoice_id"}
HOUR = ("source", "account_id", "window_start", "window_end", "resource_id", "sku")


GRAIN = ("usage_date", "source", "account_id", "team", "cause")
LARGEST = 50
# what `write` writes
COLUMNS = {
    "usage_date": "date", "source": "varchar", "account_id": "varchar", "team": "varchar", "cause": "varchar", "day_count": "bigint",
    "old_rows": "bigint", "new_rows": "bigint", "billed_move_usd": "decimal(38, 12)", "effective_move_usd": "decimal(38, 12)",
    "list_move_usd": "decimal(38, 12)", "gross_move_usd": "decimal(38, 12)",
}  # fmt: skip
# the moves of one bearer within a cause: net, and what changed its place (all that came plus all that went, half)
_MOVES = """count(distinct usage_date) as day_count, cast(sum(old_rows) as bigint) as old_rows, cast(sum(new_rows) as bigint) as new_rows,
    cast(sum(billed_move_usd) as decimal(38, 12)) as billed_move_usd, cast(sum(effective_move_usd) as decimal(38, 12)) as effective_move_usd,
    cast(sum(list_move_usd) as decimal(38, 12)) as list_move_usd, cast(sum(abs(effective_move_usd)) as decimal(38, 12)) as gross_move_usd"""


@dataclass(frozen=True)
class Restatement:
    """What moved from one release to the other, in US dollars.

    days: every day of which a file differs, with the tables. causes: the moves per cause, the largest first; gross_move_usd adds the
    absolute moves of every bearer. rows: per day, source, account, team and cause. largest: the largest single moves, by workload and
    cost class. totals: the sums of the moves, which are the differences of the two ledgers, exactly. not_compared: columns that
    only one of the releases has.
    """

    old: Archived
    new: Archived
    days: dict[dt.date, tuple[str, ...]]
    causes: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    largest: list[dict[str, Any]]
    totals: dict[str, Decimal]
    not_compared: tuple[str, ...]


def compare(settings: Settings, old: Archived, new: Archived) -> Restatement:
    """Compare two archived releases. Raises ApportionError where the moves do not sum to the difference (they always must)."""
    with compared(settings, old, new) as (connection, days, not_compared):
        causes = rows_of(connection, f"select cause, {_MOVES} from restatement group by cause order by gross_move_usd desc, cause")  # noqa: S608
        grain = ", ".join(GRAIN)
        rows = rows_of(connection, f"select {grain}, {_MOVES} from restatement group by all order by {grain}")  # noqa: S608
        order = "abs(effective_move_usd) desc, 1, 2, 3, 4, 5, 6, 7"
        largest = rows_of(connection, f"select * from restatement order by {order} limit {LARGEST}")  # noqa: S608
        totals = _checked_totals(connection, old, new)
    return Restatement(old, new, days, causes, rows, largest, totals, not_compared)


def write(settings: Settings, old: Archived, new: Archived, path: Path) -> None:
    """Write the moves per day, source, account, team and cause to a Parquet file."""
    with compared(settings, old, new) as (connection, _, _):
        _checked_totals(connection, old, new)
        grain = ", ".join(GRAIN)
        query = f"select {grain}, {_MOVES} from restatement group by all order by {grain}"  # noqa: S608
        connection.execute(f"copy ({query}) to {quote_text(str(path))} (format parquet, compression zstd)")


@contextmanager
def compared(
    settings: Settings, old: Archived, new: Archived
) -> Iterator[tuple[duckdb.DuckDBPyConnection, dict[dt.date, tuple[str, ...]], tuple[str, ...]]]:
    """A connection with the table ``restatement`` of two releases, the days that differ, and the columns that were not compared."""
    differing = _differing_days(old, new)
    days = sorted(day for day, tables in differing.items() if {LEDGER, BUCKETS} & set(tables))
    with duckdb.connect(":memory:") as connection:
        limit(connection, settings)
        connection.execute("create table days (usage_date date, in_old boolean, in_new boolean)")
        if days:
            connection.executemany("insert into days values (?, ?, ?)", [(day, day in old.days, day in new.days) for day in days])
        connection.execute("create table identity_change as select ? as allocation_cause", [_allocation_cause(old, new)])
        not_compared = _views(connection, settings, old, new, days)
        connection.execute(f"create table restatement as {SQL.read_text(encoding='utf-8')}")
        yield connection, differing, not_compared


def _differing_days(old: Archived, new: Archived) -> dict[dt.date, tuple[str, ...]]:
    """Per day the tables whose files differ: by digest, nothing is read."""
    found: dict[dt.date, list[str]] = {}
    for key in sorted(old.files.keys() | new.files.keys()):
        before, after = old.files.get(key), new.files.get(key)
        either = before or after
        day = either.day if either else None
        if day is not None and (before is None or after is None or before.sha256 != after.sha256):
            found.setdefault(day, []).append(key[0])
    return {day: tuple(tables) for day, tables in sorted(found.items())}


def _allocation_cause(old: Archived, new: Archived) -> str:
    """Why dollars went from one bearer to another where the bill stands as it was."""
    if old.identity.get("code") != new.identity.get("code"):
        return "code_change"
    return "policy_change" if old.identity.get("policy") != new.identity.get("policy") else "telemetry_change"


def _views(
    connection: duckdb.DuckDBPyConnection, settings: Settings, old: Archived, new: Archived, days: Sequence[dt.date]
) -> tuple[str, ...]:
    """The views that restatement.sql reads. Returns the columns of the ledger and its buckets that only one release has."""
    columns = {table: [{name for name, _ in release.columns.get(table, ())} for release in (old, new)] for table in (BUCKETS, LEDGER)}
    common = {table: before & after for table, (before, after) in columns.items()}
    for name, release in (("old", old), ("new", new)):
        for table, relation in ((BUCKETS, "buckets"), (LEDGER, "ledger")):
            files = [file for day in days if (file := release.file(table, day)) is not None and file.rows > 0]
            _scan(connection, f"{name}_{relation}", settings, [file.sha256 for file in files], release.columns.get(table, ()))
    lent = [c for c in LEDGER_DIMENSIONS if c in common[LEDGER] and c not in common[BUCKETS]]
    dimensions = sorted((common[BUCKETS] - AMOUNTS - NO_DIMENSION) | set(lent))
    connection.execute(
        f"create table buckets as {_buckets(-1, common[BUCKETS], lent, dimensions)} union all {_buckets(1, common[BUCKETS], lent, dimensions)}"
    )
    wanted = {
        "usage_date": "date", "bucket_key": "varchar", "source": "varchar", "account_id": "varchar", "team": "varchar",
        "workload_key": "varchar", "cost_class": "varchar", "stage": "varchar", **{f"{basis}_cost": "decimal(38, 12)" for basis in BASES},
    }  # fmt: skip
    fields = ", ".join(_field(name, kind, common[LEDGER]) for name, kind in wanted.items())
    both = f"select -1 as side, {fields} from old_ledger union all select 1 as side, {fields} from new_ledger"  # noqa: S608
    connection.execute(f"create view ledger as {both}")
    return tuple(sorted(f"{table}.{name}" for table, (before, after) in columns.items() for name in before ^ after))


def _scan(
    connection: duckdb.DuckDBPyConnection, relation: str, settings: Settings, digests: Sequence[str], columns: Sequence[tuple[str, str]]
) -> None:
    if digests:
        paths = [str(object_path(settings, digest)) for digest in digests]
        connection.execute(f"create table {relation} as select * from read_parquet(?)", [paths])  # noqa: S608
    else:
        connection.execute(f"create table {relation} ({', '.join(f'{quote_name(name)} {kind}' for name, kind in columns)})")


def _buckets(side: int, common: set[str], lent: Sequence[str], dimensions: Sequence[str]) -> str:
    """The buckets of one release, normalised: what both have, under fixed names; ``lent`` comes from the bucket's ledger rows."""
    release = "old" if side < 0 else "new"
    texts = {
        "identity_key": list(dimensions),
        "uninvoiced_key": [name for name in dimensions if name not in INVOICE],
        "untagged_key": [name for name in dimensions if name not in INVOICE | {"tags"}],
    }
    known = common | set(lent)
    fields = [f"{side} as side", *(_field(name, "varchar", known) for name in ("bucket_key", "source"))]
    fields += [
        f"md5_number(cast(to_json([{', '.join(f'cast({quote_name(n)} as varchar)' for n in names)}]) as varchar)) as {key}"
        for key, names in texts.items()
    ]
    hour = [name for name in HOUR if name in known]
    told = ", ".join(f"cast({quote_name(n)} as varchar)" for n in hour)
    covered = (
        f"case when {quote_name('resource_id')} is not null then md5_number(cast(to_json([{told}]) as varchar)) end"
        if "resource_id" in known
        else "cast(null as uhugeint)"
    )
    fields += [f"{covered} as covered_key", _field("usage_date", "date", known)]
    for name in ("line_item_type", "pricing_category", "commitment_id", "charge_category", "charge_class", "fixed_cost_class"):
        fields.append(_field(name, "varchar", known))
    fields.append(_field("charge_count", "bigint", known))
    fields += [_field(name, "decimal(38, 12)", known) for name in ("usage_quantity", *(f"{basis}_cost" for basis in BASES))]
    source = f"{release}_buckets"
    if lent:
        lending = ", ".join(f"any_value({quote_name(name)}) as {quote_name(name)}" for name in lent)
        loan = f"select usage_date, bucket_key, {lending} from {release}_ledger group by all"  # noqa: S608
        own = ", ".join(quote_name(name) for name in sorted(common))
        source = f"(select {own} from {source}) left join ({loan}) using (usage_date, bucket_key)"  # noqa: S608
    return f"select {', '.join(fields)} from {source}"  # noqa: S608


def _field(name: str, kind: str, known: set[str]) -> str:
    return f"cast({quote_name(name) if name in known else 'null'} as {kind}) as {quote_name(name)}"


def _checked_totals(connection: duckdb.DuckDBPyConnection, old: Archived, new: Archived) -> dict[str, Decimal]:
    """The sums of the moves, which must be those of the two ledgers."""
    told = connection.execute(f"select {', '.join(f'coalesce(sum({b}_move_usd), 0)' for b in BASES)} from restatement").fetchone()  # noqa: S608
    true = connection.execute(
        f"select {', '.join(f'coalesce(sum({b}_cost), 0) - (select coalesce(sum({b}_cost), 0) from old_ledger)' for b in BASES)} from new_ledger"  # noqa: S608
    ).fetchone()
    if told != true or told is None:
        raise ApportionError(
            f"the moves from {old.release_id} to {new.release_id} sum to {told}, the releases differ by {true}",
            where=LEDGER,
            remedy="please report this: the releases themselves are not concerned",
        )
    return dict(zip(BASES, told, strict=True))
