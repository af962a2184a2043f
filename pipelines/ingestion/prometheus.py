"""Prometheus as a source: the HTTP API's ``query_range``, saved answers, and VictoriaMetrics' export lines.

Belongs here: the client and the JSON shapes, read into sample batches. Does not: the text exposition (exposition.py), what metrics
mean (sources/<kind>.py), landing (prometheus_source.py).

Thanos, Mimir, VictoriaMetrics, Amazon and Google managed Prometheus answer the same API.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from pipelines.errors import ApportionError, DeliveryRefused, UsageError
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.samples import NAME, Collector, SampleBatch, batches_of

MAX_POINTS = 11_000  # Prometheus refuses a range query above 11,000 steps
MAX_CHUNK_SECONDS = 6 * 3600  # keeps one answer small: 1,000 GPUs at 30 s are 720,000 points, some 20 MB
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\*?")


class _Passing(Exception):
    """A failure that may pass: no answer, 429, 5xx."""


def expression(metric: str, selector: str | None, step_seconds: int) -> str:
    """The query for one metric, or for all that begin with it (``kserve_*``).

    ``last_over_time`` over exactly one step: without it a range query repeats a value for up to five minutes after its series has
    ended (the look-back), and would keep a GPU with a workload that has left it.
    """
    if not _METRIC.fullmatch(metric):
        raise UsageError(f"not a metric name: {metric!r}", remedy="name metrics as in Prometheus; one trailing * is allowed")
    matchers = [f'__name__=~"{metric[:-1]}.*"'] if metric.endswith("*") else [f'__name__="{metric}"']
    if selector:
        matchers.append(selector.strip().removeprefix("{").removesuffix("}"))
    return f"last_over_time({{{','.join(matchers)}}}[{step_seconds}s])"


class PrometheusClient:
    """Reads ranges from one server.

    Args:
        url: ``http(s)://host:port[/path]``, the part before ``/api/v1``.
        token_env: the name of the environment variable that holds a bearer token.
    """

    attempts: ClassVar[int] = 5
    wait_seconds: ClassVar[float] = 0.5

    def __init__(self, url: str, token_env: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._token: str | None = None
        if token_env:
            self._token = os.environ.get(token_env)
            if not self._token:
                raise UsageError("no token for Prometheus", where=self.url, remedy=f"set the environment variable {token_env}")

    def day(self, query: str, day: dt.date, step_seconds: int, until: dt.datetime | None = None) -> Iterator[dict[str, Any]]:
        """The series of one UTC day, chunk by chunk, each ``{"metric": {...}, "values": [[seconds, text], ...]}``.

        One evaluation per slot, a millisecond before the slot ends: the answer stands in its slot and sees only what was scraped
        in it. ``until`` (UTC) cuts an unfinished day. No answer exceeds ``MAX_POINTS`` points per series.
        """
        begin = dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()
        end = begin + 86_400
        if until is not None:
            end = min(end, begin + math.floor((until.timestamp() - begin) / step_seconds) * step_seconds)
        steps = min(MAX_POINTS, max(1, MAX_CHUNK_SECONDS // step_seconds))
        while begin < end:
            stop = min(end, begin + steps * step_seconds)
            # sorted: a server promises no order of series
            yield from sorted(self._range(query, begin + step_seconds, stop, step_seconds), key=lambda s: sorted(s["metric"].items()))
            begin = stop

    def _range(self, query: str, first: float, last: float, step_seconds: int) -> list[dict[str, Any]]:
        parameters = {
            "query": query,
            "start": f"{first - 0.001:.3f}",
            "end": f"{last - 0.001:.3f}",
            "step": str(step_seconds),
            "partial_response": "false",  # Thanos: rather an error than a part
            "deny_partial_response": "1",  # VictoriaMetrics, the same
            "nocache": "1",  # VictoriaMetrics would move start and end to multiples of the step
        }
        retrying = Retrying(
            retry=retry_if_exception_type(_Passing),
            stop=stop_after_attempt(self.attempts),
            wait=wait_exponential(self.wait_seconds, max=30),
            reraise=True,
        )
        try:
            answer = retrying(self._get, parameters)
        except _Passing as error:
            raise ApportionError(
                f"Prometheus did not answer after {self.attempts} attempts: {error}",
                where=self.url,
                remedy="check that the server is up and the address in `location` is right, then run again; what was landed stays",
            ) from error
        return matrix(answer, self.url)

    def _get(self, parameters: dict[str, str]) -> Any:
        import requests

        def authorise(request: Any) -> Any:  # a callable, so that a netrc file cannot replace the header
            if self._token:
                request.headers["Authorization"] = f"Bearer {self._token}"
            return request

        try:
            response = requests.get(f"{self.url}/api/v1/query_range", params=parameters, auth=authorise, timeout=(10, 300))
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _Passing(type(error).__name__) from error
        if response.status_code == 429 or response.status_code >= 500:
            raise _Passing(f"HTTP {response.status_code}: {_message(response.content)}")
        if response.status_code >= 400:
            remedy = (
                "check `token_env` and its permissions"
                if response.status_code in (401, 403)
                else "check `selector`, `metrics` and `location`"
            )
            raise DeliveryRefused(f"Prometheus refused the query: HTTP {response.status_code}: {_message(response.content)}",
                                  where=self.url, remedy=remedy)  # fmt: skip
        return _loads(response.content, self.url)


def _message(content: bytes) -> str:
    try:
        return str(orjson.loads(content).get("error"))[:300]
    except (orjson.JSONDecodeError, AttributeError):
        return content[:200].decode("utf-8", "replace")


def _loads(content: bytes, where: str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise DeliveryRefused(
            f"not complete JSON: {error}", where=where, remedy="the answer was cut off or is no Prometheus answer; save or fetch it again"
        ) from error


def matrix(answer: Any, where: str) -> list[dict[str, Any]]:
    """The series of an API answer; a vector becomes series of one point. Refused: errors and partial answers."""
    if not isinstance(answer, dict) or answer.get("status") != "success" or not isinstance(answer.get("data"), dict):
        problem = answer.get("error") if isinstance(answer, dict) else None
        raise DeliveryRefused(f"not a successful Prometheus answer: {problem or 'no status'}", where=where, remedy="repeat the query")
    if answer.get("warnings") or answer.get("isPartial"):
        raise DeliveryRefused(
            f"Prometheus gave a partial answer: {str(answer.get('warnings'))[:300]}",
            where=where,
            remedy="repeat the query when all its stores answer; a part must not pass for the whole",
        )
    kind, result = answer["data"].get("resultType"), answer["data"].get("result")
    if kind not in ("matrix", "vector") or not isinstance(result, list):
        raise DeliveryRefused(
            f"result type {kind!r} holds no series", where=where, remedy="save a matrix (query_range) or a vector (query)"
        )
    if any("metric" not in s or ("values" not in s and "value" not in s) for s in result):
        raise DeliveryRefused("a series without values", where=where, remedy="query gauges and counters; native histograms are not read")
    return [s if "values" in s else {"metric": s["metric"], "values": [s["value"]]} for s in result]


def add_series(collector: Collector, series: Iterable[dict[str, Any]], name: str | None = None) -> Iterator[None]:
    """Gather ``{"metric": ..., "values": [[seconds, text], ...]}``; one step per series. ``name`` fills a dropped ``__name__``."""
    for number, one in enumerate(series):
        labels = one["metric"] if name is None or NAME in one["metric"] else {NAME: name, **one["metric"]}
        points = one["values"]
        at = np.fromiter((p[0] for p in points), np.float64, len(points)) * 1_000_000
        collector.add(labels, np.rint(at), [p[1] for p in points], f"series {number}")
        yield


def _add_export(collector: Collector, one: dict[str, Any], row: int) -> None:
    at = np.array(one["timestamps"], np.float64) * 1_000
    if len(at) != len(one["values"]):
        raise ValueError("timestamps and values differ in number")
    collector.add(one["metric"], at, one["values"], row)


def saved_samples(open_lines: Callable[[], Iterable[bytes]], rejects: Rejects) -> Iterator[SampleBatch]:
    """Samples of a saved file: one API answer, several (one a line), or VictoriaMetrics export lines.

    ``open_lines`` opens the file afresh, as lines. Raises DeliveryRefused for anything else, with what was found.
    """
    collector = Collector(rejects)
    yield from batches_of(collector, _saved(open_lines, collector, rejects.file))


def _saved(open_lines: Callable[[], Iterable[bytes]], collector: Collector, where: str) -> Iterator[None]:
    first = next((line for line in open_lines() if line.strip()), b"")
    if not first:
        raise DeliveryRefused("empty file where a saved Prometheus answer is expected", where=where, remedy="save or export it again")
    try:
        orjson.loads(first)
        by_line = True
    except orjson.JSONDecodeError:
        by_line = False  # one document over several lines, or broken: the parse below tells
    documents = enumerate(open_lines(), start=1) if by_line else [(1, b"".join(open_lines()))]
    for number, text in documents:
        if not text.strip():
            continue
        place = f"{where}: line {number}"
        document = _loads(text, place)
        try:
            for one in document if isinstance(document, list) else [document]:
                if isinstance(one, dict) and {"metric", "values", "timestamps"} <= one.keys():
                    _add_export(collector, one, number)
                    yield
                elif isinstance(one, dict) and "metric" in one and ("values" in one or "value" in one):
                    yield from add_series(collector, [one if "values" in one else {"metric": one["metric"], "values": [one["value"]]}])
                else:
                    yield from add_series(collector, matrix(one, place))
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise DeliveryRefused(
                f"not the shape of a Prometheus answer: {error!r}; it begins {json.dumps(text[:80].decode('utf-8', 'replace'))}",
                where=place,
                remedy="save the body of /api/v1/query_range or /api/v1/query, or VictoriaMetrics /api/v1/export lines",
            ) from error
