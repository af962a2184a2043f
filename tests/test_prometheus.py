"""The Prometheus shapes: the HTTP client, saved answers, export lines, the page parser."""

from __future__ import annotations

import datetime as dt
import json
import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pipelines.errors import ApportionError, DeliveryRefused, UsageError
from pipelines.ingestion.exposition import page_instant_us, parse_page
from pipelines.ingestion.prometheus import PrometheusClient, expression, saved_samples
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.samples import NAME
from tests.prometheus_server import PrometheusServer

DAY = dt.date(2026, 10, 5)
T0 = 1791158400  # 2026-10-05T00:00:00Z
UTIL = "DCGM_FI_DEV_GPU_UTIL"


def series(values, **labels):
    return {"metric": {"__name__": UTIL, "UUID": "GPU-a", **labels}, "values": values}


def points(answer):
    return [(s["metric"].get("pod"), p[0], p[1]) for s in answer for p in s["values"]]


def test_day_reads_each_slot_once_and_repeats_nothing_after_a_series_ends():
    # samples at 00:00:05 and 00:00:35, then the pod is gone: a plain range query would repeat 7 until 00:05:35
    with PrometheusServer([series([(T0 - 1, 99), (T0 + 5, 3), (T0 + 35, 7)], pod="p")]) as server:
        found = points(PrometheusClient(server.url).day(expression(UTIL, None, 30), DAY, 30))
    assert found == [("p", T0 + 29.999, "3"), ("p", T0 + 59.999, "7")]


def test_last_instant_of_a_day_belongs_to_it_and_midnight_to_the_next():
    with PrometheusServer([series([(T0 + 86399.999, 1), (T0 + 86400, 2)])]) as server:
        client = PrometheusClient(server.url)
        first = points(client.day(expression(UTIL, None, 30), DAY, 30))
        second = points(client.day(expression(UTIL, None, 30), DAY + dt.timedelta(days=1), 30))
    assert [p[2] for p in first] == ["1"]
    assert [p[2] for p in second] == ["2"]


def test_no_query_exceeds_the_points_a_server_answers():
    with PrometheusServer([series([(T0 + s, s) for s in range(0, 86400, 3600)])]) as server:
        found = points(PrometheusClient(server.url).day(expression(UTIL, None, 1), DAY, 1))
        asked = [(float(r["start"]), float(r["end"])) for r in server.requests]
    assert len(found) == 24  # nothing lost or doubled at the seams
    counts = [round(end - start) + 1 for start, end in asked]
    assert sum(counts) == 86400
    assert max(counts) <= 11_000


def test_unfinished_day_stops_at_the_last_whole_slot():
    with PrometheusServer([series([(T0 + 10, 1), (T0 + 40, 2), (T0 + 70, 3)])]) as server:
        until = dt.datetime(2026, 10, 5, 0, 1, 15, tzinfo=dt.UTC)
        found = points(PrometheusClient(server.url).day(expression(UTIL, None, 30), DAY, 30, until))
    assert [p[2] for p in found] == ["1", "2"]


def test_selector_is_sent():
    both = [series([(T0 + 5, 1)], cluster="a"), series([(T0 + 5, 2)], cluster="b")]
    with PrometheusServer(both) as server:
        found = points(PrometheusClient(server.url).day(expression(UTIL, 'cluster="b"', 30), DAY, 30))
    assert [p[2] for p in found] == ["2"]


def test_retries_what_passes_and_names_the_remedy_when_it_does_not(monkeypatch):
    monkeypatch.setattr(PrometheusClient, "wait_seconds", 0.01)
    with PrometheusServer([series([(T0 + 5, 1)])], failures=(503, 429)) as server:
        assert len(points(PrometheusClient(server.url).day(expression(UTIL, None, 30), DAY, 30))) == 1
    with PrometheusServer([], failures=(500,) * 9) as server, pytest.raises(ApportionError, match="after 5 attempts.*HTTP 500") as caught:
        list(PrometheusClient(server.url).day(expression(UTIL, None, 30), DAY, 30))
    assert caught.value.remedy
    with PrometheusServer([], failures=(400,)) as server, pytest.raises(DeliveryRefused, match="HTTP 400: planned failure"):
        list(PrometheusClient(server.url).day(expression(UTIL, None, 30), DAY, 30))
        assert len(server.requests) == 1


def test_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr(PrometheusClient, "wait_seconds", 0.01)
    with PrometheusServer([]) as server:
        url = server.url
    with pytest.raises(ApportionError, match="did not answer after 5 attempts"):
        list(PrometheusClient(url).day(expression(UTIL, None, 30), DAY, 30))


