"""Several processes on one batch, through real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from core.domain.dataset import DatasetVersion, Split
from core.domain.jobs import Job, JobKind, JobState
from core.errors import JobError
from core.jobs.processes import mark_of
from core.settings import PROJECT_FOLDER
from core.storage.database import now
from core.storage.triples import TripleStore
from core.storage.versions import VersionStore
from core.training.team import ALONE, deal
from core.training.torchrun import let_helpers_go
from tests.core.training.runs import make_examples, make_plan
from tests.factories import make_triple


@pytest.fixture
def ready(workbench, monkeypatch):
    """A workbench with version `v` of the tiny examples, whose jobs are processes of their own."""
    monkeypatch.setenv("TERCET_DEVICE", "cpu")
    examples = []
    for e in make_examples():
        triple = make_triple(e.texts.query, e.texts.positive, e.texts.negative, task=e.task)
        TripleStore(workbench.database).add([triple])
        examples.append(replace(e, triple_id=triple.id))
    train = sum(e.split is Split.TRAIN for e in examples)
    VersionStore(workbench.database).add(DatasetVersion("v", "v", "v", train, len(examples) - train, {}, None, "2026-01-01"), examples, {})
    return workbench


def adapter_of(workbench, job_id: str) -> torch.Tensor:
    weights = load_file(workbench.jobs.get(job_id).folder / "adapter" / "adapter_model.safetensors")
    return torch.cat([weights[name].flatten() for name in sorted(weights)])


def losses_of(workbench, job_id: str) -> list[float]:
    return [event["loss"] for event in workbench.jobs.events(job_id)[0] if event["kind"] == "step"]


FIELDS = {"steps": 6, "temperature": 0.1, "learn_temperature": True, "directions": ("q-d", "q-q", "d-q", "d-d"), "learning_rate": 1e-3}


@pytest.mark.slow
def test_two_processes_give_the_adapter_of_one(ready, tiny_decoder):
    """Same losses at every step, same adapter and temperature at the end; float32 or bfloat16, as the machine computes."""
    found = {}
    for processes in (1, 2):
        plan = make_plan(tiny_decoder, processes=processes, micro_batch_tokens=100, **FIELDS)
        job = ready.jobs.wait(ready.training.start(plan).id, timeout_seconds=500)
        assert job.state is JobState.DONE, ready.jobs.log_tail(job.id)
        assert job.result["processes"] == processes
        found[processes] = job
    one, two = found[1], found[2]
    assert losses_of(ready, two.id) == pytest.approx(losses_of(ready, one.id), rel=2e-2)
    assert two.result["temperature"] == pytest.approx(one.result["temperature"], rel=1e-4)
    assert torch.nn.functional.cosine_similarity(adapter_of(ready, one.id), adapter_of(ready, two.id), dim=0) > 0.999


WORKER = """
import json, sys, torch
from pathlib import Path
from core.training.adapters import trainable
from core.training.team import ALONE, ProcessTeam, in_environment
from tests.core.training.runs import make_trainer
torch.set_num_threads(1)
team = ProcessTeam(device=torch.device("cpu")) if in_environment() else ALONE
base, folder, fields = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
trainer = make_trainer(base, folder, team=team, **fields)
stop_after = int(sys.argv[4])
losses = [f["loss"] for k, f in trainer.train(stop_requested=lambda: trainer.step >= stop_after) if k == "step"]
weights = torch.cat([p.detach().flatten() for p in trainable(trainer.encoder.model).values()])
torch.save({"weights": weights, "losses": losses, "temperature": trainer.temperature, "size": team.size}, folder / f"end-{team.rank}.pt")
team.close()
"""


def torchrun(base, folder, *, processes: int, stop_after: int = 99, **fields) -> list[dict]:
    """Trainer in as many processes; what each of them ended with."""
    folder.mkdir(exist_ok=True)
    script = folder / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    starter = (
        [sys.executable]
        if processes == 1
        else [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    )
    command = [*starter, str(script), str(base), str(folder), json.dumps(fields), str(stop_after)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=PROJECT_FOLDER, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ends = [torch.load(folder / f"end-{rank}.pt", weights_only=True) for rank in range(processes)]
    assert [end["size"] for end in ends] == [processes] * processes
    return ends


@pytest.mark.slow
def test_under_torchrun_two_processes_are_one_in_float32_and_resume_as_one(tiny_decoder, tmp_path):
    """Weights after six steps agree to rounding, with each other to the bit, and stopped after two and resumed to the bit."""
    fields = {**FIELDS, "micro_batch_tokens": 100, "matryoshka": [8], "margin_mask": 0.1}
    (one,) = torchrun(tiny_decoder, tmp_path / "one", processes=1, **fields)
    first, second = torchrun(tiny_decoder, tmp_path / "two", processes=2, **fields)
    assert torch.equal(first["weights"], second["weights"])
    assert first["temperature"] == second["temperature"] == pytest.approx(one["temperature"], rel=1e-5)
    assert first["losses"] == pytest.approx(one["losses"], rel=1e-4)
    assert float((first["weights"] - one["weights"]).abs().max()) < 1e-4
    dropout = {**fields, "lora_dropout": 0.2}
    whole, _ = torchrun(tiny_decoder, tmp_path / "whole", processes=2, **dropout)
    torchrun(tiny_decoder, tmp_path / "parts", processes=2, stop_after=2, **dropout)
    resumed, other = torchrun(tiny_decoder, tmp_path / "parts", processes=2, **dropout)
    assert len(resumed["losses"]) == 4
    assert torch.equal(resumed["weights"], whole["weights"])
    assert torch.equal(other["weights"], whole["weights"])


def command_under_torchrun(*words: str) -> subprocess.Popen[str]:
    """`python -m core` in two processes of torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "core", *words, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT_FOLDER)


