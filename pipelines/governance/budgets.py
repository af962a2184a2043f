"""The section `governance.budgets` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
from pydantic import BaseModel, ConfigDict


class Budget(BaseModel):
    """One entry of `governance.budgets`."""

    model_config = ConfigDict(extra="forbid")


def write_budgets(connection: duckdb.DuckDBPyConnection, entries: Sequence[Budget]) -> None:
    """Replace this section's relations of the schema ``policy``."""
