from __future__ import annotations

import os
from dataclasses import asdict, replace

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.encoder import EncoderSpec
from core.domain.jobs import Failure, Job, JobKind, JobState
from core.domain.plans import TrainingPlan
from core.jobs.events import EventWriter
from core.jobs.processes import mark_of
from core.settings import PROJECT_FOLDER
from core.storage.artifacts import sha256_of, write_json
from core.storage.database import now
from pages.ui.training_options import as_plan, as_widgets
from tests.pages.finished_jobs import add_version


@pytest.fixture
def page(workspace):
    at = AppTest.from_file(str(PROJECT_FOLDER / "pages" / "shell.py"), default_timeout=20)
    return at.switch_page(str(PROJECT_FOLDER / "pages" / "train.py"))


def words(at: AppTest) -> str:
    return "\n".join(str(element.value) for kind in (at.markdown, at.text, at.caption, at.error) for element in kind)


def add_run(workbench, job_id: str, plan: TrainingPlan, *, steps: int, failure: Failure | None = None) -> Job:
    """A run that is over, with the events a real one leaves."""
    folder = workbench.settings.jobs_folder / job_id
    values = plan.model_dump(mode="json")
    job = Job(job_id, JobKind.TRAIN, "Train a model", JobState.DONE, values, "h", folder, created_at=now())
    workbench._job_store.add(replace(job, state=JobState.RUNNING))
    workbench._job_store.set(job_id, started_at=now())
    folder.mkdir(parents=True)
    events = EventWriter(folder / "events.jsonl")
    parity = {"eos_last_on_both_sides": True, "no_chat_template": True, "within_length": True, "texts_checked": 8, "adapted_modules": 14}
    events.write("parity", **parity, trainable_parameters=100, all_parameters=1000, precision="bfloat16", device="cpu")
    probe = {"queries": ["<b>one</b>", "two"], "documents": 12, "held_out": True}
    events.write("probe", step=0, ranks=[9, 4], mean_reciprocal_rank=0.18, **probe)
    for step in range(1, steps + 1):
        events.write(
            "step", step=step, steps=plan.steps, epoch=1, loss=3.0 / step, chance_loss=3.1, accuracy=0.5, gradient_norm=1.0,
            learning_rate=1e-3, seconds=1.5, triples_per_second=10.7, tokens_per_second=800.0, memory_bytes=2e9, eta_seconds=0.0,
        )  # fmt: skip
    events.write("probe", step=steps, ranks=[1, 2], mean_reciprocal_rank=0.75, **probe)
    ending = {"failure": asdict(failure)} if failure else {"result": {"steps": steps}}
    write_json(folder / "result.json", {"state": "failed" if failure else "done", **ending})
    return job


def test_without_a_version_the_page_says_what_to_do(page):
    page.run()
    assert not page.exception
    assert "freeze a version" in words(page)


def test_the_form_is_a_preset_and_tells_what_will_be_trained(page, workbench):
    add_version(workbench)
    page.run()
    assert not page.exception
    assert page.metric[0].value == "6"
    page.selectbox(key="train-preset").set_value("the paper").run()
    assert page.number_input(key="train-batch_size").value == 2048
    assert page.text_input(key="train-base_model").value == "mistralai/Mistral-7B-v0.1"
    assert any("cut to 6" in warning.value for warning in page.warning)


def test_a_plan_that_cannot_work_is_refused_on_the_page(page, workbench):
    add_version(workbench)
    page.run()
    page.text_input(key="train-base_model").set_value("/no/such/folder").run()
    page.button(key="train-start").click().run()
    assert not page.exception
    assert "There is no folder" in words(page).replace("\\", "")
    assert workbench.training.runs() == []


def test_groups_that_hold_nothing_are_told(page, workbench):
    add_version(workbench)
    page.run()
    page.button_group(key="train-groups").set_value(["sts"]).run()
    assert not page.exception
    assert "0 training triples" in words(page)


