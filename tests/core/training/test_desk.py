from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.dataset import DatasetVersion, Example, Split
from core.domain.encoder import EMBEDDED_BASE
from core.domain.groups import TaskGroup
from core.domain.jobs import JobKind, JobState
from core.domain.plans import TrainingPlan
from core.errors import BadPlan, ModelUnusable, NotFound, NothingToDo
from core.jobs.context import JobContext
from core.storage.versions import VersionStore
from core.training.desk import BASE_BYTES, TrainingDesk, check_plan, estimate_tokens
from core.training.presets import PRESETS
from tests.core.encoder.tiny import build_tiny_decoder
from tests.core.training.runs import make_examples, make_plan
from tests.factories import make_triple


@pytest.fixture
def desk(workbench) -> TrainingDesk:
    """A desk whose workspace holds version `v` of the tiny examples."""
    from core.storage.triples import TripleStore

    examples = []
    for e in make_examples():
        triple = make_triple(e.texts.query, e.texts.positive, e.texts.negative, task=e.task)
        TripleStore(workbench.database).add([triple])
        examples.append(replace(e, triple_id=triple.id))
    _store(workbench, "v", examples)
    _store(workbench, "empty", [e for e in examples if e.split is Split.HELDOUT])
    return workbench.training


def _store(workbench, name: str, examples: list[Example]) -> None:
    train = sum(e.split is Split.TRAIN for e in examples)
    version = DatasetVersion(name, name, name, train, len(examples) - train, {}, None, "2026-01-01")
    VersionStore(workbench.database).add(version, examples, {})


def run_here(workbench, plan: TrainingPlan) -> tuple[dict, JobContext]:
    """Do the job's work in this process, with its row and folder as in its own."""
    from core.domain.jobs import Job

    folder = workbench.settings.jobs_folder / "train-here"
    folder.mkdir(parents=True, exist_ok=True)
    job = Job("train-here", JobKind.TRAIN, "t", JobState.RUNNING, plan.model_dump(mode="json"), "h", folder)
    context = JobContext(job, workbench._job_store)
    return workbench.training.run(context), context


def test_an_inspection_counts_what_would_be_trained(desk):
    found = desk.inspect(make_plan(steps=5))
    assert (found.examples, found.heldout, found.batch_size) == (10, 2, 4)
    assert found.by_group == {"short-long": 10}
    assert found.without_negative == 2
    assert found.epochs == pytest.approx(5 / 2)  # two full batches of four an epoch
    assert found.seconds is None  # nobody measured the tiny model


def test_each_process_has_the_base_in_memory(desk):
    plans = [make_plan(base_model=EMBEDDED_BASE, processes=processes) for processes in (1, 2)]
    one, two = (desk.inspect(plan).memory_bytes for plan in plans)
    assert two - one == pytest.approx(BASE_BYTES)  # the batch's activations are shared out


def test_a_version_without_training_triples_is_nothing_to_do(desk):
    with pytest.raises(NothingToDo) as caught:
        desk.start(make_plan(dataset_version_id="empty"))
    assert "freeze" in caught.value.hint
    with pytest.raises(NothingToDo):
        desk.start(make_plan(groups=(TaskGroup.STS,)))
    with pytest.raises(NotFound):
        desk.start(make_plan(dataset_version_id="no such version"))
    assert desk.runs() == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"base_model": "/no/such/folder"}, "no folder"),
        ({"base_model": "embedded:minilm"}, "cannot be trained"),
        ({"base_model": "embedded:smollm2-135m", "warmup_steps": 6}, "warm-up"),
        ({"base_model": "embedded:smollm2-135m", "use_hard_negatives": False, "use_in_batch_negatives": False}, "negatives"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_before_it_starts(fields, words):
    with pytest.raises(BadPlan, match=words) as caught:
        check_plan(make_plan(**fields))
    assert caught.value.hint


def test_every_preset_is_a_plan_and_a_clone_is_the_same_plan(desk):
    for name in desk.presets():
        plan = desk.preset(name, "v")
        check_plan(plan)
        assert plan.dataset_version_id == "v"
    assert set(desk.presets()) == set(PRESETS)
    with pytest.raises(NotFound):
        desk.preset("none such", "v")


def test_a_run_gives_an_encoder_that_opens_and_says_what_it_did(desk, workbench, tiny_decoder):
    result, context = run_here(workbench, make_plan(tiny_decoder))
    kinds = [event["kind"] for event in workbench.jobs.events("train-here")[0]]
    assert kinds[:3] == ["parity", "data", "probe"]
    assert kinds.count("step") == 6
    assert kinds[-1] == "adapter"
    assert result["steps"] == 6
    assert result["encoder"]["adapter"] == str(context.folder / "adapter")
    assert result["largest_cosine_change"] > 1e-3
    parity = workbench.jobs.events("train-here")[0][0]
    assert parity["eos_last_on_both_sides"]
    assert parity["no_chat_template"]
    assert parity["adapted_modules"] == 14


def test_a_base_without_end_token_is_told_by_the_run(desk, workbench, tmp_path):
    with pytest.raises(ModelUnusable, match="no end token"):
        run_here(workbench, make_plan(build_tiny_decoder(tmp_path / "endless", eos=None)))


def test_an_inspection_follows_the_choices_of_batches(desk):
    by_task = desk.inspect(make_plan(batch_scope="task", steps=6))
    assert by_task.epochs == pytest.approx(6 / 3)  # the ten triples are of three tasks: 4, 3 and 3
    assert any("each of one task, of 3 to 4 triples" in warning for warning in by_task.warnings)
    alone = desk.inspect(make_plan(no_in_batch_groups=(TaskGroup.SHORT_LONG,)))
    assert any(warning.startswith("2 triples see neither") for warning in alone.warnings)
    weighted = desk.inspect(make_plan(source_weights={"": 0.4, "import": 2}))
    assert weighted.epochs == pytest.approx(6)  # four of ten drawn: one batch
    assert any("No training triple has the source import" in warning for warning in weighted.warnings)
    with pytest.raises(NothingToDo, match="weights"):
        desk.inspect(make_plan(source_weights={"": 0}))


def test_token_estimates_follow_the_script():
    assert estimate_tokens("word " * 42) == 1 + round(210 / 4.2)
    assert estimate_tokens("天" * 75) == 101


@pytest.mark.slow
def test_the_embedded_decoder_learns_in_a_few_steps(desk, workbench):
    plan = make_plan("embedded:smollm2-135m", steps=4, batch_size=4, max_length=24, learning_rate=1e-3, lora_rank=8, lora_alpha=16)
    result, _ = run_here(workbench, plan)
    steps = [e for e in workbench.jobs.events("train-here")[0] if e["kind"] == "step"]
    assert result["steps"] == len(steps) == 4
    assert result["largest_cosine_change"] > 1e-3
