"""Worked cases of GPU attribution: all of them in one night, each judged by itself.

A case lives in ``case_<topic>.py`` as ``CASES``; a topic may add policy rules (``SHARING``, ``NODE_SPLIT``, ``POLICY``) and further
sources (``sources(folder) -> list of YAML flow mappings``). Clusters know nothing of each other, so that one night is enough.
"""

from __future__ import annotations

import datetime as dt
import importlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.gpu_cases.cases import EVE, Case, Row, total
from tests.oracle import files
from tests.oracle.night import Bench

TOPICS = [importlib.import_module(f"tests.gpu_cases.{path.stem}") for path in sorted(Path(__file__).parent.glob("case_*.py"))]
CASES: list[Case] = [case for topic in TOPICS for case in topic.CASES]

LEDGER = """
select workload_key, cost_class, reason, sharing, is_unmeasured, component, sum(effective_cost)
from published.fct_cost_allocation
where stage = 'allocated' and resource_id in (select unnest(?))
group by all
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("cases")
    policy: dict[str, Any] = {}
    extra: list[str] = []
    for topic in TOPICS:
        for key, name in (("sharing", "SHARING"), ("node_split", "NODE_SPLIT")):
            policy.setdefault(key, []).extend(getattr(topic, name, []))
        policy.update(getattr(topic, "POLICY", {}))
        extra += topic.sources(root / "inputs") if hasattr(topic, "sources") else []
    bench = Bench(root)
    bench.night(
        files.write_inputs(root / "inputs", [c.cluster for c in CASES], policy=policy, extra=extra),
        "cases",
        EVE,
        EVE + dt.timedelta(days=1),
    )
    return bench


def test_names_of_cases_are_unique() -> None:
    for names in ([c.name for c in CASES], [c.cluster.name for c in CASES], [n.hostname for c in CASES for n in set(c.cluster.nodes)]):
        assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.bug}-{c.name}" if c.bug else c.name)
def test_case(bench: Bench, case: Case) -> None:
    """The ledger of the case's resources is the one worked by hand, to the last digit, and sums to its bill."""
    resources = sorted({c.resource_id for c in case.cluster.charges})
    if case.ledger is not None:
        got = {Row(*key): amount for *key, amount in bench.read("cases", LEDGER, [resources])}
        want = {row: Decimal(dollars) for row, dollars in case.ledger.items()}
        assert got == want
        assert sum(want.values(), Decimal(0)) == total(case), "the case itself does not sum to its bill"
    assert case.ledger is not None or case.questions, "a case asks something"
    for question in case.questions:
        assert bench.read("cases", question.sql) == question.rows, question.sql


def test_no_bucket_has_a_residual(bench: Bench) -> None:
    ((days, broken),) = bench.read(
        "cases", "select count(*), count(*) filter (allocation_residual <> 0) from intermediate.int_reconciled_days"
    )
    assert days > 0 and broken == 0
