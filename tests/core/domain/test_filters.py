from __future__ import annotations

import pytest

from core.domain.filters import ReviewQueue, TripleFilter
from core.domain.groups import TaskGroup
from core.domain.triple import Verdict


def test_a_filter_survives_json():
    wanted = TripleFilter(text="leaf", groups=(TaskGroup.STS,), verdict=Verdict.ACCEPTED, languages=("English",), flagged=False)
    assert wanted.as_dict() == {
        "text": "leaf", "groups": (TaskGroup.STS,), "languages": ("English",), "verdict": Verdict.ACCEPTED, "flagged": False,
    }  # fmt: skip
    assert TripleFilter.from_dict({"not_among": ["a", "b"]}) == TripleFilter(not_among=("a", "b"))
    assert TripleFilter.from_dict(wanted.as_dict()) == wanted


def test_unknown_conditions_are_refused():
    with pytest.raises(TypeError):
        TripleFilter.from_dict({"colour": "red"})


def test_a_queue_holds_pending_triples_the_reviewer_did_not_skip():
    queue = ReviewQueue(TripleFilter(text="x", verdict=Verdict.ACCEPTED), reviewer="ann")
    assert queue.pending == TripleFilter(text="x", verdict=Verdict.PENDING, not_skipped_by="ann")
