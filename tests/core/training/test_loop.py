from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModel

from core.domain.encoder import EncoderSpec, Role
from core.encoder.open_encoder import open_encoder
from core.errors import TrainingDiverged, WorkspaceDamaged
from core.settings import Settings
from core.training.adapters import adapted_modules, save_adapter, trainable
from core.training.loop import learning_rate
from tests.core.training.runs import make_plan, make_trainer


def weights(trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainable(trainer.encoder.model).values()])


def run(trainer, *, stop_after: int | None = None) -> list[tuple[str, dict]]:
    return list(trainer.train(stop_requested=lambda: stop_after is not None and trainer.step >= stop_after))


def test_the_loss_falls_and_each_step_reports_itself(tiny_decoder, tmp_path):
    events = run(make_trainer(tiny_decoder, tmp_path, steps=30, learning_rate=0.03))
    steps = [fields for kind, fields in events if kind == "step"]
    assert [s["step"] for s in steps] == list(range(1, 31))
    assert np.mean([s["loss"] for s in steps[-5:]]) < 0.6 * np.mean([s["loss"] for s in steps[:5]])
    assert steps[-1]["eta_seconds"] == 0
    assert {"accuracy", "gradient_norm", "learning_rate", "triples_per_second", "tokens_per_second", "memory_bytes"} <= set(steps[0])


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one_to_the_bit(tiny_decoder, tmp_path, dropout):
    whole = make_trainer(tiny_decoder, tmp_path / "whole", lora_dropout=dropout)
    run(whole)
    stopped = make_trainer(tiny_decoder, tmp_path / "parts", lora_dropout=dropout)
    assert run(stopped, stop_after=2)[-2] == ("checkpoint", {"step": 2})
    assert stopped.step == 2
    torch.manual_seed(99)  # whatever the new process did before
    resumed = make_trainer(tiny_decoder, tmp_path / "parts", lora_dropout=dropout)
    events = run(resumed)
    assert events[0] == ("resumed", {"step": 2})
    assert resumed.step == whole.step == 6
    assert torch.equal(weights(resumed), weights(whole))
    assert not torch.equal(weights(stopped), weights(whole))


def test_a_killed_run_goes_on_from_its_last_checkpoint(tiny_decoder, tmp_path):
    whole = make_trainer(tiny_decoder, tmp_path / "whole")
    run(whole)
    killed = make_trainer(tiny_decoder, tmp_path / "parts")
    for kind, fields in killed.train(stop_requested=lambda: False):
        if kind == "step" and fields["step"] == 5:
            break  # after the checkpoint of step 3; steps 4 and 5 are lost
    resumed = make_trainer(tiny_decoder, tmp_path / "parts")
    events = run(resumed)
    assert events[0] == ("resumed", {"step": 3})
    assert torch.equal(weights(resumed), weights(whole))


def test_the_saved_adapter_is_not_zero_loads_as_peft_and_changes_the_base(tiny_decoder, tmp_path):
    trainer = make_trainer(tiny_decoder, tmp_path / "checkpoints", steps=6)
    run(trainer)
    folder = tmp_path / "adapter"
    digest = save_adapter(trainer.encoder.model, folder)
    loaded = PeftModel.from_pretrained(AutoModel.from_pretrained(tiny_decoder), folder)
    b_matrices = [p for name, p in loaded.named_parameters() if "lora_B" in name]
    assert len(b_matrices) == adapted_modules(trainer.encoder.model) == 2 * 7
    assert all(bool(p.any()) for p in b_matrices)
    settings = Settings(workspace=tmp_path, device="cpu")
    base = open_encoder(EncoderSpec(base=str(tiny_decoder)), settings).encode(["rain"], role=Role.DOCUMENT)
    spec = EncoderSpec(base=str(tiny_decoder), adapter=str(folder), adapter_hash=digest)
    tuned = open_encoder(spec, settings).encode(["rain"], role=Role.DOCUMENT)
    trainer.encoder.model.eval()
    assert np.abs(base - tuned).max() > 1e-3
    assert float(tuned[0] @ trainer.encoder.encode(["rain"], role=Role.DOCUMENT)[0]) > 0.999  # merged, and bfloat16 where the CPU has it


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(tiny_decoder, tmp_path):
    trainer = make_trainer(tiny_decoder, tmp_path)

    def spoil_after_step_4() -> bool:
        if trainer.step == 4:
            with torch.no_grad():
                next(iter(trainable(trainer.encoder.model).values())).fill_(math.nan)
        return False

    with pytest.raises(TrainingDiverged, match="not a number"):
        list(trainer.train(stop_requested=spoil_after_step_4))
    again = make_trainer(tiny_decoder, tmp_path)
    assert run(again)[0] == ("resumed", {"step": 3})
    assert bool(weights(again).isfinite().all())


def test_a_torn_checkpoint_is_passed_over_and_only_torn_ones_are_told(tiny_decoder, tmp_path: Path):
    run(make_trainer(tiny_decoder, tmp_path))
    newest, older = sorted(tmp_path.glob("step-*"), reverse=True)
    (newest / "optimizer.safetensors").write_bytes(b"torn")
    assert run(make_trainer(tiny_decoder, tmp_path))[0] == ("resumed", {"step": 3})
    for folder in (tmp_path / "step-000006", older):
        (folder / "adapter.safetensors").write_bytes(b"torn")
    with pytest.raises(WorkspaceDamaged):
        run(make_trainer(tiny_decoder, tmp_path))


def test_the_rate_warms_up_and_decays_in_straight_lines():
    plan = make_plan(steps=10, warmup_steps=4, learning_rate=1.0)
    rates = [learning_rate(step, plan) for step in range(10)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
