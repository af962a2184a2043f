"""The policy file: its schema, and how it becomes the relations that SQL reads.

Belongs here: validation of policy.yml. Does not: any rule (they are values there, and SQL in dbt_project/).
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, get_args

import duckdb
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipelines.errors import UsageError
from pipelines.governance import Governance
from pipelines.gpu_rules import NodeSplitRule, SharingRule, SplitMethod, write_gpu_rules
from pipelines.metrics import write_metrics
from pipelines.price_list import PriceListEntry, regress, write_price_list
from pipelines.repeated import repeated
from pipelines.rules import Dated, write_relation
from pipelines.tag_rules import TagRepair, TagRule, unique_repairs, write_tag_rules

CanonicalKey = Literal[
    "team", "model", "environment", "project", "run_id", "endpoint", "cluster", "pool", "namespace", "hpc_job", "pod", "pod_uid", "job",
    "creator",
]  # fmt: skip

DistributionColumn = Literal[
    "source", "provider", "account_id", "service", "line_item_type", "charge_category", "cost_class", "reason", "cluster", "pool",
    "namespace", "team", "model", "environment", "project",
]  # fmt: skip
DistributionScope = Literal["account_id", "cluster", "pool", "team", "model", "environment", "project"]
DISTRIBUTION_SCOPES: tuple[str, ...] = get_args(DistributionScope)


class AttributionRules(BaseModel):
    """The numbers and names that the attribution models read."""

    model_config = ConfigDict(extra="forbid")

    gpu_split_method: SplitMethod = "gpu_only"
    max_gap_seconds: int = Field(default=120, ge=0, le=3600)
    idle_threshold_ratio: Decimal = Field(default=Decimal("0.01"), ge=0, le=1)
    gpu_power_limit_watts: int = Field(default=5000, ge=100, le=100_000)
    no_process_memory_mib: int = Field(default=100, ge=0, le=100_000)
    billed_window_tolerance_seconds: int = Field(default=60, ge=0)
    split_cost_allocation: Literal["ignore", "use"] = "ignore"
    unmatched_negation: Literal["block", "warn"] = "block"


class DistributionRule(Dated):
    """One zero-sum rule: which dollars that reached no workload are handed out, to whom, and by what weight.

    match: column -> wanted values (``*``: any, but filled); all columns must hold. The first rule of the file that matches takes the row.
    within: columns in which recipients must agree with the dollars that they are handed.
    by: ``even``, ``cost`` (own effective cost of the day), ``gpu_hours`` (own GPU time of the day), or ``fixed`` (``shares``; one share
    is a named owner).
    """

    id: str = Field(pattern="^[a-z][a-z0-9_]*$")
    description: str = ""
    match: dict[DistributionColumn, list[str]] = Field(min_length=1)
    to: Literal["workload", "team"]
    within: list[DistributionScope] = Field(default_factory=list)
    by: Literal["even", "cost", "gpu_hours", "fixed"]
    shares: dict[str, Decimal] = Field(default_factory=dict)

    @field_validator("match")
    @classmethod
    def _asks_for_something(cls, match: dict[str, list[str]]) -> dict[str, list[str]]:
        if empty := [column for column, values in match.items() if not values]:
            raise ValueError(f"no value for {empty[0]}; write '*' for any")
        return match

    @model_validator(mode="after")
    def _is_consistent(self) -> DistributionRule:
        if (self.by == "fixed") != bool(self.shares):
            raise ValueError("shares belong to `by: fixed`, and to nothing else")
        if any(share <= 0 or share * 1_000_000 % 1 for share in self.shares.values()):
            raise ValueError("shares are greater than 0, with at most six decimals")
        if self.by == "fixed" and self.within:
            raise ValueError("`within` does not go with `by: fixed`: the shares name the recipients")
        return self


class Policy(BaseModel):
    """The whole policy file."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    tags: dict[CanonicalKey, TagRule]
    tags_repairs: Annotated[list[TagRepair], AfterValidator(unique_repairs)] = Field(default_factory=list)
    attribution: AttributionRules = AttributionRules()
    sharing: list[SharingRule] = Field(default_factory=list)
    node_split: list[NodeSplitRule] = Field(default_factory=list)
    price_list: list[PriceListEntry] = Field(default_factory=list)
    distribution: list[DistributionRule] = Field(default_factory=list)
    governance: Governance = Governance()

    @field_validator("distribution")
    @classmethod
    def _ids_are_unique(cls, rules: list[DistributionRule]) -> list[DistributionRule]:
        ids = [rule.id for rule in rules]
        if twice := repeated(ids):
            raise ValueError(f"rule {twice[0]} stands twice; ids are unique")
        return rules

    @field_validator("price_list")
    @classmethod
    def _prices_tell_the_weights(cls, entries: list[PriceListEntry]) -> list[PriceListEntry]:
        if entries:
            regress(entries)
        return entries

    @model_validator(mode="after")
    def _price_list_is_there_where_it_is_asked_for(self) -> Policy:
        if "price_list" in (self.attribution.gpu_split_method, *(rule.method for rule in self.node_split)) and not self.price_list:
            raise ValueError("the method price_list needs entries under `price_list`")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of what the figures follow from: comments and order of keys do not matter, the order of aliases does. Of governance
        only what a day's own figures are split by: the weights of tokens."""
        meaning = self.model_dump(mode="json", exclude={"governance"}) | {"token_weights": self.governance.inference.token_weights.method}
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace the relations of the schema ``policy`` by this policy."""
        rules = self.attribution
        parameters = {
            "gpu_split_method": rules.gpu_split_method,
            "max_gap_seconds": str(rules.max_gap_seconds),
            "idle_threshold_ppm": str(int(rules.idle_threshold_ratio * 1_000_000)),
            "gpu_power_limit_milliwatts": str(rules.gpu_power_limit_watts * 1000),
            "no_process_memory_kib": str(rules.no_process_memory_mib * 1024),
            "billed_window_tolerance_seconds": str(rules.billed_window_tolerance_seconds),
            "split_cost_allocation": rules.split_cost_allocation,
            "unmatched_negation": rules.unmatched_negation,
        }
        connection.execute("create schema if not exists policy")
        write_relation(connection, "parameters", "parameter_name varchar, parameter_value varchar", sorted(parameters.items()))
        write_tag_rules(connection, self.tags, self.tags_repairs)
        write_gpu_rules(connection, self.sharing, self.node_split)
        write_price_list(connection, self.price_list)
        self._write_distribution(connection)
        self.governance.write(connection)
        write_metrics(connection)

    def _write_distribution(self, connection: duckdb.DuckDBPyConnection) -> None:
        """The distribution rules as relations; stated shares as whole numbers of millionths."""
        rules = [
            (r.id, rank, r.to, r.by, len(r.match), r.valid_from, r.valid_to, *(scope in r.within for scope in DISTRIBUTION_SCOPES))
            for rank, r in enumerate(self.distribution)
        ]
        conditions = [(r.id, column, value) for r in self.distribution for column, values in sorted(r.match.items()) for value in values]
        shares = [(r.id, key, int(share * 1_000_000)) for r in self.distribution for key, share in sorted(r.shares.items())]
        scopes = ", ".join(f"within_{scope} boolean" for scope in DISTRIBUTION_SCOPES)
        columns = (
            "rule_id varchar, rule_rank bigint, recipient varchar, weight varchar, condition_columns bigint, valid_from date, valid_to date,"
            f" {scopes}"
        )
        write_relation(connection, "distribution_rules", columns, rules)
        write_relation(connection, "distribution_conditions", "rule_id varchar, column_name varchar, wanted_value varchar", conditions)
        write_relation(connection, "distribution_shares", "rule_id varchar, recipient_key varchar, share_weight bigint", shares)


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
