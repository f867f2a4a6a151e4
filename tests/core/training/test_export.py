from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from core.domain.dataset import DatasetVersion
from core.domain.encoder import EMBEDDED_BASE, EncoderSpec, Role
from core.domain.jobs import Job, JobKind, JobState
from core.encoder.language_model import LanguageModelEncoder
from core.encoder.open_encoder import open_encoder
from core.errors import BadInput
from core.settings import Settings
from core.training.adapters import save_adapter
from core.training.averaging import ADAPTER_WEIGHTS, average, steps_kept
from core.training.export import ExportForm, export_model
from core.training.loop import tuned_spec
from core.training.model_card import ReportedScore, model_card
from tests.core.training.runs import make_trainer

TEXTS = ("rain", "a marker <|end|> inside", "snow comes from the sky " * 40)
VERSION = DatasetVersion("v", "weather", "c" * 64, 10, 2, {"group": {"short-long": 12}}, None, "2026-01-01")


@pytest.fixture(scope="module")
def run(tiny_decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A run of six steps with checkpoints of steps 3 and 6, as its job leaves it."""
    folder = tmp_path_factory.mktemp("run")
    trainer = make_trainer(tiny_decoder, folder / "checkpoints")
    list(trainer.train(stop_requested=lambda: False))
    digest = save_adapter(trainer.encoder.model, folder / "adapter")
    spec = tuned_spec(trainer.plan, adapter=str(folder / "adapter"), adapter_hash=digest)
    result = {"encoder": spec.as_dict(), "steps": 6, "loss_first": 2.0, "loss_last": 1.0}
    plan = trainer.plan.model_dump(mode="json")
    return Job("train-x", JobKind.TRAIN, "Train tiny", JobState.DONE, plan, "h", folder, dataset_version_id="v", result=result)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path, device="cpu")


def test_a_merged_folder_gives_the_same_vectors_to_plain_transformers(run, settings, tmp_path):
    export_model(run, VERSION, settings, tmp_path / "out")
    spec = EncoderSpec.from_dict(run.result["encoder"])
    ours = open_encoder(spec, settings)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    read = tokenizer(list(TEXTS), truncation=True, max_length=spec.max_length)["input_ids"]
    assert read == ours.tokens.ids(TEXTS, role=Role.DOCUMENT)
    assert all(ids[-1] == tokenizer.eos_token_id and len(ids) <= spec.max_length for ids in read)
    assert tokenizer.chat_template is None
    model = AutoModel.from_pretrained(tmp_path / "out", dtype=torch.float32).to(ours.model.dtype)
    again = LanguageModelEncoder(model, tokenizer, spec, device=torch.device("cpu"))
    cosines = (again.encode(TEXTS, role=Role.DOCUMENT) * ours.encode(TEXTS, role=Role.DOCUMENT)).sum(axis=1)
    assert cosines.min() > 0.9999


def test_sentence_transformers_gives_the_same_vectors(run, settings, tmp_path):
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not part of the environment")
    export_model(run, VERSION, settings, tmp_path / "out")
    theirs = library.SentenceTransformer(str(tmp_path / "out"), device="cpu")
    ours = open_encoder(EncoderSpec.from_dict(run.result["encoder"]), settings)
    ours.model.float()
    documents = theirs.encode(list(TEXTS), convert_to_numpy=True)
    queries = theirs.encode(list(TEXTS), prompt_name="query", convert_to_numpy=True)
    task = "Given a question, retrieve passages that answer it."
    assert (documents * ours.encode(TEXTS, role=Role.DOCUMENT)).sum(axis=1).min() > 0.9999
    assert (queries * ours.encode(TEXTS, role=Role.QUERY, task=task)).sum(axis=1).min() > 0.9999


def test_the_card_names_data_plan_and_scores(run, settings, tmp_path):
    scores = [ReportedScore("heldout", 182, 0.512, 0.46, 0.56)]
    export_model(run, VERSION, settings, tmp_path / "out", form=ExportForm.ADAPTER, scores=scores)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "c" * 64 in card
    assert "| heldout | 182 | 0.512 | [0.460, 0.560] |" in card
    base = Path(run.plan["base_model"])
    assert json.dumps({**run.plan, "base_model": base.name}, indent=1, ensure_ascii=False) in card
    assert f'AutoModel.from_pretrained("{base.name}")' in card
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["base_model_name_or_path"] == base.name
    assert not [path.name for path in (tmp_path / "out").rglob("*.*") if str(base.parent).encode() in path.read_bytes()]
    assert (tmp_path / "out" / ADAPTER_WEIGHTS).read_bytes() == (run.folder / "adapter" / ADAPTER_WEIGHTS).read_bytes()


def test_the_card_of_a_merged_model_says_what_base_in_what_precision_it_was_merged_into(run, settings, tmp_path):
    export_model(run, VERSION, settings, tmp_path / "out")
    card = " ".join((tmp_path / "out" / "README.md").read_text().split())
    held = json.loads((Path(run.plan["base_model"]) / "config.json").read_text())["dtype"]
    assert f"merged into the weights of `{Path(run.plan['base_model']).name}` as its files hold them ({held})" in card
    assert "the weights are written, in float32" in card
    assert "NF4" not in card
    embedded = EncoderSpec.from_dict({**run.result["encoder"], "base": EMBEDDED_BASE})
    four_bit = replace(run, plan={**run.plan, "four_bit": True})
    told = " ".join(model_card(four_bit, embedded, VERSION, [], merged_into="bfloat16", steps=()).split())
    assert "not the original `HuggingFaceTB/SmolLM2-135M-Instruct` but what its Q4_1 conversion" in told
    assert "gives back in bfloat16" in told
    assert "held in 4 bits (NF4)" in told


def test_an_average_is_the_mean_of_the_checkpoints_weights_and_opens_as_an_adapter(run, settings, tmp_path):
    checkpoints = run.folder / "checkpoints"
    assert steps_kept(checkpoints) == [3, 6]
    found = export_model(run, VERSION, settings, tmp_path / "out", form=ExportForm.ADAPTER, steps=[6, 3])
    mean = load_file(tmp_path / "out" / ADAPTER_WEIGHTS)
    one, two = (load_file(checkpoints / f"step-00000{step}" / "adapter.safetensors") for step in (3, 6))
    assert len(mean) == len(one) > 0
    for name, values in one.items():
        torch.testing.assert_close(mean[name.replace(".default.", ".")], (values + two[name]) / 2)
    spec = EncoderSpec.from_dict({**run.result["encoder"], "adapter": found["folder"], "adapter_hash": found["adapter_sha256"]})
    end = open_encoder(EncoderSpec.from_dict(run.result["encoder"]), settings).encode(TEXTS, role=Role.DOCUMENT)
    assert np.abs(open_encoder(spec, settings).encode(TEXTS, role=Role.DOCUMENT) - end).max() > 1e-4
    with pytest.raises(BadInput) as caught:
        average(checkpoints, [3, 5], adapter=run.folder / "adapter", target=tmp_path / "no")
    assert "3, 6" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"base": EMBEDDED_BASE}, "Q4_1 conversion"),
        ({"layers": 1}, "only its first 1 layers"),
        ({"bidirectional": True}, "do not load it there"),
    ],
)
def test_a_card_gives_no_recipe_that_would_load_another_model(run, settings, tmp_path, changes, told):
    other = replace(run, result={**run.result, "encoder": {**run.result["encoder"], **changes}})
    export_model(other, VERSION, settings, tmp_path / "out", form=ExportForm.ADAPTER)
    card = (tmp_path / "out" / "README.md").read_text()
    assert told in card
    assert "run:train-x" in card
    assert "from_pretrained" not in card


def test_a_file_in_the_place_of_the_folder_is_left_alone(run, settings, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BadInput, match="is a file"):
        export_model(run, VERSION, settings, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_the_card_has_the_newest_score_of_each_test_and_none_of_another_adapter(workbench, monkeypatch, run):
    def report(test: str, fingerprint: str, mean: float) -> dict:
        score = {"mean": mean, "low": 0.0, "high": 1.0}
        systems = {"run:train-x": {"fingerprint": fingerprint, "ndcg_at_10": score}}
        return {"test": {"name": test, "content_hash": test}, "queries": 9, "systems": systems}

    reports = {"4": report("a", "old", 0.4), "3": report("a", "new", 0.3), "2": report("a", "new", 0.2), "1": report("b", "new", 0.1)}
    found = {}
    evaluation = SimpleNamespace(reports=lambda: [SimpleNamespace(id=i) for i in reports], report=reports.__getitem__)
    job = replace(run, result={**run.result, "fingerprint": "new"})
    training = SimpleNamespace(export=lambda *_, scores, **__: found.update({s.test: s.ndcg_at_10 for s in scores}))
    for name, stand_in in (("evaluation", evaluation), ("training", training), ("jobs", SimpleNamespace(get=lambda _: job))):
        monkeypatch.setattr(workbench, name, stand_in)
    workbench.export_model("run:train-x", Path("out"), form=ExportForm.ADAPTER)
    assert found == {"a": 0.3, "b": 0.1}


def test_a_folder_with_something_in_it_is_left_alone(run, settings, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(BadInput, match="already"):
        export_model(run, VERSION, settings, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_bidirectional_model_is_not_written_for_programs_that_would_read_it_one_way(run, settings, tmp_path):
    both = replace(run, result={**run.result, "encoder": {**run.result["encoder"], "bidirectional": True}})
    with pytest.raises(BadInput, match="both ways") as caught:
        export_model(both, VERSION, settings, tmp_path / "out")
    assert "run:train-x" in caught.value.hint