def test_token_comes_from_the_environment_and_stands_in_no_message(monkeypatch):
    monkeypatch.setenv("PROM_TOKEN", "s3cret-canary")
    with PrometheusServer([series([(T0 + 5, 1)])], token="s3cret-canary") as server:  # noqa: S106
        assert len(points(PrometheusClient(server.url, "PROM_TOKEN").day(expression(UTIL, None, 30), DAY, 30))) == 1
    with PrometheusServer([], token="another") as server, pytest.raises(DeliveryRefused, match="401") as caught:  # noqa: S106
        list(PrometheusClient(server.url, "PROM_TOKEN").day(expression(UTIL, None, 30), DAY, 30))
    assert "canary" not in str(caught.value)
    with pytest.raises(UsageError, match="PROM_ABSENT"):
        PrometheusClient("http://127.0.0.1:1", "PROM_ABSENT")


@pytest.mark.parametrize("extra", [{"warnings": ["store 2 unreachable"]}, {"isPartial": True}])
def test_partial_answers_are_refused(extra):
    with PrometheusServer([series([(T0 + 5, 1)])], extra=extra) as server, pytest.raises(DeliveryRefused, match="partial"):
        list(PrometheusClient(server.url).day(expression(UTIL, None, 30), DAY, 30))


def test_metric_names_are_checked():
    assert expression("kserve_*", None, 60) == 'last_over_time({__name__=~"kserve_.*"}[60s])'
    with pytest.raises(UsageError):
        expression('x"} or up{', None, 30)


# --- saved files


def read_saved(text: str):
    rejects = Rejects("saved")
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    found = []
    for batch in saved_samples(lambda: iter(lines), rejects):
        found += [(batch.series[i].get(NAME), int(t), v) for i, t, v in zip(batch.index, batch.at_us, batch.value, strict=True)]
    return found, rejects.entries()


def answer(kind, result):
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def test_matrix_vector_and_export_lines_say_the_same():
    metric = {"__name__": "up"}
    matrix = json.dumps(answer("matrix", [{"metric": metric, "values": [[1791158400.784, "1"], [1791158430, "2.5"]]}]), indent=1)
    vectors = "\n".join(
        json.dumps(answer("vector", [{"metric": metric, "value": [t, v]}])) for t, v in ((1791158400.784, "1"), (1791158430, "2.5"))
    )
    export = json.dumps({"metric": metric, "values": [1, 2.5], "timestamps": [1791158400784, 1791158430000]})
    expected = [("up", 1791158400784000, 1.0), ("up", 1791158430000000, 2.5)]
    for text in (matrix, vectors, export):
        assert read_saved(text) == (expected, [])


def test_special_values_are_kept_and_missing_ones_counted():
    text = json.dumps({"metric": {"__name__": "up"}, "values": [1, None, "Infinity", "x"], "timestamps": [1791158400000] * 4})
    found, rejected = read_saved(text)
    assert [v for *_, v in found] == [1.0, math.inf]
    assert rejected == [{"reason": "no readable value", "rows": 2, "example": {"file": "saved", "row": 1}}]
    found, rejected = read_saved(
        json.dumps(answer("matrix", [{"metric": {}, "values": [[1791158400, "NaN"], [1791158400, "+Inf"], [17, "1"]]}]))
    )
    assert math.isnan(found[0][2]) and found[1][2] == math.inf and len(found) == 2
    assert rejected[0]["reason"] == "timestamp missing or outside 2000-2099"


@pytest.mark.parametrize(
    "text",
    [
        '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]',  # truncated
        '{"status":"error","error":"timeout"}',
        '{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}',
        '{"hello": 1}',
        '{"metric":{},"values":[1,2],"timestamps":[1]}',
        '{"metric":{"a":"b"},"values":[1],"timestamps":[1791158400000]}\n{"metric":{"a":"b"},"val',  # cut in its second line
        "",
    ],
)
def test_what_is_no_whole_answer_is_refused(text):
    with pytest.raises(DeliveryRefused) as caught:
        read_saved(text)
    assert caught.value.remedy


# --- pages


def read_page(text: str, page_us: int | None = 1791158400_000000):
    rejects = Rejects("page")
    found = []
    for batch in parse_page(text.split("\n"), page_us, rejects):
        found += [(batch.series[i], int(t), float(v)) for i, t, v in zip(batch.index, batch.at_us, batch.value, strict=True)]
    return found, rejects.entries()


