"""Merged models by jobs: what they take, where they go, that they end well, and that they can be stopped."""

from __future__ import annotations

import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.domain.encoder import EncoderSpec
from core.domain.jobs import EndRequest, Job, JobKind, JobState
from core.domain.plans import ExportPlan, TrainingPlan
from core.errors import BadInput, DiskFull
from core.jobs.child import run_child
from core.jobs.context import ask_to_end
from core.jobs.events import EventWriter
from core.storage.artifacts import write_json
from core.storage.database import now
from core.training import export_jobs
from core.training.export import STAGES, ExportForm
from core.training.export_jobs import ExportJobs, packed


@pytest.fixture
def run(workbench) -> Job:
    """A run that is done, of a base of 900 weights."""
    folder = workbench.settings.jobs_folder / "train-x"
    plan = TrainingPlan(dataset_version_id="v").model_dump(mode="json")
    workbench._job_store.add(Job("train-x", JobKind.TRAIN, "Train tiny", JobState.RUNNING, plan, "h", folder, created_at=now()))
    result = {"steps": 7, "encoder": EncoderSpec(adapter="a", adapter_hash="b").as_dict()}
    write_json(folder / "result.json", {"state": "done", "result": result})
    EventWriter(folder / "events.jsonl").write("parity", all_parameters=1000, trainable_parameters=100)
    return workbench.jobs.get("train-x")


def exported(workbench, run: Job, *, export) -> Job:
    """An export job done in this process."""
    exports = workbench.training.exports
    folder = exports.target(run, form=ExportForm.MODEL)
    plan = ExportPlan(run_id=run.id, folder=str(folder)).model_dump(mode="json")
    store = workbench._job_store
    store.add(Job("export-x", JobKind.EXPORT, "Merge", JobState.QUEUED, plan, "h", store.folder_of("export-x"), created_at=now()))
    store.folder_of("export-x").mkdir(parents=True, exist_ok=True)
    run_child("export-x", store, {JobKind.EXPORT: lambda context: exports.run(context, export)})
    return workbench.jobs.get("export-x")


def test_each_state_of_a_run_each_choice_of_checkpoints_and_each_form_has_a_folder_of_its_own(workbench, run):
    exports = workbench.training.exports
    folders = [
        exports.target(run, form=ExportForm.MODEL),
        exports.target(run, form=ExportForm.ADAPTER),
        exports.target(run, form=ExportForm.MODEL, steps=[6, 3]),
        exports.target(replace(run, result={**run.result, "steps": 9}), form=ExportForm.MODEL),
    ]
    names = ["train-x-step-7-merged", "train-x-step-7", "train-x-average-3-6-merged", "train-x-step-9-merged"]
    assert [folder.name for folder in folders] == names
    assert {folder.parent for folder in folders} == {workbench.settings.workspace.resolve() / "exports"}


def test_the_cost_is_four_bytes_a_weight_of_the_base_and_unknown_where_they_were_not_counted(workbench, run):
    cost = workbench.training.exports.cost(run)
    assert cost.disk_bytes == 900 * 4 + export_jobs.BESIDE_BYTES
    assert cost.memory_bytes == 900 * 4 + export_jobs.PROCESS_BYTES
    assert cost.fits
    four_bit = workbench.training.exports.cost(replace(run, plan={**run.plan, "four_bit": True}))
    assert (four_bit.disk_bytes, four_bit.memory_bytes) == (None, None)


def test_a_disk_without_room_and_a_folder_in_use_are_told_before_a_job_starts(workbench, run, monkeypatch):
    exports = workbench.training.exports
    target = exports.target(run, form=ExportForm.MODEL)
    with monkeypatch.context() as changed:
        changed.setattr(export_jobs.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        with pytest.raises(DiskFull, match="are free"):
            exports.start(run)
    target.mkdir(parents=True)
    (target / "mine").write_text("mine")
    with pytest.raises(BadInput, match="already"):
        exports.start(run)
    assert workbench.jobs.find(JobKind.EXPORT) == []


def test_a_job_tells_its_stages_and_its_result_says_where_the_model_lies(workbench, run):
    asked: dict[str, object] = {}

    def export(run_id: str, folder: Path, *, tell, **told) -> dict[str, object]:
        asked.update(run=run_id, **told)
        for stage in STAGES:
            tell(stage)
        folder.mkdir(parents=True)
        return {"folder": str(folder)}

    job = exported(workbench, run, export=export)
    assert (job.state, job.result) == (JobState.DONE, {"folder": job.plan["folder"]})
    assert asked == {"run": "train-x", "form": ExportForm.MODEL, "steps": ()}
    told = [(e["done"], e["total"], e["note"]) for e in workbench.jobs.events(job.id)[0] if e["kind"] == "progress"]
    assert told == [*((i, 4, stage) for i, stage in enumerate(STAGES)), (4, 4, "done")]
    assert workbench.training.exports.latest(run) == job
    Path(job.plan["folder"]).rmdir()
    assert workbench.training.exports.latest(run) is None  # deleted by hand: it can be written again


def test_a_stop_ends_it_between_two_stages(workbench, run):
    seen: list[str] = []

    def export(_run_id: str, _folder: Path, *, tell, **_) -> dict[str, object]:
        for stage in STAGES:
            tell(stage)
            seen.append(stage)
            ask_to_end(workbench.settings.jobs_folder / "export-x", EndRequest(JobState.STOPPED, "Ada"))
        return {"folder": "never"}

    job = exported(workbench, run, export=export)
    assert (job.state, job.result, seen) == (JobState.STOPPED, {}, [STAGES[0]])


def test_a_written_folder_is_packed_whole(tmp_path):
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "1_Pooling" / "config.json").write_text("{}")
    with packed(folder) as data, zipfile.ZipFile(data) as archive:
        assert archive.read("model/model.safetensors") == b"weights"
        assert archive.read("model/1_Pooling/config.json") == b"{}"
        assert archive.testzip() is None


def test_the_desk_that_is_asked_twice_starts_one_job(workbench, run):
    class Board:
        """Remembers what it started."""

        started: list[Job]

        def __init__(self) -> None:
            self.started = []

        def find(self, _kind: JobKind) -> list[Job]:
            return self.started

        def events(self, _job_id: str) -> tuple[list[dict[str, object]], int]:
            return [], 0

        def start(self, kind: JobKind, plan: ExportPlan, **told) -> Job:
            self.started.append(replace(run, id="export-y", kind=kind, state=JobState.RUNNING, plan=plan.model_dump(mode="json")))
            return self.started[-1]

    board = Board()
    exports = ExportJobs(board, workbench.settings.workspace / "exports")  # type: ignore[arg-type]
    assert exports.start(run) == exports.start(run)
    assert len(board.started) == 1
    assert asdict(exports.cost(run))["disk_bytes"] is None
