"""Keys live in memory or the environment, and in no message."""

from __future__ import annotations

import pytest

from core.errors import BadInput
from core.llm.keys import KeyRing


def test_a_key_is_taken_without_the_space_around_it_and_never_shown_when_it_cannot_be_one(monkeypatch):
    monkeypatch.setenv("SOME_KEY", " sk-abc\r\n")
    found = KeyRing().get("SOME_KEY")
    assert found is not None
    assert found.get_secret_value() == "sk-abc"
    monkeypatch.setenv("SOME_KEY", "sk-ab…")
    with pytest.raises(BadInput) as caught:
        KeyRing().get("SOME_KEY")
    assert "sk-ab" not in str(caught.value)


def test_a_given_key_wins_and_an_empty_one_forgets_it(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "from-environment")
    ring = KeyRing()
    ring.give("SOME_KEY", "given")
    assert ring.environment()["SOME_KEY"] == "given"
    ring.give("SOME_KEY", "")
    found = ring.get("SOME_KEY")
    assert found is not None
    assert found.get_secret_value() == "from-environment"
