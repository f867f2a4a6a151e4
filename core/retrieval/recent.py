"""What was used last, in memory: several may be made at the same time, and none of them holds back who asks for another."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The values used last, each made once even when many ask at the same time."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._values: OrderedDict[str, T] = OrderedDict()
        self._making: dict[str, Future[T]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value. Who asks first makes it, others who ask for the same wait; values that are here are given meanwhile."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            if (under_way := self._making.get(key)) is None:
                mine = self._making[key] = Future()
        if under_way is not None:
            return under_way.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._keep_one(key, value)
        mine.set_result(value)
        return value

    def peek(self, key: str) -> T | None:
        """The value if it is here."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: str, value: T) -> None:
        """Keep a value."""
        with self._lock:
            self._keep_one(key, value)

    def _keep_one(self, key: str, value: T) -> None:
        self._values[key] = value
        while len(self._values) > self._keep:
            self._values.popitem(last=False)
