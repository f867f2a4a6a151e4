from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.domain.encoder import Role
from core.domain.jobs import JobState
from core.domain.plans import MapPlan
from core.domain.review import Standing, TripleRecord
from core.domain.triple import Texts, Verdict
from core.errors import NotFound, NothingToDo, WorkspaceDamaged
from core.exploration.desk import TABLE, ExplorationDesk
from tests.core.evaluation.boards import KnownSystems, KnownVersions, StillBoard, StillContext
from tests.core.evaluation.examples import KnownEncoder, example
from tests.factories import make_triple

BEFORE = {"q1": (1, 0), "p1": (0.6, 0.8), "n1": (0.8, 0.6), "q2": (0, 1), "happy": (0.6, 0.8), "sad": (1, 0)}
AFTER = {"q1": (1, 0), "p1": (1, 0), "n1": (0, 1), "q2": (0, 1), "happy": (0, 1), "sad": (1, 0)}
EXAMPLES = (example("q1", "p1", "n1"), example("q2", "happy", "sad", task="Other."), example("q3", "happy", task="Other."))


class Triples:
    """Verdicts by triple id."""

    def __init__(self):
        self.records = {}

    def get_many(self, ids):
        return [self.records[i] for i in ids if i in self.records]

    def each(self):
        return iter(self.records.values())

    def judge(self, triple, verdict):
        self.records[triple.id] = TripleRecord(triple, 1, Standing(verdict))


@pytest.fixture
def desk(tmp_path):
    vectors = {"embedded:raw": {**BEFORE, "q3": (0.9, 0.1)}, "embedded:run:a": {**AFTER, "q3": (0.9, 0.1)}}
    board, triples, opened = StillBoard(tmp_path), Triples(), []

    def open_encoder(spec):
        encoder = KnownEncoder(vectors[spec.base], spec=spec)
        opened.append(encoder)
        return encoder

    made = ExplorationDesk(board, KnownVersions(*EXAMPLES), triples, None, KnownSystems("raw", "run:a"), open_encoder)
    made.board, made.store, made.opened = board, triples, opened
    return made


def drawn(desk, plan: MapPlan) -> tuple[str, pd.DataFrame, dict]:
    job = desk.start_map(plan)
    result = desk.run_map(StillContext(job))
    desk.board.put(replace(job, state=JobState.DONE, result=result))
    return job.id, desk.points(job.id), result


BOTH = MapPlan(models=("raw", "run:a"), dataset_version_id="v1")


def test_each_text_of_a_triple_is_a_point_and_equal_texts_share_a_place(desk):
    _, table, result = drawn(desk, BOTH)
    assert (result["points"], result["distinct_texts"]) == (8, 7)
    assert table["kind"].tolist() == ["query", "positive", "negative", "query", "positive", "negative", "query", "positive"]
    happy = table[table["text"] == "happy"]
    assert happy[["x", "y", "x2", "y2"]].nunique().tolist() == [1, 1, 1, 1]
    assert happy["id"].nunique() == 2


def test_margins_of_both_models_by_hand(desk):
    """Raw: cos(q1, p1) - cos(q1, n1) = 0.6 - 0.8; tuned: 1 - 0. The third triple has no negative."""
    _, table, _ = drawn(desk, BOTH)
    first, third = table[table["owner"] == "t-q1"], table[table["owner"] == "t-q3"]
    assert first["margin"].to_numpy() == pytest.approx(-0.2)
    assert first["margin2"].to_numpy() == pytest.approx(1.0)
    assert third["margin"].isna().all()


def test_neighbours_are_rows_of_the_table_and_never_the_point_itself(desk):
    _, table, _ = drawn(desk, BOTH)
    near = table.at[0, "near2"]
    assert table.loc[near[0], "text"] in ("p1", "sad")  # both lie on q1 after training
    assert all(0 not in row for row in (table.at[0, "near"], near))
    assert table["change"].between(0, 1).all()


def test_queries_are_encoded_with_their_task_and_documents_without(desk):
    drawn(desk, BOTH)
    asked = desk.opened[0].asked
    assert ("q2", Role.QUERY, "Other.") in asked
    assert ("happy", Role.DOCUMENT, None) in asked
    assert len(asked) == 7


def test_an_equal_plan_is_the_same_map_and_another_seed_is_another(desk):
    first, _, _ = drawn(desk, BOTH)
    assert desk.start_map(BOTH).id == first
    assert desk.start_map(BOTH.model_copy(update={"dataset_version_id": "first"})).id == first
    assert desk.start_map(BOTH.model_copy(update={"seed": 1})).id != first


def test_a_map_is_drawn_equal_twice(desk):
    _, first, _ = drawn(desk, BOTH)
    job = desk.start_map(BOTH.model_copy(update={"min_distance": 0.2}))
    desk.run_map(StillContext(job))
    second = desk.points(job.id)  # too few points for UMAP, so the distance does not matter
    assert np.array_equal(first[["x", "y", "x2", "y2"]], second[["x", "y", "x2", "y2"]])


def test_verdicts_are_those_of_now(desk):
    triples = [make_triple(f"q{i}", "p1", "n1") for i in (1, 2)]
    for triple in triples:
        desk.store.judge(triple, Verdict.PENDING)
    job_id, table, _ = drawn(desk, MapPlan(triples=True))
    assert set(table["verdict"]) == {"pending"}
    desk.store.judge(triples[0], Verdict.REJECTED)
    now = desk.points(job_id)
    assert set(now.loc[now["owner"] == triples[0].id, "verdict"]) == {"rejected"}


def test_edited_texts_make_another_map(desk):
    triple = make_triple("q1", "p1", "n1")
    desk.store.judge(triple, Verdict.PENDING)
    first = desk.start_map(MapPlan(triples=True))
    desk.store.records[triple.id] = TripleRecord(triple, 1, Standing(Verdict.PENDING, Texts("q1", "happy", "n1")))
    assert desk.start_map(MapPlan(triples=True)).id != first.id


def test_a_stopped_map_does_not_encode_again(desk):
    job = desk.start_map(BOTH)
    context = StillContext(job)
    context.stop_after = 0
    assert desk.run_map(context) == {"encoded": ["raw"]}
    desk.run_map(StillContext(job))
    assert [e.spec.base for e in desk.opened] == ["embedded:raw", "embedded:run:a"]


def test_what_cannot_be_mapped_is_refused(desk):
    with pytest.raises(NothingToDo):
        desk.start_map(MapPlan(triples=True))
    with pytest.raises(NotFound):
        desk.start_map(MapPlan(models=("unknown",), dataset_version_id="v1"))
    job_id, _, _ = drawn(desk, BOTH)
    (desk.board.get(job_id).folder / TABLE).write_bytes(b"torn")
    with pytest.raises(WorkspaceDamaged):
        desk.points(job_id)
