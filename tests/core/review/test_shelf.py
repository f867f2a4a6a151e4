from __future__ import annotations

import csv
import io
import json
from threading import Thread

import pyarrow.parquet
import pytest

from core.domain.dataset import ExportFormat, Split
from core.domain.filters import TripleFilter
from core.domain.groups import STS_TASK, TaskGroup
from core.domain.jobs import Job, JobKind, JobState
from core.domain.review import Action
from core.domain.task import TaskState
from core.domain.triple import Texts, Verdict
from core.errors import BadInput, BadRows, NotFound, NothingToDo
from core.review.freezing import find_overlap
from core.review.shelf import DatasetShelf, Stores
from core.storage.preferences import PreferenceStore
from tests.core.review.conftest import Contested, no_shouting
from tests.factories import make_triple, make_triples

ROW = {"group": "short-long", "task": "T", "language": "English", "query": "q", "positive": "p", "negative": "n"}


def lines(*rows) -> bytes:
    return "\n".join(row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows).encode()


def accept_all(room) -> None:
    room.desk.bulk(room.shelf.ids(), Action.ACCEPT, "ann")


# ---- freezing


def test_freezing_nothing_says_what_to_do(room):
    room.put(make_triples(3))
    with pytest.raises(NothingToDo) as refused:
        room.shelf.freeze("v1")
    assert "starter set" in refused.value.hint
    assert room.shelf.versions() == []


def test_only_accepted_triples_are_frozen_with_their_edited_texts(room):
    keep, drop, wait = make_triples(3)
    room.put([keep, drop, wait])
    room.desk.decide(keep.id, Action.EDIT, "ann", texts=Texts("edited", "p", "n"))
    room.desk.decide(keep.id, Action.ACCEPT, "ann")
    room.desk.decide(drop.id, Action.REJECT, "ann", reason="x")
    version = room.shelf.freeze("v1", heldout_share=0)
    (example,) = room.shelf.examples("v1")
    assert (example.triple_id, example.texts) == (keep.id, Texts("edited", "p", "n"))
    room.desk.undo("ann")
    room.desk.decide(keep.id, Action.EDIT, "ann", texts=Texts("later", "p", "n"))
    assert room.shelf.examples(version.id)[0].texts.query == "edited"


def test_a_task_stays_on_one_side_and_symmetric_groups_in_training(room):
    sts = [make_triple(f"s{i}", f"t{i}", f"u{i}", group=TaskGroup.STS, task=STS_TASK) for i in range(6)]
    room.put([*make_triples(40, tasks=8), *sts])
    accept_all(room)
    preview = room.shelf.preview(heldout_share=0.25, seed=3)
    version = room.shelf.freeze("v1", heldout_share=0.25, seed=3)
    sides = {split: {e.task for e in room.shelf.examples("v1", split)} for split in Split}
    assert not sides[Split.TRAIN] & sides[Split.HELDOUT]
    assert len(sides[Split.HELDOUT]) == 2  # a quarter of eight
    assert STS_TASK in sides[Split.TRAIN]
    assert (version.train_count, version.heldout_count) == (36, 10) == (preview.train, preview.heldout)
    assert version.counts["group"] == {"short-long": 40, "sts": 6}


def test_equal_content_has_an_equal_hash_whatever_the_order(open_room):
    triples = make_triples(12)
    hashes = []
    for name, order in (("one", triples), ("two", triples[::-1])):
        room = open_room(name)
        room.put(list(order))
        accept_all(room)
        hashes.append(room.shelf.freeze(name).content_hash)
        hashes.append(room.shelf.freeze("other seed", seed=1, heldout_share=0.5).content_hash)
    assert hashes[0] == hashes[2]
    assert hashes[1] == hashes[3]
    assert hashes[0] != hashes[1]  # the split is part of the content


@pytest.mark.parametrize(("name", "share"), [("v1", 0.2), (" ", 0.2), ("x" * 81, 0.2), ("v2", 1.0), ("v2", -0.1)])
def test_a_name_in_use_and_senseless_settings_are_refused(room, name, share):
    room.put(make_triples(2))
    accept_all(room)
    room.shelf.freeze("v1")
    with pytest.raises(BadInput) as refused:
        room.shelf.freeze(name, heldout_share=share)
    assert refused.value.hint
    assert len(room.shelf.versions()) == 1


def test_triples_that_an_edit_made_equal_are_frozen_once(room):
    a, b = make_triple("first"), make_triple("second")
    room.put([a, b])
    room.desk.decide(b.id, Action.EDIT, "ann", texts=a.texts)
    accept_all(room)
    assert [e.triple_id for e in room.shelf.examples(room.shelf.freeze("v1").id)] == [a.id]


