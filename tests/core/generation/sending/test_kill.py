"""The real thing: a generation process is killed without warning and resumed."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest

from core.domain.jobs import JobState
from core.storage.ledger import Ledger
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.core.generation.jobs import make_plan
from tests.core.llm.loopback import completion, serving
from tests.core.llm.scripted import example_text

IN_FLIGHT = 3


@pytest.mark.slow
def test_after_kill_9_nothing_received_is_lost_and_only_what_was_in_flight_is_sent_again(workbench: Workbench):
    def answer(body, n):
        time.sleep(0.05)
        return completion(example_text("sts", n))

    with serving(answer) as server:
        job = workbench.generation.start_generation(make_plan(40, base_url=server.url, model="loopback", in_flight=IN_FLIGHT))
        limit = time.monotonic() + 30
        while len(server.bodies) < 12 and time.monotonic() < limit:
            time.sleep(0.02)
        os.killpg(workbench.jobs.get(job.id).pid, signal.SIGKILL)
        assert workbench.jobs.wait(job.id, timeout_seconds=20).state is JobState.LOST
        received = Ledger(workbench.database).tally(job.id).received
        workbench.jobs.resume(job.id)
        ended = workbench.jobs.wait(job.id, timeout_seconds=60)

    assert ended.state is JobState.DONE, workbench.jobs.log_tail(job.id)
    assert 12 - IN_FLIGHT <= received < 40
    assert (ended.result["planned"], ended.result["parsed"], ended.result["failed"]) == (40, 40, 0)
    assert TripleStore(workbench.database).count() == 40
    sent = Counter((body["messages"][0]["content"], body["seed"]) for body in server.bodies)
    assert len(sent) == 40
    assert sum(sent.values()) - 40 <= IN_FLIGHT  # maybe paid twice: what was in flight, and no more
