from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

from core.domain.encoder import EncoderSpec
from core.domain.jobs import Job, JobKind, JobState
from core.domain.mining import MiningMethod, MiningPlan
from core.domain.ranking import document_of
from core.domain.review import MINED, Action, Decision, TripleRecord
from core.domain.triple import Texts
from core.errors import NothingToDo
from core.jobs.context import JobContext
from core.review.mining import BARE, NegativeMiner, choose
from tests.core.review.conftest import Contested, no_shouting
from tests.factories import make_triple


def plan(**fields) -> MiningPlan:
    return MiningPlan(**{"reviewer": "ann", "first_rank": 1, "last_rank": 100, **fields})


def record(query: str = "q", positive: str = "p") -> TripleRecord:
    return TripleRecord(make_triple(query, positive, None), 1)


DOCUMENTS = [document_of(text) for text in ("p", "a", "b", "c", "d")]


@pytest.mark.parametrize(
    ("scores", "fields", "rank"),
    [
        ([0.9, 0.5, 0.4, 0.3, 0.2], {"last_rank": 1}, 1),
        ([0.9, 0.5, 0.4, 0.3, 0.2], {"first_rank": 3, "last_rank": 3}, 3),
        ([0.9, 0.88, 0.86, 0.3, 0.2], {"last_rank": 3}, 3),  # 0.88 and 0.86 pass 0.95 of the positive or the bound of 0.8
        ([0.9, 0.85, 0.83, 0.81, 0.79], {}, 4),  # below 0.8 only
        ([0.1, 0.5, 0.4, 0.3, 0.2], {}, None),
        ([0.9, 0.5, 0.4, 0.3, 0.2], {"first_rank": 5}, None),
    ],
)
def test_ranks_and_thresholds_decide_what_can_be_a_negative(scores, fields, rank):
    mined = choose(record(), DOCUMENTS, scores, {"p"}, plan(**fields))
    assert (mined.rank if mined else None) == rank


def test_another_answer_and_the_query_itself_are_never_negatives():
    assert choose(record(query="b"), DOCUMENTS, [0.9, 0.5, 0.4, 0.3, 0.2], {"p", "a", "c"}, plan()).text == "d"


def test_a_score_of_no_shared_word_is_not_hard():
    words = plan(method=MiningMethod.BM25)
    assert choose(record(), DOCUMENTS, [5.0, 4.9, 0.0, 0.0, 0.0], {"p"}, words) is None
    assert choose(record(), DOCUMENTS, [5.0, 4.0, 0.0, 0.0, 0.0], {"p"}, words).text == "a"


