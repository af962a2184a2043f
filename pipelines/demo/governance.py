"""The demo company's policy: the one that the project ships, with budgets, guardrails and values of its own.

Belongs here: what the company wants to be told. Does not: what is planted (cases.py), what must be found (tests).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipelines.demo.cases import RETRAINED
from pipelines.settings import DEFAULT_POLICY

# nlp's October ends far above its budget although it is below it today; platform's is ample.
GOVERNANCE: dict[str, Any] = {
    "levers": {"interruption_tolerant_models": ["atlas-7b"]},
    "training": {
        "models": {
            RETRAINED: {
                "metric": "recall_at_20",
                "evaluation_set": "holdout-2026-09",
                "value_per_quality_point_usd": 2_000,
                "quality_point": 0.01,
                "value_period_days": 365,
                "noise_floor": 0.001,
            }
        }
    },
    "budgets": [
        {"id": "nlp-month", "owner": "nlp", "scope": {"team": "nlp"}, "amount_usd": 26_000},
        {"id": "platform-month", "owner": "platform", "scope": {"team": "platform"}, "amount_usd": 40_000},
    ],
    "guardrails": [
        {
            "id": "dear_runs",
            "kind": "max_run_cost",
            "description": "A run above this is agreed on before it starts.",
            "limit": 3_000,
        }
    ],
}


def write_policy(governance: dict[str, Any], folder: Path) -> Path:
    """The shipped policy file with ``governance`` as its section of that name."""
    path = folder / "policy.yml"
    shipped = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    text = yaml.safe_dump(shipped | {"governance": governance}, sort_keys=False)
    path.write_text("# The policy that the project ships, with a section `governance` of the company's own.\n" + text, encoding="utf-8")
    return path
