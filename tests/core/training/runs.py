"""A tiny model ready to train, and examples it can learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from core.domain.dataset import Example, Split
from core.domain.groups import TaskGroup
from core.domain.plans import TrainingPlan
from core.domain.triple import Texts
from core.encoder.base_shape import BaseShape
from core.encoder.language_model import LanguageModelEncoder, load_base
from core.training.adapters import attach
from core.training.checkpoints import CheckpointFolder
from core.training.loop import Trainer, tuned_spec
from core.training.probes import choose_probes
from core.training.team import ALONE, Team

WORDS = ("rain", "snow", "wind", "fog", "hail", "sun", "ice", "heat", "dew", "mist", "frost", "cloud")


def make_examples(*, heldout: int = 2) -> list[Example]:
    return [
        Example(
            f"id{i}",
            TaskGroup.SHORT_LONG,
            f"find weather {i % 3}",
            Texts(f"what is {word}", f"{word} comes from the sky", f"{word[::-1]} is a word" if i % 4 else None),
            "English",
            None,
            Split.HELDOUT if i < heldout else Split.TRAIN,
        )
        for i, word in enumerate(WORDS)
    ]


def make_plan(base: Path | str = "tiny", **fields) -> TrainingPlan:
    values = {
        "dataset_version_id": "v",
        "base_model": str(base),
        "batch_size": 4,
        "max_length": 48,
        "encode_length": 48,
        "steps": 6,
        "warmup_steps": 1,
        "learning_rate": 0.01,
        "checkpoint_every": 3,
        "lora_rank": 4,
        "lora_alpha": 8,
    }
    return TrainingPlan(**{**values, **fields})


def make_trainer(base: Path, folder: Path, *, team: Team = ALONE, **fields) -> Trainer:
    plan = make_plan(base, **fields)
    shape = BaseShape(layers=plan.base_layers, bidirectional=plan.bidirectional)
    model, tokenizer = load_base(str(base), dtype=torch.float32, shape=shape)
    tuned = attach(model, rank=plan.lora_rank, alpha=plan.lora_alpha, dropout=plan.lora_dropout, base_name=str(base), seed=plan.seed)
    encoder = LanguageModelEncoder(tuned, tokenizer, replace(tuned_spec(plan), max_length=plan.max_length), device=torch.device("cpu"))
    examples = make_examples()
    training = [e for e in examples if e.split is Split.TRAIN]
    return Trainer(encoder, training, plan, CheckpointFolder(folder), choose_probes(examples), team=team)
