"""The section `governance.alerts` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

import duckdb
from pydantic import BaseModel, ConfigDict


class AlertsRules(BaseModel):
    """What can be chosen about alerts. Single numbers and names reach SQL as `governance('alerts.<field>')`."""

    model_config = ConfigDict(extra="forbid")

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace this section's relations of the schema ``policy`` (lists; single values are written for it)."""