@pytest.mark.slow
def test_a_run_under_torchrun_that_is_killed_is_resumed_under_torchrun_to_the_adapter_of_one_that_was_not(ready, tiny_decoder, tmp_path):
    """The command itself: killed by SIGKILL after its first checkpoint, then `jobs resume`, to the bit."""
    plan = make_plan(tiny_decoder, processes=2, micro_batch_tokens=100, lora_dropout=0.2, **{**FIELDS, "steps": 40, "checkpoint_every": 2})
    whole = ready.jobs.wait(ready.training.start(plan).id, timeout_seconds=500)
    assert whole.state is JobState.DONE, ready.jobs.log_tail(whole.id)
    (tmp_path / "plan.json").write_text(plan.model_dump_json(), encoding="utf-8")
    running = command_under_torchrun("train", "--version", "v", "--plan", str(tmp_path / "plan.json"))
    limit = time.monotonic() + 200
    while not (runs := [job for job in ready.training.runs() if job.id != whole.id]) or len(losses_of(ready, runs[0].id)) < 3:
        assert time.monotonic() < limit, running.poll()
        time.sleep(0.02)
    killed = ready.jobs.get(runs[0].id)
    os.kill(killed.pid, signal.SIGKILL)
    running.communicate(timeout=100)
    assert running.returncode != 0
    assert ready.jobs.get(killed.id).state is JobState.LOST
    resuming = command_under_torchrun("jobs", "resume", killed.id)
    told, errors = resuming.communicate(timeout=300)
    assert resuming.returncode == 0, errors[-3000:]
    assert json.loads(told.splitlines()[-1])["state"] == "done"
    assert ready.jobs.get(killed.id).result["processes"] == 2
    assert any(event["kind"] == "resumed" for event in ready.jobs.events(killed.id)[0])
    assert torch.equal(adapter_of(ready, killed.id), adapter_of(ready, whole.id))


@pytest.mark.slow
def test_a_run_under_torchrun_that_is_taken_out_of_the_line_ends_all_its_processes(ready, tiny_decoder, tmp_path):
    """The first process ends when its job does; the others, which wait for it to lead, must not go on to wait for an hour."""
    (tmp_path / "plan.json").write_text(make_plan(tiny_decoder, processes=2, **FIELDS).model_dump_json(), encoding="utf-8")
    jobs = ready.settings.jobs_folder
    jobs.mkdir(parents=True, exist_ok=True)
    ahead = Job("train-ahead", JobKind.TRAIN, "Train before", JobState.RUNNING, {}, "h", jobs / "train-ahead", created_at=now())
    ready._job_store.add(ahead)
    mark = mark_of(os.getpid())
    ready._job_store.set(ahead.id, pid=mark.pid, process_start=mark.started, boot_id=mark.boot_id)
    with FileLock(jobs / ".turn-0.lock"):
        running = command_under_torchrun("train", "--version", "v", "--plan", str(tmp_path / "plan.json"))
        limit = time.monotonic() + 100
        while not (line := list(ready.jobs.line.places())) or not ready.jobs.events(line[0])[0]:
            assert time.monotonic() < limit, running.poll()
            time.sleep(0.05)
        ready.jobs.stop(line[0])
        _, errors = running.communicate(timeout=100)
    assert running.returncode != 0
    assert "taken out of the line" in errors
    assert ready.jobs.get(line[0]).state is JobState.STOPPED


@pytest.mark.parametrize(
    ("state", "kinds", "fails"),
    [
        (JobState.STOPPED, ["queued"], True),
        (JobState.PAUSED, [], True),
        (JobState.STOPPED, ["started", "step", "ended", "queued"], True),
        (JobState.STOPPED, ["queued", "started", "step"], False),
        (JobState.DONE, ["started", "step"], False),
    ],
)
def test_only_a_job_that_never_began_fails_its_torchrun(monkeypatch, tmp_path, state, kinds, fails):
    job = Job("train-x", JobKind.TRAIN, "Train", state, {}, "h", tmp_path)
    events = [{"kind": kind} for kind in [*kinds, "ended"]]
    let_helpers_go(job, events)  # without torchrun there is nobody to let go
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(JobError, match="out of the line") if fails else nullcontext():
        let_helpers_go(job, events)


def test_texts_are_dealt_evenly_and_each_once():
    hands = deal([100, 1, 1, 50, 49, 1, 2], 2)
    assert sorted(i for hand in hands for i in hand) == list(range(7))
    assert [sum([100, 1, 1, 50, 49, 1, 2][i] for i in hand) for hand in hands] == [102, 102]
    assert deal([5], 3) == [[0], [], []]


def test_a_process_alone_hears_itself():
    own = torch.arange(6.0).reshape(3, 2)
    assert ALONE.vectors(own, [[2, 0, 1]]).tolist() == [[2.0, 3.0], [4.0, 5.0], [0.0, 1.0]]
    assert ALONE.share({"a": 1}) == {"a": 1}
    assert ALONE.any(True)
