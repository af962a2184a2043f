"""The section `governance:` of the policy: thresholds, budgets, guardrails and alerts. They judge figures and change none, so a change
here computes no day again; it holds from the next night on.

Belongs here: putting the sections together. Does not: a section (one module each).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated

import duckdb
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipelines.governance.alerts import AlertsRules
from pipelines.governance.anomalies import AnomaliesRules
from pipelines.governance.budgets import Budgets, write_budgets
from pipelines.governance.forecast import ForecastRules
from pipelines.governance.guardrails import Guardrail, unique_guardrails, write_guardrails
from pipelines.governance.inference import InferenceRules
from pipelines.governance.levers import LeversRules
from pipelines.governance.training import TrainingRules
from pipelines.rules import write_relation


class Governance(BaseModel):
    """What is watched, and from where on it is worth a word."""

    model_config = ConfigDict(extra="forbid")

    levers: LeversRules = LeversRules()
    training: TrainingRules = TrainingRules()
    inference: InferenceRules = InferenceRules()
    budgets: Budgets = Field(default_factory=list)
    forecast: ForecastRules = ForecastRules()
    anomalies: AnomaliesRules = AnomaliesRules()
    guardrails: Annotated[list[Guardrail], AfterValidator(unique_guardrails)] = Field(default_factory=list)
    alerts: AlertsRules = AlertsRules()

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace the relations of this section in the schema ``policy``; single values become ``governance_parameters``."""
        sections = {name: value for name, value in self if isinstance(value, BaseModel)}
        parameters = [
            (f"{name}.{field}", str(value).lower() if isinstance(value, bool) else str(value))
            for name, section in sorted(sections.items())
            for field, value in sorted(section)
            if isinstance(value, str | int | Decimal | dt.date)
        ]
        write_relation(connection, "governance_parameters", "parameter_name varchar, parameter_value varchar", parameters)
        for section in sections.values():
            section.write(connection)
        write_budgets(connection, self.budgets)
        write_guardrails(connection, self.guardrails)
