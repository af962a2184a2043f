"""Quality of models: what an evaluation measured of one model version, on one data set, at one time.

Belongs here: the columns and spellings of the file, and what makes a row usable. Does not: which measurement a day goes by, and what
an endpoint serves (dbt).
"""

from __future__ import annotations

from dataclasses import replace

from pipelines.ingestion.file_source import LAST_DAY, Converted, Incoming
from pipelines.ingestion.records import Records
from pipelines.ingestion.stated_tables import Reading, StatedTable, no_number, truth
from pipelines.landing import Staging
from pipelines.source import Column, RawTable

MEASUREMENTS = RawTable(
    "measurements",
    "One measurement of one metric of one model version on one evaluation set.",
    (
        Column("model", "VARCHAR", "The model, as endpoints and runs name it."),
        Column("model_version", "VARCHAR", "Its version, as the registry and the serving logs name it."),
        Column("run_id", "VARCHAR", "The training run that made the version; NULL: not stated."),
        Column("metric", "VARCHAR", "What was measured: accuracy, f1, wer, ...; in lower case."),
        Column("evaluation_set", "VARCHAR", "The data that it was measured on; two sets are two questions."),
        Column("quality", "MONEY", "The value; any finite decimal number."),
        Column("is_higher_better", "BOOLEAN", "Whether a higher value is a better model."),
        Column("measured_at", "TIMESTAMP", "When it was measured, UTC; it is the model's quality from that day on."),
    ),
)

ALIASES = {
    "model": ("model", "model_name"),
    "model_version": ("model_version", "version"),
    "run_id": ("run_id", "mlflow_run_id"),
    "metric": ("metric", "metric_name"),
    "evaluation_set": ("evaluation_set", "eval_set", "dataset", "data_set"),
    "quality": ("quality", "value", "score", "metric_value"),
    "measured_at": ("measured_at", "evaluated_at", "timestamp"),
}


class ModelQuality(StatedTable):
    """A file of evaluations."""

    kind = "model_quality"
    description = "Measured quality of model versions: metric, evaluation set, value, and which way is better."
    tables = (MEASUREMENTS,)
    aliases = ALIASES
    required = ("model", "model_version", "metric", "evaluation_set", "quality", "is_higher_better", "measured_at")
    span = ("measured_at", "measured_at")

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One table. A measurement is the model's quality until the next, so it touches its own day and every later one."""
        landed = super().convert(incoming, staging)
        return replace(landed, covers=(landed.covers[0], LAST_DAY)) if landed.covers else landed

    def reading(self, records: Records) -> Reading:
        """Measurements."""
        text = {column: self.text(records, column) for column in ALIASES if column != "measured_at"}
        said = records.text("is_higher_better")
        return Reading(
            {**text, "metric": f"lower({text['metric']})", "is_higher_better": truth(said)},
            {
                "no model": "model IS NULL",
                "no model_version: a quality is of one version": "model_version IS NULL",
                "no metric": "metric IS NULL",
                "no evaluation_set: the same metric on other data is another figure": "evaluation_set IS NULL",
                "no quality, or not a decimal number": no_number("quality"),
                "is_higher_better is neither true nor false": "is_higher_better IS NULL",
                "no measured_at, or not a time": "measured_at IS NULL",
            },
            given={"is_higher_better": (said, truth(said))},
        )
