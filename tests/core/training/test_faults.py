"""What goes wrong in a run, and bases of another shape: each is told by name, or works in training and in use alike."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer, LlamaConfig

from core.domain.contrast import Direction
from core.domain.encoder import EncoderSpec, Pooling, Role
from core.encoder.base_shape import BaseShape, has_bitsandbytes
from core.encoder.files import ADAPTER_SETTINGS, write_json
from core.encoder.language_model import LanguageModelEncoder, load_base
from core.encoder.open_encoder import open_encoder
from core.errors import BadPlan, ModelUnusable, TrainingDiverged
from core.settings import Settings
from core.training import micro_batch
from core.training.adapters import save_adapter, trainable
from core.training.checkpoints import CheckpointFolder
from core.training.desk import check_plan
from core.training.loop import Trainer, tuned_spec
from core.training.micro_batch import SHARE, _estimated_bytes, budget_of, find_budget
from core.training.probes import choose_probes
from core.training.run import load_trainable
from tests.core.encoder.tiny import build_tiny_decoder
from tests.core.training.runs import make_examples, make_plan, make_trainer


def run(trainer) -> list[tuple[str, dict]]:
    return list(trainer.train(stop_requested=lambda: False))


def weights(trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainable(trainer.encoder.model).values()])


def test_a_batch_with_nan_stops_the_run_before_it_reaches_the_adapter(tiny_decoder, tmp_path):
    trainer = make_trainer(tiny_decoder, tmp_path)
    usual = trainer._forward

    def spoilt(batches):
        vectors = usual(batches)
        return vectors * math.nan if trainer.step == 4 else vectors

    trainer._gradient._embed = spoilt
    with pytest.raises(TrainingDiverged, match="not a number at step 5") as caught:
        run(trainer)
    assert "checkpoint" in caught.value.hint
    assert bool(weights(trainer).isfinite().all())
    again = make_trainer(tiny_decoder, tmp_path)
    assert run(again)[0] == ("resumed", {"step": 3})
    assert again.step == 6


def test_vectors_that_are_all_one_stop_the_run_and_the_last_checkpoint_stays(tiny_decoder, tmp_path):
    trainer = make_trainer(tiny_decoder, tmp_path)
    usual = trainer._forward
    trainer._gradient._embed = lambda batches: usual(batches) * 0 + (32**-0.5 if trainer.step == 3 else usual(batches))
    with pytest.raises(TrainingDiverged, match="same vector"):
        run(trainer)
    assert [folder.name for folder in tmp_path.glob("step-*")] == ["step-000003"]


def test_memory_that_runs_out_in_a_run_shrinks_its_passes_and_a_resumed_run_keeps_them_small(tiny_decoder, tmp_path):
    whole = make_trainer(tiny_decoder, tmp_path / "whole", micro_batch_tokens=100)
    run(whole)
    trainer = make_trainer(tiny_decoder, tmp_path / "short", micro_batch_tokens=800)
    usual = trainer._forward

    def short(batches):
        if torch.is_grad_enabled() and sum(b.ids.numel() for b in batches) > 110:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return usual(batches)

    trainer._gradient._embed = short
    events = run(trainer)
    assert {fields["micro_batch_tokens"] for kind, fields in events if kind == "step"} == {100}
    assert torch.equal(weights(trainer), weights(whole))
    resumed = make_trainer(tiny_decoder, tmp_path / "short", micro_batch_tokens=800)
    run(resumed)
    assert resumed.facts["micro_batch_tokens"] == 100


def test_the_budget_follows_the_memory_that_is_free(tiny_decoder):
    assert budget_of(1e6, 1e9, most=5120) == 700
    assert budget_of(1e6, 1e12, most=5120) == 5120
    assert budget_of(1e9, 1e9, most=5120) == 64
    model, _ = load_base(str(tiny_decoder), dtype=torch.float32)
    assert find_budget(model, EncoderSpec(), torch.device("cpu")) == 5120  # a tiny model fits any machine


def test_the_processes_of_a_host_share_its_memory(tiny_decoder, monkeypatch):
    model, _ = load_base(str(tiny_decoder), dtype=torch.float32)
    free = 2000 * _estimated_bytes(model) / SHARE
    monkeypatch.setattr(micro_batch.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    found = {}
    for processes in ("1", "4"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        found[processes] = find_budget(model, EncoderSpec(), torch.device("cpu"))
    assert found == {"1": pytest.approx(2000, abs=1), "4": pytest.approx(500, abs=1)}


def test_a_gpu_finds_the_same_budget_though_its_free_memory_wavers(monkeypatch):
    emptied = []
    monkeypatch.setattr(micro_batch, "_measured_bytes", lambda *_: 1e6)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    for free in (50e9, 52e9):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free if emptied else 0, 80e9))
        assert find_budget(None, EncoderSpec(), torch.device("cuda")) == 32768
        emptied.clear()


def test_a_base_without_padding_token_and_with_a_chat_template_trains_on_plain_text(tmp_path):
    folder = build_tiny_decoder(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).pad_token_id is None
    trainer = make_trainer(folder, tmp_path / "run")
    assert trainer.encoder.tokens.tokenizer.chat_template
    ids = trainer.encoder.tokens.ids(["rain"], role=Role.DOCUMENT)[0]
    assert trainer.encoder.tokens.tokenizer.decode(ids[:-1]) == "rain"
    assert ids[-1] == trainer.encoder.tokens.eos
    padded = build_tiny_decoder(tmp_path / "padded")
    usual = make_trainer(padded, tmp_path / "usual")
    run(trainer)
    run(usual)
    assert torch.equal(weights(trainer), weights(usual))


@pytest.mark.parametrize("fields", [{"base_layers": 1}, {"bidirectional": True}, {"bidirectional": True, "pooling": Pooling.MEAN}])
def test_a_base_of_another_shape_gives_the_same_vectors_in_use_as_in_training(tiny_decoder, tmp_path, fields):
    trainer = make_trainer(tiny_decoder, tmp_path / "run", **fields)
    run(trainer)
    folder = tmp_path / "adapter"
    digest = save_adapter(trainer.encoder.model, folder)
    spec = tuned_spec(trainer.plan, adapter=str(folder), adapter_hash=digest)
    write_json(folder / ADAPTER_SETTINGS, spec.as_dict())
    settings = Settings(workspace=tmp_path, device="cpu")
    texts = ["rain", "a much longer text about snow"]
    trainer.encoder.model.eval()
    trained = trainer.encoder.encode(texts, role=Role.DOCUMENT)
    used = open_encoder(EncoderSpec.from_dict(spec.as_dict()), settings).encode(texts, role=Role.DOCUMENT)
    assert float((trained * used).sum(1).min()) > 0.999
    with pytest.raises(ModelUnusable, match="was trained with"):
        open_encoder(replace(spec, layers=None, bidirectional=False), settings)
    raw = EncoderSpec(base=str(tiny_decoder))
    shaped = replace(raw, layers=spec.layers, bidirectional=spec.bidirectional)
    assert raw.fingerprint != shaped.fingerprint
    assert not np.allclose(*(open_encoder(s, settings).encode(texts, role=Role.DOCUMENT) for s in (raw, shaped)), atol=1e-2)


def test_a_fingerprint_of_before_these_choices_is_still_the_same():
    assert EncoderSpec().fingerprint == EncoderSpec(bidirectional=False, layers=None).fingerprint == OLD


OLD = "19efcc362fe6a25ed2ae"


def test_attention_both_ways_reads_what_comes_later_whatever_is_padded(tiny_decoder):
    model, tokenizer = load_base(str(tiny_decoder), dtype=torch.float32, shape=BaseShape(bidirectional=True))
    encoder = LanguageModelEncoder(model, tokenizer, EncoderSpec(bidirectional=True), device=torch.device("cpu"))
    alone = np.vstack([encoder.encode([text], role=Role.DOCUMENT) for text in ("rain", "a longer text")])
    assert np.allclose(encoder.encode(["rain", "a longer text"], role=Role.DOCUMENT), alone, atol=1e-5)
    first = [model(input_ids=torch.tensor([[7, 8, last]])).last_hidden_state[0, 0] for last in (9, 10)]
    assert not torch.allclose(first[0], first[1], atol=1e-3)


def test_more_layers_than_there_are_is_told(tiny_decoder):
    assert LlamaConfig.from_pretrained(tiny_decoder).num_hidden_layers == 2
    with pytest.raises(ModelUnusable, match="2 layers, not 3"):
        load_base(str(tiny_decoder), dtype=torch.float32, shape=BaseShape(layers=3))


def test_four_bits_without_the_package_are_refused_by_name(tiny_decoder):
    if has_bitsandbytes():
        pytest.skip("bitsandbytes is installed")
    with pytest.raises(ModelUnusable, match="bitsandbytes"):
        check_plan(make_plan(tiny_decoder, four_bit=True))
    with pytest.raises(ModelUnusable, match="bitsandbytes"):
        load_base(str(tiny_decoder), dtype=torch.float32, shape=BaseShape(four_bit=True))


def test_a_base_in_four_bits_trains_an_adapter_that_the_whole_base_takes(tmp_path):
    """Runs where bitsandbytes is installed; its CPU kernels do."""
    if not has_bitsandbytes():
        pytest.skip("bitsandbytes is not installed")
    base = build_tiny_decoder(tmp_path / "base")
    plan = make_plan(base, four_bit=True, steps=12, learning_rate=0.02, checkpoint_every=12)
    settings = Settings(workspace=tmp_path, device="cpu")
    encoder = load_trainable(plan, settings)
    kinds = {type(module).__name__ for module in encoder.model.modules()}
    assert "Linear4bit" in kinds
    examples = make_examples()
    trainer = Trainer(encoder, examples, plan, CheckpointFolder(tmp_path / "run"), choose_probes(examples))
    losses = [fields["loss"] for kind, fields in run(trainer) if kind == "step"]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    digest = save_adapter(encoder.model, tmp_path / "adapter")
    encoder.model.eval()
    texts = ["rain", "snow and hail"]
    trained = encoder.encode(texts, role=Role.DOCUMENT)
    again, tokenizer = load_base(str(base), dtype=encoder.model.dtype, shape=BaseShape(four_bit=True))
    reloaded = LanguageModelEncoder(PeftModel.from_pretrained(again, tmp_path / "adapter"), tokenizer, encoder.spec, device=encoder.device)
    assert float((trained * reloaded.encode(texts, role=Role.DOCUMENT)).sum(1).min()) > 0.999
    spec = tuned_spec(plan, adapter=str(tmp_path / "adapter"), adapter_hash=digest)
    used, raw = (
        open_encoder(s, settings).encode(texts, role=Role.DOCUMENT) for s in (spec, replace(spec, adapter=None, adapter_hash=None))
    )
    assert float((used * raw).sum(1).max()) < 0.99  # search takes the adapter on the whole base, whose weights are not rounded
    assert float((trained * used).sum(1).min()) > float((trained * raw).sum(1).min())


def test_plans_that_contradict_themselves_are_refused(tiny_decoder):
    with pytest.raises(BadPlan, match="in-batch negatives are off"):
        check_plan(make_plan(tiny_decoder, directions=tuple(Direction), use_in_batch_negatives=False))
    for fields in (
        {"directions": ("q-q",)},
        {"matryoshka": (0,)},
        {"source_weights": {"a": -1}},
        {"learn_temperature": True, "temperature": 2},
    ):
        with pytest.raises(ValueError, match=next(iter(fields)).removeprefix("learn_")):
            make_plan(tiny_decoder, **fields)
