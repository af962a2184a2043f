"""The facts that staging hands over, and which staging model or source kind feeds which: found by file name, listed nowhere.

A file ``dbt_project/models/staging/<kind>/stg_<kind>__<fact>.sql`` is what makes a source kind feed a fact.
"""

from __future__ import annotations

from functools import cache

from pipelines.settings import REPOSITORY

FACTS = (
    "charges",
    "charge_splits",
    "rates",
    "currency_rates",
    "gpu_samples",
    "workload_intervals",
    "nodes",
    "inference_counts",
    "managed_usage",
    "carbon_factors",
    "model_quality",
    "revenue_rates",
)


@cache
def staged_models(fact: str) -> tuple[str, ...]:
    """The staging models of ``fact``, in alphabetical order."""
    folder = REPOSITORY / "dbt_project" / "models" / "staging"
    return tuple(sorted(path.stem for path in folder.glob(f"*/stg_*__{fact}.sql")))


@cache
def kinds_of_fact(fact: str) -> frozenset[str]:
    """The source kinds that feed ``fact``."""
    return frozenset(model.removeprefix("stg_").removesuffix(f"__{fact}") for model in staged_models(fact))
