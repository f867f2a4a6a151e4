"""The recorded teacher, but one prompt gets HTTP 400 however often it is sent, as from a content filter.

`python -m bench.peers.refusing_teacher SHA256 LATENCY`: the digest is of the prompt, the latency in seconds. The first line of output is
JSON with `base_url`, once clients may connect.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from hashlib import sha256
from typing import Any

import uvicorn

from core.settings import PROJECT_FOLDER
from core.shipped.records import Record, read_starter
from core.shipped.teacher.app import build_app
from core.shipped.teacher.protocol import ApiError
from core.shipped.teacher.recorded import Answer, RecordedTeacher, TeacherOptions
from core.shipped.teacher.server import listening_on


class RefusingTeacher(RecordedTeacher):
    """Refuses the prompt with the given digest."""

    def __init__(self, records: list[Record], options: TeacherOptions, refused: str) -> None:
        super().__init__(records, options)
        self._refused = refused

    def answer(self, body: Any, *, header: str = "", limited: bool = True) -> Answer:
        """What a decoded body gets."""
        answer = super().answer(body, header=header, limited=limited)
        if sha256(answer.call.prompt.encode()).hexdigest() != self._refused:
            return answer
        return replace(answer, outcome=ApiError(400, "The prompt was stopped by the content filter.", code="content_filter"))


def main() -> None:
    """Serve until a signal ends it."""
    refused, latency = sys.argv[1], float(sys.argv[2])
    records, _ = read_starter(PROJECT_FOLDER / "data" / "starter")
    teacher = RefusingTeacher(records, TeacherOptions(latency_seconds=latency, distinct=True), refused)
    with listening_on(0) as listening:
        listening.listen(2048)
        print(json.dumps({"base_url": f"http://127.0.0.1:{listening.getsockname()[1]}/v1"}), flush=True)
        config = uvicorn.Config(build_app(teacher), log_level="warning", access_log=False)
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
