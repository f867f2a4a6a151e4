"""Tercet, in turns: encode passages as an index job does, or train step by step with the loop of a training job.

The errand is the one of with_sentence_transformers.py beside this file.
"""

from __future__ import annotations

import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.peers.rounds import Turn
from core.domain.dataset import Example, Split
from core.domain.encoder import EncoderSpec, Role
from core.domain.groups import TaskGroup
from core.domain.plans import TrainingPlan
from core.domain.triple import Texts
from core.encoder.open_encoder import open_encoder
from core.encoder.vector_cache import VectorCache
from core.settings import Settings
from core.training.checkpoints import CheckpointFolder
from core.training.loop import Trainer
from core.training.probes import choose_probes
from core.training.run import load_trainable


def main() -> None:
    """Run the errand."""
    turn = Turn()
    torch.set_num_threads(turn.errand["threads"])
    (encode if turn.errand["work"] == "encode" else train)(turn)


def encode(turn: Turn) -> None:
    """Every turn starts with an empty store of vectors."""
    errand = turn.errand
    spec = EncoderSpec(base=errand["model"], max_length=errand["max_length"])
    encoder = open_encoder(spec, Settings(device=errand["device"], threads=errand["threads"]))
    turn.answer(ready=True)
    for number in count():
        wanted = turn.wait()
        if wanted is None:
            return
        texts = errand["texts"][: wanted["texts"]]
        with tempfile.TemporaryDirectory() as folder:
            cache = VectorCache(Path(folder), str(number), role=Role.DOCUMENT)
            started = time.perf_counter()
            vectors = cache.encode(texts, lambda chunk: encoder.encode(chunk, role=Role.DOCUMENT))
            seconds = time.perf_counter() - started
        assert vectors is not None
        if wanted.get("save"):
            np.save(wanted["save"], vectors)
        turn.answer(seconds=seconds)


def train(turn: Turn) -> None:
    """The trainer of a job, on the errand's rows in their order."""
    errand = turn.errand
    plan = TrainingPlan(**errand["plan"])
    rows = zip(errand["rows"], errand["tasks"], strict=True)
    examples = [Example(str(i), TaskGroup.STS, task, Texts(*row), "English", None, Split.TRAIN) for i, (row, task) in enumerate(rows)]
    encoder = load_trainable(plan, Settings(device=errand["device"], threads=errand["threads"]))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(encoder, examples, plan, CheckpointFolder(Path(folder)), choose_probes(examples[:2]))
        steps = (fields for kind, fields in trainer.train(stop_requested=lambda: False) if kind == "step")
        turn.answer(ready=True)
        while turn.wait() is not None:
            found: dict[str, Any] = next(steps)
            turn.answer(**{name: found[name] for name in ("seconds", "loss", "gradient_norm", "tokens_per_second")})


if __name__ == "__main__":
    main()