def test_a_run_is_shown_with_curves_probes_and_checks(page, workbench):
    version = add_version(workbench)
    add_run(workbench, "train-aaaaaa", workbench.training.preset(dataset_version_id=version.id), steps=5)
    page.run()
    assert not page.exception
    assert len(page.get("vega_lite_chart")) == 5
    assert list(page.dataframe[0].value["step 5"]) == [1, 2]
    assert "no chat template around the text" in words(page)
    assert page.metric[0].value == "0.600"


def test_a_failed_run_says_why_and_can_be_resumed_or_cloned(page, workbench):
    version = add_version(workbench)
    plan = workbench.training.preset(dataset_version_id=version.id).model_copy(update={"steps": 33, "seed": 5})
    failure = Failure("out_of_memory", "The process ran out of memory.", "Use a smaller batch.")
    add_run(workbench, "train-bbbbbb", plan, steps=2, failure=failure)
    page.run()
    assert not page.exception
    assert "Use a smaller batch" in words(page)
    assert page.button(key="train-resume")
    page.button(key="train-clone").click().run()
    assert not page.exception
    assert page.number_input(key="train-steps").value == 33
    assert page.number_input(key="train-seed").value == 5


def test_two_runs_are_compared_by_curves_and_plans(page, workbench):
    version = add_version(workbench)
    plan = workbench.training.preset(dataset_version_id=version.id)
    add_run(workbench, "train-cccccc", plan, steps=4)
    add_run(workbench, "train-dddddd", plan.model_copy(update={"temperature": 0.1}), steps=4)
    page.run()
    page.button_group(key="train-view").set_value("Compare").run()
    assert not page.exception
    assert len(page.get("vega_lite_chart")) == 3
    assert list(page.dataframe[0].value["Run"]) == ["A", "B"]
    assert list(page.dataframe[0].value["Probes' MRR"]) == ["0.750 (n = 2)", "0.750 (n = 2)"]
    assert list(page.dataframe[1].value["Field"]) == ["temperature"]
    assert set(page.dataframe[1].value.columns) == {"Field", "A", "B"}
    assert "do not compare, because their denominators differ (temperature)" in words(page)


def test_advanced_choices_become_the_plan_and_a_clone_shows_them_again(page, workbench):
    version = add_version(workbench)
    changes = {"margin_mask": 0.1, "matryoshka": (64, 128), "base_layers": 12, "source_weights": {"starter": 0.5, "elsewhere": 2.0}}
    plan = workbench.training.preset(dataset_version_id=version.id).model_copy(update=changes)
    add_run(workbench, "train-eeeeee", plan, steps=2)
    page.run()
    page.button(key="train-clone").click().run()
    assert not page.exception
    assert page.text_input(key="train-matryoshka").value == "64, 128"
    assert page.number_input(key="train-weight-starter").value == 0.5
    page.number_input(key="train-base_layers").set_value(0).run()
    page.button(key="train-start").click().run()
    assert not page.exception
    started = workbench.training.clone_of(workbench.training.runs()[0])
    workbench.jobs.stop(workbench.training.runs()[0].id, grace_seconds=0.1)
    assert started == plan.model_copy(update={"base_layers": None})


def test_a_margin_of_nothing_is_a_margin_in_the_widget_too():
    plan = {"margin_mask": 0.0, "base_layers": None, "micro_batch_tokens": None, "source_weights": {}, "matryoshka": []}
    for margin in (None, 0.0, 0.1):
        assert as_plan(as_widgets({**plan, "margin_mask": margin}))["margin_mask"] == margin


def test_a_matryoshka_length_that_is_no_number_is_told(page, workbench):
    add_version(workbench)
    page.run()
    page.text_input(key="train-matryoshka").set_value("64, half").run()
    assert not page.exception
    assert "matryoshka" in words(page)


