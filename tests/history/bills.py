"""Small hand-made warehouses whose bills and ledgers are written row by row, published through the real publication.

A charge is one row of a bill (and here one bucket); its bearers say who gets how much of it. Dollars are text, so that every expected
figure can be worked by hand.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import duckdb

from pipelines.history.archive import archived, root
from pipelines.publish import Release, publish
from pipelines.settings import Settings, SettingsFile
from tests import fake_warehouse

REPLACED = ("fct_charge_bucket", "fct_cost_allocation")
IDENTITY = {"code": "c0de", "policy": "b011c7"}
BUCKET = {
    "usage_date": "date", "bucket_key": "varchar", "source": "varchar", "provider": "varchar", "billing_period": "date",
    "invoice_id": "varchar", "account_id": "varchar", "window_start": "timestamp", "window_end": "timestamp", "service": "varchar",
    "sku": "varchar", "resource_id": "varchar", "line_item_type": "varchar", "charge_category": "varchar", "charge_class": "varchar",
    "pricing_category": "varchar", "commitment_id": "varchar", "fixed_cost_class": "varchar", "currency": "varchar", "tags": "varchar",
    "charge_count": "bigint", "usage_quantity": "decimal(38,12)", "billed_cost": "decimal(38,12)", "effective_cost": "decimal(38,12)",
    "net_cost": "decimal(38,12)", "list_cost": "decimal(38,12)", "contracted_cost": "decimal(38,12)",
}  # fmt: skip
LEDGER = {
    **{c: BUCKET[c] for c in ("usage_date", "bucket_key", "source", "provider", "billing_period", "account_id", "charge_class", "pricing_category")},
    "commitment_id": "varchar", "service": "varchar", "workload_key": "varchar", "attempt_key": "varchar", "team": "varchar",
    "cost_class": "varchar", "route": "varchar", "component": "varchar", "reason": "varchar", "stage": "varchar", "distribution_key": "varchar",
    **{c: BUCKET[c] for c in ("billed_cost", "effective_cost", "net_cost", "list_cost", "contracted_cost")},
}  # fmt: skip


@dataclass(frozen=True)
class Bearer:
    """Who bears how much (effective dollars) of a charge."""

    workload: str | None
    cost: str
    team: str | None = None
    cost_class: str = "used"


@dataclass(frozen=True)
class Charge:
    """One charge. ``cost`` is its effective and list cost; ``billed`` is the same unless told."""

    day: dt.date
    cost: str
    resource: str | None = "i-1"
    hour: int = 10
    source: str = "aws"
    provider: str = "aws"
    period: dt.date | None = None
    invoice: str | None = None
    account: str = "111"
    sku: str = "box"
    line_item_type: str = "Usage"
    category: str = "Usage"
    charge_class: str | None = None
    pricing: str | None = "on_demand"
    commitment: str | None = None
    fixed_class: str | None = None
    tags: str = "{}"
    count: int = 1
    quantity: str = "1"
    billed: str | None = None
    bearers: tuple[Bearer, ...] = field(default=())

    def but(self, **changes: object) -> Charge:
        """The same with other values."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def month(self) -> dt.date:
        return self.period or self.day.replace(day=1)

    def bucket(self) -> dict[str, object]:
        start = dt.datetime.combine(self.day, dt.time(self.hour))
        row: dict[str, object] = {
            "usage_date": self.day, "source": self.source, "provider": self.provider, "billing_period": self.month, "invoice_id": self.invoice,
            "account_id": self.account, "window_start": start, "window_end": start + dt.timedelta(hours=1), "service": "compute",
            "sku": self.sku, "resource_id": self.resource, "line_item_type": self.line_item_type, "charge_category": self.category,
            "charge_class": self.charge_class, "pricing_category": self.pricing, "commitment_id": self.commitment,
            "fixed_cost_class": self.fixed_class, "currency": "USD", "tags": self.tags,
        }  # fmt: skip
        key = hashlib.sha256(json.dumps(row, default=str, sort_keys=True).encode()).hexdigest()[:16]
        billed = self.billed if self.billed is not None else self.cost
        amounts = {
            "billed_cost": billed,
            "effective_cost": self.cost,
            "net_cost": self.cost,
            "list_cost": self.cost,
            "contracted_cost": None,
        }
        return {**row, "bucket_key": key, "charge_count": self.count, "usage_quantity": self.quantity, **amounts}

    def ledger(self) -> list[dict[str, object]]:
        bucket = self.bucket()
        bearers = self.bearers or (Bearer(None, self.cost, None, self.fixed_class or "unattributed"),)
        assert sum(Decimal(b.cost) for b in bearers) == Decimal(self.cost), "the bearers do not carry the charge"
        billed = Decimal(str(bucket["billed_cost"]))
        rows = []
        for number, bearer in enumerate(bearers):
            share = (billed if number == 0 else Decimal(0)) if billed != Decimal(self.cost) else Decimal(bearer.cost)
            rows.append({
                **{c: bucket[c] for c in LEDGER if c in bucket}, "workload_key": bearer.workload, "team": bearer.team, "cost_class": bearer.cost_class,
                "route": "telemetry", "component": "gpu", "stage": "allocated", "billed_cost": share, "effective_cost": bearer.cost,
                "net_cost": bearer.cost, "list_cost": bearer.cost,
            })  # fmt: skip
        return rows


