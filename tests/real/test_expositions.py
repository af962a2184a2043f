"""Real pages of dcgm-exporter and vLLM, all in one folder: every line is counted, and without a bill nothing has dollars.

The pages of six clusters and one page of lines quoted from public issues; the file name carries the instant that a page lacks.
"""

from __future__ import annotations

import datetime as dt
import re

import pytest

pytestmark = pytest.mark.real
DAY = dt.date(2026, 3, 20)  # the day of the saved vLLM answer
STAMP = "20260320T130000Z"
DCGM_PAGES, VLLM_PAGE = 7, "cncf_kops_vllm_metrics"
MIG_GPUS = ("gpu-603a8873", "gpu-265c9814")  # A30: one 2g.12gb instance; two 1g.6gb instances


def sample_lines(text):
    """The lines of a page that hold a sample."""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def uuid_of(line):
    """The GPU of a line, as keys spell it."""
    return re.search(r'UUID="([^"]+)"', line)[1].lower()


def host_of(line):
    """The host of a line; the oldest exporters name none."""
    found = re.search(r'Hostname="([^"]+)"', line)
    return found and found[1]


@pytest.fixture(scope="module")
def pages(real_data):
    """Name -> content of every page."""
    return {page.stem: page.read_text() for page in sorted(real_data.glob("*_exposition/*.prom"))}


@pytest.fixture(scope="module")
def published(pages, real_data, run_night, tmp_path_factory):
    """One night over the day of the pages, with no bill, no inventory and no intervals."""
    folder = tmp_path_factory.mktemp("expositions")
    (folder / "pages").mkdir()
    for name, content in pages.items():
        (folder / "pages" / f"{name}-{STAMP}.prom").write_text(content)
    answer = real_data / "vllm_exposition" / "prometheus_instant_query_vllm_num_requests_waiting.json"
    (folder / "pages" / answer.name).write_bytes(answer.read_bytes())
    sources = [
        {"name": "gpus", "kind": "dcgm", "location": "pages", "include": [f"*{STAMP}.prom"]},
        {"name": "servers", "kind": "inference_metrics", "location": "pages", "include": [f"{VLLM_PAGE}*", "*.json"]},
    ]
    return run_night(folder, sources, DAY, DAY)


def test_every_line_is_counted(pages, published):
    """A line of a DCGM page is a sample; the vLLM page is no GPU telemetry, which is said line by line; the counters' source keeps all."""
    lines = {name: len(sample_lines(content)) for name, content in pages.items()}
    of_vllm = lines.pop(VLLM_PAGE)
    assert (len(lines), sum(lines.values()), of_vllm) == (DCGM_PAGES, 134, 354)
    landed = {(d.source, d.period.removesuffix(f"-{STAMP}.prom")): sum(f.rows for f in d.files) for d in published.night.deliveries}
    assert landed == {
        **{("gpus", name): count for name, count in lines.items()},
        ("gpus", VLLM_PAGE): 0,
        ("servers", VLLM_PAGE): of_vllm,
        ("servers", "prometheus_instant_query_vllm_num_requests_waiting.json"): 1,
    }
    rejected = {(d.source, r["reason"]): r["rows"] for d in published.night.deliveries for r in d.rejected}
    assert rejected == {("gpus", "not a DCGM metric"): of_vllm}
    quality = {(r["measure"], r["subject"]): r["measured_value"] for r in published.rows("select * from fct_data_quality")}
    assert quality.pop(("telemetry_samples", "gpus")) == sum(lines.values())
    assert {measure for measure, _ in quality} == {"telemetry_host_not_in_inventory"}  # no value was discarded
    assert sum(quality.values()) == len({host_of(line) for page in lines for line in sample_lines(pages[page])})


def test_every_gpu_awaits_its_bill(pages, published):
    """Each GPU was seen in one slot of 30 s, filled by 120 s; of the two A30 in MIG mode only 2 of 4 slices were. None has a dollar."""
    rows = published.rows("select * from fct_gpu_utilization")
    dollars = [name for name in rows[0] if name.endswith("_usd")]
    assert len(dollars) == 7
    assert all(row[name] is None for row in rows for name in dollars)
    assert {row["pricing_status"] for row in rows} == {"awaiting_bill"}
    assert {row["billed_seconds"] for row in rows} == {0}
    gpus = {uuid_of(line) for page in pages for line in sample_lines(pages[page]) if page != VLLM_PAGE}
    seen = {row["gpu_key"].rpartition("|")[2]: row["covered_seconds"] for row in rows if row["usage_hour"] == dt.datetime(2026, 3, 20, 13)}
    assert seen == {uuid: 75 if uuid.startswith(MIG_GPUS) else 150 for uuid in gpus}
    assert len(rows) == len(gpus) * 24
    assert sum(row["covered_seconds"] for row in rows) == sum(seen.values())
    assert published.rows("select * from fct_cost_allocation") == published.rows("select * from fct_reconciliation") == []


def test_activity_is_the_highest_rung_of_the_page(pages, published):
    """Graphics engine activity where a page has it, else GPU utilization; SM activity is on none of them; a page without either is NULL."""
    expected = {uuid_of(line): (None, None) for page in pages for line in sample_lines(pages[page]) if page != VLLM_PAGE}
    for metric, rung, scale in (("DCGM_FI_DEV_GPU_UTIL", "gpu_util", 100), ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "gr_engine_active", 1)):
        for page in pages.values():
            for line in sample_lines(page):
                if line.startswith(metric + "{"):
                    expected[uuid_of(line)] = (rung, float(line.rpartition(" ")[2]) / scale)
    rows = published.rows("select * from fct_gpu_utilization where usage_hour = ?", dt.datetime(2026, 3, 20, 13))
    found = {row["gpu_key"].rpartition("|")[2]: (row["activity_rung"], row["activity_ratio"]) for row in rows}
    assert found == expected
    assert sorted({ratio for _, ratio in expected.values() if ratio}) == [0.156205, 0.959228]


def test_pods_hold_what_they_are_labelled_with(published):
    """Three pods, none registered anywhere; the exporter's own pod (label `pod` beside `exported_pod`) holds nothing."""
    runs = published.rows("select workload_key, held_gpu_seconds, run_cost_usd, pricing_status from fct_run_cost order by all")
    assert [tuple(run.values()) for run in runs] == [
        ("unregistered/pod/default/dcgmproftester", 150, None, "awaiting_bill"),
        ("unregistered/pod/default/pod1", 150, None, "awaiting_bill"),
        ("unregistered/pod/gi-user1-giops-ai/testest-9sxmd", 75, None, "awaiting_bill"),
    ]


def test_one_look_at_counters_invents_no_request(published):
    """What the server had counted before anybody looked is not known: 0 requests seen, no unit cost, and a reason."""
    (endpoint,) = published.rows("select * from fct_inference_unit_cost")
    assert endpoint["endpoint"] == "Qwen/Qwen2.5-0.5B-Instruct"
    assert (endpoint["requests_ok"], endpoint["prompt_tokens"], endpoint["output_tokens"]) == (0, 0, 0)
    assert (endpoint["allocated_cost_usd"], endpoint["cost_per_1k_requests_usd"]) == (None, None)
    assert endpoint["unit_cost_reason"] == "no_cost_found"