def test_a_diff_names_what_came_went_and_changed(room):
    a, b, c, d = make_triples(4, tasks=1)
    room.put([a, b, c, d])
    room.desk.bulk([a.id, b.id, c.id], Action.ACCEPT, "ann")
    first = room.shelf.freeze("v1")
    room.desk.decide(b.id, Action.REJECT, "ann", reason="x")
    room.desk.decide(c.id, Action.EDIT, "ann", texts=Texts("other", "p", "n"))
    room.desk.decide(d.id, Action.ACCEPT, "ann")
    second = room.shelf.freeze("v2")
    diff = room.shelf.diff("v1", "v2")
    assert (diff.added, diff.removed, diff.rewritten, diff.moved, diff.same) == ((d.id,), (b.id,), (c.id,), (), 1)
    assert second.parent_id == first.id


def test_overlap_ignores_case_and_spacing_and_compares_like_with_like(room):
    train = make_triple("Same  Query", "only here", "shared text", task="A")
    heldout = make_triple("samequery", "Shared TEXT", "only there", task="B")
    room.put([train, heldout])
    accept_all(room)
    room.shelf.freeze("v1", heldout_share=0.5)
    found = room.shelf.overlap("v1")
    assert {(o.kind, o.text.casefold().replace(" ", "")) for o in found} == {("query", "samequery"), ("document", "sharedtext")}
    assert {o.train_triples + o.heldout_triples for o in found} in ({(train.id, heldout.id)}, {(heldout.id, train.id)})
    assert find_overlap(room.shelf.examples("v1", Split.TRAIN)) == []


def test_lineage_leads_to_versions_and_runs(room):
    triple, other = make_triples(2)
    room.put([triple, other])
    room.desk.decide(triple.id, Action.ACCEPT, "ann")
    version = room.shelf.freeze("v1")
    job = Job("train-1", JobKind.TRAIN, "run", JobState.DONE, {}, "h", room.jobs.folder_of("train-1"), version.id, created_at="2026")
    room.jobs.add(job)
    found = room.shelf.lineage(triple.id)
    assert [d.action for d in found["decisions"]] == [Action.ACCEPT]
    assert [(v["version"].name, v["split"]) for v in found["versions"]] == [("v1", "train")]
    assert [j.id for j in found["jobs"]] == ["train-1"]
    assert found["prompt_version"] is None
    assert found["request"] is None
    assert room.shelf.lineage(other.id)["jobs"] == []


# ---- in and out


def test_good_rows_come_in_and_bad_ones_are_told_with_line_and_reason(room):
    report = room.shelf.import_rows(lines(ROW, "not json", {**ROW, "query": "Q2"}, {**ROW, "positive": ""}, ROW))
    assert len(report.added) == 2
    assert len(report.duplicates) == 1
    assert [(b.line, b.reason) for b in report.bad] == [(2, "is not JSON: Expecting value at character 1"), (4, "positive is blank")]
    assert room.shelf.counts_by("source") == {"import": 2}
    assert room.shelf.count(TripleFilter(verdict=Verdict.PENDING)) == 2
    assert [(t.text, t.state, t.source) for t in room.tasks.kept] == [("T", TaskState.ACCEPTED, "import")]
    assert room.shelf.count(TripleFilter(flag_code="shouting")) == 1


@pytest.mark.parametrize("data", [b"", b"\n\n", b"nonsense\n{}\n[]", b"\xff\xfe\x00"])
def test_a_file_without_a_usable_row_changes_nothing(room, data):
    with pytest.raises(BadRows) as refused:
        room.shelf.import_rows(data)
    assert refused.value.hint
    assert room.shelf.count() == 0
    assert room.tasks.kept == []


def test_a_missing_file_is_not_found(room, tmp_path):
    with pytest.raises(NotFound):
        room.shelf.import_rows(tmp_path / "no.jsonl")


def test_imported_as_accepted_is_one_decision_in_the_log_that_can_be_undone(room):
    room.shelf.import_rows(lines(ROW))
    report = room.shelf.import_rows(lines(ROW, {**ROW, "query": "Q2"}), accept_as="ann")
    assert report.accepted == 2
    log = room.desk.history(report.added[0])
    assert [(d.action, d.reviewer, d.reason) for d in log] == [(Action.ACCEPT, "ann", "imported as accepted")]
    assert len(room.desk.undo("ann")) == 2
    assert room.shelf.count(TripleFilter(verdict=Verdict.ACCEPTED)) == 0


