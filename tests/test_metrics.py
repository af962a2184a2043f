"""The metrics file: what it names is published, and what looks like a ratio is defined or exempt with a reason."""

from __future__ import annotations

import re

import pytest
import yaml

from pipelines.metrics import FILE, MetricsFile, load_metrics, resolved
from pipelines.reference import MARTS
from pipelines.settings import REPOSITORY

RATIO = re.compile(r".*(_ratio$|_per_.*)")


def columns() -> dict[str, dict[str, dict]]:
    """Per mart its columns as the contract has them."""
    models = [m for path in sorted(MARTS.rglob("*.yml")) for m in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])]
    return {model["name"]: {column["name"]: column for column in model["columns"]} for model in models}


COLUMNS = columns()


@pytest.mark.parametrize("metric", load_metrics().metrics, ids=lambda m: m.name)
def test_a_metric_is_published_with_what_it_is_computed_from(metric) -> None:
    assert {metric.column, *metric.inputs} <= set(COLUMNS[metric.table])
    assert (REPOSITORY / "docs" / metric.page).exists()
    # its words are the column's words: the contract takes them from the file
    assert COLUMNS[metric.table][metric.column]["description"] == f"{{{{ doc('metric_{metric.name}') }}}}"
    assert not metric.is_additive or COLUMNS[metric.table][metric.column]["data_type"].startswith("decimal")


def test_whatever_looks_like_a_ratio_is_defined_or_exempt() -> None:
    defined = {f"{m.table}.{m.column}" for m in load_metrics().metrics if not m.is_additive}
    exempt = load_metrics().exempt
    ratios = {f"{table}.{name}" for table, found in COLUMNS.items() for name in found if RATIO.match(name)}
    assert ratios - defined - set(exempt) == set(), (
        "define it in dbt_project/metrics.yml, or say there why it has no numerator and denominator"
    )
    assert set(exempt) - ratios == set() and set(exempt) & defined == set()
    assert all(len(reason.split()) >= 3 for reason in exempt.values())


def test_a_quotient_has_both_sides_and_a_sum_has_none() -> None:
    metric = yaml.safe_load(FILE.read_text(encoding="utf-8"))["metrics"][0]
    for change in ({"numerator": "a"}, {"numerator": "a", "denominator": "b"}, {"is_additive": False}):
        with pytest.raises(ValueError, match="an additive figure has neither"):
            MetricsFile.model_validate({"metrics": [metric | change]})
    with pytest.raises(ValueError, match="defined twice"):
        MetricsFile.model_validate({"metrics": [metric, metric | {"name": "other"}]})


def test_a_description_is_rendered_as_dbt_does() -> None:
    assert resolved("{{ doc('metric_idle_cost') }} Then.") == (
        "US dollars, effective basis; `finding` keeps the two apart. Never NULL. Then."
    )
    with pytest.raises(KeyError):
        resolved("{{ doc('metric_that_is_not_there') }}")
