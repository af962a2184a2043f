"""Layering is a test: sources -> staging -> intermediate -> marts, no skipping, exceptions by name with their reason.

Reads the models as text: what a model may read is settled before dbt sees it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from pipelines import dbt
from pipelines.facts import FACTS
from tests.project_files import yaml_file

MODELS = dbt.PROJECT / "models"
MOST_LINES = 260
NAMES = {"staging": ("stg_", "base_"), "intermediate": ("int_",), "marts": ("fct_", "dim_")}
# The night's bookkeeping and the policy: written before dbt runs, readable from every layer.
COMMON_SOURCES = {"ops", "policy"}
# Intermediate models that sum the ledger by day. The ledger is published as it is computed, so they stand behind a mart. What spans days reads only
# what is published by day.
READ_A_MART = {
    ("int_attempt_days", "fct_cost_allocation"),
    ("int_inference_hours", "fct_cost_allocation"),
    ("int_spend_series", "dim_date"),
    ("int_spend_series", "dim_node"),
    ("int_spend_series", "dim_workload"),
    ("int_spend_series", "fct_cost_daily"),
    ("int_spend_series", "fct_cost_estimate"),
}
# Marts that show a fact as it was told, for every day and not only the night's.
READ_A_FACT = {("dim_node", "nodes")}


@cache
def paths() -> dict[str, Path]:
    """Every model's file, by model name."""
    return {path.stem: path for path in sorted(MODELS.rglob("*.sql"))}


@cache
def seeds() -> frozenset[str]:
    return frozenset(path.stem for path in (dbt.PROJECT / "seeds").glob("*.csv"))


def layer(model: str) -> str:
    """staging, intermediate or marts: the first folder."""
    return paths()[model].relative_to(MODELS).parts[0]


def code(model: str) -> str:
    """The model's text without SQL and Jinja comments."""
    text = re.sub(r"\{#.*?#\}", "", paths()[model].read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)


def refs(model: str) -> set[str]:
    return set(re.findall(r"\bref\(\s*'([^']+)'\s*\)", code(model)))


def facts(model: str) -> set[str]:
    """The facts that the model takes from staging, whichever kinds feed them."""
    return set(re.findall(r"\bstaged\(\s*'([^']+)'", code(model)))


def sources(model: str) -> set[str]:
    return set(re.findall(r"\bsource\(\s*'([^']+)'", code(model))) - COMMON_SOURCES


def described() -> dict[str, str]:
    """The description of every model that a YAML file describes."""
    documents = [yaml_file(path) for path in MODELS.rglob("*.yml")]
    models = [model for document in documents for model in document.get("models", [])]
    names = [model["name"] for model in models]
    assert len(names) == len(set(names)), "a model is described twice"
    return {model["name"]: model.get("description", "") for model in models}


def test_every_model_is_described_and_every_description_has_its_model() -> None:
    found = described()
    assert set(found) == set(paths())
    assert [name for name, text in found.items() if "Grain: " not in text] == []


@pytest.mark.parametrize("model", paths())
def test_a_model_is_short_and_named_by_its_layer(model: str) -> None:
    assert model.startswith(NAMES[layer(model)])
    text = paths()[model].read_text(encoding="utf-8")
    assert text.startswith("-- Grain: ")
    assert len(text.splitlines()) <= MOST_LINES
    if layer(model) == "staging":
        assert model.split("__")[0].split("_", 1)[1] == paths()[model].parent.name


@pytest.mark.parametrize("model", [name for name in paths() if layer(name) == "staging"])
def test_staging_reads_its_own_source_only(model: str) -> None:
    kind = paths()[model].parent.name
    assert sources(model) <= {kind}
    assert facts(model) == set()
    assert {name for name in refs(model) - seeds() if not name.startswith(f"base_{kind}__")} == set()
    assert sources(model) or refs(model)


@pytest.mark.parametrize("model", [name for name in paths() if layer(name) == "intermediate"])
def test_intermediate_reads_facts_and_intermediate(model: str) -> None:
    assert sources(model) == set()
    assert facts(model) <= set(FACTS)
    assert {name for name in refs(model) if layer(name) == "staging"} == set(), "take the fact from staged(): any source kind may feed it"
    assert {(model, name) for name in refs(model) if layer(name) == "marts"} <= READ_A_MART


@pytest.mark.parametrize("model", [name for name in paths() if layer(name) == "marts"])
def test_marts_read_intermediate_and_marts(model: str) -> None:
    assert sources(model) == set()
    assert {name for name in refs(model) if layer(name) == "staging"} == set()
    assert {(model, fact) for fact in facts(model)} <= READ_A_FACT


def test_no_exception_is_left_over() -> None:
    assert {
        (model, name) for model in paths() for name in refs(model) if layer(model) == "intermediate" and layer(name) == "marts"
    } == READ_A_MART
    assert {(model, fact) for model in paths() for fact in facts(model) if layer(model) == "marts"} == READ_A_FACT
