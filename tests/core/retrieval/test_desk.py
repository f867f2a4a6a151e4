from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from core.domain.dataset import Split
from core.domain.jobs import Job, JobKind, JobState
from core.domain.ranking import document_of
from core.errors import NotFound, NothingToDo
from core.retrieval.desk import IndexState, SearchDesk
from core.settings import PROJECT_FOLDER
from tests.core.retrieval.conftest import VERSION, OneVersion
from tests.core.retrieval.fakes import InProcessService, open_words


class Context:
    """What a job's process is given, without the process."""

    def __init__(self, job: Job, *, stop_after: int | None = None) -> None:
        self.job, self.plan, self.seen, self.stop_after = job, job.plan, [], stop_after

    def progress(self, done, total, unit, note=""):
        self.seen.append((done, total, unit))

    def stop_requested(self):
        return self.stop_after is not None and len(self.seen) > self.stop_after


def test_the_desk_keeps_heavy_libraries_out_of_the_web_process():
    script = (
        "import sys, core.retrieval.desk, core.retrieval.service_client, core.retrieval.corpora; "
        "sys.exit(', '.join({'torch', 'transformers', 'faiss', 'umap', 'numba', 'bm25s'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=PROJECT_FOLDER, check=False, capture_output=True).stderr == b"\n"


@pytest.fixture
def desk(board, shelf, catalogue, engine, settings) -> SearchDesk:
    return SearchDesk(board, shelf, catalogue, InProcessService(engine), OneVersion(), settings, open_encoder=open_words)


def index_job(tmp_path, corpus_id, model, state=JobState.RUNNING) -> Job:
    return Job("index-1", JobKind.INDEX, "Index", state, {"corpus_id": corpus_id, "model": model, "batch_size": 32}, "h", tmp_path)


def test_an_index_job_makes_a_corpus_searchable_and_knows_its_lineage(desk, board, tmp_path):
    assert desk.standing("version:v1id", "run:train-done").state is IndexState.MISSING
    job = index_job(tmp_path, "version:v1id", "run:train-done")
    context = Context(job)
    result = desk.run_index(context)
    assert result["finished"] is True
    assert result["documents"] == 5
    assert context.seen[0] == (0, 5, "documents")
    assert context.seen[-1] == (5, 5, "documents")
    board.jobs.append(replace(job, state=JobState.DONE))
    standing = desk.standing("version:v1id", "run:train-done")
    assert standing.state is IndexState.READY
    ranking = desk.search("version:v1id", ["run:train-done"], "spray with soap", k=1)["run:train-done"]
    assert ranking.hits[0].document.text == "spray with soap"
    lineage = desk.lineage("version:v1id", "run:train-done")
    assert (lineage.index_job.id, lineage.run.id, lineage.version) == ("index-1", "train-done", VERSION)
    assert [f.system for f in desk.indexes()] == ["run:train-done"]
    assert desk.lineage("version:v1id", "bm25") is None


def test_a_stopped_index_job_leaves_no_index_and_the_resumed_one_reuses_its_vectors(desk, shelf, tmp_path):
    rows = "\n".join(f'"passage number {i}"' for i in range(300)).encode()
    corpus_id = shelf.import_corpus("many", rows, "jsonl").corpus.id
    job = index_job(tmp_path, corpus_id, "raw")
    assert desk.run_index(Context(job, stop_after=1))["finished"] is False
    assert desk.standing(corpus_id, "raw").state is IndexState.MISSING
    assert desk.run_index(Context(job))["reused"] == 128


def test_a_replaced_corpus_makes_its_index_stale(desk, shelf, tmp_path):
    corpus_id = shelf.import_corpus("mine", b'"one"', "jsonl").corpus.id
    desk.run_index(Context(index_job(tmp_path, corpus_id, "raw")))
    shelf.import_corpus("mine", b'"two"', "jsonl", replace=True)
    assert desk.standing(corpus_id, "raw").state is IndexState.STALE


def test_a_job_at_work_is_returned_instead_of_a_second_one(desk, board, tmp_path):
    job = index_job(tmp_path, "version:v1id", "raw")
    board.jobs.append(job)
    assert desk.start_index("version:v1id", "raw") is job
    assert desk.standing("version:v1id", "raw").state is IndexState.BUILDING


def test_an_index_of_an_unfinished_run_is_refused_before_a_job_is_made(desk):
    with pytest.raises(NotFound, match="no tuned model"):
        desk.start_index("version:v1id", "run:train-young")


def test_a_query_of_the_version_is_judged(desk):
    judged = desk.judgement("version:v1id", "  white   spots ")
    assert judged.split is Split.HELDOUT
    assert judged.positives == (document_of("spray with soap").id,)
    assert judged.negatives == (document_of("a white rose").id,)
    assert judged.task == "Find cures."
    assert desk.judgement("version:v1id", "dry soil").split is Split.TRAIN
    assert desk.judgement("version:v1id", "unknown") is None
    assert desk.judgement("demo", "white spots") is None


def test_instructions_and_heldout_queries_come_from_the_versions(desk):
    assert desk.instructions() == ["Find advice.", "Find cures."]
    assert [e.triple_id for e in desk.heldout("v1id")] == ["t3"]


def test_nearest_training_triples_are_those_of_the_runs_own_version(desk):
    near = desk.nearest_triples("run:train-done", "dry soil in pots", count=1)
    assert [(example.triple_id, round(similarity, 3)) for example, similarity in near.nearest] == [("t2", 0.707)]
    assert (near.compared, near.training_examples) == (2, 2)
    with pytest.raises(NothingToDo):
        desk.nearest_triples("raw", "dry soil")
