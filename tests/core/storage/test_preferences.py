from __future__ import annotations

import pytest

from core.errors import BadInput
from core.storage.preferences import PreferenceStore
from core.workbench import Workbench


def test_values_are_kept_and_replaced(workbench: Workbench):
    store = PreferenceStore(workbench.database)
    assert store.get("colour", "none") == "none"
    store.set("colour", {"deep": ["blue", 1]})
    store.set("colour", ["red"])
    assert PreferenceStore(workbench.database).get("colour") == ["red"]


@pytest.mark.parametrize("key", ["sk-proj-abcdefghijklmnopqrst123", "hf_abcdefghijklmnopqrstuvwxyz"])
def test_what_looks_like_a_key_is_refused_however_deep_it_lies(workbench: Workbench, key: str):
    store = PreferenceStore(workbench.database)
    with pytest.raises(BadInput, match="never stored"):
        store.set("endpoints", [{"model": {"x": key}}])
    assert store.get("endpoints") is None
