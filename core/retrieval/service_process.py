"""The service as a process: one a workspace, loopback only, its address in service.json."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable

import uvicorn
from filelock import FileLock, Timeout

from core.domain.chat import ChatModel
from core.jobs.processes import mark_of
from core.retrieval.engine import SearchEngine
from core.retrieval.service import build_service
from core.retrieval.service_file import LOCK, ServiceAddress, remove_address, settings_mark, write_address
from core.retrieval.systems import SystemCatalogue
from core.settings import Settings
from core.storage.database import translated_errors


def run_service(
    engine: SearchEngine,
    catalogue: SystemCatalogue,
    settings: Settings,
    *,
    port: int = 0,
    idle_minutes: float | None = None,
    on_start: Callable[[ServiceAddress], None] = lambda _: None,
) -> bool:
    """Serve until told to stop or idle for too long. False where another service holds the workspace already.

    Raises:
        StorageError: the port is taken, or the workspace cannot be written.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    lock = FileLock(settings.workspace / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    with lock, translated_errors(), _listen(port) as listening:
        token = secrets.token_urlsafe(32)
        mark = mark_of(os.getpid())
        address = ServiceAddress(listening.getsockname()[1], token, mark.pid, mark.started, mark.boot_id, settings_mark(settings))
        server: uvicorn.Server | None = None

        def end() -> None:
            if server is not None:
                server.should_exit = True

        app = build_service(
            engine,
            catalogue,
            token=token,
            make_teacher=lambda: _teacher(settings),
            end=end,
            idle_seconds=idle_minutes * 60 if idle_minutes else None,
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=10))
        listening.listen(128)  # a client that reads the address at once waits in this queue until the server takes it
        write_address(settings.workspace, address)
        on_start(address)
        try:
            asyncio.run(server.serve(sockets=[listening]))
        finally:
            remove_address(settings.workspace, pid=mark.pid)
            engine.pool.clear()
    return True


def _listen(port: int) -> socket.socket:
    # IPPROTO_TCP by name: asyncio turns Nagle's algorithm off only for sockets that carry it, and with Nagle every answer waits 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
    except OSError:
        listening.close()
        raise
    return listening


def _teacher(settings: Settings) -> ChatModel:
    from core.encoder.teacher import EmbeddedTeacher

    teacher: ChatModel = EmbeddedTeacher(settings)
    return teacher
