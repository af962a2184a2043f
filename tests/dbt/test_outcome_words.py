"""Every word that the outcome list has is asked for by the unit test of int_attempt_outcomes, and none stands under two outcomes.

Belongs here: that nothing of the list is left untested. Does not: what a word means (the unit test says it, word by word).
"""

from __future__ import annotations

import ast
import re

import yaml

from pipelines import dbt

UNIT_TEST = dbt.PROJECT / "models" / "intermediate" / "gpu" / "int_attempt_outcomes__unit_tests.yml"


def listed() -> list[str]:
    """The words of the macro, outcome by outcome."""
    text = (dbt.PROJECT / "macros" / "outcomes.sql").read_text(encoding="utf-8")
    (mapping,) = re.findall(r"macro outcome_words\(\) %\}\{\{ return\((\{.*?\})\) \}\}", text, flags=re.DOTALL)
    return [word for words in ast.literal_eval(mapping).values() for word in words]


def asked() -> set[str]:
    """The states of the unit test, letters only; of a phase with a reason the reason."""
    tests = yaml.safe_load(UNIT_TEST.read_text(encoding="utf-8"))["unit_tests"]
    rows = [row for given in tests[0]["given"] if "int_workload_attempts" in given["input"] for row in given["rows"]]
    states = [row["state"] for row in rows if row["state"] is not None]
    return {re.sub("[^a-z]", "", re.sub(r"^[A-Za-z]+ *[:/(] *", "", state.strip()).lower()) for state in states}


def test_no_word_has_two_outcomes() -> None:
    assert sorted(listed()) == sorted(set(listed()))
    assert len(listed()) >= 70


def test_every_word_is_tested() -> None:
    assert set(listed()) - asked() == set()
