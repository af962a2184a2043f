"""OpenAI's own account: pages, lines of pages and buckets, amounts as they are written, and what is refused."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from expectations.doors.bills import openai_usage__results
from expectations.doors.shared import Door
from pipelines.errors import DeliveryRefused
from tests.sources.fixtures import openai_usage as fixture
from tests.sources.fixtures.openai_usage import COSTS, DAY, bucket, cost, page, usage
from tests.sources.reading import DAY as OCTOBER_5
from tests.sources.reading import fetch, reasons, rows
from tests.test_business_facts import unexpected

HOUR = 3600


def save(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return {"location": str(folder)}


def landed(tmp_path, **files):
    return fetch("openai_usage", tmp_path, **save(tmp_path / "in", **files))


def refused(tmp_path, match, **files):
    with pytest.raises(DeliveryRefused, match=match) as caught:
        landed(tmp_path, **files)
    return caught.value


def test_pages_of_usage_and_costs(tmp_path):
    first, second, costs, embeddings = fetch("openai_usage", tmp_path, **fixture.write(tmp_path / "in"))
    counts = ("project_id", "model", "input_tokens", "input_cached_tokens", "output_tokens", "num_model_requests")
    assert rows(first, "result_object", "bucket_start", "bucket_end", *counts) == [
        (fixture.COMPLETIONS, dt.datetime(2026, 10, 5), dt.datetime(2026, 10, 6), "proj_a", "gpt-4o-2024-08-06", 1000, 400, 100, 10),
        (fixture.COMPLETIONS, dt.datetime(2026, 10, 5), dt.datetime(2026, 10, 6), "proj_b", "gpt-4o-2024-08-06", 50, 0, 5, 1),
    ]
    assert {g for (g,) in rows(first, "grouped_by")} == {"project_id,model"}
    # a day on which nothing was asked is told, and is no result; a query that is not grouped names no dimension
    assert rows(second, "result_object", "result_number", "grouped_by", *counts) == [
        (fixture.COMPLETIONS, None, None, None, None, None, None, None, None),
        (fixture.COMPLETIONS, 1, None, None, None, 9, 0, 9, 1),
    ]
    assert second.covers == (dt.date(2026, 10, 6), dt.date(2026, 10, 7))
    assert rows(embeddings, *counts) == [("proj_a", "text-embedding-3-small", 7000, None, None, 70)]
    assert rows(costs, "line_item", "amount", "currency", "grouped_by")[0] == (
        "gpt-4o-2024-08-06, input",
        "0.0021",
        "usd",
        "project_id,line_item",
    )
    assert costs.covers == (OCTOBER_5, OCTOBER_5)
    assert [d.rejected for d in (first, second, costs, embeddings)] == [(), (), (), ()]


def test_an_empty_bucket_belongs_to_its_query(tmp_path):
    """A night without requests is told as much as the hours with some: in the page, in another page of the file, or of nobody knows what."""
    hour = bucket(usage(1, 0, 1, 1, model="m"), start=DAY + HOUR, seconds=HOUR)
    pages = (page(bucket(seconds=HOUR), hour, next_page="x"), page(bucket(start=DAY + 2 * HOUR, seconds=HOUR)))
    alone, lines = landed(tmp_path, a=page(bucket(seconds=HOUR)), lines="\n".join(map(json.dumps, pages)))
    query = (fixture.COMPLETIONS, "model")
    assert rows(lines, "result_number", "result_object", "grouped_by") == [(None, *query), (1, *query), (None, *query)]
    assert rows(alone, "result_number", "result_object", "grouped_by") == [(None, None, None)]


def test_an_amount_is_never_a_float(tmp_path):
    """More digits than a double holds, a number or text, with or without an exponent, of any sign."""
    amounts = ["0.1234567890123456789012", "-2.5e-7", "3", '"0E-6176"', '"0.000004500000000000000000000000000000000"']
    results = ", ".join(
        f'{{"object": "{COSTS}", "amount": {{"value" : {a}, "currency": "usd"}}, "line_item": "\\"value\\": 1, input"}}' for a in amounts
    )
    text = f'{{"object": "page", "data": [{{"object": "bucket", "start_time": {DAY}, "end_time": {DAY + 86400}, "results": [{results}]}}], "has_more": false}}'
    (delivery,) = landed(tmp_path, costs=text)
    assert [a for (a,) in rows(delivery, "amount")] == [a.strip('"') for a in amounts]
    assert {line for (line,) in rows(delivery, "line_item")} == {'"value": 1, input'}


def test_lines_of_pages_and_lines_of_buckets(tmp_path):
    one, two = bucket(usage(1, 0, 1, 1, model="m")), bucket(usage(2, 0, 2, 2, model="m"), start=DAY + 86400)
    pages, buckets = landed(
        tmp_path,
        a_pages="\n".join(map(json.dumps, (page(one, next_page="x"), page(two)))),
        b_buckets="\n".join(map(json.dumps, (one, {**two, "results": None, "result": two["results"]}))),
    )
    told = [("a_pages.json", dt.datetime(2026, 10, 5), 1, "model"), ("a_pages.json", dt.datetime(2026, 10, 6), 2, "model")]
    assert rows(pages, "file_name", "bucket_start", "input_tokens", "grouped_by") == told
    assert rows(buckets, "file_name", "bucket_start", "input_tokens", "grouped_by") == [("b_buckets.json", *row[1:]) for row in told]


def test_what_is_not_read_or_contradicts_itself_is_counted(tmp_path):
    images = {"object": "organization.usage.images.result", "images": 3, "num_model_requests": 3}
    odd = {**usage(10, 11, 1, 1), "output_tokens": "many"}
    (delivery,) = landed(tmp_path, odd=page(bucket(images, odd)))
    assert rows(delivery, "input_tokens", "input_cached_tokens", "output_tokens") == [(10, 11, None)]
    assert reasons(delivery) == {
        "usage of another API than completions and embeddings: not read": (1, 1),
        "more cached tokens than input tokens: kept as told": (1, 2),
        "output_tokens is not a BIGINT: kept as NULL": (1, 2),
    }


def test_a_page_that_another_should_follow_names_its_file(tmp_path):
    first = page(bucket(usage(1, 0, 1, 1)), next_page="page_B")
    error = refused(tmp_path, "more follows after 2026-10-06 00:00 UTC", p1=first)
    assert error.where.endswith("/p1.json") and "has_more is false" in error.remedy
    # costs of that moment are no answer to a question about usage, a bucket that ended by then continues nothing
    refused(tmp_path, "more follows", costs=page(bucket(cost(1, "a, input"), start=DAY + 86400)), p0=page(bucket(usage(1, 0, 1, 1))))
    assert len(landed(tmp_path, p2=page(bucket(usage(1, 0, 1, 1), start=DAY + 86400)))) == 4
    # what was landed once keeps counting, so that files may be rotated away
    (tmp_path / "in/p2.json").unlink()
    assert len(landed(tmp_path)) == 3


@pytest.mark.parametrize(
    ("content", "match", "place"),
    [
        ("", "empty file", "x.json"),
        ('{"object": "page", "data": [', "not complete JSON", "x.json"),
        ({"error": {"message": "Incorrect API key"}}, "Incorrect API key", "object 1"),
        ({"object": "list", "data": []}, "neither a page nor a bucket", "object 1"),
        ({"object": "page", "data": None}, "neither a page nor a bucket", "object 1"),
        (page(next_page="x"), "a page without a bucket", "page 1"),
        (page({"object": "bucket", "start_time": DAY, "end_time": DAY + 1}), "without a list of results", "bucket 1"),
        (page(bucket(), {**bucket(), "end_time": "soon"}), "is no time", "object 1, bucket 2"),
        (page(bucket(seconds=0)), "not after start_time", "bucket 1"),
        (page(bucket(start=DAY + 5 * HOUR)), "over midnight UTC", "bucket 1"),
        (page(bucket({"input_tokens": 1})), "does not say what it is", "bucket 1"),
        (page(bucket(cost("about 5", "a, input"))), "no decimal number", "bucket 1"),
        (page(bucket(cost(None, "a, input"))), "no decimal number", "bucket 1"),
        (page(bucket(cost(1, "a, input", currency="eur"))), "not in US dollars", "bucket 1"),
    ],
)
def test_what_cannot_be_used_refuses_the_file(tmp_path, content, match, place):
    assert place in refused(tmp_path, match, x=content).where


def test_a_bucket_may_begin_within_its_day(tmp_path):
    """The first bucket of a query begins where the query does."""
    (delivery,) = landed(tmp_path, x=page(bucket(usage(1, 0, 1, 1), start=DAY + 5 * HOUR, seconds=19 * HOUR)))
    assert rows(delivery, "bucket_start", "bucket_end") == [(dt.datetime(2026, 10, 5, 5), dt.datetime(2026, 10, 6))]


def test_the_door():
    columns = (
        "grouped_by varchar, result_object varchar, result_number bigint, amount varchar, currency varchar, bucket_start timestamp, bucket_end timestamp,"
        " input_tokens bigint, input_cached_tokens bigint, output_tokens bigint, num_model_requests bigint"
    )
    grouped, amount, one_day, negative, cached = openai_usage__results(Door((), (), {}, expects_telemetry=False))
    start, noon, end = (dt.datetime(2026, 10, 5, 12) + dt.timedelta(hours=h) for h in (-12, 0, 12))
    good = [
        ("model", fixture.COMPLETIONS, 1, None, None, start, end, 10, 10, 1, 1),
        ("line_item", COSTS, 1, "-0.5", "usd", noon, end, None, None, None, None),
        (None, COSTS, None, None, None, start, end, None, None, None, None),
    ]
    assert [unexpected(e, columns, good) for e in (grouped, amount, one_day, negative, cached)] == [0, 0, 0, 0, 0]
    bad = [
        (None, COSTS, 1, "", "usd", start, end, None, None, None, None),
        ("model", COSTS, 1, "1", "eur", noon, end + dt.timedelta(hours=1), None, None, None, None),
        ("model", fixture.COMPLETIONS, 1, None, None, end, start, 1, 2, -1, 1),
    ]
    assert [unexpected(e, columns, bad) for e in (grouped, amount, one_day, negative, cached)] == [1, 2, 2, 1, 1]
