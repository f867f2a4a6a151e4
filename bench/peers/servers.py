"""Loopback teachers in processes of their own, what they count, and how much they can serve at all."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.settings import PROJECT_FOLDER

POLL_SECONDS = 0.05
START_SECONDS = 60.0  # a teacher may take on a busy machine


@dataclass(frozen=True)
class Server:
    """A teacher that is up."""

    base_url: str

    def counts(self) -> dict[str, int]:
        """Calls, equal bodies sent again, and how many are in flight."""
        with urllib.request.urlopen(self.base_url.removesuffix("/v1") + "/counts", timeout=30) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def teacher(latency_seconds: float, *, refused: str = "") -> Iterator[Server]:
    """The recorded teacher until the block ends; `refused` is the SHA-256 of a prompt that gets HTTP 400."""
    recorded = ["core", "teacher", "--port", "0", "--latency", str(latency_seconds), "--distinct", "--json"]
    module = ["bench.peers.refusing_teacher", refused, str(latency_seconds)] if refused else recorded
    process = subprocess.Popen([sys.executable, "-m", *module], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=PROJECT_FOLDER)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # comes when clients may connect, and is empty when the process ended instead
        if not line:
            raise RuntimeError(f"The teacher did not start: python -m {' '.join(module)} ended with {process.wait(START_SECONDS)}.")
        yield Server(json.loads(line)["base_url"])
    finally:
        process.terminate()
        process.wait()


class Watch:
    """Looks at a teacher's counts while somebody works with it: from outside, in the same way for everybody."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = server.counts()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.began_at: float | None = None  # seconds since the epoch: two requests in flight for the first time

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def calls(self) -> int:
        """Calls since the watch began."""
        return self._since("calls")

    @property
    def repeated(self) -> int:
        """How many of these calls had a body that was sent before."""
        return self._since("repeated")

    def wait_for(self, calls: int, *, limit_seconds: float) -> None:
        """Block until so many calls came, or the time is up."""
        limit = time.monotonic() + limit_seconds
        while self.calls < calls and time.monotonic() < limit:
            time.sleep(POLL_SECONDS)

    def _since(self, name: str) -> int:
        return self._server.counts()[name] - self._before[name]

    def _look(self) -> None:
        """A single request is somebody's probe of the endpoint; work is where several are in flight."""
        while not self._over.wait(POLL_SECONDS) and self.began_at is None:
            if self._server.counts()["in_flight"] >= 2:
                self.began_at = time.time()


def ceiling(server: Server, bodies: Sequence[Mapping[str, Any]], in_flight: int) -> float:
    """Requests a second the server answers to a client that does nothing but send prepared bytes and read answers."""
    host, _, port = server.base_url.removeprefix("http://").removesuffix("/v1").partition(":")
    waiting = iter([_post(host, json.dumps(body).encode()) for body in bodies])

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for request in waiting:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").casefold()
            await reader.readexactly(int(head.partition("content-length:")[2].split("\r\n")[0]))
            if not head.startswith("http/1.1 200"):
                raise RuntimeError(f"The teacher answered {head.splitlines()[0]}.")
        writer.close()

    async def everything() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(connection() for _ in range(in_flight)))
        return time.perf_counter() - began

    return len(bodies) / asyncio.run(everything())


def _post(host: str, body: bytes) -> bytes:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
