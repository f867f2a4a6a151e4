"""A small server on 127.0.0.1 that speaks the OpenAI protocol, with a script of what it answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_UP = 0  # in place of a status: the connection is closed without an answer


@dataclass
class Answer:
    """One HTTP answer."""

    status: int = 200
    body: Any = None  # a dict is sent as JSON, a str as it is
    headers: dict[str, str] = field(default_factory=dict)


def completion(text: str, *, finish_reason: str = "stop", model: str = "loopback") -> Answer:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
    return Answer(body=body, headers={"x-request-id": "req-1"})


@dataclass
class Loopback:
    """What a test sees of the server."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[dict[str, Any], int], Answer]) -> Iterator[Loopback]:
    """Serve until the block ends. `answer(body, number)` is asked for each chat completion."""
    seen = Loopback()
    counting = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with counting:
                number = len(seen.bodies)
                seen.bodies.append(body)
                seen.keys.append(self.headers.get("authorization"))
            with suppress(BrokenPipeError):  # the asker was killed
                self._send(answer(body, number))

        def do_GET(self) -> None:
            self._send(Answer(body={"object": "list", "data": [{"id": "loopback"}, {"id": "another"}]}))

        def _send(self, reply: Answer) -> None:
            if reply.status == HANG_UP:
                self.close_connection = True
                return
            data = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
            self.send_response(reply.status)
            for name, value in {"content-type": "application/json", "content-length": str(len(data)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()


def closed_port_url() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
