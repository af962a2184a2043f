"""The section `governance.training` of the policy: where runs are tracked, and what a point of a model's quality is worth.

Belongs here: validation, and how it becomes relations that SQL reads. Does not: any rule (values are in the policy file, SQL in dbt_project/).
"""

from __future__ import annotations

from decimal import Decimal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipelines.rules import write_relation

# The widest figures that whole-number arithmetic of 38 digits carries through all cadences (macro bounded_amount).
MOST_DOLLARS = Decimal(1_000_000_000)


class TrainedModel(BaseModel):
    """What one model's quality is measured by, and what it is worth.

    value_per_quality_point_usd: US dollars that one point more is worth over value_period_days in service. quality_point: the size of a point in the
    metric's own unit (0.01: one percentage point of accuracy). noise_floor: differences up to this, in the metric's unit, are chance;
    without it, what repeated measurements of one version say.
    """

    model_config = ConfigDict(extra="forbid")

    metric: str | None = Field(default=None, min_length=1)
    evaluation_set: str | None = Field(default=None, min_length=1)
    value_per_quality_point_usd: Decimal | None = Field(default=None, ge=0, le=MOST_DOLLARS, decimal_places=12)
    quality_point: Decimal = Field(default=Decimal("0.01"), gt=0, le=1_000_000, decimal_places=12)
    value_period_days: int = Field(default=365, ge=1, le=3660)
    noise_floor: Decimal | None = Field(default=None, ge=0, le=1_000_000, decimal_places=12)

    @field_validator("metric")
    @classmethod
    def _metrics_are_lower_case(cls, metric: str | None) -> str | None:
        return metric.strip().lower() if metric else metric


class TrainingRules(BaseModel):
    """What can be chosen about training. Single numbers and names reach SQL as `governance('training.<field>')`."""

    model_config = ConfigDict(extra="forbid")

    tracker_url: str | None = None
    window_days: int = Field(default=180, ge=7, le=1100)
    least_measured_gains: int = Field(default=5, ge=5, le=1000)
    models: dict[str, TrainedModel] = Field(default_factory=dict)

    @field_validator("tracker_url")
    @classmethod
    def _is_an_address_of_a_run(cls, url: str | None) -> str | None:
        if url is not None and (not url.startswith(("https://", "http://")) or url.count("{run_id}") != 1):
            raise ValueError(
                "an http(s) address with {run_id} where the run's id stands, such as https://mlflow.example.com/#/runs/{run_id}"
            )
        return url

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace ``policy.training_models`` (one row per model); single values are written for it."""
        columns = (
            "model varchar, metric varchar, evaluation_set varchar, value_per_quality_point_usd decimal(38, 12), quality_point decimal(38, 12),"
            " value_period_days bigint, noise_floor decimal(38, 12)"
        )
        rows = [
            (name, m.metric, m.evaluation_set, m.value_per_quality_point_usd, m.quality_point, m.value_period_days, m.noise_floor)
            for name, m in sorted(self.models.items())
        ]
        write_relation(connection, "training_models", columns, rows)
