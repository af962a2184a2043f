"""The policy's rules about GPUs: which are shared and how, and how a node's price is split, by pool and by time.

Belongs here: the schema of the policy's ``sharing`` and ``node_split`` lists, and the relations that SQL reads. Does not: what a
rule does (dbt_project/), the rest of the policy (policy.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import duckdb
from pydantic import Field, model_validator

from pipelines.rules import Dated, write_relation

SplitMethod = Literal["gpu_only", "weights_9_1", "base_price", "fixed_95_3_2", "price_list"]


class SharingRule(Dated):
    """GPUs that several holders use at once. Without ``pool`` and ``hostname``: every node. The first rule that matches a node wins.

    replicas: shares into which each GPU is cut (the device plugin's ``replicas``); without it the holders present share it.
    split: what a holder's share goes by.
    """

    pool: str | None = None
    hostname: str | None = None
    strategy: Literal["none", "time_slicing", "mps", "vgpu"]
    replicas: int | None = Field(default=None, ge=1, le=1024)
    split: Literal["evenly", "memory", "process_utilization"] = "evenly"

    @model_validator(mode="after")
    def _is_consistent(self) -> SharingRule:
        if self.replicas is not None and self.split != "evenly":
            raise ValueError("`replicas` goes with `split: evenly`; a measured split goes by what each holder uses")
        return self


class NodeSplitRule(Dated):
    """How the price of a pool's (or provider's) nodes is split between GPUs and host. The first rule that matches a node wins."""

    pool: str | None = None
    provider: str | None = None
    method: SplitMethod


def write_gpu_rules(connection: duckdb.DuckDBPyConnection, sharing: Sequence[SharingRule], node_split: Sequence[NodeSplitRule]) -> None:
    """Replace ``policy.gpu_sharing_rules`` and ``policy.node_split_rules``; rule_rank counts from 0 in the policy's order."""
    shared = [
        (n, r.pool, r.hostname and r.hostname.lower(), r.strategy, r.replicas, r.split, r.valid_from, r.valid_to)
        for n, r in enumerate(sharing)
    ]
    columns = (
        "rule_rank bigint, pool varchar, hostname varchar, strategy varchar, replicas bigint, split varchar, valid_from date, valid_to date"
    )
    write_relation(connection, "gpu_sharing_rules", columns, shared)
    split = [(n, r.pool, r.provider, r.method, r.valid_from, r.valid_to) for n, r in enumerate(node_split)]
    columns = "rule_rank bigint, pool varchar, provider varchar, method varchar, valid_from date, valid_to date"
    write_relation(connection, "node_split_rules", columns, split)
