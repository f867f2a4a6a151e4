"""The recorded teacher as a process on 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn

from core.errors import BadInput
from core.shipped.records import Record
from core.shipped.teacher.app import build_app
from core.shipped.teacher.recorded import RecordedTeacher, TeacherOptions

KEEP_ALIVE_SECONDS = 75  # longer than the pauses of a client: a connection closed under its hands would look like a fault
GRACE_SECONDS = 2


def serve_teacher(records: Sequence[Record], options: TeacherOptions, *, port: int, on_start: Callable[[int], None]) -> None:
    """Serve until a signal ends it.

    Args:
        records: The starter set.
        options: How it behaves.
        port: 0 takes a free one.
        on_start: Told the port once clients may connect.

    Raises:
        BadInput: the port is taken.
    """
    with listening_on(port) as listening:
        server = teacher_server(records, options)
        listening.listen(server.config.backlog)  # a client that comes at once waits in this queue until the server takes it
        on_start(listening.getsockname()[1])
        with suppress(KeyboardInterrupt):  # uvicorn ends in order, then passes the signal on
            asyncio.run(server.serve(sockets=[listening]))


def teacher_server(records: Sequence[Record], options: TeacherOptions) -> uvicorn.Server:
    """The server, not yet running; nothing it logs holds a request's headers."""
    config = uvicorn.Config(
        build_app(RecordedTeacher(list(records), options)),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return uvicorn.Server(config)


def listening_on(port: int) -> socket.socket:
    """A socket bound to a port of this machine only.

    Raises:
        BadInput: the port is taken or may not be used.
    """
    # IPPROTO_TCP by name: asyncio turns Nagle's algorithm off only for sockets that carry it, and with Nagle every answer waits 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise BadInput(f"Port {port} cannot be used: {error.strerror}.", hint="Choose another one, or --port 0 for a free one.") from error
    return listening
