"""The section `governance.forecast` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

import duckdb
from pydantic import BaseModel, ConfigDict, Field


class ForecastRules(BaseModel):
    """What can be chosen about forecasts. Single numbers and names reach SQL as `governance('forecast.<field>')`."""

    model_config = ConfigDict(extra="forbid")

    least_history_days: int = Field(default=7, ge=7, le=28)
    least_backtests: int = Field(default=10, ge=10, le=60)
    silent_source_days: int = Field(default=31, ge=1, le=90)

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace this section's relations of the schema ``policy`` (lists; single values are written for it)."""
