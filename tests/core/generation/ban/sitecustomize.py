"""Python runs this at the start of every interpreter that has this folder on PYTHONPATH: then it may reach one address, and no other.

An audit hook sees what Python's sockets do whoever asks for it, threads and event loops included, and cannot be taken off again; sockets
of compiled libraries it does not see. Attempts are written to TERCET_BAN_LOG before they are refused, so that one whose exception
somebody swallows is seen as well. Each process writes itself there once.
"""

from __future__ import annotations

import json
import os
import socket
import sys

LOG = os.environ["TERCET_BAN_LOG"]
HOST, PORT = os.environ["TERCET_BAN_EXCEPT"].rsplit(":", 1)
NAMES = frozenset(("socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"))


def write(kind: str, what: object) -> None:
    line = json.dumps({"kind": kind, "pid": os.getpid(), "program": sys.orig_argv, "what": repr(what)}) + "\n"
    with os.fdopen(os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a") as file:
        file.write(line)


def allowed(event: str, arguments: tuple) -> bool:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        connection, address = arguments[0], arguments[1]
        return connection.family == socket.AF_UNIX or address is None or tuple(address[:2]) == (HOST, int(PORT))
    if event == "socket.getaddrinfo":
        host, port = arguments[0], arguments[1]
        listens = host in (None, "127.0.0.1", "localhost") and bool(arguments[4] & socket.AI_PASSIVE)
        return listens or (host in (HOST, HOST.encode()) and str(port) in (PORT, "None"))
    return event not in NAMES


def forbid(event: str, arguments: tuple) -> None:
    if event.startswith("socket.") and not allowed(event, arguments):
        write("forbidden", (event, *(one for one in arguments if not isinstance(one, socket.socket))))
        raise PermissionError(f"The ban of this test forbids {event} {arguments[1:]}")


write("process", sys.orig_argv)
sys.addaudithook(forbid)