class OneHot:
    """The cosine of two texts is the share of letters a to e they have in common."""

    spec, dimensions = EncoderSpec.baseline(), 5

    def encode(self, texts, *, role, task=None, batch_size=32):
        rows = np.array([[float(letter in text) for letter in "abcde"] for text in texts], dtype=np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def work(room, miner: NegativeMiner, mining: MiningPlan, folder: Path) -> dict:
    job = Job("mine-1", JobKind.MINE, "mine", JobState.RUNNING, mining.model_dump(mode="json"), "hash", folder)
    folder.mkdir(exist_ok=True)
    return miner.run(JobContext(job, room.jobs))


@pytest.fixture
def miner(room) -> NegativeMiner:
    board = room.shelf._jobs
    return NegativeMiner(board, room.triples, room.decisions, no_shouting, lambda _: OneHot())


def put_pairs(room) -> list[str]:
    return room.put([
        make_triple("abc?", "abc", None, source="nq"), make_triple("acd?", "acd", None, source="nq"),
        make_triple("de?", "de", None, source="nq"),
        make_triple("abc!", "abc in German", None, source="nq", language="German"), make_triple("has one", "bd", "e"),
    ])  # fmt: skip


@pytest.mark.parametrize("method", list(MiningMethod))
def test_mined_negatives_come_as_one_step_that_can_be_undone(room, miner, tmp_path: Path, method: MiningMethod):
    ids = put_pairs(room)
    if method is MiningMethod.BM25:
        ids = room.put([make_triple(f"red {w} bird", f"red {w}", None, source="nq") for w in ("small", "large", "quick")])
    assert miner.missing()["nq"] >= 3
    told = work(room, miner, plan(source="nq", method=method), tmp_path / "job")
    assert told["found"] >= 2
    assert told["looked_at"] == told["triples"] == told["found"] + told["none_fits"]
    found = room.desk.card(ids[0])
    assert found.texts.negative in {r.triple.texts.positive for r in room.shelf.search()} | {"e"}
    assert found.texts.negative != found.texts.positive
    (entry,) = room.desk.history(ids[0])
    assert (entry.action, entry.reviewer) == (Action.EDIT, "ann")
    assert f"mined by {method.value}: rank" in entry.reason
    before = told["found"]
    with pytest.raises(NothingToDo):
        room.desk.undo("ann")  # at the desk, nobody did this
    assert room.desk.steps("ann") == []
    (step,) = room.desk.steps("ann", mined=True)
    assert len(room.desk.undo_step("ann", step)) == before
    assert room.desk.card(ids[0]).texts.negative is None


def test_a_resumed_job_counts_what_it_found_before_it_was_stopped(room, miner, tmp_path: Path):
    room.put([make_triple("abc?", "abc", None), make_triple("a?", "a", None)])
    assert work(room, miner, plan(), tmp_path / "job")["found"] == 2
    room.put([make_triple("bc?", "bc", None), make_triple("e?", "e", None, language="German")])  # the only German one: none fits
    told = work(room, miner, plan(), tmp_path / "job")
    assert {name: told[name] for name in ("triples", "looked_at", "found", "none_fits", "changed_meanwhile")} == {
        "triples": 4, "looked_at": 4, "found": 3, "none_fits": 1, "changed_meanwhile": 0,
    }  # fmt: skip
    (step,) = room.desk.steps("ann", mined=True)
    assert step.entries == 3


def test_documents_of_another_language_are_not_taken(room, miner, tmp_path: Path):
    ids = put_pairs(room)
    work(room, miner, plan(), tmp_path / "job")
    assert room.desk.card(ids[3]).texts.negative is None  # the only German one
    assert room.shelf.count(BARE) == 1


def test_texts_of_rejected_triples_are_not_taken_and_rejected_triples_need_none(room, miner, tmp_path: Path):
    wanted, other = room.put([make_triple("abc?", "abc", None, source="nq"), make_triple("a?", "a", None, source="nq")])
    broken = room.put([make_triple("abcd?", "abd", "abe", source="bad"), make_triple("e?", "abde", None, source="bad")])
    for triple in broken:
        room.desk.decide(triple, Action.REJECT, "bob", reason="broken")
    assert miner.missing() == {"nq": 2}
    told = work(room, miner, plan(), tmp_path / "job")
    assert (told["triples"], told["found"]) == (2, 2)
    assert room.desk.card(wanted).texts.negative == "a"  # not "abd" or "abe", which are nearer
    assert room.desk.card(other).texts.negative == "abc"
    with pytest.raises(NothingToDo):
        miner.start(plan(source="bad"))


def test_nobody_decides_between_the_look_at_a_triple_and_its_negative(room, tmp_path: Path):
    decisions = Contested(room.decisions._database)
    miner = NegativeMiner(room.shelf._jobs, room.triples, decisions, no_shouting, lambda _: OneHot())
    first, _ = room.put([make_triple("abc?", "abc", None), make_triple("a?", "a", None)])
    assert work(room, miner, plan(), tmp_path / "job")["found"] == 2
    decisions.threads[0].join()
    assert [entry.action for entry in room.desk.history(first)] == [Action.EDIT, Action.REJECT]


class RejectedMeanwhile(OneHot):
    """While it works, somebody rejects the first triple."""

    def __init__(self, room) -> None:
        self.room, self.done = room, False

    def encode(self, texts, *, role, task=None, batch_size=32):
        if not self.done:
            self.done = True
            self.room.desk.decide(self.room.shelf.ids()[0], Action.REJECT, "bob", reason="broken")
        return super().encode(texts, role=role)


def test_what_was_rejected_while_a_job_looked_is_left_as_it_is_and_counted(room, tmp_path: Path):
    miner = NegativeMiner(room.shelf._jobs, room.triples, room.decisions, no_shouting, lambda _: RejectedMeanwhile(room))
    first, second = room.put([make_triple("abc?", "abc", None), make_triple("a?", "a", None)])
    told = work(room, miner, plan(), tmp_path / "job")
    assert (told["found"], told["none_fits"], told["changed_meanwhile"]) == (1, 0, 1)
    assert room.desk.card(first).texts.negative is None
    assert room.desk.card(second).texts.negative == "abc"


def test_undoing_many_mined_negatives_takes_as_few_queries_as_undoing_few(room):
    def queries_of_undoing(count: int) -> int:
        ids = room.put([make_triple(f"{count} question {i}", negative=None) for i in range(count)])
        texts = Texts("q", "p", "mined")
        room.decisions.append([Decision(i, "ann", Action.EDIT, texts=texts, batch_id=f"{MINED}{count}") for i in ids])
        asked: list[str] = []
        event.listen(room.decisions._database._engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        step = room.desk.steps("ann", mined=True)[0]
        asked.clear()
        assert len(room.desk.undo_step("ann", step)) == count
        return sum(statement.startswith("SELECT") for statement in asked)

    room.desk.learner.stop()  # it reads in a thread of its own
    few = queries_of_undoing(2)
    assert queries_of_undoing(200) == few < 20


def test_mining_where_nothing_is_missing_says_so(room, miner):
    room.put([make_triple()])
    with pytest.raises(NothingToDo):
        miner.start(plan())


def test_a_plan_without_ranks_is_refused():
    with pytest.raises(ValueError, match="last_rank"):
        plan(first_rank=7, last_rank=6)
