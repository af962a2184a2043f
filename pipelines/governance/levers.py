"""The section `governance.levers` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/macros/levers/), what GPU models can do
(accelerators.py).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipelines.governance.accelerators import KNOWN, Accelerator, merged, write_accelerators
from pipelines.governance.commitments import AdoptedLevers, CommitmentRules, OrphanedDiskRules, RealisedRules, write_commitments
from pipelines.repeated import repeated
from pipelines.rules import write_relation


class Compression(BaseModel):
    """A speed-up that somebody measured (quantization, distillation, a better kernel): the same work in 1/``speedup_ratio`` of the GPU time."""

    model_config = ConfigDict(extra="forbid")

    scope_type: Literal["endpoint", "model"]
    scope: str = Field(min_length=1)
    speedup_ratio: Decimal = Field(gt=1, le=1000, decimal_places=6)
    evidence: str = Field(min_length=1)


class SpotPrice(BaseModel):
    """What an hour of one GPU costs on spot, as somebody states it: for machines of which the bill has no spot row."""

    model_config = ConfigDict(extra="forbid")

    gpu_model: str = Field(min_length=1)
    usd_per_gpu_hour: Decimal = Field(gt=0, decimal_places=12)
    evidence: str = Field(min_length=1)


class LeversRules(BaseModel):
    """What can be chosen about levers. Single numbers and names reach SQL as `governance('levers.<field>')`."""

    model_config = ConfigDict(extra="forbid")

    lookback_days: int = Field(default=28, ge=1, le=366)
    minimum_observed_days: int = Field(default=7, ge=1, le=366)
    minimum_saving_usd_per_month: Decimal = Field(default=Decimal(50), ge=0)
    minimum_known_ratio: Decimal = Field(default=Decimal("0.8"), gt=0, le=1)
    target_activity_ratio: Decimal = Field(default=Decimal("0.8"), gt=0, le=1)
    memory_headroom_ratio: Decimal = Field(default=Decimal("0.2"), ge=0, lt=1)
    raise_below_activity_ratio: Decimal = Field(default=Decimal("0.5"), ge=0, le=1)
    maximum_sharers: int = Field(default=4, ge=2, le=16)
    minimum_idle_hours: int = Field(default=2, ge=2, le=168)
    minimum_schedule_hours: int = Field(default=4, ge=1, le=24)
    minimum_schedule_days: int = Field(default=2, ge=2, le=60)
    minimum_replicas: int = Field(default=1, ge=1, le=1000)
    notebook_below_activity_ratio: Decimal = Field(default=Decimal("0.05"), ge=0, le=1)
    notebook_idle_days: int = Field(default=3, ge=1, le=60)
    spot_rework_ratio: Decimal = Field(default=Decimal("0.1"), ge=0, le=10)
    notebook_words: list[str] = Field(default=["notebook", "jupyter"])
    interruption_tolerant_models: list[str] = Field(default_factory=list)
    compress: list[Compression] = Field(default_factory=list)
    spot_prices: list[SpotPrice] = Field(default_factory=list)
    accelerators: list[Accelerator] = Field(default_factory=list)
    commitments: CommitmentRules = CommitmentRules()
    orphaned_disks: OrphanedDiskRules = OrphanedDiskRules()
    realised: RealisedRules = RealisedRules()
    adopted: AdoptedLevers = Field(default_factory=list)

    @field_validator("compress")
    @classmethod
    def _one_speedup_each(cls, entries: list[Compression]) -> list[Compression]:
        scopes = [(entry.scope_type, entry.scope) for entry in entries]
        if twice := repeated(scopes):
            raise ValueError(f"{' '.join(twice[0])} stands twice; one speed-up each")
        return entries

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace this section's relations of the schema ``policy`` (lists; single values are written for it)."""
        write_commitments(connection, self.commitments, self.orphaned_disks, self.realised, self.adopted)
        write_accelerators(connection, merged(KNOWN, self.accelerators))
        compressions = [(c.scope_type, c.scope, int(c.speedup_ratio * 1_000_000), c.evidence) for c in self.compress]
        prices = [(p.gpu_model, p.usd_per_gpu_hour, p.evidence) for p in self.spot_prices]
        write_relation(
            connection, "lever_compressions", "scope_type varchar, scope varchar, speedup_ppm bigint, evidence varchar", compressions
        )
        write_relation(connection, "lever_spot_prices", "gpu_model varchar, usd_per_gpu_hour decimal(38, 12), evidence varchar", prices)
        write_relation(connection, "lever_tolerant_models", "model varchar", [(m,) for m in sorted(set(self.interruption_tolerant_models))])
        write_relation(connection, "lever_notebook_words", "word varchar", [(w.lower(),) for w in sorted(set(self.notebook_words))])
