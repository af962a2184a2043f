"""The demo company: the same bytes every time, a truth that adds up to the files' own bill, and figures worked by hand."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from pipelines.demo import Company, Truth, extend, generate, plan_company, truth
from pipelines.landing import Landing
from pipelines.settings import load_settings
from pipelines.source import Window

FIRST = dt.date(2026, 10, 5)
LAST = dt.date(2026, 10, 18)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Company]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, generate(folder)


@pytest.fixture(scope="module")
def answer(written: tuple[Path, Company]) -> Truth:
    return truth(written[1])


def digests(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- bytes


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        generate(tmp_path / name, seed=seed, days=2)
    a, b, c = (digests(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys()
    changed = {name for name in a if a[name] != c[name]}
    assert {"telemetry/aws/dcgm-2026-10-05.parquet", "slurm/sacct.txt", "workloads/runs.csv"} <= changed


def test_a_night_later_only_adds_files_and_restates_what_is_restated(tmp_path: Path) -> None:
    generate(tmp_path / "grown", days=2)
    before = digests(tmp_path / "grown")
    company = extend(tmp_path / "grown")
    after = digests(tmp_path / "grown")
    generate(tmp_path / "whole", through=dt.date(2026, 10, 7))
    assert company.last_day == dt.date(2026, 10, 7)
    assert after == digests(tmp_path / "whole")
    new = {name for name in after if name not in before}
    assert len(new) == 5 and all("2026-10-07" in name for name in new)
    restated = {name for name in before if before[name] != after[name]}
    bill = "aws/company-cur2/{}/BILLING_PERIOD=2026-10/company-cur2-{}"
    assert restated - {"demo.json", "workloads/notebooks.csv"} == {
        bill.format("data", "00001.snappy.parquet"), bill.format("metadata", "Manifest.json"), "nodes/nodes.csv", "slurm/sacct.txt",
        "workloads/runs.csv", "quality/quality.csv",
    }  # fmt: skip


def test_a_folder_of_another_company_is_refused(tmp_path: Path) -> None:
    generate(tmp_path, days=1)
    with pytest.raises(ValueError, match="another demo company"):
        generate(tmp_path, seed=8, days=1)
    with pytest.raises(ValueError, match="written already"):
        extend(tmp_path, through=FIRST)
    with pytest.raises(ValueError, match="1 to 14"):
        plan_company(days=15)


def test_nothing_is_written_beyond_the_last_day(tmp_path: Path) -> None:
    generate(tmp_path, days=3)
    con = duckdb.connect()
    bill = str(tmp_path / "aws/company-cur2/data/BILLING_PERIOD=2026-10/company-cur2-00001.snappy.parquet")
    last = con.execute("SELECT max(line_item_usage_start_date) FROM read_parquet(?)", [bill]).fetchone()
    assert last == (dt.datetime(2026, 10, 7, 23),)
    samples = con.execute(
        "SELECT min(epoch(timestamp)), max(epoch(timestamp)) FROM read_parquet(?)", [str(tmp_path / "telemetry/aws/*.parquet")]
    ).fetchone()
    assert samples == (1791158400, 1791158400 + 3 * 86_400 - 30)
    ends = [line.split("|")[10] for line in (tmp_path / "slurm/sacct.txt").read_text().splitlines()[1:]]
    assert "Unknown" in ends and all(e == "Unknown" or e < "2026-10-08" for e in ends)


# --- the truth against the bill in the files


def bill_in_files(folder: Path) -> tuple[dict, dict]:
    """(effective, billed) by (day, source) from the written bills, by line rules spelt out here once more."""
    effective: dict[tuple[dt.date, str], Decimal] = defaultdict(Decimal)
    billed: dict[tuple[dt.date, str], Decimal] = defaultdict(Decimal)
    rows = duckdb.connect().execute(
        "SELECT line_item_usage_start_date::DATE, line_item_line_item_type, line_item_unblended_cost::VARCHAR,"
        " savings_plan_savings_plan_effective_cost::VARCHAR, savings_plan_total_commitment_to_date::VARCHAR,"
        " savings_plan_used_commitment::VARCHAR FROM read_parquet(?)",
        [str(folder / "aws/company-cur2/data/BILLING_PERIOD=2026-10/company-cur2-00001.snappy.parquet")],
    )
    for day, kind, cost, covered, commitment, used in rows.fetchall():
        key = (day, "aws")
        if kind == "SavingsPlanCoveredUsage":
            effective[key] += Decimal(covered)
        elif kind == "SavingsPlanRecurringFee":
            effective[key] += Decimal(commitment) - Decimal(used)
            billed[key] += Decimal(cost)
        elif kind in ("Usage", "Tax", "Fee", "Credit"):
            effective[key] += Decimal(cost)
            billed[key] += Decimal(cost)
        else:
            assert kind == "SavingsPlanNegation"
    for path in sorted((folder / "gcp").iterdir()):
        for line in path.read_text().splitlines():
            row = json.loads(line, parse_float=Decimal)
            key = (dt.date.fromisoformat(row["usage_start_time"][:10]), "gcp")
            amount = Decimal(row["cost"]) + sum(Decimal(c["amount"]) for c in row["credits"])
            effective[key] += amount
            billed[key] += amount
    return dict(effective), dict(billed)


def test_truth_sums_to_the_bill_exactly_by_day_and_source(written: tuple[Path, Company], answer: Truth) -> None:
    effective, billed = bill_in_files(written[0])
    assert len(effective) == 28
    assert answer.effective_by_day == effective
    assert answer.billed_by_day == billed
    assert sum(answer.classes.values()) == answer.effective_usd == sum(effective.values())
    assert answer.billed_usd == answer.effective_usd  # no upfront payment: nothing to true up


def test_every_amount_of_the_bill_survives_as_a_double(written: tuple[Path, Company]) -> None:
    folder, company = written
    con = duckdb.connect()
    bill = str(folder / "aws/company-cur2/data/BILLING_PERIOD=2026-10/company-cur2-00001.snappy.parquet")
    wide = con.execute(
        "SELECT count(*) FROM read_parquet(?) WHERE line_item_unblended_cost <> round(line_item_unblended_cost, 9)", [bill]
    ).fetchone()
    assert wide == (0,)
    ids = con.execute("SELECT count(*), count(DISTINCT identity_line_item_id) FROM read_parquet(?)", [bill]).fetchone()
    assert ids and ids[0] == ids[1] > 4_000
    assert all(abs(c.cost) < 10**15 for c in company.charges)


def test_days_add_up_and_a_night_tells_no_more_than_its_days(written: tuple[Path, Company], answer: Truth) -> None:
    company = written[1]
    thirteen, night = truth(company, last_day=LAST - dt.timedelta(days=1)), truth(company, first_day=LAST)
    for cost_class, amount in answer.classes.items():
        assert thirteen.classes.get(cost_class, 0) + night.classes.get(cost_class, 0) == amount
    across = set(thirteen.runs) & set(night.runs)
    assert across
    for run_id in across:
        assert thirteen.runs[run_id].total_usd + night.runs[run_id].total_usd == answer.runs[run_id].total_usd
        assert 0 < thirteen.runs[run_id].total_usd < answer.runs[run_id].total_usd
    assert thirteen == truth(company, FIRST, LAST - dt.timedelta(days=1))
    with pytest.raises(ValueError, match="not within"):
        truth(company, last_day=LAST + dt.timedelta(days=1))


def test_a_company_cut_at_a_day_tells_the_same_truth_of_its_days(written: tuple[Path, Company]) -> None:
    cut, whole = truth(plan_company(days=13)), truth(written[1], last_day=LAST - dt.timedelta(days=1))
    assert cut.entries == whole.entries and cut.billed_nano == whole.billed_nano


# --- figures worked by hand


def test_unused_commitment_of_the_maintenance_pause(answer: Truth) -> None:
    # down 02:10:30-05:40:00 = 12,570 s at $0.0096
    # and a second plan that nothing uses: 24 x $0.50 a day
    assert answer.by("day", where=lambda k: k.cost_class == "unused_commitment")[dt.date(2026, 10, 9),] == Decimal("120.672") + 12
    assert answer.classes["unused_commitment"] == Decimal("120.672") + 14 * 12


def test_the_node_without_telemetry(answer: Truth) -> None:
    run = next(r for r in answer.runs.values() if r.held_gpu_seconds == r.unknown_gpu_seconds)
    # 3 October days later: 09:00:00 to 07:30:30 the next day = 81,030 s x 8 GPUs at $0.001
    assert (run.held_gpu_seconds, run.unknown_usd) == (648_240, Decimal("648.24"))
    assert run.used_usd == run.held_idle_usd == 0
    # without holder: the rest of its life (254,850 - 81,030) x 8, 60 s x 8 of the idle node's gap, 60 s of the bare pod's gap
    assert answer.unknown_without_holder_usd == Decimal("1390.56") + Decimal("0.48") + Decimal("0.06")


def test_the_hour_without_samples_stays_with_the_run_that_held_the_node(answer: Truth) -> None:
    unknown = [r for r in answer.runs.values() if 0 < r.unknown_gpu_seconds < r.held_gpu_seconds]
    assert [(r.unknown_gpu_seconds, r.unknown_usd) for r in unknown] == [(8 * (3_600 - 120), Decimal("55.68"))]
    assert answer.classes["unknown"] == Decimal("648.24") + Decimal("1391.10") + Decimal("55.68")


def test_the_interrupted_spot_run_has_two_attempts(written: tuple[Path, Company], answer: Truth) -> None:
    run_id = next(a.workload_id for a in written[1].attempts if a.state == "preempted")
    first, second = answer.attempts[run_id, "1"], answer.attempts[run_id, "2"]
    # day 3 06:30:00 to day 5 13:15:30 = 197,130 s; day 5 13:44:30 to day 7 18:59:00 = 191,670 s; 8 GPUs at $0.0008
    assert (first.held_gpu_seconds, first.used_usd + first.held_idle_usd) == (1_577_040, Decimal("1261.632"))
    assert (second.held_gpu_seconds, second.used_usd + second.held_idle_usd) == (1_533_360, Decimal("1226.688"))
    run = answer.runs[run_id]
    assert run.total_usd - run.not_measured_usd == Decimal("1261.632") + Decimal("1226.688")
    assert first.used_usd == first.used_gpu_seconds * Decimal("0.0008")


def test_other_classes_by_hand(answer: Truth) -> None:
    # tax 312.50 + 21.17, support 100.00, GCP tax 19.00; credits 75.00 + 11.00, promotion 0.08 + 0.18
    assert answer.classes["tax_and_fees"] == Decimal("452.67")
    assert answer.classes["credit"] == Decimal("-86.26")
    # GPU 7 for 3 whole hours at $0.001
    assert answer.unattributed_by_reason["active_unlabelled"] == Decimal("10.80")
    # untagged: scratch 14 x 4.02 + 0.000005 x 91; egress 0.09 x (14 x 71 + 91); EKS 336 x 0.10; GCP egress 14 x 1.44 + 0.00025 x 91
    everyday = Decimal("56.280455") + Decimal("97.65") + Decimal("33.6") + Decimal("20.18275")
    # and the copied data set: 69,030 GB at $0.02
    assert answer.unattributed_by_reason["untagged"] == everyday + Decimal("1380.60")
    # the idle pool: from day 6 09:30:00 to the end (8 days 14.5 h = 743,400 s) less the 60 s unknown, 8 GPUs at $0.001
    assert answer.unallocated_idle_by_pool["a100-reserve"] == Decimal("5946.72")
    # gateway VM of translate: 336 h x ($0.19 - $0.038); its GPU 336 h less the first hour idle, at $0.72
    translate = answer.endpoints["translate"].cost
    assert (translate.not_measured_usd, translate.used_usd + translate.held_idle_usd) == (Decimal("51.072"), Decimal("241.2"))
    assert answer.unallocated_idle_by_pool["l4-translate"] == Decimal("0.72")


def test_the_nightly_retrain_by_hand(answer: Truth) -> None:
    # two hours of four A100s at $0.001 each second, and on one night 2,400 s before that failed
    runs = {name: run for name, run in answer.runs.items() if name.startswith("recsys-nightly-")}
    assert len(runs) == 14
    assert {name: run.total_usd for name, run in runs.items() if run.total_usd != Decimal("28.8")} == {"recsys-nightly-09": Decimal("38.4")}


def test_a_correction_lands_on_its_usage_day(written: tuple[Path, Company]) -> None:
    recsys_storage = {"source": "gcp", "team": "recsys", "cost_class": "unattributed"}
    amounts = {
        day: sum(v for k, v in truth(written[1], day, day).by(*recsys_storage).items() if k == tuple(recsys_storage.values()))
        for day in (dt.date(2026, 10, 8), dt.date(2026, 10, 13))
    }
    # day 4: 0.56 - 0.56 + 0.35; day 9, on which the correction was exported: 0.61
    assert amounts == {dt.date(2026, 10, 8): Decimal("0.35"), dt.date(2026, 10, 13): Decimal("0.61")}
    before = truth(plan_company(days=8), dt.date(2026, 10, 8), dt.date(2026, 10, 8)).by(*recsys_storage)
    assert before[tuple(recsys_storage.values())] == Decimal("0.56")


# --- the files against the plan


def test_samples_tell_the_used_seconds_of_the_truth(written: tuple[Path, Company], answer: Truth) -> None:
    folder, company = written
    rows = duckdb.connect().execute(
        "SELECT coalesce(hpc_job, exported_pod), count(*), sum(round(DCGM_FI_PROF_SM_ACTIVE * 1000)::BIGINT)"
        " FROM read_parquet(?) WHERE coalesce(hpc_job, exported_pod) IS NOT NULL GROUP BY 1",
        [str(folder / "telemetry/aws/*.parquet")],
    )
    seen = {label: (count * 30, int(permille) * 30) for label, count, permille in rows.fetchall()}
    gap_hosts = {(g.node, gpu) for g in company.gaps for gpu in g.gpus}
    checked = 0
    for attempt in company.attempts:
        touched = any((h.node, gpu) in gap_hosts for h in attempt.holds for gpu in h.gpus)
        if attempt.kind == "run" and attempt.evidence in ("labels", "hpc_job") and not touched:
            labels = {h.hpc_job or h.pod for h in attempt.holds}
            expected = answer.attempts[attempt.workload_id, attempt.attempt_id]
            assert sum(seen[label][0] for label in labels) == expected.held_gpu_seconds
            assert Decimal(sum(seen[label][1] for label in labels)) / 1000 == expected.used_gpu_seconds
            checked += 1
    assert checked >= 30


def test_counters_and_logs_tell_the_traffic(written: tuple[Path, Company], answer: Truth) -> None:
    folder, company = written
    series: dict[tuple, list[tuple[int, int]]] = defaultdict(list)
    for path in sorted((folder / "inference/vllm").iterdir()):
        for entry in json.loads(path.read_text())["data"]["result"]:
            labels = entry["metric"]
            key = (labels["model_name"], labels["pod"], labels["__name__"], labels.get("finished_reason", ""))
            series[key] += [(at, int(value)) for at, value in entry["values"]]
    totals: dict[tuple[str, str], int] = defaultdict(int)
    resets = set()
    for (endpoint, pod, metric, reason), values in series.items():
        kind = "failed" if reason in ("abort", "error") else metric
        previous = 0
        for at, value in values:
            increase = value if value < previous else value - previous
            assert increase == 0 or at % 3_600 != 0  # never across an hour
            resets |= {(pod, at)} if value < previous else set()
            totals[endpoint, kind] += increase
            previous = value
    for name in ("chat", "translate"):
        e = answer.endpoints[name]
        kinds = ("vllm:request_success_total", "failed", "vllm:prompt_tokens_total", "vllm:generation_tokens_total")
        assert [totals[name, k] for k in kinds] == [e.requests_ok, e.requests_failed, e.prompt_tokens, e.output_tokens]
    assert len(resets) == 2
    rows = duckdb.connect().execute(
        "SELECT model_group, status, count(*), sum(prompt_tokens)::BIGINT, sum(completion_tokens)::BIGINT FROM read_csv(?)"
        " GROUP BY ALL ORDER BY 1, 2",
        [str(folder / "inference/gateway/*.csv")],
    )
    embed, asked = answer.endpoints["embed"], sum(use.requests for use in company.managed)
    assert rows.fetchall() == [
        ("assist", "success", asked, 900 * asked, 150 * asked),
        ("embed", "failure", embed.requests_failed, 0, 0),
        ("embed", "success", embed.requests_ok, embed.prompt_tokens, 0),
    ]
    assert embed.requests_failed > 0 and answer.endpoints["chat"].requests_failed > 0


def test_cost_per_thousand_divides_sums(answer: Truth) -> None:
    embed = answer.endpoints["embed"]
    assert embed.usd_per_1k_requests == Fraction(embed.cost.total_usd) / embed.requests_ok * 1000
    silent = answer.endpoint_days["translate", dt.date(2026, 10, 9)]
    assert (silent.requests_ok, silent.usd_per_1k_requests) == (0, None)
    assert silent.cost.total_usd == Decimal("20.928")  # a day of one L4 (17.28) and of its gateway (24 x 0.152)


def test_the_company_is_what_it_says(written: tuple[Path, Company], answer: Truth) -> None:
    folder, company = written
    assert len(answer.runs) == 54 + 14  # and a retrain every night
    assert {r.team for r in answer.runs.values()} == {"nlp", "vision", "speech", "recsys", "research"}
    assert sum(a.kind == "notebook" for a in company.attempts) == 3 and set(answer.endpoints) == {"chat", "embed", "translate"}
    states = {a.state for a in company.attempts if a.kind == "run"}
    assert {"failed", "cancelled", "preempted", "node_fail", "completed"} <= states
    for kind, name in (("notebook", "notebook-emil"), ("notebook", "notebook-boris")):
        notebook = answer.workloads[kind, name]
        assert notebook.held_idle_usd > 20 * notebook.used_usd
    rows, nodes = (
        duckdb.connect()
        .execute("SELECT count(*), count(DISTINCT Hostname) FROM read_parquet(?)", [str(folder / "telemetry/aws/*.parquet")])
        .fetchone()
    )  # type: ignore[misc]
    assert 2_000_000 < rows < 2_500_000 and nodes == 9
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 40 << 20
    for node in company.nodes:
        held: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for hold in (h for a in company.attempts for h in a.holds if h.node == node.hostname):
            assert any(start <= hold.start and hold.end <= end for start, end in node.lives)
            assert hold.start % 30 == hold.end % 30 == 0
            for gpu in hold.gpus:
                held[gpu].append((hold.start, hold.end))
        for spans in held.values():
            spans.sort()
            assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False)), "a GPU held twice"


@pytest.mark.slow
def test_the_sources_take_every_file(written: tuple[Path, Company], tmp_path: Path) -> None:
    folder, company = written
    settings = load_settings(folder / "apportion.yml", tmp_path / "home")
    landing = Landing(settings.raw)
    rows: dict[str, dict[str, int]] = {}
    deliveries: dict[str, int] = {}
    for source in settings.sources:
        counts: dict[str, int] = defaultdict(int)
        found = list(source.fetch(Window(FIRST, LAST), landing))
        assert [d.rejected for d in found if d.rejected] == [], source.name
        for file in (f for d in found for f in d.files):
            counts[file.table] += file.rows
        rows[source.name], deliveries[source.name] = dict(counts), len(found)
    assert deliveries == {
        "aws": 1, "gcp": 14, "dcgm-aws": 14, "dcgm-gcp": 14, "inventory": 1, "kubernetes": 3, "slurm": 1, "vllm": 14, "litellm": 14,
        "finance": 1, "evaluations": 1,
    }  # fmt: skip
    assert rows["inventory"] == {"nodes": 14}  # 13 machines, one of them with two lives
    assert rows["slurm"] == {"jobs": sum(a.evidence == "hpc_job" for a in company.attempts)}
    assert rows["kubernetes"] == {"intervals": sum(len(a.holds) for a in company.attempts if a.evidence not in ("hpc_job", "label_only"))}
    # L4 seconds: 2 x 14 days, 1 x 14 days, 1 x (3 days 5:25:30 = 278,730 s); two metrics
    assert rows["dcgm-gcp"] == {"samples_long": 2 * (3 * 14 * 86_400 + 278_730) // 30}
    own = sum(t.ok + t.failed for t in company.traffic if t.endpoint == "embed")
    assert rows["litellm"] == {"requests": own + sum(use.requests for use in company.managed)}
    assert (rows["finance"], rows["evaluations"]) == ({"rates": 3}, {"measurements": 14})
