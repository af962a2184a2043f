"""Test servers on 127.0.0.1: a real S3 interface (moto) and a small one that misbehaves as told.

Belongs here: starting and stopping servers that several test files use. Does not: assertions, data of any format.
"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}


def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for test servers only: nothing of the machine's own configuration is read."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@contextmanager
def s3_server() -> Iterator[str]:
    """A moto S3 server; yields its endpoint URL. All moto servers of a process share their buckets: use distinct names."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def s3_client(endpoint_url: str) -> Any:
    """A client to fill a test server with; ``aws_environment`` first."""
    import boto3

    return boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1")


@dataclass
class BrokenS3:
    """One bucket in memory with faults on order.

    ``faults[key]`` is a list: each GET of the key takes the next one. "truncate": the body stops half-way and the connection
    closes; "reset": the same with a TCP reset; "short": half the body with a matching Content-Length; "flip": one bit of the
    body is wrong; "bad_checksum": right body, wrong x-amz-checksum-sha256; "forbidden": 403; "slow_down": 503; a callable: is
    called with the server first (to overwrite an object under the reader), then the GET is answered normally.
    ``etags`` gives keys another ETag than their MD5 (as multipart uploads and KMS do).
    ``requests`` is the log: (method, key or "?list", If-Match).
    """

    bucket: str = "bills"
    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    faults: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    etags: dict[str, str] = field(default_factory=dict)
    endpoint_url: str = ""
    page_size: int = 1000
    clock: datetime = datetime(2026, 11, 4, 3, 0, 0, tzinfo=UTC)

    def put(self, key: str, body: bytes) -> None:
        """Write an object; every write is one second after the last."""
        self.clock += timedelta(seconds=1)
        self.objects[key] = (body, self.clock)

    def etag(self, key: str) -> str:
        """The object's ETag without quotes."""
        return self.etags.get(key) or hashlib.md5(self.objects[key][0], usedforsecurity=False).hexdigest()

    def gets(self, suffix: str = "") -> int:
        """How many GETs of objects whose key ends with ``suffix`` came in."""
        return sum(1 for method, key, _ in self.requests if method == "GET" and key != "?list" and key.endswith(suffix))


@contextmanager
def broken_s3(bucket: str = "bills") -> Iterator[BrokenS3]:
    """Start a ``BrokenS3``; it answers GET, HEAD and ListObjectsV2 and nothing else."""
    state = BrokenS3(bucket)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:  # noqa: N802
            self._object("HEAD")

        def do_GET(self) -> None:  # noqa: N802
            url = urlsplit(self.path)
            if unquote(url.path).strip("/") == state.bucket:
                self._list({k: v[0] for k, v in parse_qs(url.query).items()})
            else:
                self._object("GET")

        def _refuse(self) -> None:
            state.requests.append((self.command, self.path, None))
            self.send_error(405)

        do_PUT = do_POST = do_DELETE = _refuse  # noqa: N815

        def _list(self, query: dict[str, str]) -> None:
            state.requests.append(("GET", "?list", None))
            keys = sorted(k for k in state.objects if k.startswith(query.get("prefix", "")))
            start = int(query.get("continuation-token", "0"))
            page = keys[start : start + state.page_size]
            more = start + state.page_size < len(keys)
            items = "".join(
                f"<Contents><Key>{escape(quote(k) if query.get('encoding-type') == 'url' else k)}</Key>"
                f"<LastModified>{state.objects[k][1]:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
                f"<ETag>&quot;{state.etag(k)}&quot;</ETag><Size>{len(state.objects[k][0])}</Size></Contents>"
                for k in page
            )
            token = f"<NextContinuationToken>{start + state.page_size}</NextContinuationToken>" if more else ""
            encoding = "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else ""
            self._send(
                200,
                f"<ListBucketResult><Name>{state.bucket}</Name>{encoding}<IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}"
                "</ListBucketResult>",
            )

        def _object(self, method: str) -> None:
            key = unquote(urlsplit(self.path).path).removeprefix(f"/{state.bucket}/")
            pin = self.headers.get("If-Match")
            state.requests.append((method, key, pin))
            fault = state.faults[key].pop(0) if method == "GET" and state.faults.get(key) else None
            if callable(fault):
                fault(state)
            if fault == "forbidden":
                return self._error(403, "AccessDenied")
            if fault == "slow_down":
                return self._error(503, "SlowDown")
            if key not in state.objects:
                return self._error(404, "NoSuchKey", body=method == "GET")
            body, modified = state.objects[key]
            if pin and pin.strip('"') != state.etag(key):
                return self._error(412, "PreconditionFailed")
            headers = {"ETag": f'"{state.etag(key)}"', "Last-Modified": f"{modified:%a, %d %b %Y %H:%M:%S GMT}"}
            if fault == "bad_checksum":
                headers["x-amz-checksum-sha256"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
            sent = body
            if fault == "flip":
                sent = bytes([body[0] ^ 1]) + body[1:]
            if fault in ("truncate", "reset", "short"):
                sent = body[: len(body) // 2]
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent) if fault == "short" else len(body)))
            self.end_headers()
            if method == "GET":
                self.wfile.write(sent)
            if fault in ("truncate", "reset"):
                self.wfile.flush()
                if fault == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

        def _error(self, status: int, code: str, body: bool = True) -> None:
            self._send(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>" if body else "")

        def _send(self, status: int, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # connections that we break ourselves
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.endpoint_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
