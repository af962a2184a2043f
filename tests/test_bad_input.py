"""Bad input end to end: each oddity has a declared outcome; nothing crashes, nothing is dropped in silence, no total moves.

Belongs here: what a whole night makes of it. Does not: what a source refuses at landing (tests/sources), the gates' own rules
(test_checks.py), attribution of odd intervals and samples at large (test_property_attribution.py).
"""

from __future__ import annotations

import datetime as dt
import json
import random
import unicodedata
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines import nightly
from pipelines.errors import ApportionError
from tests.oracle import files
from tests.oracle.night import RELEASE_STAGES, Bench
from tests.oracle.plan import Charge, Cluster, Gpu, Interval, Node, Sample

DAY = dt.date(2026, 10, 5)
MIDNIGHT = int(dt.datetime(2026, 10, 5, tzinfo=dt.UTC).timestamp())
TEN = MIDNIGHT + 10 * 3600

HUGE = random.Random(7).randbytes(5 << 20).hex()  # noqa: S311 - 10 MiB of text that does not compress away
NASTY = [
    "'; DROP TABLE published.fct_cost_allocation; --", '" or 1=1 --', "]]", "$$", "{{ env_var('HOME') }}", "{% raw %}", "${HOME}", "\u202egpj.exe",
    "a\nb\r\nc", "\x1b[31mred", "=cmd|' /C calc'!A0", "%s %(x)s {0}", "NULL", "null", "\\", "a/../../b", "𝔘𝔫𝔦", "a,b;c|d\te",
]  # fmt: skip
NFD = unicodedata.normalize("NFD", "équipe")


def _node(name: str) -> Node:
    return Node(f"{name}-n", f"i-{name}", (Gpu(f"GPU-{name}-0", 0, ""),), 1, ((TEN, TEN + 3600),))


def _samples(at: Node, sm: str = "0.5", **labels: str) -> list[Sample]:
    device = at.gpus[0]
    return [
        Sample(
            (TEN + n * 30) * 1_000_000,
            at.hostname,
            device.uuid,
            "0",
            "",
            "a",
            sm_active=f"{(n % 100) / 100:.2f}" if sm == "ramp" else sm,
            **labels,
        )
        for n in range(120)
    ]


def _row(charge: Charge, name: str, tags: dict[str, str] | None = None) -> dict[str, Any]:
    (row,) = files.bill_rows(Cluster(name, charges=[charge]))
    return row | {"resource_tags": tags or {}}


def _storage(name: str, cost: str, tags: dict[str, str] | None = None, **values: str) -> dict[str, Any]:
    return _row(Charge(name, TEN, usage_type="TimedStorage", operation="StandardStorage", unblended=cost, **values), name, tags)


def _bill() -> list[dict[str, Any]]:
    rows = [
        _row(Charge(f"i-{name}", TEN, unblended="3.6"), name)
        for name in ("silent", "ordered", "shuffled", "twin1", "twin2", "offset", "open")
    ]
    rows += [_storage("unknown-type", "7.25", line_type="FutureUsage"), _storage("unknown-type", "-0.25", line_type="FutureUsage")]
    rows += [_storage("negative", "-4.5"), _storage("credit", "-11.125", line_type="Credit"), _storage("refund", "-2", line_type="Refund")]
    rows += [_storage("huge", "1.5", {"user_team": HUGE})]
    rows += [_storage(f"nasty-{n}", "0.01", {"user_team": "t", "user_note": text, text: "key"}) for n, text in enumerate(NASTY)]
    rows += [_storage(f"team-{n}", "1", {"user_team": text}) for n, text in enumerate(["NLP", "nlp ", " Nlp", "équipe", NFD, "Équipe"])]
    return rows


TOTAL = sum((Decimal(row["line_item_unblended_cost"]) for row in _bill()), Decimal(0))


