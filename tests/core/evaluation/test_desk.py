from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from core.domain.dataset import Split
from core.domain.encoder import Role
from core.domain.jobs import JobKind, JobState
from core.domain.plans import EvaluationPlan
from core.errors import BadPlan, NotFound, NothingToDo
from core.evaluation.desk import EvaluationDesk
from core.evaluation.findings import pairs_to_compare
from core.evaluation.shelf import CollectionShelf
from core.settings import PROJECT_FOLDER
from core.storage.artifacts import write_json
from tests.core.evaluation.boards import KnownSystems, KnownVersions, StillBoard, StillContext
from tests.core.evaluation.examples import KnownEncoder, example

SHIPPED = PROJECT_FOLDER / "data" / "heldout"
GOOD = {"q1": (1, 0, 0), "p1": (1, 0.1, 0), "n1": (0, 1, 0), "q2": (0, 0, 1), "p2": (0, 0.2, 1)}
BAD = {"q1": (1, 0, 0), "p1": (0, 1, 0), "n1": (1, 0, 0), "q2": (0, 0, 1), "p2": (0, 0.2, 1)}
EXAMPLES = (
    example("q1", "p1", "n1", task="Find <b>more</b>."),
    example("q2", "p2", language="German"),
    example("seen", "P 1", split=Split.TRAIN, task="Another."),
)


@pytest.fixture
def desk(tmp_path):
    encoders = {"embedded:raw": BAD, "embedded:run:a": GOOD}
    board = StillBoard(tmp_path)
    opened = []

    def open_encoder(spec):
        encoder = KnownEncoder(encoders[spec.base], spec=spec)
        opened.append(encoder)
        return encoder

    made = EvaluationDesk(
        board,
        KnownVersions(*EXAMPLES),
        CollectionShelf(shipped=SHIPPED, folder=tmp_path / "collections"),
        KnownSystems("raw", "run:a"),
        open_encoder,
    )
    made.board, made.opened = board, opened
    return made


def run(desk, **fields):
    desk.board.jobs["a"] = replace(desk.board.start(JobKind.TRAIN, PLAN, title="tuned"), id="a")
    job = desk.start(PLAN.model_copy(update=fields))
    context = StillContext(job)
    return job, context, desk.run(context)


PLAN = EvaluationPlan(dataset_version_id="first", systems=("raw", "run:a", "bm25"), bootstrap_samples=100)


def test_scores_of_two_known_encoders(desk):
    """The raw one puts the negative first for q1 (rank 3 of 3 by ids or similarity: p1 and p2 tie at 0) and p2 first for q2."""
    _, _, result = run(desk)
    assert result["systems"]["run:a"]["ndcg_at_10"]["mean"] == pytest.approx(1)
    assert result["systems"]["raw"]["ndcg_at_10"]["mean"] < 1
    assert (result["queries"], result["documents"], result["tasks"]) == (2, 3, 2)
    pair = next(c for c in result["comparisons"] if c["metric"] == "ndcg_at_10" and c["against"] == "raw" and c["system"] == "run:a")
    assert (pair["wins"], pair["ties"], pair["losses"]) == (1, 1, 0)


def test_queries_carry_their_task_and_documents_none(desk):
    run(desk)
    asked = set(desk.opened[0].asked)
    assert ("q2", Role.QUERY, "Find the answer.") in asked
    assert ("q1", Role.QUERY, "Find <b>more</b>.") in asked
    assert {(t, r, k) for t, r, k in asked if r is Role.DOCUMENT} == {
        ("p1", Role.DOCUMENT, None),
        ("n1", Role.DOCUMENT, None),
        ("p2", Role.DOCUMENT, None),
    }


def test_progress_ends_at_the_total(desk):
    _, context, _ = run(desk)
    assert context.told[-1][:2] == (15, 15)  # 3 systems x (2 queries + 3 documents)
    assert [d for d, _, _ in context.told] == sorted(d for d, _, _ in context.told)


def test_report_tells_groups_languages_moved_queries_overlap_and_provenance(desk):
    job, _, _ = run(desk)
    report = desk.report(job.id)
    assert {row["name"]: row["queries"] for row in report["by_language"]} == {"English": 1, "German": 1}
    assert [row["queries"] for row in report["by_group"]] == [2]
    moved = next(m for m in report["moved"] if (m["system"], m["against"]) == ("run:a", "raw"))
    assert [q["query"] for q in moved["improved"]] == ["q1"]
    assert moved["improved"][0]["first_before"] == "n1"
    assert moved["hurt"] == []
    assert report["overlap"][0]["documents"] == ["p1"]  # "P 1" was trained on: equal ignoring case and spacing
    assert report["test"]["version"] == "v1"
    assert report["test"]["content_hash"] == desk.collection(PLAN).content_hash
    assert report["systems"]["raw"]["fingerprint"] == KnownSystems("raw").spec("raw").fingerprint
    assert report["systems"]["bm25"]["geometry"] is None
    assert len(report["per_query"]) == 2


