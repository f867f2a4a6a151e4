"""Checks in a process of their own: where hundreds of triples come a second, the one that sends and writes has no time for them."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait

from core.domain.checks import DEFAULT_THRESHOLDS, Thresholds
from core.domain.groups import TaskGroup
from core.domain.suspicion import fault_probability
from core.domain.triple import Flag, Texts, Triple
from core.generation.checks.triple_checks import check_triple

ANY_TRIPLE = Triple(TaskGroup.SHORT_LONG, "Find a text.", Texts("a short question", "The text that answers it.", "Another text."))


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks say of a triple; `fault_probability` follows from the flags and is None where whoever stores it computes it."""

    flags: Sequence[Flag]
    fault_probability: float | None = None


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

    def start(self, triples: Sequence[Triple]) -> Future[list[Checked]]:
        """What the checks say of each triple, in their order. Where the process has died, they are checked here."""
        thresholds, found = self._thresholds(), Future[list[Checked]]()

        def take_over(asked: Future[list[Checked]]) -> None:
            try:
                broken = isinstance(asked.exception(), BrokenProcessPool)
                found.set_result(check_triples(triples, thresholds) if broken else asked.result())
            except Exception as error:  # noqa: BLE001 - raised where the flags are asked for
                found.set_exception(error)

        try:
            self._pool.submit(check_triples, triples, thresholds).add_done_callback(take_over)
        except BrokenProcessPool:
            found.set_result(check_triples(triples, thresholds))
        return found


def check_triples(triples: Sequence[Triple], thresholds: Thresholds) -> list[Checked]:
    """What the checks say of each triple, in their order."""
    found = ((triple, check_triple(triple, thresholds)) for triple in triples)
    return [Checked(flags, fault_probability(triple, flags)) for triple, flags in found]


def _end_with_parent() -> None:
    """A killed parent closes nothing: without this, the process would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
