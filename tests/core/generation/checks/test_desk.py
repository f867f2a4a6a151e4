from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.domain.checks import CheckPlan, Nearness, Thresholds, beyond
from core.domain.encoder import EncoderSpec
from core.domain.groups import TaskGroup
from core.domain.jobs import Job, JobKind, JobState
from core.domain.review import Action
from core.generation.checks.by_encoder import check_nearness
from core.generation.checks.desk import TRIPLES_A_STEP, CheckDesk
from core.jobs.context import STOP_FILE, JobContext
from core.storage.jobs import JobStore
from core.storage.preferences import PreferenceStore
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.factories import make_triple


class LetterEncoder:
    """Unit vectors of letter counts: texts with the same letters are near."""

    spec = EncoderSpec.baseline()
    dimensions = 26

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], **_: object) -> np.ndarray:
        self.encoded += texts
        counts = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture
def encoder() -> LetterEncoder:
    return LetterEncoder()


@pytest.fixture
def desk(workbench: Workbench, encoder: LetterEncoder) -> CheckDesk:
    stores = TripleStore(workbench.database), PreferenceStore(workbench.database)
    return CheckDesk(workbench.jobs, *stores, workbench.settings.workspace / "checks", lambda spec: encoder)


def context(workbench: Workbench, plan: CheckPlan, *, stop: bool = False) -> JobContext:
    folder = workbench.settings.jobs_folder / uuid.uuid4().hex
    folder.mkdir(parents=True)
    if stop:
        (folder / STOP_FILE).touch()
    job = Job(folder.name, JobKind.CHECK, "check", JobState.RUNNING, plan.model_dump(mode="json"), "hash", Path(folder))
    return JobContext(job, JobStore(workbench.database, workbench.settings.jobs_folder))


def codes(workbench: Workbench, triple_id: str) -> set[str]:
    return {flag.code for flag in TripleStore(workbench.database).get(triple_id).flags}


def test_pairs_that_are_settled_are_named_last(workbench: Workbench, desk: CheckDesk):
    text = "Too much water takes the air from the roots of the plant, and the foliage slowly loses its green colour in a week"
    triples = [make_triple("why yellow", f"{text}{end}") for end in ("", "!", " now", " or two days")]  # ever less like the first
    ids = TripleStore(workbench.database).add(triples).added
    desk.run(context(workbench, CheckPlan(encoder=False)))
    closest = desk.near_duplicates()[0]
    workbench.review.decide(ids[1], Action.REJECT, "ann", reason="duplicate")
    desk.run(context(workbench, CheckPlan(encoder=False)))
    pairs = desk.near_duplicates()
    assert ids[1] in closest[:2]
    with_rejected = [ids[1] in pair[:2] for pair in pairs]
    assert with_rejected == sorted(with_rejected)
    assert 0 < sum(with_rejected) < len(pairs)


def test_a_check_flags_near_duplicates_and_what_the_encoder_sees(workbench: Workbench, desk: CheckDesk):
    text = "Too much water takes the air from the roots of the plant, and the foliage slowly loses its green colour in a week."
    first = make_triple("why do leaves turn yellow", text, "zzz kkk xxx qqq")
    double = make_triple("why do leaves turn yellow now", text, "Yellow leaves of the ginkgo are prized in gardens.")
    TripleStore(workbench.database).add([first, double])
    result = desk.run(context(workbench, CheckPlan()))
    assert (result["checked"], result["near_duplicates"]) == (2, 1)
    assert "near_duplicate" in codes(workbench, double.id) - codes(workbench, first.id)  # the first of its kind is nobody's double
    assert "easy_negative" in codes(workbench, first.id)  # no letter in common
    assert [pair[:2] for pair in desk.near_duplicates()] == [(first.id, double.id)]
    scores = desk.scores()
    assert len(scores["easy"]) == 2
    assert beyond(scores["easy"], 0.2, "below") == 1


