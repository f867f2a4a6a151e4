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
from core.encoder.language_model import LanguageModelEncoder, load_base, pick_device, pick_dtype
from core.encoder.open_encoder import open_encoder, resolve_base
from core.encoder.packing import use_packing
from core.errors import ModelUnusable, TrainingDiverged
from core.jobs.context import JobContext
from core.settings import Settings
from core.training.adapters import adapted_modules, attach, save_adapter, trainable
from core.training.checkpoints import CheckpointFolder
from core.training.loop import Trainer, tuned_spec
from core.training.probes import choose_probes

COMPARED = 16  # documents whose vectors show that base and tuned differ
SAME = 1e-4  # largest change of a cosine below which base and tuned count as the same model


def run_training(context: JobContext, plan: TrainingPlan, examples: Sequence[Example], settings: Settings) -> dict[str, Any]:
    """Train on the training part of `examples`; the held-out part serves as probes only. Returns the job's result."""
    started = time.monotonic()
    torch.set_num_threads(settings.threads or torch.get_num_threads())
    training = [e for e in examples if e.split is Split.TRAIN and e.group in plan.groups]
    encoder = _load(plan, settings)
    context.emit("parity", **parity(encoder, training))
    context.emit("data", **token_facts(encoder, training, plan))
    probes = choose_probes([e for e in examples if e.group in plan.groups])
    compared = probes.documents[:COMPARED]
    before = _untrained(encoder, compared)
    trainer = Trainer(encoder, training, plan, CheckpointFolder(context.folder / "checkpoints"), probes)
    for kind, fields in trainer.train(stop_requested=context.stop_requested):
        context.emit(kind, **fields)
        if kind == "step":
            note = f"loss {fields['loss']:.3f}, {math.ceil(fields['eta_seconds'])} s left"
            context.progress(fields["step"], fields["steps"], "steps", note)
    return _result(context, trainer, settings, before, compared, time.monotonic() - started)


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
    """Tokens of the training texts and how many of them the length limit cuts."""
    unlimited = replace(encoder.spec, max_length=1_000_000)
    tokens = type(encoder.tokens)(encoder.tokens.tokenizer, unlimited)
    texts = [t for e in examples for t in (e.texts.query, e.texts.positive, e.texts.negative) if t]
    lengths = np.array([len(row) for row in tokens.ids(texts, role=Role.DOCUMENT)])
    cut = lengths > plan.max_length
    return {
        "examples": len(examples),
        "texts": len(texts),
        "tokens_median": float(np.median(lengths)),
        "tokens_longest": int(lengths.max()),
        "cut_share": float(cut.mean()),
        "tokens_kept_share": float(np.minimum(lengths, plan.max_length).sum() / lengths.sum()),
    }


def _untrained(encoder: LanguageModelEncoder, documents: Sequence[str]) -> np.ndarray:
    """Vectors of the base: the fresh adapter still adds nothing."""
    return encoder.encode(documents, role=Role.DOCUMENT)


def _load(plan: TrainingPlan, settings: Settings) -> LanguageModelEncoder:
    source = resolve_base(plan.base_model, settings)
    device = pick_device(settings.device)
    model, tokenizer = load_base(source, dtype=pick_dtype(device))
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
    reopened = open_encoder(replace(spec, max_length=trainer.plan.max_length), settings)
    change = _change(before, reopened.encode(documents, role=Role.DOCUMENT))
    context.emit("adapter", sha256=digest, largest_cosine_change=change, differs_from_base=change > SAME)
    if trainer.step == trainer.plan.steps and change <= SAME:
        raise TrainingDiverged("The tuned model gives the base's vectors.", hint="Train longer or with a higher learning rate.")
    facts = trainer.facts
    return {
        "encoder": spec.as_dict(),
        "steps": trainer.step,
        "stopped_early": trainer.step < trainer.plan.steps,
        "loss_first": facts["loss_first"],
        "loss_last": facts["loss_last"],
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
