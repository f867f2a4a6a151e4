from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.retrieval.recent import Recent

SECONDS = 10  # nothing here takes that long unless it hangs


def test_making_one_value_holds_nobody_back_who_asks_for_another():
    recent: Recent[str] = Recent(4)
    recent.put("here", "known")
    begun, go_on = threading.Event(), threading.Event()

    def make_slowly() -> str:
        begun.set()
        assert go_on.wait(SECONDS)
        return "large"

    with ThreadPoolExecutor(3) as threads:
        slow = threads.submit(recent.get, "slow", make_slowly)
        assert begun.wait(SECONDS)
        assert threads.submit(recent.get, "here", lambda: "made again").result(SECONDS) == "known"
        assert threads.submit(recent.get, "other", lambda: "small").result(SECONDS) == "small"
        assert not slow.done()
        go_on.set()
        assert slow.result(SECONDS) == "large"


def test_a_value_many_ask_for_at_once_is_made_once():
    recent: Recent[object] = Recent(4)
    together, made = threading.Barrier(8), []

    def ask() -> object:
        together.wait(SECONDS)
        return recent.get("one", lambda: made.append(object()) or made[-1])

    with ThreadPoolExecutor(8) as threads:
        found = [future.result(SECONDS) for future in [threads.submit(ask) for _ in range(8)]]
    assert [len(made), {id(value) for value in found}] == [1, {id(made[0])}]


def test_what_could_not_be_made_is_told_and_tried_again():
    recent: Recent[int] = Recent(4)

    def fail() -> int:
        raise OSError("not yet")

    with pytest.raises(OSError, match="not yet"):
        recent.get("one", fail)
    assert recent.get("one", lambda: 1) == 1


def test_the_least_recently_used_value_leaves():
    recent: Recent[int] = Recent(2)
    for key in ("a", "b", "a", "c"):
        recent.get(key, lambda: 1)
    assert [recent.peek(key) for key in ("a", "b", "c")] == [1, None, 1]