def test_texts_that_were_scored_are_not_encoded_again(workbench: Workbench, desk: CheckDesk, encoder: LetterEncoder):
    store = TripleStore(workbench.database)
    store.add([make_triple()])
    desk.run(context(workbench, CheckPlan()))
    before = len(encoder.encoded)
    store.add([make_triple("another question")])
    desk.run(context(workbench, CheckPlan()))
    assert len(encoder.encoded) == before + 3
    assert desk.run(context(workbench, CheckPlan()))["changed"] == 0
    assert len(encoder.encoded) == before + 3
    assert len(desk.scores()["positive"]) == 2


def test_a_check_that_was_killed_goes_on_where_it_was_measuring(workbench: Workbench, desk: CheckDesk, encoder: LetterEncoder):
    words = [f"{chr(97 + i % 26)}{chr(97 + i // 26)} {'abcdefgh'[i % 8] * 3}" for i in range(TRIPLES_A_STEP + 10)]
    TripleStore(workbench.database).add([make_triple(f"which one is {word}", f"It is {word}.", f"Not {word}.") for word in words])
    encode = encoder.encode

    def killed_in_the_second_step(texts: Sequence[str], **options: object) -> np.ndarray:
        if len(encoder.encoded) >= 3 * TRIPLES_A_STEP:
            raise KeyboardInterrupt
        return encode(texts, **options)

    encoder.encode = killed_in_the_second_step  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        desk.run(context(workbench, CheckPlan()))
    assert len(encoder.encoded) == 3 * TRIPLES_A_STEP
    with (workbench.settings.workspace / "checks" / "nearness.jsonl").open("a") as file:
        file.write('["torn')
    encoder.encode = encode  # type: ignore[method-assign]
    encoder.encoded.clear()
    assert desk.run(context(workbench, CheckPlan()))["checked"] == TRIPLES_A_STEP + 10
    assert len(encoder.encoded) == 3 * 10
    encoder.encoded.clear()
    desk.run(context(workbench, CheckPlan()))  # what was written after the torn line is read
    assert encoder.encoded == []


def test_without_the_encoder_the_texts_are_checked_all_the_same(workbench: Workbench, desk: CheckDesk, encoder: LetterEncoder):
    refused = make_triple(positive="I'm sorry, but I can't help with that.")
    TripleStore(workbench.database).add([refused])
    desk.run(context(workbench, CheckPlan(encoder=False)))
    assert codes(workbench, refused.id) == {"refusal"}
    assert (encoder.encoded, desk.scores()["positive"]) == ([], [])


def test_a_stopped_check_keeps_what_it_did(workbench: Workbench, desk: CheckDesk):
    TripleStore(workbench.database).add([make_triple()])
    assert desk.run(context(workbench, CheckPlan(), stop=True))["checked"] == 0


def test_thresholds_are_the_workspaces_own_and_used_at_once(workbench: Workbench, desk: CheckDesk):
    triple = make_triple(positive="word " * 29 + "end.", slots={"num_words": 40}, negative=None)
    assert "too_short" in {flag.code for flag in desk.check(triple)}
    desk.set_thresholds(Thresholds(shortest_share=0.7))
    assert "too_short" not in {flag.code for flag in desk.check(triple)}
    assert workbench.checks.thresholds() == Thresholds(shortest_share=0.7)
    desk.set_thresholds(Thresholds())
    assert desk.thresholds() == Thresholds()


@pytest.mark.parametrize(("positive", "negative", "expected"), [
    (0.8, 0.5, set()),
    (0.8, 0.76, {"false_negative"}),  # exactly 0.95 of it
    (0.6, 0.7, {"false_negative", "swapped"}),
    (0.8, 0.1, {"easy_negative"}),
    (0.1, 0.05, {"positive_far"}),
    (0.7, None, set()),
])  # fmt: skip
def test_cosines_are_judged_by_the_thresholds(positive: float, negative: float | None, expected: set[str]):
    flags = check_nearness(make_triple(), Nearness(positive, negative), Thresholds(swapped_margin=0.09))
    assert {flag.code for flag in flags} == expected


def test_labels_and_translations_are_not_judged_by_cosines():
    for group in (TaskGroup.LONG_SHORT, TaskGroup.BITEXT):
        assert check_nearness(make_triple(group=group), Nearness(0.0, 0.9)) == []