def settings_for(home: Path, **publishing: object) -> Settings:
    return Settings(SettingsFile.model_validate({"publish": publishing, "engine": {"threads": 1}}), home, None)


def write_warehouse(
    settings: Settings,
    charges: Iterable[Charge],
    *,
    days: Sequence[dt.date] | None = None,
    finality: Mapping[tuple[str, dt.date], str] | None = None,
    deliveries: Sequence[tuple[str, str, str]] = (),
    bucket_columns: Mapping[str, str] = BUCKET,
) -> list[dt.date]:
    """A warehouse with these charges. finality: by (source, billing period), provisional where it is not named."""
    held = list(charges)
    published = sorted(set(days or {c.day for c in held}))
    fake_warehouse.build(settings, days=published)
    with duckdb.connect(str(settings.warehouse)) as connection:
        for table in fake_warehouse.TABLES.keys() - {
            "dim_date",
            "fct_reconciliation",
            "fct_run_cost",
            *REPLACED,
        }:  # fewer files, faster tests
            connection.execute(f"drop table published.{table}")
        connection.execute("delete from published.fct_reconciliation")
        _replace(connection, REPLACED[0], bucket_columns, [c.bucket() for c in held])
        _replace(connection, REPLACED[1], LEDGER, [row for c in held for row in c.ledger()])
        connection.execute("create or replace table ops.deliveries as from ops.deliveries where false")
        for source, period, delivery_id in deliveries:
            connection.execute(
                "insert into ops.deliveries (source, kind, period, delivery_id) values (?, 'aws_cur', ?, ?)", [source, period, delivery_id]
            )
        for source, month in sorted({(c.source, c.month) for c in held}):
            state = (finality or {}).get((source, month), "provisional")
            names = "source, billing_period, finality, delivery_residual, allocation_residual_usd"
            connection.execute(f"insert into published.fct_reconciliation ({names}) values (?, ?, ?, 0, 0)", [source, month, state])  # noqa: S608
    return published


def _replace(connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> None:
    connection.execute(f"create or replace table published.{table} ({', '.join(f'{n} {t}' for n, t in columns.items())})")
    if rows:
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"insert into published.{table} values ({marks})", [[row.get(name) for name in columns] for row in rows])  # noqa: S608


def publish_charges(settings: Settings, charges: Iterable[Charge], *, identity: Mapping[str, str] = IDENTITY, **more: object) -> Release:
    """Publish a warehouse with these charges, every day of it dirty."""
    days = write_warehouse(settings, charges, **more)  # type: ignore[arg-type]
    return publish(settings, set(days), identity=identity)


def set_clock(settings: Settings, times: Sequence[dt.datetime]) -> None:
    """Let the archived releases have been published at ``times``: the only place where the wall clock stands is their markers."""
    releases = archived(settings)
    assert len(times) == len(releases)
    for release, at in zip(releases, times, strict=True):
        path = root(settings) / "releases" / f"{release.name}.json"
        marker = json.loads(path.read_text())
        marker["published_at"] = at.replace(tzinfo=dt.UTC).isoformat(timespec="seconds")
        path.write_text(json.dumps(marker))


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()
