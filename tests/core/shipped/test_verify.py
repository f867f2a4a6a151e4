from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from core.cli.main import app
from core.domain.groups import TaskGroup
from core.evaluation.beir import folder_reader, read_beir
from core.settings import PROJECT_FOLDER
from core.shipped.records import Record, read_faults, read_starter
from core.shipped.verify import (
    Count,
    card_is_true,
    count_starter,
    duplicates,
    fault_labels,
    flagged,
    judgements,
    like_tasks,
    overlaps,
    slots_as_drawn,
)  # fmt: skip
from tests.core.evaluation.examples import KnownEncoder

DATA = PROJECT_FOLDER / "data"


@pytest.fixture(scope="module")
def starter() -> list[Record]:
    records, findings = read_starter(DATA / "starter")
    assert findings == []
    return records


def changed(record: Record, **texts) -> Record:
    return replace(record, triple=record.triple.with_texts(replace(record.triple.texts, **texts)))


def first(records, group: TaskGroup = TaskGroup.SHORT_LONG, language: str = "English") -> Record:
    return next(r for r in records if r.triple.group is group and r.triple.language == language)


@pytest.mark.slow
def test_the_shipped_data_passes_and_the_counts_are_printed(workspace):
    result = CliRunner().invoke(app, ["starter", "verify", "--json"])
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["findings"] == []
    assert found["missed"] == []
    assert result.exit_code == 0
    assert found["counts"]["examples"] >= 900
    assert found["counts"]["held-out queries"] >= 150
    assert "examples of long-long" in result.stderr


@pytest.mark.slow
def test_damaged_data_fails_with_the_ids(workspace, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(DATA, data)
    file = data / "starter" / "sts.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[0]) | {"positive": "As an AI, I cannot help with that."}
    file.write_text("\n".join([json.dumps(row), *lines[1:], '{"id": "sts-999"}']) + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["starter", "verify", "--data", str(data), "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout.splitlines()[-1])
    assert {(f["check"], f["record"]) for f in found["findings"]} == {("refusal", "sts-001"), ("schema", "sts-999")}
    assert "sts-001: refusal" in result.stderr


def test_counts_miss_when_examples_are_missing(starter):
    assert all(count.met for count in count_starter(starter))
    fewer = [r for r in starter if r.triple.language != "Thai" and r.triple.slots.get("num_words") != 500]
    missed = {count.name.split(" of ")[0] for count in count_starter(fewer) if not count.met}
    assert missed == {"examples", "scripts among them", "slot values that occur"}  # short-long falls under 400
    assert not Count("share", 0.5, 0.35, 0.45).met


def test_slots_that_no_draw_can_give(starter):
    record = first(starter)
    assert list(slots_as_drawn(starter)) == []
    for slots in ({**record.triple.slots, "num_words": 70}, {**record.triple.slots, "mood": "good"}, {"language": "English"}):
        (found, *_) = slots_as_drawn([replace(record, triple=replace(record.triple, slots=slots))])
        assert (found.check, found.record) == ("slots", record.id)
    wrong = replace(record, triple=replace(record.triple, language="Klingon"))
    assert any("not in the list of languages" in f.message for f in slots_as_drawn([wrong]))
    assert [f.check for f in slots_as_drawn([changed(record, negative=None)])] == ["schema"]


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ({"positive": "Too short."}, "too_short"),
        ({"query": "¿Por qué se vuelven marrones las puntas de las hojas de mi planta?"}, "wrong_language"),
        ({"negative": "This document is relevant to the user's query. " * 12}, "meta_talk"),
    ],
)
def test_the_projects_checks_are_run_on_every_record(starter, texts, code):
    record = first(starter)
    assert list(flagged([record])) == []
    assert (code, record.id) in {(f.check, f.record) for f in flagged([changed(record, **texts)])}


def test_duplicates_are_found_exact_and_near(starter):
    record, other = first(starter), first(starter, language="Hindi")
    twin = replace(record, id="twin")
    assert {f.check for f in duplicates([record, twin])} == {"exact_duplicate", "near_duplicate"}
    near = changed(
        replace(other, id="near"), query="और कुछ", negative=record.triple.texts.negative + " And one sentence more than there was."
    )
    (found,) = (f for f in duplicates([record, other, near]) if "positive" not in f.message)
    assert (found.check, found.record) == ("near_duplicate", "near")
    assert list(duplicates(starter)) == []


def test_tasks_that_say_the_same(starter):
    record = first(starter)
    again = replace(record, id="again", triple=replace(record.triple, task=record.triple.task.replace("Given a", "Given any", 1)))
    assert [(f.check, f.record) for f in like_tasks([record, again])] == [("like_tasks", "again")]


def test_a_test_that_was_trained_on_is_found(starter):
    collection = read_beir(folder_reader(DATA / "heldout"))
    query = collection.queries[0]
    record = first(starter)
    leaked = [changed(record, positive=collection.documents[5].text), replace(record, triple=replace(record.triple, task=query.task))]
    tasks = {r.triple.task for r in leaked} | set(collection.tasks)
    encoder = KnownEncoder({task: [float(task == other) for other in sorted(tasks)] for task in tasks})
    found = list(overlaps(leaked, collection, encoder))
    assert {f.check for f in found} == {"overlap", "task_overlap"}
    assert any("held-out document also" in f.message for f in found)
    assert any("held-out task also" in f.message for f in found)
    assert any("meaning 1.00" in f.message for f in found)


def test_judgements_that_cannot_be_right(tmp_path):
    collection = read_beir(folder_reader(DATA / "heldout"))
    query = collection.queries[0]
    (tmp_path / "hard.json").write_text(json.dumps({query.id: [query.relevant[0]], "q999": ["d0001"]}))
    assert [f.record for f in judgements(collection, tmp_path / "hard.json")] == [query.id, "q999"]
    low = replace(collection, queries=(replace(query, grades={query.relevant[0]: 1}),))
    assert ["one is 2" in f.message for f in judgements(low, tmp_path / "none")] == [True]


def test_fault_labels_and_cards():
    records, findings = read_faults(DATA / "faults")
    assert findings == []
    known = {record.row["twin"] for record in records if record.row["twin"]}
    assert list(fault_labels(records, known)) == []
    bad = [replace(records[0], row={**records[0].row, "fault": "odd", "twin": "gone", "note": " "})]
    assert len(list(fault_labels(bad, known))) == 3
    assert [f.check for f in card_is_true(DATA / "starter" / "README.md", "1 example of 1 task")] == ["card"]
