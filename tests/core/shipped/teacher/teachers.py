"""A recorded teacher on a free port of this machine, in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from core.domain.groups import GROUPS, TaskGroup
from core.domain.prompt import PromptStep
from core.generation.prompts.builtin_templates import builtin_template
from core.generation.prompts.slots import values_of
from core.generation.prompts.templating import render
from core.settings import PROJECT_FOLDER
from core.shipped.records import Record, read_starter
from core.shipped.teacher.recorded import TeacherOptions
from core.shipped.teacher.server import listening_on, teacher_server

PLANT_TASK = (
    "Given a plant problem described by a gardener or houseplant owner, retrieve care advice that names the likely cause and the remedy."
)


@cache
def starter_records() -> tuple[Record, ...]:
    return tuple(read_starter(PROJECT_FOLDER / "data" / "starter")[0])


def example_prompt(group: TaskGroup = TaskGroup.SHORT_LONG, **slots: str) -> str:
    """The shipped prompt of a group, every slot filled with its first value unless given."""
    first = {name: values[0] for name, values in values_of(group, PromptStep.EXAMPLE).items()}
    known = {"language": "English", "src_lang": "English", "tgt_lang": "German", "task": PLANT_TASK}
    return render(builtin_template(group, PromptStep.EXAMPLE), first | known | slots)


def brainstorm_prompt(group: TaskGroup, count: int) -> str:
    return render(builtin_template(group, PromptStep.BRAINSTORM), {"count": count, "topics": "tea, chess, maps"})


def fields_of(group: TaskGroup) -> tuple[str, ...]:
    return GROUPS[group].fields


@contextmanager
def teaching(options: TeacherOptions | None = None) -> Iterator[str]:
    """Serve until the block ends; the address ends in /v1."""
    with listening_on(0) as listening:
        server = teacher_server(starter_records(), options or TeacherOptions())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        limit = time.monotonic() + 20
        while not server.started and time.monotonic() < limit:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