def test_page_is_escaped_and_asks_nobody(desk):
    job, _, _ = run(desk)
    page = desk.page(job.id)
    assert "Find &lt;b&gt;more&lt;/b&gt;." in page
    assert "<b>more</b>" not in page
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(f"{tag} {k}" for k, v in attrs if k in ("src", "href", "onclick") or tag == "script")

    Links().feed(page)
    assert found == []
    assert "url(" not in page
    assert (job.folder / "report.html").read_text(encoding="utf-8") == page


def test_a_stopped_evaluation_goes_on_without_scoring_again(desk):
    job = desk.start(PLAN.model_copy(update={"systems": ("raw", "bm25")}))
    context = StillContext(job)
    context.stop_after = 1
    assert desk.run(context) == {"scored": ["raw"]}
    assert len(desk.opened) == 1
    result = desk.run(StillContext(job))
    assert len(desk.opened) == 1
    assert set(result["systems"]) == {"raw", "bm25"}


def test_what_cannot_be_evaluated_is_refused_before_a_job_starts(desk):
    with pytest.raises(NotFound):
        desk.start(PLAN.model_copy(update={"systems": ("unknown",)}))
    with pytest.raises(BadPlan):
        desk.start(PLAN.model_copy(update={"systems": ("raw", "raw")}))
    with pytest.raises(NotFound):
        desk.start(PLAN.model_copy(update={"dataset_version_id": "v9"}))
    empty = EvaluationDesk(desk.board, KnownVersions(*EXAMPLES[2:]), desk.collections, KnownSystems("raw"), lambda _: None)
    with pytest.raises(NothingToDo):
        empty.start(PLAN.model_copy(update={"systems": ("raw",)}))
    assert desk.board.jobs == {}


def test_only_finished_evaluations_are_listed(desk):
    job, _, _ = run(desk)
    assert desk.reports() == []
    desk.board.put(replace(job, state=JobState.DONE))
    assert [j.id for j in desk.reports()] == [job.id]
    with pytest.raises(NotFound):
        desk.report(desk.start(PLAN).id)


def test_tuned_against_raw_comes_first_and_each_pair_once():
    pairs = pairs_to_compare(["raw", "bm25", "run:a", "baseline"])
    assert pairs[:3] == [("run:a", "raw"), ("baseline", "raw"), ("bm25", "raw")]
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 6


def test_a_collection_in_a_folder_is_a_test_too(desk, beir_folder):
    desk.opened.clear()
    encoders = {"embedded:raw": {"q": (1, 0), "the answer": (0, 1), "Title\nnoise": (1, 0), "half an answer": (0.5, 1)}}
    made = EvaluationDesk(
        desk.board, KnownVersions(*EXAMPLES), desk.collections, KnownSystems("raw"), lambda s: KnownEncoder(encoders[s.base])
    )
    job = made.start(EvaluationPlan(collection=str(beir_folder), systems=("raw", "bm25"), bootstrap_samples=100))
    result = made.run(StillContext(job))
    assert (result["queries"], result["documents"], result["tasks"]) == (1, 3, 1)
    gain, ideal = 1 / 1.5849625 + 2 / 2, 2 + 1 / 1.5849625  # linear gains of ranks 2 (grade 1) and 3 (grade 2) against ranks 1 and 2
    assert result["systems"]["raw"]["ndcg_at_10"]["mean"] == pytest.approx(gain / ideal, abs=1e-4)
    assert result["test"]["collection"] == str(beir_folder)
    assert result["overlap"] == []


def test_a_test_is_one_version_or_one_collection():
    for fields in ({}, {"dataset_version_id": "v", "collection": "heldout"}):
        with pytest.raises(ValueError, match="exactly one"):
            EvaluationPlan(**fields)


def test_a_report_from_before_there_were_collections_is_still_read(desk):
    job, _, _ = run(desk)
    report = desk.report(job.id)
    del report["test"]
    write_json(job.folder / "report.json", report | {"version": {"id": "v1", "name": "first", "content_hash": "abc"}})
    assert desk.report(job.id)["test"] == {"name": "first", "version": "v1", "collection": None, "content_hash": "abc"}
    assert "Evaluation on first" in desk.page(job.id)
