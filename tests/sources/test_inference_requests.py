"""Request logs."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import DeliveryRefused, UsageError
from pipelines.settings import load_settings
from tests.sources.fixtures import inference_requests as fixture
from tests.sources.reading import DAY, fetch, real_data, reasons, rows

AZURE = {"request_at": "TIMESTAMP", "prompt_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"}


def at(second, microsecond=0):
    return dt.datetime(2026, 10, 5, 10, 0, second, microsecond)


def test_plain_log_and_litellm(tmp_path):
    plain, litellm = fetch("inference_requests", tmp_path, **fixture.write(tmp_path / "in"))
    columns = ("request_at", "endpoint", "request_id", "status", "prompt_tokens", "cached_tokens", "output_tokens", "latency_seconds")
    assert rows(plain, *columns) == [
        (at(0, 979960), "chat", "q1", "200", 4808, 0, 10, 0.25),
        (at(1), "fallback", "q2", "500", 3180, None, 8, None),
    ]
    assert reasons(plain) == {
        "no time, or it cannot be read": (1, 3),
        "cached_tokens is not a BIGINT: kept as NULL": (1, 2),
    }
    assert rows(litellm, *columns) == [
        (at(0), "chat-large", "c1", "success", 20, None, 10, 2.0),
        (at(5), "chat-large", "c2", "failure", 0, None, 0, None),
    ]
    assert rows(litellm, "ended_at", "model", "team_id", "spend", "labels")[0] == (
        at(2), "openai/gpt", "core", "0.00012345", '{"request_tags":["prod"],"call_type":"acompletion","cache_hit":"False"}',
    )  # fmt: skip
    assert plain.covers == litellm.covers == (DAY, DAY)


PROVIDERS = """request_id,call_type,spend,prompt_tokens,completion_tokens,startTime,endTime,model,model_group,cache_hit,custom_llm_provider,status
c1,acompletion,0.01,20,10,2026-10-05 10:00:00,2026-10-05 10:00:02,gpt-4o,chat,True,openai,success
"""


def test_who_answered_is_told_and_can_be_said_to_be_oneself(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/litellm.csv").write_text(PROVIDERS)
    (told,) = fetch("inference_requests", tmp_path, location=str(tmp_path / "in"))
    assert rows(told, "provider", "cache_hit", "model", "spend") == [("openai", "True", "gpt-4o", "0.01")]
    (own,) = fetch("inference_requests", tmp_path / "own", location=str(tmp_path / "in"), hosting="self_hosted")
    assert rows(own, "provider", "model") == [(None, "gpt-4o")]


def parquet(tmp_path, **columns):
    (tmp_path / "in").mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), tmp_path / "in/log.parquet")
    return tmp_path / "in/log.parquet"


def test_parquet_is_landed_byte_for_byte_with_a_map(tmp_path):
    zoned = pa.array([dt.datetime(2026, 10, 5, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-2)))], pa.timestamp("us", "America/Noronha"))
    path = parquet(tmp_path, when=zoned, service=["chat"], ContextTokens=[7], completion_tokens=[3])
    (delivery,) = fetch(
        "inference_requests", tmp_path, location=str(tmp_path / "in"), columns={"request_at": "when", "prompt_tokens": "ContextTokens"}
    )
    assert delivery.files[0].path.read_bytes() == path.read_bytes()
    assert delivery.files[0].columns == {
        "request_at": "when", "endpoint": "service", "prompt_tokens": "ContextTokens", "output_tokens": "completion_tokens"
    }  # fmt: skip
    assert delivery.covers == (dt.date(2026, 10, 6),) * 2  # 01:30 UTC the next day


def test_parquet_is_converted_where_a_map_cannot_say_it(tmp_path):
    parquet(tmp_path, timestamp=[at(0), None], prompt_tokens=[7, 8], spend=[0.1, 0.2])
    (delivery,) = fetch("inference_requests", tmp_path, location=str(tmp_path / "in"), endpoint="chat")
    assert rows(delivery, "request_at", "endpoint", "prompt_tokens", "spend") == [(at(0), "chat", 7, "0.1")]
    assert reasons(delivery) == {"no time, or it cannot be read": (1, 2)}
    parquet(tmp_path, startTime=[at(0)], endTime=[at(2)], completion_tokens=[5], request_duration_ms=[1500], model_group=["m"])
    (delivery,) = fetch("inference_requests", tmp_path, location=str(tmp_path / "in"))
    assert rows(delivery, "request_at", "ended_at", "endpoint", "output_tokens", "latency_seconds") == [(at(0), at(2), "m", 5, 1.5)]


def test_wrong_options_and_logs_are_refused(tmp_path):
    entry = fixture.write(tmp_path / "in")
    with pytest.raises(DeliveryRefused, match="prompt_tokens: Nowhere"):
        fetch("inference_requests", tmp_path, **{**entry, "columns": {"prompt_tokens": "Nowhere"}})
    with pytest.raises(DeliveryRefused, match="not a LiteLLM spend log"):
        fetch("inference_requests", tmp_path, **{**entry, "format": "litellm"})
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DeliveryRefused, match="column missing: request_at or timestamp"):
        fetch("inference_requests", tmp_path, location=str(tmp_path / "b"))
    config = tmp_path / "apportion.yml"
    config.write_text("sources: [{name: s, kind: inference_requests, location: in, columns: {tokens: x}}]")
    with pytest.raises(UsageError, match="not columns of a request log: tokens"):
        load_settings(config, tmp_path).sources  # noqa: B018


def test_real_request_log(tmp_path):
    (delivery,) = fetch("inference_requests", tmp_path, location=str(real_data() / "azure_llm_2023"), columns=AZURE, endpoint="code")
    assert delivery.rejected == ()
    found = rows(delivery, "request_at", "endpoint", "prompt_tokens", "output_tokens")
    assert len(found) == 8819
    assert sum(r[2] for r in found) == 18_059_974
    assert sum(r[3] for r in found) == 245_896
    assert found[0] == (dt.datetime(2023, 11, 16, 18, 17, 3, 979960), "code", 4808, 10)
    assert {r[1] for r in found} == {"code"}
    assert delivery.covers == (dt.date(2023, 11, 16),) * 2