def _write(folder: Path) -> Path:
    ordered, shuffled, twin1, twin2, offset, open_ended = (_node(n) for n in ("ordered", "shuffled", "twin1", "twin2", "offset", "open"))
    twin2 = replace(twin2, gpus=twin1.gpus)  # one uuid on two machines
    unbilled, unknown_host = _node("unbilled"), _node("stray")
    cluster = Cluster("bad", nodes=[_node("silent"), ordered, shuffled, twin1, twin2, offset, open_ended, unbilled])
    label = {"namespace": "ml"}
    cluster.intervals = [
        Interval(f"{n.hostname[:-2]}-r", "1", TEN, TEN + 3600, n.hostname, gpu_ids=("0",))
        for n in (ordered, shuffled, twin1, twin2, unbilled)
    ] + [
        Interval("open-r", "1", TEN + 1800, None, open_ended.hostname, gpu_ids=("0",)),
        Interval("zero-r", "1", TEN, TEN, open_ended.hostname, gpu_ids=("0",)),
        Interval("over-a", "1", TEN, TEN + 1200, open_ended.hostname, gpu_ids=("0",)),
        Interval("over-b", "1", TEN + 600, TEN + 1800, open_ended.hostname, gpu_ids=("0",)),
    ]
    jumbled = _samples(shuffled, "ramp") * 2
    random.Random(3).shuffle(jumbled)  # noqa: S311
    cluster.samples = [
        *_samples(ordered, "ramp"), *jumbled, *_samples(twin1), *_samples(twin2, "1"), *_samples(offset, "0.25"), *_samples(open_ended),
        *_samples(unbilled), *_samples(unknown_host, pod="stray-p", **label),
    ]  # fmt: skip
    files.write_inputs(folder, [cluster])
    files.write_bill(folder / "bill", _bill())
    times = [f"{d:%Y-%m-%d}T{h}" for d, h in ((DAY, "12:00:00+02:00"), (DAY, "05:30:00-05:00"))]  # 10:00 and 10:30 UTC
    columns = ("workload_type", "workload_id", "attempt_id", "started_at", "ended_at", "hostname", "gpu_ids", "label_team")
    files.write_csv(
        folder / "workloads" / "offsets.csv", columns, [["training_run", "offset-r", "1", *times, offset.hostname, '["0"]', "'; drop --"]]
    )
    _write_counters(folder / "counters")
    files.write_settings(folder, [30], extra=["{name: vllm, kind: inference_metrics, location: ./counters, endpoint: chat}"])
    return folder


