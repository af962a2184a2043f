"""The policy file: its schema, and how it becomes the relations that SQL reads.

Belongs here: validation of policy.yml. Does not: any rule (they are values there, and SQL in dbt_project/).
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Literal

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.errors import UsageError

CanonicalKey = Literal["team", "model", "environment", "project", "run_id", "endpoint"]


class TagRule(BaseModel):
    """How one canonical key is read from tags and labels."""

    model_config = ConfigDict(extra="forbid")

    aliases: list[str] = Field(min_length=1)
    fold_case: bool = False
    values: dict[str, str] = Field(default_factory=dict)


class AttributionRules(BaseModel):
    """The numbers and names that the attribution models read."""

    model_config = ConfigDict(extra="forbid")

    gpu_split_method: Literal["gpu_only", "weights_9_1", "base_price", "fixed_95_3_2"] = "gpu_only"
    max_gap_seconds: int = Field(default=120, ge=0, le=3600)
    idle_threshold_ratio: Decimal = Field(default=Decimal("0.01"), ge=0, le=1)
    billed_window_tolerance_seconds: int = Field(default=60, ge=0)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")


class Policy(BaseModel):
    """The whole policy file."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    tags: dict[CanonicalKey, TagRule]
    attribution: AttributionRules = AttributionRules()

    @property
    def digest(self) -> str:
        """SHA-256 of the policy's meaning: comments and order of keys do not matter, the order of aliases does."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace the relations of the schema ``policy`` by this policy."""
        rules = self.attribution
        parameters = {
            "gpu_split_method": rules.gpu_split_method,
            "max_gap_seconds": str(rules.max_gap_seconds),
            "idle_threshold_ppm": str(int(rules.idle_threshold_ratio * 1_000_000)),
            "billed_window_tolerance_seconds": str(rules.billed_window_tolerance_seconds),
            "currency": rules.currency,
        }
        aliases = [
            (key, alias.lower(), rank, rule.fold_case) for key, rule in sorted(self.tags.items()) for rank, alias in enumerate(rule.aliases)
        ]
        values = [(key, raw.lower(), value) for key, rule in sorted(self.tags.items()) for raw, value in sorted(rule.values.items())]
        connection.execute("create schema if not exists policy")
        connection.execute("create or replace table policy.parameters (parameter_name varchar, parameter_value varchar)")
        connection.execute(
            "create or replace table policy.tag_aliases (canonical_key varchar, alias varchar, alias_rank bigint, is_case_folded boolean)"
        )
        connection.execute("create or replace table policy.tag_values (canonical_key varchar, raw_value varchar, canonical_value varchar)")
        connection.executemany("insert into policy.parameters values (?, ?)", sorted(parameters.items()))
        connection.executemany("insert into policy.tag_aliases values (?, ?, ?, ?)", aliases)
        if values:
            connection.executemany("insert into policy.tag_values values (?, ?, ?)", values)


def load_policy(path: Path) -> Policy:
    """Read and check a policy file. Raises UsageError naming the file and the field."""
    try:
        return Policy.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UsageError("policy file not found", where=str(path), remedy="correct `policy` in the settings file") from error
    except yaml.YAMLError as error:
        raise UsageError(f"policy file is not valid YAML: {error}", where=str(path), remedy="correct the line named above") from error
    except ValidationError as error:
        detail = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"policy file is invalid: {detail}", where=str(path), remedy="see docs/policy.md") from error
