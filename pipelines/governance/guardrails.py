"""The section `governance.guardrails` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
from pydantic import BaseModel, ConfigDict


class Guardrail(BaseModel):
    """One entry of `governance.guardrails`."""

    model_config = ConfigDict(extra="forbid")


def write_guardrails(connection: duckdb.DuckDBPyConnection, entries: Sequence[Guardrail]) -> None:
    """Replace this section's relations of the schema ``policy``."""
