"""Checks in a process of their own: where hundreds of triples come a second, the one that sends and writes has no time for them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from core.domain.checks import DEFAULT_THRESHOLDS, Thresholds
from core.domain.groups import TaskGroup
from core.domain.triple import Flag, Texts, Triple
from core.generation.checks.triple_checks import check_triple

Flags = list[list[Flag]]
ANY_TRIPLE = Triple(TaskGroup.SHORT_LONG, "Find a text.", Texts("a short question", "The text that answers it.", "Another text."))


class SideChecks:
    """Open it as a context manager: the process starts at once and ends with the block, or with this process."""

    def __init__(self, thresholds: Callable[[], Thresholds]) -> None:
        """`thresholds` is asked anew for every batch: a change takes effect while a job runs."""
        self._thresholds = thresholds
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_end_with_parent)

    def __enter__(self) -> SideChecks:
        self._pool.submit(check_triples, [ANY_TRIPLE], DEFAULT_THRESHOLDS)  # loads the language detectors
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def start(self, triples: Sequence[Triple]) -> Future[Flags]:
        """Flags of each triple, in their order. Where the process has died, they are checked here."""
        thresholds, found = self._thresholds(), Future[Flags]()

        def take_over(asked: Future[Flags]) -> None:
            try:
                found.set_result(asked.result())
            except BrokenProcessPool:
                found.set_result(check_triples(triples, thresholds))
            except Exception as error:  # noqa: BLE001 - raised where the flags are asked for
                found.set_exception(error)

        try:
            self._pool.submit(check_triples, triples, thresholds).add_done_callback(take_over)
        except BrokenProcessPool:
            found.set_result(check_triples(triples, thresholds))
        return found


def check_triples(triples: Sequence[Triple], thresholds: Thresholds) -> Flags:
    """Flags of each triple, in their order."""
    return [check_triple(triple, thresholds) for triple in triples]


def _end_with_parent() -> None:
    """A killed parent closes nothing: without this, the process would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