def test_every_line_is_a_sample_a_comment_or_counted():
    text = "\n".join(
        [
            "# HELP a text",
            "",
            "a 1",
            'b{x="1",} 2 1791158401500',
            'c{x="}, {y=\\"z\\""} +Inf',
            'd_bucket{le="1"} 3 # {trace_id="t"} 0.5 1791158400',
            'e{x="1",x="2"} 1',
            "f",
            "g one",
            'h{x="1" 1',
            "i 1 2 3",
            "j 1_000",
            '{"k.total",x="ü\\n"} 4',
            "l 5 17",
        ]
    )
    found, rejected = read_page(text)
    assert [(s[NAME], v) for s, _, v in found] == [("a", 1.0), ("b", 2.0), ("c", math.inf), ("d_bucket", 3.0), ("k.total", 4.0)]
    assert found[1][1] == 1791158401_500000
    assert found[2][0]["x"] == '}, {y="z"'
    assert found[4][0]["x"] == "ü\n"
    assert {r["reason"]: (r["rows"], r["example"]["row"]) for r in rejected} == {
        "the same label twice": (1, 7),
        "no value": (1, 8),
        "unreadable value or timestamp": (2, 9),
        "malformed metric name": (1, 10),
        "more than a value and a timestamp": (1, 11),
        "timestamp missing or outside 2000-2099": (1, 14),
    }
    assert len(found) + sum(r["rows"] for r in rejected) == 12


def test_openmetrics_timestamps_are_seconds():
    found, _ = read_page("a_total 1 1791158401.5\n# EOF\n")
    assert found[0][1] == 1791158401_500000


def test_page_without_any_instant_is_refused():
    assert read_page("a 1 1791158400000", None)[0]
    with pytest.raises(DeliveryRefused, match="line 2") as caught:
        read_page("# c\na 1", None)
    assert "20261005T101500Z" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("node1-20261005T101500Z.prom", 1791195300_000000),
        ("a/2026-10-05T10:15:00.25Z.prom", 1791195300_250000),
        ("20261004T000000Z/node1-2026-10-05T10-15-00Z.prom.gz", 1791195300_000000),
        ("node1-1791195300.prom", 1791195300_000000),
        ("1791195300123.prom", 1791195300_123000),
        ("i-0301791195300ab.prom", None),
        ("20261340T101500Z.prom", None),
        ("metrics.prom", None),
    ],
)
def test_instant_in_a_file_name(key, expected):
    assert page_instant_us(key) == expected


NAMES = st.from_regex(r"\A[a-zA-Z][a-zA-Z0-9_]{0,8}\Z")
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\x85"), max_size=12)
VALUES = st.one_of(st.floats(), st.integers(-10, 10**19))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NAMES, st.dictionaries(NAMES, TEXT, max_size=4), VALUES, st.booleans()), max_size=6))
def test_page_parser_agrees_with_prometheus_client(rows):
    lines = []
    for name, labels, value, stamped in rows:
        escaped = ",".join('{}="{}"'.format(k, v.replace("\\", "\\\\").replace('"', '\\"')) for k, v in labels.items())
        lines.append(f"m_{name}{{{escaped}}} {value!r}{' 1791158400123' if stamped else ''}")
    text = "\n".join(lines) + "\n"
    expected = [
        (sample.name, sample.labels, sample.value, sample.timestamp)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    found, rejected = read_page(text, 1791158400_000000)
    assert rejected == []
    ours = [({k: v for k, v in s.items() if k != NAME}, s[NAME], t, v) for s, t, v in found]
    assert len(ours) == len(rows)

    def canonical(name, labels, value, at_us):
        return (name, sorted(labels.items()), "nan" if math.isnan(value) else float(value), at_us)

    theirs = [canonical(n, ls, v, round(t * 1e6) if t is not None else 1791158400_000000) for n, ls, v, t in expected]
    assert sorted(map(repr, (canonical(n, ls, v, t) for ls, n, t, v in ours))) == sorted(map(repr, theirs))


def test_broken_lines_never_raise():
    @settings(max_examples=300, deadline=None)
    @given(st.text(alphabet=string.ascii_letters[:4] + '{}",=\\ #1.\t', max_size=30))
    def check(line):
        found, rejected = read_page(line)
        is_blank = not line.strip() or line.strip().startswith("#")
        assert len(found) + sum(r["rows"] for r in rejected) == (0 if is_blank else 1)

    check()
