"""The work of a training job: load, check, train, save, and say what was made. Only a job's own process imports this."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from core.domain.dataset import Example, Split
from core.domain.encoder import EncoderSpec, Role
from core.domain.plans import TrainingPlan
from core.encoder.base_shape import BaseShape
from core.encoder.files import ADAPTER_SETTINGS
from core.encoder.language_model import LanguageModelEncoder, load_base, pick_device, pick_dtype
from core.encoder.open_encoder import open_encoder, resolve_base
from core.encoder.packing import is_packing, use_packing
from core.errors import ModelUnusable, TrainingDiverged
from core.jobs.context import JobContext
from core.settings import Settings
from core.storage.artifacts import write_json
from core.training.adapters import adapted_modules, attach, save_adapter, trainable
from core.training.checkpoints import CheckpointFolder
from core.training.gradients import pieces_of
from core.training.helpers import enlist
from core.training.loop import Trainer, tuned_spec
from core.training.probes import choose_probes
from core.training.team import Team

TEXTS_A_TRIPLE = 3
COMPARED = 16  # documents whose vectors show that base and tuned differ
SAME = 1e-4  # largest change of a cosine below which base and tuned count as the same model


def run_training(context: JobContext, plan: TrainingPlan, examples: Sequence[Example], settings: Settings) -> dict[str, Any]:
    """Train on the training part of `examples`; the held-out part serves as probes only. Returns the job's result."""
    torch.set_num_threads(settings.threads or torch.get_num_threads())
    resolve_base(plan.base_model, settings)  # fetched and converted once, before helpers look for it
    with enlist(plan, examples, settings) as (team, device):
        return _lead(context, plan, examples, settings, team, device)


def follow(plan: TrainingPlan, examples: Sequence[Example], settings: Settings, *, team: Team, device: torch.device) -> None:
    """Do a helper's part of a run: the same steps, nothing written."""
    encoder = load_trainable(plan, settings, device=device)
    nowhere = CheckpointFolder(settings.jobs_folder)  # only the first process reads and writes checkpoints
    trainer = Trainer(encoder, chosen(examples, plan), plan, nowhere, choose_probes([]), team=team)
    for _ in trainer.train(stop_requested=lambda: False):
        pass


def chosen(examples: Sequence[Example], plan: TrainingPlan) -> list[Example]:
    """What a plan trains on."""
    return [e for e in examples if e.split is Split.TRAIN and e.group in plan.groups]


def _lead(
    context: JobContext, plan: TrainingPlan, examples: Sequence[Example], settings: Settings, team: Team, device: torch.device
) -> dict[str, Any]:
    started = time.monotonic()
    training = chosen(examples, plan)
    encoder = load_trainable(plan, settings, device=device)
    context.emit("parity", **parity(encoder, training))
    context.emit("data", **token_facts(encoder, training, plan))
    probes = choose_probes([e for e in examples if e.group in plan.groups])
    compared = probes.documents[:COMPARED]
    before = _untrained(encoder, compared)
    trainer = Trainer(encoder, training, plan, CheckpointFolder(context.folder / "checkpoints"), probes, team=team)
    for kind, fields in trainer.train(stop_requested=context.stop_requested):
        context.emit(kind, **fields)
        if kind == "step":
            note = f"loss {fields['loss']:.3f}, {math.ceil(fields['eta_seconds'])} s left"
            context.progress(fields["step"], fields["steps"], "steps", note)
    result = _result(context, trainer, settings, before, compared, time.monotonic() - started)
    return {**result, "processes": team.size}


def parity(encoder: LanguageModelEncoder, examples: Sequence[Example]) -> dict[str, Any]:
    """Checks that training and use see the same tokens, on real texts.

    Raises:
        ModelUnusable: one of them fails; training would be on other input than search.
    """
    tokens = encoder.tokens
    sample = examples[:16]
    queries = [tokens.ids([e.texts.query], role=Role.QUERY, task=e.task)[0] for e in sample]
    documents = tokens.ids([e.texts.positive for e in sample], role=Role.DOCUMENT)
    rows = queries + documents
    markers = tokens.special_ids
    facts = {
        "eos_last_on_both_sides": all(row[-1] == tokens.eos and row.count(tokens.eos) == 1 for row in rows),
        "no_chat_template": not any(set(row[1:-1]) & markers for row in rows),
        "within_length": max(len(row) for row in rows) <= encoder.spec.max_length,
        "adapted_modules": adapted_modules(encoder.model),
        "trainable_parameters": sum(p.numel() for p in trainable(encoder.model).values()),
        "all_parameters": sum(p.numel() for p in encoder.model.parameters()),
        "precision": str(encoder.model.dtype).removeprefix("torch."),
        "device": str(encoder.device),
        "texts_checked": len(rows),
    }
    broken = [name for name in ("eos_last_on_both_sides", "no_chat_template", "within_length") if not facts[name]]
    if broken or not facts["adapted_modules"]:
        what = ", ".join(broken) or "no layer carries the adapter"
        raise ModelUnusable(f"A check before training failed: {what}.", hint="Use another base.")
    return facts


