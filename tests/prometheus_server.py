"""A small Prometheus: answers /api/v1/query_range from given series, as the real one would (for tests, over real HTTP).

Belongs here: selectors, last_over_time, the look-back of a plain selector, the limit of 11,000 points. Does not: PromQL.
"""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LOOKBACK_SECONDS = 300.0
MAX_POINTS = 11_000
_MATCHER = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')


class PrometheusServer:
    """Serves ``series``: [{"metric": {labels with __name__}, "values": [(epoch seconds, value), ...]}], times ascending.

    failures: HTTP statuses to answer first, one per request. token: the bearer token to insist on. extra: merged into answers.
    Use as a context manager; ``url`` is ``http://127.0.0.1:port``, ``location`` the same for a source, ``requests`` what was asked.
    """

    def __init__(
        self,
        series: list[dict[str, Any]],
        *,
        failures: tuple[int, ...] = (),
        token: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.series = series
        self.failures = list(failures)
        self.token = token
        self.extra = extra or {}
        self.requests: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = outer.answer(self.path, self.headers.get("Authorization"))
                payload = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.location = f"prometheus+{self.url}"

    def __enter__(self) -> PrometheusServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, authorization: str | None) -> tuple[int, dict[str, Any]]:
        """Status and body for one request."""
        parts = urlsplit(path)
        parameters = {k: v[0] for k, v in parse_qs(parts.query).items()}
        self.requests.append(parameters)
        if self.failures:
            return self.failures.pop(0), {"status": "error", "error": "planned failure"}
        if self.token is not None and authorization != f"Bearer {self.token}":
            return 401, {"status": "error", "error": "unauthorized"}
        if parts.path != "/api/v1/query_range":
            return 404, {"status": "error", "error": f"no such page: {parts.path}"}
        start, end, step = (float(parameters[k]) for k in ("start", "end", "step"))
        count = int((end - start) / step + 1e-9) + 1
        if count > MAX_POINTS:
            return 400, {"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution of 11,000 points per timeseries"}
        matches, window = _compile(parameters["query"])
        result = []
        for one in self.series:
            if not matches(one["metric"]):
                continue
            times = [t for t, _ in one["values"]]
            values = []
            for k in range(count):
                at = round(start + k * step, 3)
                i = bisect_right(times, at) - 1
                if i >= 0 and times[i] > at - window:
                    values.append([at, _text(one["values"][i][1])])
            if values:
                result.append({"metric": one["metric"], "values": values})
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": result}, **self.extra}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _compile(query: str) -> tuple[Any, float]:
    match = re.fullmatch(r"last_over_time\((.*)\[(\d+)s\]\)", query)
    selector, window = (match.group(1), float(match.group(2))) if match else (query, LOOKBACK_SECONDS)
    name, _, rest = selector.partition("{")
    matchers = [("__name__", "=", name)] if name else []
    matchers += _MATCHER.findall(rest)
    tests = {
        "=": lambda have, want: have == want,
        "!=": lambda have, want: have != want,
        "=~": lambda have, want: re.fullmatch(want, have) is not None,
        "!~": lambda have, want: re.fullmatch(want, have) is None,
    }
    return (lambda labels: all(tests[op](labels.get(label, ""), want) for label, op, want in matchers)), window
