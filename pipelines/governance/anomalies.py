"""The section `governance.anomalies` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

import duckdb
from pydantic import BaseModel, ConfigDict, Field


class AnomaliesRules(BaseModel):
    """What can be chosen about anomalies. Single numbers and names reach SQL as `governance('anomalies.<field>')`.

    least_usd_per_day: the floor in dollars; least_change_percent: of the series' own median; least_share_percent: of the company's median day.
    least_score: robust standard deviations from the median (12 / days of history are added).
    """

    model_config = ConfigDict(extra="forbid")

    least_usd_per_day: int = Field(default=100, ge=0, le=1_000_000_000)
    least_change_percent: int = Field(default=40, ge=5, le=1000)
    least_share_percent: int = Field(default=3, ge=0, le=100)
    least_score: int = Field(default=6, ge=3, le=100)
    least_history_days: int = Field(default=8, ge=7, le=28)

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace this section's relations of the schema ``policy`` (lists; single values are written for it)."""
