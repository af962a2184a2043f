"""A made-up ML company whose every dollar is known beforehand: input files in the real formats, and the true answer.

Belongs here: the plan of that company, the writers of its bills, telemetry and records, and the truth worked out from the plan
alone. Does not: anything that the pipeline runs in production, and nothing here reads the pipeline's SQL or its results.
"""

from pipelines.demo.company import plan_company
from pipelines.demo.generate import extend, generate
from pipelines.demo.model import Company
from pipelines.demo.truth import Truth, truth

__all__ = ["Company", "Truth", "extend", "generate", "plan_company", "truth"]