def test_nobody_decides_between_the_look_at_an_imported_triple_and_its_acceptance(room):
    decisions = Contested(room.decisions._database)
    stores = Stores(room.triples, decisions, room.versions, room.tasks, room.shelf._preferences)
    shelf = DatasetShelf(stores, room.shelf._jobs, no_shouting, starter_folder=room.starter)
    (triple,) = shelf.import_rows(lines(ROW), accept_as="ann").added
    decisions.threads[0].join()
    assert [entry.action for entry in room.desk.history(triple)] == [Action.ACCEPT, Action.REJECT]


def test_a_rejected_triple_is_not_accepted_by_importing_it_again(room):
    (triple,) = room.shelf.import_rows(lines(ROW)).added
    room.desk.decide(triple, Action.REJECT, "ann", reason="x")
    assert room.shelf.import_rows(lines(ROW), accept_as="bob").accepted == 0
    assert room.desk.card(triple).standing.verdict is Verdict.REJECTED


def test_what_is_exported_comes_back_with_the_same_ids(open_room):
    one, two = open_room("one"), open_room("two")
    triples = [
        *make_triples(5, topic="t", slots={"num_words": 50, "clarity": "clear"}),
        make_triple("中文 “quoted”\nline\u2028end", negative=None, language="Chinese (Simplified)"),
        make_triple("q", "p", "n", group=TaskGroup.BITEXT, task="Retrieve the translation of the given text.", target_language="German"),
    ]
    one.put(triples)
    accept_all(one)
    version = one.shelf.freeze("v1", heldout_share=0.3, seed=5)
    for choice in ({"version": "v1"}, {"wanted": TripleFilter(verdict=Verdict.ACCEPTED)}):
        exported = one.shelf.export(**choice)
        assert exported.rows == 7
        report = two.shelf.import_rows(exported.data, accept_as="ann")
        assert sorted([*report.added, *report.duplicates]) == sorted(t.id for t in triples)
    assert [r.triple.slots for r in two.shelf.search()] == [r.triple.slots for r in one.shelf.search()]
    assert two.shelf.freeze("v1", heldout_share=0.3, seed=5).content_hash == version.content_hash


def test_csv_and_parquet_hold_the_same_rows(room):
    room.put([make_triple('a,b\n"c"', slots={"num_words": 50}), make_triple(negative=None)])
    rows = [json.loads(line) for line in room.shelf.export().data.decode().splitlines()]
    table = list(csv.DictReader(io.StringIO(room.shelf.export(format=ExportFormat.CSV).data.decode("utf-8-sig"))))
    parquet = pyarrow.parquet.read_table(io.BytesIO(room.shelf.export(format=ExportFormat.PARQUET).data)).to_pylist()
    assert [r["query"] for r in table] == [r["query"] for r in rows] == [r["query"] for r in parquet]
    assert [r["negative"] for r in parquet] == [r["negative"] for r in rows]
    assert json.loads(table[0]["slots"]) == json.loads(parquet[0]["slots"]) == {"num_words": 50}


def test_exporting_nothing_says_so(room):
    with pytest.raises(NothingToDo):
        room.shelf.export()


def test_the_starter_set_waits_for_review_or_is_accepted(room):
    with pytest.raises(NotFound):
        room.shelf.load_starter()
    room.starter.mkdir()
    (room.starter / "a.jsonl").write_bytes(lines(ROW))
    (room.starter / "b.jsonl").write_bytes(lines({**ROW, "query": "other"}))
    assert room.shelf.load_starter().accepted == 0
    assert room.shelf.counts_by("source") == {"starter": 2}
    report = room.shelf.load_starter(accept=True)
    assert (len(report.added), len(report.duplicates), report.accepted) == (0, 2, 2)
    assert room.shelf.counts_by("reviewer") == {"starter": 2}


def test_a_pair_that_stands_twice_in_a_file_is_one_new_triple_without_a_negative(room):
    rows = [{"query": "a question", "positive": "its answer"}] * 2
    report = room.shelf.import_rows(lines(*rows))
    assert (len(report.added), len(report.duplicates), report.without_negative) == (1, 1, 1)


def test_weights_given_at_the_same_time_are_both_kept(room):
    class ContestedPreferences(PreferenceStore):
        """Somebody else begins to set a weight just before one is written."""

        others: tuple[Thread, ...] = ()

        def set(self, name, value):
            if not self.others:
                self.others = (Thread(target=room.shelf.set_weight, args=("theirs", 3.0)),)
                self.others[0].start()
                self.others[0].join(0.3)
            super().set(name, value)

    preferences = ContestedPreferences(room.decisions._database)
    stores = Stores(room.triples, room.decisions, room.versions, room.tasks, preferences)
    DatasetShelf(stores, room.shelf._jobs, no_shouting, starter_folder=room.starter).set_weight("mine", 2.0)
    preferences.others[0].join()
    assert room.shelf.weights() == {"mine": 2.0, "theirs": 3.0}
