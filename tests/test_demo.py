"""The demo company, played as a newcomer plays it, against the answers that its generator worked out from its own plan."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.demo import plan_company, truth
from pipelines.demo.overview import demo_lines
from pipelines.errors import UsageError
from pipelines.explain import Question, explain, require_equal
from pipelines.heatmap import heatmap
from pipelines.idle import Span, idle, idle_lines
from pipelines.report import open_release
from pipelines.settings import load_settings


@pytest.fixture(scope="module")
def home(played_demo) -> Path:
    return played_demo[0]


@pytest.fixture(scope="module")
def played(played_demo):
    return played_demo[1]


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
    assert len(expected) == 68
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
    assert rows == [("aws", Decimal("80395.042455"), 0, 0), ("gcp", Decimal("881.16075"), 0, 0)]


def test_explain_sums_to_the_published_cost_of_each_run(release, home, played):
    settings = load_settings(home / "demo" / "apportion.yml", home)
    for run, cost in release.execute("select run_id, run_cost_usd from fct_run_cost order by run_cost_usd desc limit 3").fetchall():
        answer = explain(settings, Question(workload=run))
        assert answer["allocated_usd"] == cost
        assert all(0 < line["allocation_weight"] <= line["bucket_weight"] for line in answer["rows"])
        require_equal(answer)


def test_the_printed_result_has_what_a_newcomer_asks(played):
    text = "\n".join(demo_lines(played))
    for expected in ("$81,276.20", "nlp-0038", "$3,630.22", "chat", "Residual against the bill: 0 ", "published/apportion.duckdb"):
        assert expected in text


def test_idle_by_kind_and_owner_to_the_last_digit(release, answers):
    rows = release.execute(
        "select cost_class, pool, owner_team, sum(cost_usd) from fct_idle_cost where cost_class in ('held_idle', 'unallocated_idle') group by all"
    ).fetchall()
    # a pod that names no team (a debug shell, $39.35 idle) is answered for by the owner of the pool that it sat in
    owners = {node.pool: node.owner_team for node in answers.company.nodes}
    expected: dict = defaultdict(Decimal)
    for (cost_class, pool, team), cost in answers.by("cost_class", "pool", "team").items():
        if cost_class in ("held_idle", "unallocated_idle") and cost:
            expected[cost_class, pool, team or owners[pool]] += cost
    assert {(cost_class, pool, team): cost for cost_class, pool, team, cost in rows} == expected
    kinds = dict(release.execute("select idle_kind, sum(cost_usd) from fct_idle_cost group by 1").fetchall())
    by_reason = answers.unattributed_by_reason
    assert kinds["active_unlabelled"] == by_reason["active_unlabelled"]
    assert kinds["untagged_charge"] == by_reason["no_rule_for_tags"] + by_reason["untagged"]
    assert kinds["unknown"] + kinds["node_without_telemetry"] == answers.classes["unknown"]
    assert kinds["unused_commitment"] == answers.classes["unused_commitment"]
    assert sum(kinds.values()) == sum(
        answers.classes[c] for c in ("held_idle", "unallocated_idle", "unknown", "unattributed", "unused_commitment")
    )


def test_every_attempt_ended_as_the_company_planned(release, answers):
    planned = {
        "completed": "succeeded", "failed": "failed", "node_fail": "failed", "cancelled": "cancelled", "preempted": "preempted",
        "running": "running",
    }  # fmt: skip
    rows = release.execute(
        "select split_part(workload_key, '/', 2), attempt_id, outcome from fct_run_attempt_cost where workload_type = 'training_run'"
        " and attempt_key <> ''"
    ).fetchall()
    cut = answers.company.cut
    expected = {
        (a.workload_id, a.attempt_id): planned[a.state] if max(h.end for h in a.holds) <= cut else "running"
        for a in answers.company.attempts
        if a.kind == "run"
    }
    assert {(run, attempt): outcome for run, attempt, outcome in rows} == {key: expected[key] for key in answers.attempts}
    by_outcome = dict(
        release.execute(
            "select outcome, sum(run_cost_usd) from fct_run_attempt_cost where workload_type = 'training_run' and attempt_key <> '' group by 1"
        ).fetchall()
    )
    published = release.execute(
        "select sum(failed_cost_usd), sum(preempted_cost_usd) from fct_run_cost where workload_type = 'training_run'"
    )
    assert published.fetchone() == (by_outcome["failed"], by_outcome["preempted"]) and by_outcome["preempted"] > 0


def test_the_days_of_a_gpu_are_the_sums_of_its_hours(release):
    different = release.execute(
        "select count(*) from (select usage_date, gpu_key, sum(cost_usd) as cost, sum(billed_seconds) as billed, sum(unknown_seconds) as unknown"
        " from fct_gpu_utilization group by all) as hours full join fct_gpu_utilization_daily as days using (usage_date, gpu_key)"
        " where hours.cost is distinct from days.cost_usd or hours.billed is distinct from days.billed_seconds"
        " or hours.unknown is distinct from days.unknown_seconds"
    ).fetchone()
    assert different == (0,)
    assert release.execute("select count(*) > 0 from fct_gpu_utilization_daily where activity_ratio is null").fetchone() == (True,)


def test_apportion_idle_says_what_is_published(home, played, tmp_path):
    settings = load_settings(home / "demo" / "apportion.yml", home)
    told = idle(settings, Span())
    lines = idle_lines(told)
    assert lines[0] == (
        "2026-10-05 to 2026-10-18: $48,137.24 (59.2% of the bill) bought nothing, $4,078.43 (5.0% of the bill) nobody can explain"
    )
    assert sum(row["cost_usd"] for row in told["by_owner"]) == sum(row["cost_usd"] for row in told["by_pool"])
    assert {gpu["gpu_state"] for gpu in told["gpus"]} >= {"held_idle", "unallocated_idle"}
    one = idle(settings, Span(team="vision"))
    assert {gpu["owner_team"] for gpu in one["gpus"]} == {"vision"}
    drawn = heatmap(settings, Span(), tmp_path / "idle.svg", most_gpus=3)
    assert (drawn["gpus_drawn"], drawn["days"]) == (3, 14)
    assert (tmp_path / "idle.svg").read_text(encoding="utf-8").count("<title>") <= 3 * 14
    with pytest.raises(UsageError, match="no day of this span"):
        idle(settings, Span(first=dt.date(2027, 1, 1)))
