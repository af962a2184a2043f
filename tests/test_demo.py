"""The demo company, played as a newcomer plays it, against the answers that its generator worked out from its own plan."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.demo import plan_company, truth
from pipelines.demo.play import play
from pipelines.explain import Question, explain, require_equal
from pipelines.report import demo_lines, open_release
from pipelines.settings import load_settings


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def played(home: Path):
    return play(home, seed=7, progress=lambda _: None)


@pytest.fixture(scope="module")
def answers():
    return truth(plan_company(seed=7))


@pytest.fixture(scope="module")
def release(home: Path, played):
    with open_release(load_settings(home / "demo" / "apportion.yml", home)) as connection:
        yield connection


def test_spend_is_the_bill_exactly(release, answers):
    assert release.execute("select sum(effective_cost), sum(billed_cost) from fct_cost_allocation").fetchone() == (
        answers.effective_usd,
        answers.billed_usd,
    )
    by_day = {(d, s): (e, b) for d, s, e, b in release.execute(
        "select usage_date, source, sum(effective_cost), sum(billed_cost) from fct_cost_allocation group by all"
    ).fetchall()}  # fmt: skip
    assert by_day == {key: (cost, answers.billed_by_day[key]) for key, cost in answers.effective_by_day.items()}


def test_every_class_to_the_last_digit(release, answers):
    assert dict(release.execute("select cost_class, sum(effective_cost) from fct_cost_allocation group by 1").fetchall()) == answers.classes


def test_idle_belongs_to_its_pool(release, answers):
    rows = release.execute(
        "select pool, sum(effective_cost) from fct_cost_allocation where cost_class = 'unallocated_idle' group by 1"
    ).fetchall()
    assert dict(rows) == answers.unallocated_idle_by_pool


def test_what_is_not_attributed_says_why(release, answers):
    rows = dict(
        release.execute(
            "select reason, sum(effective_cost) from fct_cost_allocation where cost_class = 'unattributed' group by 1"
        ).fetchall()
    )
    rows["no_rule_for_tags"] = rows.pop("no_run_or_endpoint_tag")
    assert rows == answers.unattributed_by_reason
    unknown = release.execute(
        "select sum(effective_cost) from fct_cost_allocation where cost_class = 'unknown' and workload_key is null"
    ).fetchone()
    assert unknown == (answers.unknown_without_holder_usd,)


def test_every_run_to_the_last_digit(release, answers):
    rows = release.execute(
        "select run_id, held_gpu_seconds, used_gpu_seconds, run_cost_usd, used_cost_usd, held_idle_cost_usd, unknown_cost_usd, other_cost_usd, team"
        " from fct_run_cost where workload_type = 'training_run'"
    ).fetchall()
    expected = {
        run: (a.held_gpu_seconds, a.used_gpu_seconds, a.total_usd, a.used_usd, a.held_idle_usd, a.unknown_usd, a.not_measured_usd, a.team)
        for run, a in answers.runs.items()
    }
    assert len(expected) == 54
    assert {run: tuple(rest) for run, *rest in rows} == expected


def test_every_attempt_to_the_last_digit(release, answers):
    rows = release.execute(
        "select split_part(workload_key, '/', 2), attempt_id, held_gpu_seconds, run_cost_usd from fct_run_attempt_cost"
        " where workload_type = 'training_run' and attempt_key <> ''"
    ).fetchall()
    expected = {
        key: (a.held_gpu_seconds, a.used_usd + a.held_idle_usd + a.unknown_usd) for key, a in answers.attempts.items() if key[1] is not None
    }
    assert {(run, attempt): (held, cost) for run, attempt, held, cost in rows} == expected


def test_every_endpoint_day_to_the_last_digit(release, answers):
    rows = release.execute(
        "select endpoint, usage_date, allocated_cost_usd, requests_ok, requests_failed, prompt_tokens, output_tokens, cost_per_1k_requests_usd,"
        " unit_cost_reason from fct_inference_unit_cost"
    ).fetchall()
    assert {(r[0], r[1]): r[2:7] for r in rows} == {
        key: (a.cost.total_usd, a.requests_ok, a.requests_failed, a.prompt_tokens, a.output_tokens)
        for key, a in answers.endpoint_days.items()
    }
    for endpoint, day, _, ok, *_, per_1k, reason in rows:
        expected = answers.endpoint_days[(endpoint, day)].usd_per_1k_requests
        if ok == 0:
            assert (expected, per_1k, reason) == (None, None, "no_successful_request")
        else:
            assert per_1k == pytest.approx(float(expected), rel=1e-12) and reason is None
    assert any(r[3] == 0 for r in rows), "the company has an endpoint day without a request"


def test_reconciles_with_both_bills(release):
    rows = release.execute(
        "select source, sum(delivered_cost), sum(abs(delivery_residual)), sum(allocation_residual_usd) from fct_reconciliation group by 1 order by 1"
    ).fetchall()
    assert rows == [("aws", Decimal("78774.202455"), 0, 0), ("gcp", Decimal("881.16075"), 0, 0)]


def test_explain_sums_to_the_published_cost_of_each_run(release, home, played):
    settings = load_settings(home / "demo" / "apportion.yml", home)
    for run, cost in release.execute("select run_id, run_cost_usd from fct_run_cost order by run_cost_usd desc limit 3").fetchall():
        answer = explain(settings, Question(workload=run))
        assert answer["allocated_usd"] == cost
        assert all(0 < line["allocation_weight"] <= line["bucket_weight"] for line in answer["rows"])
        require_equal(answer)


def test_the_printed_result_has_what_a_newcomer_asks(played):
    text = "\n".join(demo_lines(played))
    for expected in ("$79,655.36", "nlp-0038", "$3,630.22", "chat", "Residual against the bill: 0 ", "published/apportion.duckdb"):
        assert expected in text
