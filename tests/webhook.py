"""A web server that takes messages as chats and webhooks do. Belongs here: receiving. Does not: what should have come."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Inbox:
    """``posts``: (path, JSON body) of every message, in order. ``answers``: statuses of the next requests, then 200. ``pause``: seconds before each."""

    port: int = 0
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    pause: float = 0
    on_post: Any = None

    def url(self, path: str = "", scheme: str = "json") -> str:
        """An Apprise URL of this server."""
        return f"{scheme}://localhost:{self.port}/{path}"


@contextmanager
def inbox() -> Iterator[Inbox]:
    """The server, while the block runs."""
    state = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if state.on_post:
                state.on_post()
            time.sleep(state.pause)
            status = state.answers.pop(0) if state.answers else 200
            if status == 200:
                state.posts.append((self.path, json.loads(body)))
            answer = b"ok"
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
