"""The definitions of the published figures: dbt_project/metrics.yml, and what is derived from it.

Belongs here: reading and checking the file, its relation for dbt, its doc blocks and its page. Does not: any definition (they are in
the file), any figure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.repeated import repeated
from pipelines.rules import write_relation
from pipelines.settings import REPOSITORY

FILE = REPOSITORY / "dbt_project" / "metrics.yml"
BLOCKS = REPOSITORY / "dbt_project" / "models" / "marts" / "_metrics.md"
_DOC = re.compile(r"\{\{ *doc\('metric_([a-z0-9_]+)'\) *\}\}")
_EXPRESSION = r"^[a-z][a-z0-9_]*( [+-] [a-z][a-z0-9_]*)*$"


class Metric(BaseModel):
    """One figure: numerator / denominator x scale over columns of ``table``, or an additive column."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    description: str
    numerator: str | None = Field(default=None, pattern=_EXPRESSION)
    denominator: str | None = Field(default=None, pattern=_EXPRESSION)
    scale: int = Field(default=1, ge=1)
    unit: str
    is_additive: bool
    table: str
    column: str
    page: str

    @model_validator(mode="after")
    def _is_a_sum_or_a_quotient(self) -> Metric:
        if self.is_additive != (self.numerator is None) or (self.numerator is None) != (self.denominator is None):
            raise ValueError(f"{self.name}: an additive figure has neither numerator nor denominator, any other has both")
        return self

    @property
    def inputs(self) -> set[str]:
        """The columns that it is computed from, its own where it is additive."""
        text = f"{self.numerator} {self.denominator}" if self.numerator else self.column
        return set(re.findall(r"[a-z][a-z0-9_]*", text))


class MetricsFile(BaseModel):
    """The schema of ``metrics.yml``. exempt: ``table.column`` -> why it has no numerator and denominator beside it."""

    model_config = ConfigDict(extra="forbid")

    metrics: list[Metric]
    exempt: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_unambiguous(self) -> MetricsFile:
        for what, values in (("name", [m.name for m in self.metrics]), ("column", [f"{m.table}.{m.column}" for m in self.metrics])):
            if twice := repeated(values):
                raise ValueError(f"defined twice, by {what}: {', '.join(twice)}")
        return self


@lru_cache
def load_metrics(path: Path = FILE) -> MetricsFile:
    """Read and check the file."""
    return MetricsFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def write_metrics(connection: duckdb.DuckDBPyConnection) -> None:
    """Replace ``policy.metrics``, which dim_metric publishes."""
    columns = (
        "metric varchar, label varchar, description varchar, numerator varchar, denominator varchar, scale bigint, unit varchar,"
        " is_additive boolean, table_name varchar, column_name varchar, page varchar"
    )
    rows = [
        (m.name, m.label, m.description, m.numerator, m.denominator, m.scale, m.unit, m.is_additive, m.table, m.column, m.page)
        for m in load_metrics().metrics
    ]
    write_relation(connection, "metrics", columns, rows)


def resolved(text: str) -> str:
    """A description of a mart's YAML as dbt renders it: ``{{ doc('metric_<name>') }}`` is the metric's description."""
    described = {m.name: m.description for m in load_metrics().metrics}
    return _DOC.sub(lambda found: described[found.group(1)], text)


def doc_blocks() -> str:
    """dbt_project/models/marts/_metrics.md: a doc block for each metric."""
    blocks = [f"{{% docs metric_{m.name} %}}{m.description}{{% enddocs %}}\n" for m in load_metrics().metrics]
    return "<!-- generated from metrics.yml by `python -m pipelines.reference` -->\n" + "\n".join(blocks)


def glossary_page() -> str:
    """docs/glossary.md."""
    lines = [
        "# Glossary",
        "",
        "Every published figure that people compare, with its definition. To add a quotient up over rows, sum numerator and denominator first and",
        "divide then; a mean of quotients is wrong. In SQL: table `dim_metric`. This page is generated from `dbt_project/metrics.yml`",
        "(`python -m pipelines.reference`).",
    ]
    for metric in sorted(load_metrics().metrics, key=lambda m: m.label.lower()):
        scale = f" x {metric.scale:,}" if metric.scale != 1 else ""
        how = "sum of the rows" if metric.is_additive else f"sum of `{metric.numerator}` / sum of `{metric.denominator}`{scale}"
        lines += [
            "",
            f"## {metric.label}",
            "",
            metric.description,
            "",
            f"- column: `{metric.table}.{metric.column}` ({metric.unit}), metric `{metric.name}`",
            f"- over several rows: {how}",
            f"- more: [{metric.page}]({metric.page})",
        ]
    return "\n".join(lines) + "\n"