def test_the_denominator_is_shown_as_a_picture_and_the_adapter_is_written(page, workbench, tmp_path):
    version = add_version(workbench)
    job = add_run(workbench, "train-ffffff", workbench.training.preset(dataset_version_id=version.id), steps=2)
    EventWriter(job.folder / "events.jsonl").write(
        "similarities", step=2, cosines=[[0.9, 0.1]], kinds=[["positive", "left out"]], queries=["<b>q</b>"], documents=["d", "e"],
        counted=1.5, batch_queries=1, batch_documents=2, margin=0.1, masked=3,
    )  # fmt: skip
    adapter = job.folder / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    spec = EncoderSpec(adapter=str(adapter), adapter_hash=sha256_of(adapter / "adapter_model.safetensors"))
    write_json(job.folder / "result.json", {"state": "done", "result": {"steps": 2, "encoder": spec.as_dict()}})
    workbench._job_store.set(job.id, dataset_version_id=version.id)
    page.run()
    assert not page.exception
    assert len(page.get("vega_lite_chart")) == 6
    assert "1.5 of them on average" in words(page)
    assert "scores more than 0.1 above the positive" in words(page)
    assert "so are 3 pairs" in words(page)
    page.button(key="train-export").click().run()
    assert not page.exception
    written = workbench.settings.workspace / "exports" / "train-ffffff-step-2"
    assert (written / "adapter_model.safetensors").read_bytes() == b"weights"
    assert version.content_hash in (written / "README.md").read_text()
    assert page.get("download_button")[0].proto.label.startswith("Download as zip")


def add_waiting(workbench, version, job_id: str, *, state: JobState, place: float) -> None:
    """A training at work or in line, as its process leaves it; this test's own process stands for it."""
    plan = workbench.training.preset(dataset_version_id=version.id).model_dump(mode="json")
    folder = workbench.settings.jobs_folder / job_id
    workbench._job_store.add(Job(job_id, JobKind.TRAIN, f"Train {job_id}", state, plan, "h", folder, created_at=now()))
    mark = mark_of(os.getpid())
    workbench._job_store.set(job_id, pid=mark.pid, process_start=mark.started, boot_id=mark.boot_id)
    write_json(folder / "place.json", {"place": place})


def test_the_line_is_shown_and_changed_on_the_page_and_told_before_a_run_joins_it(page, workbench):
    version = add_version(workbench)
    add_waiting(workbench, version, "train-one", state=JobState.RUNNING, place=1)
    add_waiting(workbench, version, "train-two", state=JobState.QUEUED, place=2)
    add_waiting(workbench, version, "train-three", state=JobState.QUEUED, place=3)
    page.run()
    assert not page.exception
    told = words(page).replace("\\", "")
    assert "queued, 1st in line, behind Train train-one (train-one)" in told
    assert "queued, 2nd in line, behind Train train-two (train-two)" in told
    page.button(key="line-up-train-three").click().run()
    assert not page.exception
    assert list(workbench.jobs.line.places()) == ["train-three", "train-two"]
    page.button_group(key="train-view").set_value("New run").run()
    assert not page.exception
    assert page.button(key="train-start").label == "Put in line"
    assert "behind Train train-one" in page.info[0].value.replace("\\", "")
    home = AppTest.from_file(str(PROJECT_FOLDER / "pages" / "shell.py"), default_timeout=20).run()
    assert not home.exception
    assert "queued, 1st in line, behind Train train-one" in words(home).replace("\\", "")


def test_the_merged_model_is_written_by_a_job_that_the_page_watches(page, workbench):
    version = add_version(workbench)
    job = add_run(workbench, "train-gggggg", workbench.training.preset(dataset_version_id=version.id), steps=2)
    spec = EncoderSpec(adapter=str(job.folder / "adapter"), adapter_hash="x")
    write_json(job.folder / "result.json", {"state": "done", "result": {"steps": 2, "encoder": spec.as_dict()}})
    workbench._job_store.set(job.id, dataset_version_id=version.id)
    page.run()
    assert "GB of disk" in words(page)
    page.button(key="train-merge").click().run()
    assert not page.exception
    (started,) = workbench.jobs.find(JobKind.EXPORT)
    assert started.plan == {
        "run_id": job.id,
        "folder": str(workbench.settings.workspace / "exports/train-gggggg-step-2-merged"),
        "steps": [],
    }
    assert workbench.jobs.wait(started.id, timeout_seconds=120).state is JobState.FAILED  # this run has no adapter
    page.run()
    assert not page.exception
    assert page.button(key="train-merge-resume")
