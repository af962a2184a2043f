"""Saved pages of OpenAI's organization Usage and Costs APIs as one row per result.

Belongs here: unwrapping pages and buckets, amounts as the text that stands in the file, what makes a file unusable as a whole. Does
not: the raw table (sources/openai_usage.py); which of two tellings counts, which costs belong to which usage (dbt).

Formats: https://platform.openai.com/docs/api-reference/usage
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import Incoming, plain_file
from pipelines.ingestion.records import Records, utc
from pipelines.ingestion.stated_tables import no_number
from pipelines.ingestion.tabular import connect, identifier, literal

_MAX_OBJECT_BYTES = 64 << 20
COSTS = "organization.costs.result"
USAGE = ("organization.usage.completions.result", "organization.usage.embeddings.result")
READ = (COSTS, *USAGE)
# What a query may group by. A dimension that it did not group by is NULL in every result of its pages.
DIMENSIONS = ("project_id", "model", "line_item", "user_id", "api_key_id", "batch", "service_tier", "api_source")
COUNTS = ("input_tokens", "input_cached_tokens", "output_tokens", "num_model_requests")
# "value": 0.1234 becomes "value": "0.1234": JSON functions would read the number as a double
_AMOUNT = (r'("value"[[:space:]]*:[[:space:]]*)(-?[0-9][0-9.eE+-]*)', r'\1"\2"')
_SAVE_AGAIN = "save the answer of the API as it came: one page a file, or one page (or bucket) a line"


@contextmanager
def open_results(incoming: Incoming) -> Iterator[Records]:
    """The file's results as the relation ``records``; a bucket in which nothing happened is one row without ``result_number``.

    Raises DeliveryRefused for what is no page, for a bucket that no UTC day holds, and for costs that are not readable US dollars.
    """
    with connect(incoming.work) as con:
        _read_objects(con, incoming)
        _read_buckets(con, incoming)
        _read_results(con, incoming)
        names = [name for name, *_ in con.execute("DESCRIBE records").fetchall() if name != "_row"]
        yield Records(con, {name: [f"CAST({identifier(name)} AS VARCHAR)"] for name in names}, names)


def spans_of_pages(con: duckdb.DuckDBPyConnection, where: str) -> list[list[Any]]:
    """[result object, first second, end second, whether more follows] of each page of ``records``, for the marker of the delivery."""
    empty = con.execute("SELECT page_number FROM objects WHERE has_more AND len(buckets) = 0 ORDER BY 1 LIMIT 1").fetchone()
    if empty:
        raise DeliveryRefused("a page without a bucket says that more follows", where=f"{where}: page {empty[0]}", remedy=_SAVE_AGAIN)
    first, end = (f"CAST(epoch({utc(name)}) AS BIGINT)" for name in ("bucket_start", "bucket_end"))
    found = con.execute(
        f"SELECT max(result_object), min({first}), max({end}), bool_or(has_more = 'true') FROM records GROUP BY page_number ORDER BY page_number"  # noqa: S608
    ).fetchall()
    return [[kind, first, end, bool(more)] for kind, first, end, more in found]


def _read_objects(con: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    path = plain_file(incoming)
    if path.stat().st_size == 0:
        raise DeliveryRefused("empty file where JSON is expected", where=incoming.where, remedy=_SAVE_AGAIN)
    reader = f"read_json_objects({literal(path)}, format='auto', maximum_object_size={_MAX_OBJECT_BYTES})"
    text = f"regexp_replace(CAST(json AS VARCHAR), {literal(_AMOUNT[0])}, {literal(_AMOUNT[1])}, 'g')"
    try:
        con.execute(f"CREATE TABLE texts AS SELECT row_number() OVER () AS page_number, CAST({text} AS JSON) AS page FROM {reader}")  # noqa: S608
    except duckdb.Error as error:
        raise DeliveryRefused(f"not complete JSON: {str(error).splitlines()[0][:200]}", where=incoming.where, remedy=_SAVE_AGAIN) from error
    con.execute(
        "CREATE TABLE objects AS SELECT page_number, page, json_extract_string(page, '$.object') AS object,"
        " json_extract_string(page, '$.has_more') = 'true' AS has_more,"
        " CASE json_extract_string(page, '$.object') WHEN 'page' THEN json_extract(page, '$.data[*]') ELSE [page] END AS buckets FROM texts"
    )
    odd = con.execute(
        "SELECT page_number, coalesce(json_extract_string(page, '$.error.message'), object, json_type(page)) FROM objects"
        " WHERE coalesce(object, '') NOT IN ('page', 'bucket') OR (object = 'page' AND coalesce(json_type(page, '$.data'), '') <> 'ARRAY')"
        " ORDER BY 1 LIMIT 1"
    ).fetchone()
    if odd:
        what = f"neither a page nor a bucket of the Usage or Costs API: {str(odd[1])[:120]}"
        raise DeliveryRefused(what, where=f"{incoming.where}: object {odd[0]}", remedy=_SAVE_AGAIN)


def _read_buckets(con: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """Table ``buckets``. Buckets that stand in the file without their page are taken as one page, of which nothing follows."""
    con.execute(
        "CREATE TABLE buckets AS SELECT CASE WHEN object = 'page' THEN page_number ELSE 0 END AS page_number, has_more, page_number AS object_number,"
        " unnest(buckets) AS bucket, unnest(range(len(buckets))) AS bucket_number FROM objects"
    )
    con.execute("ALTER TABLE buckets ADD COLUMN results JSON[]")
    con.execute(
        "UPDATE buckets SET results = CASE WHEN json_type(bucket, '$.results') = 'ARRAY' THEN json_extract(bucket, '$.results[*]')"
        " WHEN json_type(bucket, '$.result') = 'ARRAY' THEN json_extract(bucket, '$.result[*]') END"
    )
    start, end = (utc(f"json_extract_string(bucket, '$.{name}')") for name in ("start_time", "end_time"))
    problems = {
        "a bucket without a list of results": "results IS NULL",
        "start_time or end_time is no time": f"({start}) IS NULL OR ({end}) IS NULL",
        "end_time is not after start_time": f"({end}) <= ({start})",
        "a bucket that reaches over midnight UTC: no day is told what of it is its own": f"date_trunc('day', ({end}) - INTERVAL 1 MICROSECOND) <> date_trunc('day', ({start}))",
    }
    _refuse(
        con, "buckets", "object_number", problems, incoming.where, "ask with `bucket_width` 1d, 1h or 1m and save the answer as it came"
    )


def _read_results(con: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    fields = [f"json_extract_string(result, '$.{name}') AS {name}" for name in (*DIMENSIONS, *COUNTS)]
    con.execute(
        "CREATE TABLE results AS SELECT page_number, object_number, bucket_number, result_number, CAST(has_more AS VARCHAR) AS has_more,"  # noqa: S608
        " json_extract_string(bucket, '$.start_time') AS bucket_start, json_extract_string(bucket, '$.end_time') AS bucket_end,"
        " json_extract_string(result, '$.object') AS own_object, json_extract_string(result, '$.amount.value') AS amount,"
        f" lower(json_extract_string(result, '$.amount.currency')) AS currency, {', '.join(fields)}"
        " FROM (SELECT * EXCLUDE results, unnest(CASE WHEN len(results) = 0 THEN [NULL] ELSE results END) AS result,"
        " unnest(CASE WHEN len(results) = 0 THEN [NULL] ELSE range(1, len(results) + 1) END) AS result_number FROM buckets)"
    )
    is_cost = f"own_object = {literal(COSTS)}"
    problems = {
        "a result that does not say what it is": "result_number IS NOT NULL AND own_object IS NULL",
        "an amount that is no decimal number": f"{is_cost} AND {no_number('amount')}",
        "an amount that is not in US dollars": f"{is_cost} AND currency IS DISTINCT FROM 'usd'",
    }
    _refuse(con, "results", "object_number", problems, incoming.where, "a price is never guessed: have OpenAI's answer saved again")
    # what an empty bucket would have been about, its page says; what an empty page, the file, where that has one answer
    con.execute(
        "CREATE TABLE named AS SELECT *, count(own_object) OVER page > 0 AS page_speaks, coalesce(own_object, max(own_object) OVER page,"
        " CASE WHEN min(own_object) OVER () = max(own_object) OVER () THEN max(own_object) OVER () END) AS result_object"
        " FROM results WINDOW page AS (PARTITION BY page_number)"
    )
    of_page, of_file = (
        "concat_ws(',', " + ", ".join(f"CASE WHEN bool_or({d} IS NOT NULL) OVER {scope} THEN {literal(d)} END" for d in DIMENSIONS) + ")"
        for scope in ("page", "file")
    )
    con.execute(
        "CREATE TABLE records AS SELECT row_number() OVER (ORDER BY object_number, bucket_number, result_number) AS _row,"  # noqa: S608
        f" CASE WHEN page_speaks THEN {of_page} ELSE {of_file} END AS grouped_by, *"
        " FROM named WINDOW page AS (PARTITION BY page_number, result_object), file AS (PARTITION BY result_object) ORDER BY _row"
    )


def _refuse(con: duckdb.DuckDBPyConnection, table: str, place: str, problems: dict[str, str], where: str, remedy: str) -> None:
    """Refuse the file at the first row with a problem."""
    case = " ".join(f"WHEN {condition} THEN {literal(what)}" for what, condition in problems.items())
    found = con.execute(
        f"SELECT what, {place}, bucket_number + 1 FROM (SELECT *, CASE {case} END AS what FROM {table}) WHERE what IS NOT NULL ORDER BY 2, 3 LIMIT 1"  # noqa: S608
    ).fetchone()
    if found:
        raise DeliveryRefused(found[0], where=f"{where}: object {found[1]}, bucket {found[2]}", remedy=remedy)