def token_facts(encoder: LanguageModelEncoder, examples: Sequence[Example], plan: TrainingPlan) -> dict[str, Any]:
    """Tokens of the training texts, how many of them the length limit cuts, and what a batch of them wastes as padding."""
    unlimited = replace(encoder.spec, max_length=1_000_000)
    tokens = type(encoder.tokens)(encoder.tokens.tokenizer, unlimited)
    texts = [t for e in examples for t in (e.texts.query, e.texts.positive, e.texts.negative) if t]
    rows = tokens.ids(texts, role=Role.DOCUMENT)
    lengths = np.array([len(row) for row in rows])
    cut = lengths > plan.max_length
    return {
        "examples": len(examples),
        "texts": len(texts),
        "tokens_median": float(np.median(lengths)),
        "tokens_longest": int(lengths.max()),
        "cut_share": float(cut.mean()),
        "tokens_kept_share": float(np.minimum(lengths, plan.max_length).sum() / lengths.sum()),
        **_padding([row[: plan.max_length] for row in rows[: TEXTS_A_TRIPLE * plan.batch_size]], packed=is_packing(encoder.model)),
    }


def _padding(rows: Sequence[Sequence[int]], *, packed: bool) -> dict[str, float]:
    """Share of a batch's slots that would hold no token: as it is cut here, and as one rectangle."""
    real = sum(len(row) for row in rows)
    cut = sum(piece.tokens.ids.numel() for piece in pieces_of(rows, padding=0, packed=packed))
    return {"padding_share": 1 - real / cut, "padding_share_one_rectangle": 1 - real / (len(rows) * max(len(row) for row in rows))}


def _untrained(encoder: LanguageModelEncoder, documents: Sequence[str]) -> np.ndarray:
    """Vectors of the base: the fresh adapter still adds nothing."""
    return encoder.encode(documents, role=Role.DOCUMENT)


def load_trainable(plan: TrainingPlan, settings: Settings, *, device: torch.device | None = None) -> LanguageModelEncoder:
    """The plan's base with a fresh adapter, ready for Trainer."""
    source = resolve_base(plan.base_model, settings)
    device = device or pick_device(settings.device)
    shape = BaseShape(layers=plan.base_layers, bidirectional=plan.bidirectional, four_bit=plan.four_bit)
    model, tokenizer = load_base(source, dtype=pick_dtype(device), shape=shape)
    if not use_packing(model, max_length=plan.max_length) and device.type == "cpu":
        model.set_attn_implementation("eager")  # the fused kernel's backward in bfloat16 is the slower one on a CPU
    tuned = attach(model, rank=plan.lora_rank, alpha=plan.lora_alpha, dropout=plan.lora_dropout, base_name=source, seed=plan.seed)
    spec = replace(tuned_spec(plan), max_length=plan.max_length)
    return LanguageModelEncoder(tuned, tokenizer, spec, device=device)


def _result(
    context: JobContext, trainer: Trainer, settings: Settings, before: np.ndarray, documents: Sequence[str], seconds: float
) -> dict[str, Any]:
    """Save the adapter, open it again as search will, and check that it is another model than the base."""
    folder = (context.folder / "adapter").resolve()
    digest = save_adapter(trainer.encoder.model, folder)
    spec = tuned_spec(trainer.plan, adapter=str(folder), adapter_hash=digest)
    write_json(folder / ADAPTER_SETTINGS, spec.as_dict())
    reopened = open_encoder(replace(spec, max_length=trainer.plan.max_length), settings)
    after = reopened.encode(documents, role=Role.DOCUMENT)
    change = _change(before, after)
    like = float((after * trainer.encoder.encode(documents, role=Role.DOCUMENT)).sum(1).min())  # less than 1 where the base was in 4 bits
    context.emit("adapter", sha256=digest, largest_cosine_change=change, differs_from_base=change > SAME, least_cosine_to_trained=like)
    if trainer.step == trainer.plan.steps and change <= SAME:
        raise TrainingDiverged("The tuned model gives the base's vectors.", hint="Train longer or with a higher learning rate.")
    facts = trainer.facts
    return {
        "encoder": spec.as_dict(),
        "steps": trainer.step,
        "stopped_early": trainer.step < trainer.plan.steps,
        "loss_first": facts["loss_first"],
        "loss_last": facts["loss_last"],
        "temperature": trainer.temperature,
        "micro_batch_tokens": facts["micro_batch_tokens"],
        "seconds": round(seconds, 1),
        "training_seconds": round(facts["seconds"], 1),
        "triples_per_second": facts["triples"] / max(facts["seconds"], 1e-9),
        "tokens_per_second": facts["tokens"] / max(facts["seconds"], 1e-9),
        "largest_cosine_change": change,
        "fingerprint": EncoderSpec.from_dict(spec.as_dict()).fingerprint,
    }


def _change(before: np.ndarray, after: np.ndarray) -> float:
    """Largest change of a cosine between two documents."""
    return float(np.abs(before @ before.T - after @ after.T).max())
