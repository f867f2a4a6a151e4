from __future__ import annotations

import pytest

from core.domain.batch import BatchState
from core.domain.request import RequestState
from core.storage.batches import BatchStore
from core.storage.ledger import Leaving, Ledger
from core.workbench import Workbench
from tests.core.llm.scripted import make_reply
from tests.core.storage.test_ledger import request


@pytest.fixture
def ledger(workbench: Workbench) -> Ledger:
    return Ledger(workbench.database)


@pytest.fixture
def store(workbench: Workbench) -> BatchStore:
    return BatchStore(workbench.database)


def sent_in_a_batch(ledger: Ledger, store: BatchStore, count: int = 3) -> list[str]:
    planned = [request(n) for n in range(count)]
    ledger.plan(planned, "one")
    keys = [p.key for p in planned]
    with ledger.together():
        ledger.mark_all_sent([Leaving(key) for key in keys], "one")
        store.add("b", "one", "http://a/v1", keys)
    return keys


def test_a_request_in_a_batch_is_nobody_elses_to_send(ledger: Ledger, store: BatchStore):
    keys = sent_in_a_batch(ledger, store)
    assert ledger.to_send("one") == []
    assert ledger.plan([request(0), request(7)], "two") == 1
    assert not ledger.mark_sent(keys[0], "one")
    assert {r.key for r in ledger.in_batch("b")} == set(keys)
    assert store.away([*keys, request(7).key]) == {"one": 3}


def test_what_comes_back_is_to_be_sent_again_and_what_was_answered_is_not(ledger: Ledger, store: BatchStore):
    keys = sent_in_a_batch(ledger, store)
    ledger.mark_received(keys[0], make_reply("text"), 0.5)
    store.send_back([keys[1]])
    store.send_back([keys[2]], as_if_never_sent=True)
    store.end("b", BatchState.COLLECTED, note="expired")
    assert {r.key: r.attempts for r in ledger.to_send("one")} == {keys[1]: 1, keys[2]: 0}
    assert ledger.get(keys[0]).state is RequestState.RECEIVED
    assert (ledger.in_batch("b"), store.away(keys)) == ([], {})


def test_a_request_that_leaves_alone_after_a_batch_is_in_none(ledger: Ledger, store: BatchStore):
    [key] = sent_in_a_batch(ledger, store, 1)
    ledger.mark_failed(key, "endpoint_unreachable")
    assert ledger.mark_sent(key, "one")
    assert ledger.in_batch("b") == []
    assert [r.key for r in ledger.to_send("one")] == [key]  # lost if we are killed now


def test_every_step_of_a_batch_is_kept(ledger: Ledger, store: BatchStore):
    sent_in_a_batch(ledger, store, 700)
    [batch] = store.of_job("one")
    assert (batch.state, batch.requests, batch.file_id, batch.provider_id) == (BatchState.PREPARED, 700, None, None)
    store.mark_uploaded("b", "file-1")
    assert (store.find()[0].state, store.find()[0].file_id) == (BatchState.UPLOADED, "file-1")
    store.mark_uploaded("b", None)
    assert (store.find()[0].state, store.find()[0].file_id) == (BatchState.PREPARED, None)
    store.mark_submitted("b", "batch-1")
    store.mark_seen("b", "in_progress", completed=5, failed=1)
    [batch] = store.of_job("one")
    assert (batch.state, batch.provider_id, batch.status, batch.completed, batch.failed) == (
        BatchState.SUBMITTED, "batch-1", "in_progress", 5, 1,
    )  # fmt: skip
    assert batch.submitted_at
    store.end("b", BatchState.GIVEN_UP, note="gone")
    [batch] = store.of_job("one")
    assert (batch.state.open, batch.note, bool(batch.ended_at)) == (False, "gone", True)
    assert store.of_job("two") == []


def test_replies_of_batches_do_not_count_as_fast_ones(ledger: Ledger, store: BatchStore):
    keys = sent_in_a_batch(ledger, store, 1)
    ledger.mark_received(keys[0], make_reply("text", seconds=0.0), 0.5)
    alone = request(9)
    ledger.plan([alone], "one")
    ledger.mark_sent(alone.key, "one")
    ledger.mark_received(alone.key, make_reply("text", seconds=4.0), 0.5)
    assert ledger.typical("http://a/v1", "m", alone.group, alone.step) == (2, 50.0, 4.0)