def _write_counters(folder: Path) -> None:
    """100, 130, then a restart: 5, 25; the last sample twice. Increase: 30 + 5 + 20 = 55."""
    values = [[TEN + n * 60, str(v)] for n, v in enumerate([100, 130, 5, 25, 25])]
    metric = {"__name__": "vllm:request_success_total", "finished_reason": "stop", "model_name": "m", "pod": "p0"}
    answer = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": metric, "values": [*values, values[-1]]}]}}
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps(answer))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def night(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One night over everything bad at once, published."""
    bench.night(_write(tmp_path_factory.mktemp("bad")), "bad", DAY, stages=RELEASE_STAGES)
    return bench


def ledger(night: Bench, resource: str) -> list[tuple[Any, ...]]:
    """(class, route, reason, effective dollars) of one resource."""
    query = "select cost_class, route, reason, sum(effective_cost) from published.fct_cost_allocation where resource_id = ? group by all order by all"
    return night.read("bad", query, [resource])


def attempt(night: Bench, workload: str) -> tuple[Any, ...] | None:
    """(held, used, unbilled, awaiting seconds, dollars, status) of a run's one attempt."""
    found = night.read(
        "bad",
        "select held_gpu_seconds, used_gpu_seconds, held_unbilled_seconds, awaiting_bill_gpu_seconds, run_cost_usd, pricing_status"
        " from published.fct_run_attempt_cost where workload_key = ?",
        [workload],
    )
    return found[0] if found else None


def test_the_total_is_the_control_total(night: Bench) -> None:
    assert night.read("bad", "select sum(effective_cost), sum(billed_cost) from published.fct_cost_allocation") == [(TOTAL, TOTAL)]
    delivered = night.read(
        "bad",
        "select sum(delivered_rows), sum(delivered_cost), sum(abs(delivery_residual)), sum(allocation_residual_usd) from published.fct_reconciliation",
    )
    assert delivered == [(len(_bill()), TOTAL, 0, 0)]


def test_an_unknown_line_type_is_quarantined_by_name_with_its_dollars(night: Bench) -> None:
    assert ledger(night, "unknown-type") == [("quarantined", "none", "unknown line item type FutureUsage", Decimal(7))]
    assert night.read("bad", "select sum(quarantined_cost_usd) from published.fct_reconciliation") == [(Decimal(7),)]


def test_the_door_refuses_an_unknown_line_type_by_name(bench: Bench, tmp_path: Path) -> None:
    folder = files.write_inputs(tmp_path, [Cluster("door")])
    files.write_bill(folder / "bill", [_storage("unknown-type", "7.25", line_type="FutureUsage")])
    with pytest.raises(ApportionError, match="FutureUsage"):
        bench.night(folder, "door", DAY, stages=(nightly.ingest, nightly.plan, nightly.check_door))


def test_negative_usage_credits_and_refunds_stay_negative_rows(night: Bench) -> None:
    assert ledger(night, "negative") == [("unattributed", "none", "untagged", Decimal("-4.5"))]
    assert ledger(night, "credit") == [("credit", "none", None, Decimal("-11.125"))]
    assert ledger(night, "refund") == [("credit", "none", None, Decimal("-2"))]


def test_a_tag_of_ten_megabytes_is_kept_whole(night: Bench) -> None:
    found = night.read("bad", "select team, sum(effective_cost) from published.fct_cost_allocation where resource_id = 'huge' group by all")
    assert found == [(HUGE, Decimal("1.5"))]


def test_tags_are_text_whatever_they_say(night: Bench) -> None:
    stored = night.read(
        "bad", "select tags from published.fct_charge_bucket where resource_id like 'nasty-%' order by cast(resource_id[7:] as int)"
    )
    assert [json.loads(tags) for (tags,) in stored] == [{"user_team": "t", "user_note": text, text: "key"} for text in NASTY]
    assert night.read("bad", "select team from published.dim_workload where workload_key = 'training_run/offset-r'") == [("'; drop --",)]
    models = {p.stem for p in (nightly.dbt.PROJECT / "models" / "marts").rglob("*.sql")}
    found = {name for (name,) in night.read("bad", "select table_name from information_schema.tables where table_schema = 'published'")}
    assert found == models


def test_spellings_of_a_team_are_one_team(night: Bench) -> None:
    found = night.read(
        "bad",
        "select team, sum(effective_cost) from published.fct_cost_allocation where resource_id like 'team-%' group by team order by team",
    )
    assert found == [("nlp", Decimal(3)), ("équipe", Decimal(3))]


def test_an_offset_in_a_timestamp_is_not_dropped(night: Bench) -> None:
    # 12:00+02:00 to 05:30-05:00 is 10:00 to 10:30 UTC
    assert attempt(night, "training_run/offset-r") == (1800, 450, 0, 0, Decimal("1.8"), "priced")


def test_overlaps_and_intervals_without_length_are_counted(night: Bench) -> None:
    measures = dict(night.read("bad", "select measure, sum(measured_value) from published.fct_data_quality group by 1"))
    assert measures["interval_without_length"] == 1
    assert measures["seconds_named_by_two_intervals"] == 600
    held = {w: attempt(night, f"training_run/{w}") for w in ("over-a", "over-b", "zero-r")}
    # the one that started later holds the overlap
    assert [held["over-a"][0], held["over-b"][0], held["zero-r"]] == [600, 1200, None]  # type: ignore[index]


def test_a_run_without_an_end_holds_to_the_end_of_the_day(night: Bench) -> None:
    # from 10:30; billed to 11:00, and the node leaves the inventory then: the rest is held, unbilled
    got = attempt(night, "training_run/open-r")
    assert got == (48600, 900, 46800, 0, Decimal("1.8"), "priced")
    assert night.read("bad", "select ended_at from published.fct_run_attempt_cost where workload_key = 'training_run/open-r'") == [(None,)]


def test_order_and_repeats_of_samples_change_nothing(night: Bench) -> None:
    ordered, shuffled = attempt(night, "training_run/ordered-r"), attempt(night, "training_run/shuffled-r")
    # 0.00, 0.01, ... 0.99, then 0.00 ... 0.19: mean 51.4 / 120 = 0.428333
    assert ordered == shuffled == (3600, Decimal("1541.9988"), 0, 0, Decimal("3.6"), "priced")


def test_a_uuid_on_two_machines_is_a_gpu_of_each(night: Bench) -> None:
    assert attempt(night, "training_run/twin1-r") == (3600, 1800, 0, 0, Decimal("3.6"), "priced")
    assert attempt(night, "training_run/twin2-r") == (3600, 3600, 0, 0, Decimal("3.6"), "priced")


def test_a_billed_machine_without_telemetry_is_unknown_never_idle(night: Bench) -> None:
    assert ledger(night, "i-silent") == [("unknown", "none", "node_without_telemetry", Decimal("3.6"))]


def test_telemetry_without_a_bill_has_seconds_and_no_dollars(night: Bench) -> None:
    # an hour of samples and 120 s of fill into the next hour, which has no sample that could measure them
    assert attempt(night, "unregistered/pod/ml/stray-p") == (3720, 1800, 0, 3720, None, "awaiting_bill")
    measures = night.read("bad", "select subject from published.fct_data_quality where measure = 'telemetry_host_not_in_inventory'")
    assert measures == [("stray-n",)]


def test_an_inventoried_machine_that_the_bill_skips_has_seconds_and_no_dollars(night: Bench) -> None:
    got = attempt(night, "training_run/unbilled-r")
    assert got is not None and got[:2] == (3600, 1800) and got[4] is None


def test_a_counter_that_restarts_loses_no_request(night: Bench) -> None:
    assert night.read("bad", "select requests_ok, unit_cost_reason from published.fct_inference_unit_cost") == [(55, "no_cost_found")]


@pytest.mark.slow
def test_an_empty_period_is_a_night_without_rows(bench: Bench, tmp_path: Path) -> None:
    folder = files.write_inputs(tmp_path, [Cluster("empty")])
    files.write_bill(folder / "bill", [])
    done = bench.night(folder, "empty", DAY, stages=RELEASE_STAGES)
    assert done.planned.dirty_days == {DAY}
    assert bench.read("empty", "select count(*) from published.fct_cost_allocation") == [(0,)]
    assert bench.read("empty", "select usage_date from published.dim_date") == [(DAY,)]
