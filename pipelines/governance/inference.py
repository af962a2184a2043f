"""The section `governance.inference` of the policy: its schema, and how it becomes relations that SQL reads.

Belongs here: validation. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import duckdb
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipelines.repeated import repeated
from pipelines.rules import write_relation

_FORBID = ConfigDict(extra="forbid")
Weight = Annotated[Decimal, Field(ge=0, le=1000, decimal_places=3)]


class TokenWeights(BaseModel):
    """What one token weighs when an endpoint's cost is split over kinds of tokens: thousandths at the finest."""

    model_config = _FORBID

    input: Weight = Decimal(1)
    cached: Weight = Decimal("0.1")
    output: Weight = Decimal(4)

    @model_validator(mode="after")
    def _something_weighs(self) -> TokenWeights:
        if self.input == 0 or self.output == 0:
            raise ValueError("a token of input or output weighs more than 0")
        return self

    @property
    def method(self) -> str:
        """The id that stands on every row that was split: ``weighted_<input>_<cached>_<output>``."""
        return "weighted_" + "_".join(f"{weight.normalize():f}" for weight in (self.input, self.cached, self.output))


class Objective(BaseModel):
    """What a task asks of whatever serves it. ``endpoint`` serves it now; ``alternatives`` could.

    p95_seconds: of the worst hour. max_error_ratio: 0 to 1. quality_floor: of quality_metric (on evaluation_set, where one is named); a
    ceiling where less is better.
    """

    model_config = _FORBID

    task: str | None = Field(default=None, min_length=1)
    endpoint: str = Field(min_length=1)
    alternatives: list[str] = Field(default_factory=list)
    p95_seconds: Decimal | None = Field(default=None, gt=0)
    max_error_ratio: Decimal | None = Field(default=None, ge=0, le=1)
    quality_metric: str | None = Field(default=None, min_length=1)
    evaluation_set: str | None = Field(default=None, min_length=1)
    quality_floor: Decimal | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Objective:
        if (self.quality_metric is None) != (self.quality_floor is None):
            raise ValueError("quality_metric and quality_floor belong together: a floor is of a metric")
        if self.evaluation_set and not self.quality_metric:
            raise ValueError("evaluation_set belongs to a quality_metric")
        if self.p95_seconds is None and self.max_error_ratio is None and self.quality_floor is None:
            raise ValueError("an objective states at least one of p95_seconds, max_error_ratio, quality_floor")
        return self

    @property
    def name(self) -> str:
        """The task's name; the endpoint's where it has none."""
        return self.task or self.endpoint

    @property
    def endpoints(self) -> list[str]:
        """Whatever serves the task, or could."""
        return [self.endpoint, *self.alternatives]


class InferenceRules(BaseModel):
    """What can be chosen about inference. Single numbers and names reach SQL as `governance('inference.<field>')`.

    observed_days: the days up to the last published one that configurations are compared over. min_requests: fewer successful requests
    prove nothing. regression_*: how far the cost per 1,000 requests of the last recent_days must lie above the median of the baseline_days
    before them, and what it must have cost, to be an alert. min_loss_usd: what an endpoint must lose in recent_days to be one.
    """

    model_config = _FORBID

    token_weights: TokenWeights = TokenWeights()
    objectives: list[Objective] = Field(default_factory=list)
    observed_days: int = Field(default=30, ge=1, le=366)
    min_requests: int = Field(default=1000, ge=1)
    recent_days: int = Field(default=7, ge=1, le=92)
    baseline_days: int = Field(default=28, ge=7, le=366)
    min_baseline_days: int = Field(default=7, ge=3, le=366)
    regression_ratio: Decimal = Field(default=Decimal("1.3"), gt=1)
    regression_deviations: Decimal = Field(default=Decimal(5), ge=0)
    min_regression_usd: Decimal = Field(default=Decimal(50), ge=0)
    min_loss_usd: Decimal = Field(default=Decimal(50), ge=0)

    @field_validator("objectives")
    @classmethod
    def _an_endpoint_serves_one_task(cls, objectives: list[Objective]) -> list[Objective]:
        names = [name for objective in objectives for name in objective.endpoints]
        if twice := repeated(names):
            raise ValueError(f"endpoint {twice[0]} stands in two places; an endpoint has one objective")
        tasks = [objective.name for objective in objectives]
        if twice := repeated(tasks):
            raise ValueError(f"task {twice[0]} stands twice")
        return objectives

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace this section's relations of the schema ``policy``: objectives by endpoint; token weights as parameters, in thousandths."""
        weights = self.token_weights
        connection.executemany(
            "insert into policy.governance_parameters values (?, ?)",
            [
                ("inference.token_split_method", weights.method),
                *((f"inference.token_weight_{kind}", str(int(getattr(weights, kind) * 1000))) for kind in ("cached", "input", "output")),
            ],
        )
        columns = (
            "task varchar, endpoint varchar, is_current boolean, p95_seconds double, max_error_ratio double, quality_metric varchar,"
            " evaluation_set varchar, quality_floor decimal(38, 12)"
        )
        rows = [
            (o.name, name, name == o.endpoint, o.p95_seconds, o.max_error_ratio, o.quality_metric and o.quality_metric.lower(),
             o.evaluation_set, o.quality_floor)
            for o in self.objectives
            for name in o.endpoints
        ]  # fmt: skip
        write_relation(connection, "inference_objectives", columns, rows)
