"""What can be chosen about commitments, orphaned disks and adopted levers (`governance.levers`): the schema, and how it becomes relations.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/macros/levers/commitments.sql and
fct_realised_saving).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Literal

import duckdb
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pipelines.repeated import repeated
from pipelines.rules import write_relation

AdoptedScope = Literal["account", "commitment", "endpoint", "model", "node", "pool", "resource", "team", "workload"]


class CommitmentRules(BaseModel):
    """From where on a commitment is worth buying, resizing, or a word. Numbers reach SQL as `governance('levers.commitments.<field>')`.

    observed_days: how far back the baseline looks; minimum_days: fewer billed days are too few to commit on. baseline_hours_ratio: the hourly on-demand cost that was there in at least this part
    of the hours is the most that is ever recommended. discount_ratio: what a commitment takes off, where the own bill has no rate.
    """

    model_config = ConfigDict(extra="forbid")

    observed_days: int = Field(default=28, ge=1, le=400)
    minimum_days: int = Field(default=21, ge=1, le=400)
    baseline_hours_ratio: Decimal = Field(default=Decimal("0.95"), gt=0, le=1, max_digits=7, decimal_places=6)
    discount_ratio: Decimal = Field(default=Decimal("0.25"), gt=0, lt=1, max_digits=7, decimal_places=6)
    minimum_saving_usd_per_month: Decimal = Field(default=Decimal(50), ge=0)
    minimum_utilization_ratio: Decimal = Field(default=Decimal("0.9"), gt=0, le=1, max_digits=7, decimal_places=6)
    minimum_unused_usd: Decimal = Field(default=Decimal(10), ge=0)
    alert_days: int = Field(default=7, ge=1, le=31)
    expiring_within_days: int = Field(default=30, ge=1, le=366)

    @model_validator(mode="after")
    def _looks_far_enough(self) -> CommitmentRules:
        if self.minimum_days > self.observed_days:
            raise ValueError("minimum_days cannot be more than observed_days")
        return self


class OrphanedDiskRules(BaseModel):
    """From where on a disk that nothing attaches and nobody claims is a lever."""

    model_config = ConfigDict(extra="forbid")

    volume_days: int = Field(default=7, ge=1, le=400)
    snapshot_days: int = Field(default=30, ge=1, le=400)
    minimum_usd_per_month: Decimal = Field(default=Decimal(1), ge=0)


class RealisedRules(BaseModel):
    """How the saving of an adopted lever is measured: days before and after, and from which part of the prediction on it is realised."""

    model_config = ConfigDict(extra="forbid")

    baseline_days: int = Field(default=28, ge=1, le=400)
    measured_days: int = Field(default=28, ge=1, le=400)
    minimum_days: int = Field(default=7, ge=1, le=400)
    realised_ratio: Decimal = Field(default=Decimal("0.8"), gt=0, le=1, max_digits=7, decimal_places=6)
    volume_change_ratio: Decimal = Field(default=Decimal("0.25"), gt=0, max_digits=7, decimal_places=6)


class AdoptedLever(BaseModel):
    """One entry of `governance.levers.adopted`: somebody says that a lever was pulled, when, and what it was to bring.

    adopted_on: the first UTC day with the change in force. predicted_saving_usd_per_month: what the lever said then (`apportion
    adopted-lever` prints the entry); without it the saving is measured and not judged.
    """

    model_config = ConfigDict(extra="forbid")

    lever_kind: str = Field(pattern="^[a-z][a-z0-9_]*$")
    scope_type: AdoptedScope
    scope: str = Field(min_length=1)
    adopted_on: dt.date
    predicted_saving_usd_per_month: Decimal | None = Field(default=None, gt=0, max_digits=26, decimal_places=12)


def _stand_once(entries: list[AdoptedLever]) -> list[AdoptedLever]:
    keys = [(a.lever_kind, a.scope_type, a.scope, a.adopted_on) for a in entries]
    if twice := repeated(keys):
        kind, _, scope, day = twice[0]
        raise ValueError(f"{kind} of {scope} on {day} stands twice")
    return entries


AdoptedLevers = Annotated[list[AdoptedLever], AfterValidator(_stand_once)]


def write_commitments(
    connection: duckdb.DuckDBPyConnection,
    commitments: CommitmentRules,
    orphaned_disks: OrphanedDiskRules,
    realised: RealisedRules,
    adopted: Sequence[AdoptedLever],
) -> None:
    """Write the numbers as `levers.<part>.<field>`, and `policy.adopted_levers`."""
    parts = {"commitments": commitments, "orphaned_disks": orphaned_disks, "realised": realised}
    numbers = [(f"levers.{name}.{field}", str(value)) for name, part in sorted(parts.items()) for field, value in sorted(part)]
    connection.executemany("insert into policy.governance_parameters values (?, ?)", numbers)
    columns = "lever_kind varchar, scope_type varchar, scope varchar, adopted_on date, predicted_saving_usd_per_month decimal(38,12)"
    rows = [(a.lever_kind, a.scope_type, a.scope, a.adopted_on, a.predicted_saving_usd_per_month) for a in adopted]
    write_relation(connection, "adopted_levers", columns, rows)
