"""The training loop: one batch, one update, one event. Everything it needs is passed in, so that a test can run it on a tiny model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import psutil
import torch

from core.domain.dataset import Example
from core.domain.encoder import EncoderSpec, Role
from core.domain.plans import TrainingPlan
from core.encoder.language_model import LanguageModelEncoder, embed
from core.encoder.packing import is_packing
from core.encoder.tokens import TokenBatch
from core.errors import TrainingDiverged
from core.training.adapters import adapted_modules, trainable
from core.training.batches import Batch, BatchOrder, make_batch
from core.training.checkpoints import CheckpointFolder
from core.training.gradients import backward, pieces_of
from core.training.lora_linear import join_products
from core.training.losses import Contrast, denominator, info_nce
from core.training.probes import Probes

Event = tuple[str, dict[str, Any]]
COLLAPSED = 0.9995  # mean cosine of a batch's different documents above which all vectors are one
BETAS = (0.9, 0.99)


def learning_rate(step: int, plan: TrainingPlan) -> float:
    """Rate of a step (from 0): linear warm-up, then linear decay to nearly 0 at the last one."""
    if step < plan.warmup_steps:
        return plan.learning_rate * (step + 1) / plan.warmup_steps
    return plan.learning_rate * (plan.steps - step) / max(1, plan.steps - plan.warmup_steps)


class Trainer:
    """One run over its examples."""

    def __init__(
        self, encoder: LanguageModelEncoder, examples: Sequence[Example], plan: TrainingPlan, checkpoints: CheckpointFolder, probes: Probes
    ) -> None:
        """`encoder.model` already carries the adapter (see core.training.adapters)."""
        self.encoder, self.plan = encoder, plan
        frozen = next(p for p in encoder.model.parameters() if not p.requires_grad)
        # peft's own layers mix precisions, so they need autocast where the base is bfloat16; joined ones do not, and are faster without
        self._autocast = join_products(encoder.model) < adapted_modules(encoder.model) and frozen.dtype is torch.bfloat16
        self._examples, self._checkpoints, self._probes = examples, checkpoints, probes
        self._parameters = list(trainable(encoder.model).values())
        self._optimizer = torch.optim.AdamW(self._parameters, lr=plan.learning_rate, betas=BETAS, weight_decay=plan.weight_decay)
        self._order = BatchOrder(len(examples), batch_size=plan.batch_size, seed=plan.seed)
        self.step = 0  # steps done
        self.facts: dict[str, Any] = {"loss_first": None, "loss_last": None, "seconds": 0.0, "triples": 0, "tokens": 0}

    def train(self, *, stop_requested: Callable[[], bool]) -> Iterator[Event]:
        """Go on from the newest checkpoint to the last step; yields ("step" | "probe" | "checkpoint" | "resumed", fields).

        A stop finishes the step and saves. Raises TrainingDiverged on a loss that is no number or on collapsed vectors; the last good
        checkpoint stays.
        """
        restored = self._checkpoints.restore(self.encoder.model, self._optimizer)
        if restored:
            self.step, self.facts = restored.step, dict(restored.facts)
            yield "resumed", {"step": self.step}
        else:
            yield "probe", self.probe()
        while self.step < self.plan.steps:
            yield "step", self._one_step()
            last = self.step == self.plan.steps
            stopping = stop_requested()
            if last or stopping or self.step % self.plan.checkpoint_every == 0:
                self._checkpoints.save(self.encoder.model, self._optimizer, step=self.step, facts=self.facts)
                yield "checkpoint", {"step": self.step}
                yield "probe", self.probe()
            if stopping:
                return

    def probe(self) -> dict[str, Any]:
        """Rank of each probe query's positive among the probe documents, 1 = first; ties count against it."""
        model = self.encoder.model
        model.eval()
        with self._precision():
            documents = self.encoder.encode(self._probes.documents, role=Role.DOCUMENT)
            ranks = []
            for example, positive in zip(self._probes.examples, self._probes.positives, strict=True):
                query = self.encoder.encode([example.texts.query], role=Role.QUERY, task=example.task)[0]
                scores = documents @ query
                ranks.append(int((np.delete(scores, positive) >= scores[positive]).sum()) + 1)
        return {
            "step": self.step,
            "ranks": ranks,
            "queries": [example.texts.query[:200] for example in self._probes.examples],
            "documents": len(self._probes.documents),
            "held_out": self._probes.held_out,
            "mean_reciprocal_rank": float(np.mean([1 / rank for rank in ranks])) if ranks else None,
        }

    def _one_step(self) -> dict[str, Any]:
        started = time.monotonic()
        plan, step = self.plan, self.step
        batch = make_batch([self._examples[i] for i in self._order.indices(step)], hard_negatives=plan.use_hard_negatives)
        rate = learning_rate(step, plan)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        contrast, vectors, tokens, chance = self._gradient(batch)
        loss = float(contrast.loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, plan.max_gradient_norm))
        _check(loss, norm, vectors[len(batch.queries) :], step + 1)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        seconds = time.monotonic() - started
        self._count(loss, seconds, len(batch.queries), tokens)
        return {
            "step": self.step,
            "steps": plan.steps,
            "epoch": self._order.epoch_of(step) + 1,
            "loss": loss,
            "chance_loss": chance,
            "accuracy": contrast.accuracy,
            "gradient_norm": norm,
            "learning_rate": rate,
            "seconds": seconds,
            "triples_per_second": len(batch.queries) / seconds,
            "tokens_per_second": tokens / seconds,
            "memory_bytes": psutil.Process().memory_info().rss,
            "eta_seconds": (plan.steps - self.step) * self.facts["seconds"] / self.step,
        }

    def _gradient(self, batch: Batch) -> tuple[Contrast, torch.Tensor, int, float]:
        model, plan = self.encoder.model, self.plan
        model.train()
        tokenizer = self.encoder.tokens
        ids = [tokenizer.ids([q], role=Role.QUERY, task=t)[0] for q, t in zip(batch.queries, batch.tasks, strict=True)]
        ids += tokenizer.ids(batch.documents, role=Role.DOCUMENT)
        allowed = denominator(
            batch.query_keys, batch.document_keys, batch.positives, batch.negatives, in_batch=plan.use_in_batch_negatives
        ).to(self.encoder.device)
        positives = torch.tensor(batch.positives, device=self.encoder.device)
        count = len(batch.queries)

        def loss(vectors: torch.Tensor) -> Contrast:
            return info_nce(vectors[:count], vectors[count:], positives, allowed=allowed, temperature=plan.temperature)

        def forward(batches: Sequence[TokenBatch]) -> torch.Tensor:
            with self._precision():
                return embed(model, [batch.to(self.encoder.device) for batch in batches], self.encoder.spec)

        pieces = pieces_of(ids, padding=tokenizer.pad, packed=is_packing(model))
        contrast, vectors = backward(pieces, forward, loss)
        chance = float(allowed.sum(1).float().log().mean())  # of vectors that say nothing
        return contrast, vectors, sum(len(row) for row in ids), chance

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.encoder.device.type, torch.bfloat16) if self._autocast else nullcontext()

    def _count(self, loss: float, seconds: float, triples: int, tokens: int) -> None:
        if self.facts["loss_first"] is None:
            self.facts["loss_first"] = loss
        self.facts["loss_last"] = loss
        for name, value in (("seconds", seconds), ("triples", triples), ("tokens", tokens)):
            self.facts[name] += value


def _check(loss: float, norm: float, documents: torch.Tensor, step: int) -> None:
    hint = "Resume goes on from the last good checkpoint; better clone the run with a lower learning rate or a longer warm-up."
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise TrainingDiverged(f"The loss is not a number at step {step}.", hint=hint)
    count = len(documents)
    if count > 1:
        mean_cosine = float((documents.sum(0).square().sum() - count) / (count * (count - 1)))
        if mean_cosine > COLLAPSED:
            raise TrainingDiverged(f"At step {step} all documents have the same vector (mean cosine {mean_cosine:.4f}).", hint=hint)


def tuned_spec(plan: TrainingPlan, *, adapter: str | None = None, adapter_hash: str | None = None) -> EncoderSpec:
    """The encoder a plan makes, as it is used after training."""
    return EncoderSpec(
        base=plan.base_model,
        adapter=adapter,
        adapter_hash=adapter_hash,
        pooling=plan.pooling,
        instructed=plan.instruction,
        append_eos=True,
        max_length=max(plan.max_length, plan.encode_length),
    )
