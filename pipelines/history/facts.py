"""What the archive's files say, taken once per release and kept: totals per day, finality per bill, moves since the release before.

Layout under ``<APPORTION_HOME>/published/history/facts``::

    <digest>-totals.parquet         of bucket files that were new: digest, day, billing period, source, provider, rows and dollars
    <release>-finality.parquet      source, billing period, finality
    <release>-moves.parquet         the restatement against the archived release before it

Belongs here: reading archived files once. Does not: what is made of the facts (database.py). The files can be removed at any time:
they are taken again from the archive.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from pipelines.history import restatement
from pipelines.history.archive import Archived, object_path, root
from pipelines.published_tables import BUCKETS, RECONCILIATION
from pipelines.settings import Settings
from pipelines.warehouse import limit, quote_text

LAYOUT = 1  # raise it when a fact is taken otherwise than before: all are then taken again
TOTALS = (
    "sha256 varchar, usage_date date, billing_period date, source varchar, provider varchar, bucket_count bigint, charge_count bigint,"
    " billed_cost_usd decimal(38, 12), effective_cost_usd decimal(38, 12), list_cost_usd decimal(38, 12)"
)


def path_of(settings: Settings, release: Archived, fact: str, before: Archived | None = None) -> Path:
    """Where a fact of ``release`` is kept; moves depend on the release before it as well."""
    since = f"-since-{before.sequence:06d}" if before else ""
    return root(settings) / "facts" / f"{release.name}{since}-{fact}.{LAYOUT}.parquet"


def totals_paths(settings: Settings) -> list[str]:
    """Every file of totals: a bucket file's totals lie in one of them."""
    return sorted(str(path) for path in (root(settings) / "facts").glob(f"*-totals.{LAYOUT}.parquet"))


def take(settings: Settings, releases: Sequence[Archived]) -> None:
    """Take the facts that are missing."""
    (root(settings) / "facts").mkdir(parents=True, exist_ok=True)
    digests = {f.sha256 for r in releases for (table, _), f in r.files.items() if table == BUCKETS and f.rows > 0}
    if missing := digests - _taken(settings):
        name = hashlib.sha256("\n".join(sorted(missing)).encode()).hexdigest()[:12]
        _once(root(settings) / "facts" / f"{name}-totals.{LAYOUT}.parquet", lambda path: _totals(settings, releases, missing, path))
    for number, release in enumerate(releases):
        before = releases[number - 1] if number else None
        _once(path_of(settings, release, "finality"), lambda path, r=release: _finality(settings, r, path))
        if before is not None:
            _once(path_of(settings, release, "moves", before), lambda path, r=release, b=before: restatement.write(settings, b, r, path))


def _taken(settings: Settings) -> set[str]:
    paths = totals_paths(settings)
    return (
        {sha256 for (sha256,) in duckdb.connect().execute("select distinct sha256 from read_parquet(?)", [paths]).fetchall()}
        if paths
        else set()
    )


def _once(path: Path, write: Callable[[Path], None]) -> None:
    if not path.exists():
        scratch = path.with_name(f".{path.name}")
        write(scratch)
        os.replace(scratch, path)


def _totals(settings: Settings, releases: Sequence[Archived], digests: set[str], path: Path) -> None:
    """Sums per bucket file, billing period, source and provider; an older file without a column has NULL there."""
    by_columns: dict[frozenset[str], set[str]] = {}
    for release in releases:
        own = {f.sha256 for (table, _), f in release.files.items() if table == BUCKETS} & digests
        digests = digests - own
        by_columns.setdefault(frozenset(name for name, _ in release.columns[BUCKETS]), set()).update(own)
    with duckdb.connect(":memory:") as connection:
        limit(connection, settings)
        connection.execute(f"create table totals ({TOTALS})")
        for known, own in by_columns.items():
            if not own:
                continue
            period = "cast(billing_period as date)" if "billing_period" in known else "null"
            provider = "provider" if "provider" in known else "source"
            charges = "charge_count" if "charge_count" in known else "1"
            connection.execute(
                f"insert into totals select parse_filename(filename, true), usage_date, {period} as billing_period, source, {provider} as provider,"  # noqa: S608
                f" count(*), sum({charges}), sum(billed_cost), sum(effective_cost), sum(list_cost)"
                " from read_parquet(?, filename = true, union_by_name = true) group by all order by all",
                [[str(object_path(settings, digest)) for digest in sorted(own)]],
            )
        connection.execute(f"copy totals to {quote_text(str(path))} (format parquet, compression zstd)")


def _finality(settings: Settings, release: Archived, path: Path) -> None:
    [file] = [file for (table, _), file in release.files.items() if table == RECONCILIATION]
    with duckdb.connect(":memory:") as connection:
        limit(connection, settings)
        connection.execute(
            "create table finality as select source, cast(billing_period as date) as billing_period, max(coalesce(finality, 'provisional')) as finality"
            " from read_parquet(?) group by all order by all",
            [str(object_path(settings, file.sha256))],
        )
        connection.execute(f"copy finality to {quote_text(str(path))} (format parquet, compression zstd)")
