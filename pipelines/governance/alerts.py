"""The section `governance.alerts` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/), whom an alert reaches (the settings' `alerts`).
"""

from __future__ import annotations

from decimal import Decimal

import duckdb
from pydantic import BaseModel, ConfigDict, Field

from pipelines.rules import write_relation


class AlertsRules(BaseModel):
    """What can be chosen about alerts. Single numbers and names reach SQL as `governance('alerts.<field>')`."""

    model_config = ConfigDict(extra="forbid")

    idle_gpu_below_percent: Decimal = Field(default=Decimal(5), gt=0, le=100, description="an hour below this activity is a low hour")
    idle_gpu_hours: int = Field(default=24, ge=1, le=168, description="low hours in a row, up to now, of each GPU")
    idle_gpu_usd: Decimal = Field(
        default=Decimal(100), ge=0, description="idle dollars of those hours, of all GPUs of the subject together"
    )
    stale_source_days: int = Field(default=3, ge=1, description="days that a source may lie behind the last published day")
    stale_source_days_of: dict[str, int] = Field(default_factory=dict, description="the same for single sources, by name; 0: never stale")
    unpublished_days: int = Field(default=3, ge=0, description="age from which delivered dollars must be published")
    provisional_days: int = Field(default=20, ge=0, description="days after its billing period's end until a bill should be final")

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace this section's relations of the schema ``policy`` (lists; single values are written for it)."""
        write_relation(connection, "stale_source_limits", "source varchar, limit_days bigint", sorted(self.stale_source_days_of.items()))
