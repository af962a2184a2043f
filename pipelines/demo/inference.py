"""Writes inference counts: vLLM counters as saved Prometheus answers, and a LiteLLM spend log, one file a day each.

Belongs here: metric and column names, how an hour's requests fall on samples. Does not: how many there were (traffic.py).

Counters are scraped every five minutes and rise only between two samples of the same hour, so an hour's count never depends on
which side of a boundary a reader puts an increase.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as pacsv

from pipelines.demo.model import DAY, HOUR, Company, ManagedUse, Traffic, epoch, hex_id
from pipelines.demo.traffic import output_tokens, prompt_tokens, token_base

STEP_SECONDS = 300
STEPS = HOUR // STEP_SECONDS
RESTART_STEP = 6  # of an hour with a reset: the first sample after the restart
SERIES = (
    ("vllm:request_success_total", "stop"),
    ("vllm:request_success_total", "length"),
    ("vllm:request_success_total", "abort"),
    ("vllm:request_success_total", "error"),
    ("vllm:prompt_tokens_total", None),
    ("vllm:generation_tokens_total", None),
)


def write_vllm(company: Company, folder: Path, days: list[dt.date]) -> list[Path]:
    """One query_range answer per day with every replica's counters."""
    folder.mkdir(parents=True, exist_ok=True)
    replicas: dict[str, list[Traffic]] = defaultdict(list)
    for row in company.traffic:
        if company.gateways[row.endpoint] == "vllm":
            replicas[row.replica].append(row)
    counters = {replica: (rows[0].endpoint, rows[0].hour, _counters(rows)) for replica, rows in replicas.items()}
    written = []
    for day in days:
        result = []
        for replica, (endpoint, first, values) in counters.items():
            begin, end = max(first, epoch(day)), min(first + values.shape[1] * STEP_SECONDS, epoch(day) + DAY)
            if begin < end:
                span = slice((begin - first) // STEP_SECONDS, (end - first) // STEP_SECONDS)
                at = range(begin, end, STEP_SECONDS)
                result += [_series(endpoint, replica, number, at, values[number, span].tolist()) for number in range(len(SERIES))]
        path = folder / f"vllm-{day}.json"
        path.write_bytes(orjson.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))
        written.append(path)
    return written


def _counters(rows: list[Traffic]) -> np.ndarray:
    """int64 [series, sample]: the counters of one replica from its first hour on, 0 at the first sample of its life."""
    counts = np.array([_split(row) for row in rows], dtype=np.int64).T  # [series, hour]
    rising = counts[:, :, None] * np.arange(STEPS) // (STEPS - 1)  # within an hour
    before = np.cumsum(counts, axis=1) - counts
    values = (rising + before[:, :, None]).reshape(len(SERIES), -1)
    for number, row in enumerate(rows):
        if row.reset:
            restart = number * STEPS + RESTART_STEP
            values[:, restart:] -= values[:, restart - 1, None]  # what was counted before the restart is gone
    return values


def _split(row: Traffic) -> list[int]:
    return [row.ok - row.ok // 10, row.ok // 10, row.failed - row.failed // 2, row.failed // 2, row.prompt_tokens, row.output_tokens]


def _series(endpoint: str, replica: str, number: int, at: range, values: list[int]) -> dict[str, Any]:
    metric, reason = SERIES[number]
    labels = {"__name__": metric, "engine": "0", "instance": f"{replica}:8000", "job": "vllm", "model_name": endpoint}
    labels |= {"namespace": "serving", "pod": replica} | ({"finished_reason": reason} if reason else {})
    return {"metric": labels, "values": [[second, str(value)] for second, value in zip(at, values, strict=True)]}


def write_litellm(company: Company, folder: Path, days: list[dt.date]) -> list[Path]:
    """One spend log per day: a row per request, successes before failures within the hour."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for day in days:
        begin = epoch(day)
        hours = [t for t in company.traffic if company.gateways[t.endpoint] == "litellm" and begin <= t.hour < begin + DAY]
        managed = [m for m in company.managed if begin <= m.hour < begin + DAY]
        path = folder / f"spend-{day}.csv"
        pacsv.write_csv(pa.concat_tables([*map(_requests, hours), *map(_managed, managed)]), path)
        written.append(path)
    return written


def _requests(row: Traffic) -> pa.Table:
    total = row.ok + row.failed
    number = np.arange(total)
    good = number < row.ok
    prompt_base, output_base = token_base(row.endpoint)
    prompt, output = np.where(good, prompt_tokens(prompt_base, number), 0), np.where(good, output_tokens(output_base, number), 0)
    start_ms = (row.hour + 60) * 1_000 + number * 3_400_000 // max(total, 1)
    duration_ms = 40 + prompt // 2
    ids = [f"chatcmpl-{hex_id(24, row.replica, row.hour, i)}" for i in range(total)]
    return _spend_log(
        row.endpoint, ids, start_ms, duration_ms, prompt, output, good, call_type="aembedding",
        spend=prompt * 2 / 1e8, model="hosted_vllm/embed", provider="hosted_vllm", team="recsys",
    )  # fmt: skip


def _managed(use: ManagedUse) -> pa.Table:
    """Requests that a provider's API answered; the gateway prices them by its own list."""
    number = np.arange(use.requests)
    prompt, output = np.full(use.requests, use.prompt_tokens), np.full(use.requests, use.output_tokens)
    spend = (use.prompt_tokens * use.prompt_price + use.output_tokens * use.output_price) / 1e9
    start_ms = (use.hour + 90) * 1_000 + number * 3_400_000 // max(use.requests, 1)
    ids = [f"chatcmpl-{hex_id(24, use.endpoint, use.provider, use.hour, i)}" for i in range(use.requests)]
    return _spend_log(
        use.endpoint, ids, start_ms, 600 + prompt // 4, prompt, output, number >= 0, call_type="acompletion",
        spend=np.full(use.requests, spend), model=f"{use.provider}/{use.model}", provider=use.provider, team="nlp",
    )  # fmt: skip


def _spend_log(
    endpoint: str,
    ids: list[str],
    start_ms: np.ndarray,
    duration_ms: np.ndarray,
    prompt: np.ndarray,
    output: np.ndarray,
    good: np.ndarray,
    *,
    call_type: str,
    spend: np.ndarray,
    model: str,
    provider: str,
    team: str,
) -> pa.Table:
    total = len(ids)
    return pa.table(
        {
            "request_id": ids,
            "call_type": pa.repeat(call_type, total),
            "spend": spend,
            "total_tokens": prompt + output,
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "startTime": pa.array(start_ms).cast(pa.timestamp("ms")),
            "endTime": pa.array(start_ms + duration_ms).cast(pa.timestamp("ms")),
            "request_duration_ms": duration_ms,
            "model": pa.repeat(model, total),
            "model_group": pa.repeat(endpoint, total),
            "custom_llm_provider": pa.repeat(provider, total),
            "team_id": pa.repeat(team, total),
            "cache_hit": pa.repeat("False", total),
            "request_tags": pa.repeat('["production"]', total),
            "status": np.where(good, "success", "failure").tolist(),
        }
    )
