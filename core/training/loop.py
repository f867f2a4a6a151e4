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
from core.training.adapters import adapted_modules, change_norm, trainable
from core.training.batches import Batch, batch_of, order_of, training_rows
from core.training.checkpoints import MOMENTS, CheckpointFolder
from core.training.gradients import BatchGradient, Found
from core.training.lora_linear import join_products
from core.training.micro_batch import find_budget
from core.training.objective import Objective
from core.training.probes import Probes
from core.training.similarities import similarities
from core.training.team import ALONE, Team

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
        self,
        encoder: LanguageModelEncoder,
        examples: Sequence[Example],
        plan: TrainingPlan,
        checkpoints: CheckpointFolder,
        probes: Probes,
        *,
        team: Team = ALONE,
    ) -> None:
        """`encoder.model` already carries the adapter (see core.training.adapters).

        Raises:
            BadPlan: the plan does not fit the model's vectors.
        """
        self.encoder, self.plan = encoder, plan
        frozen = next(p for p in encoder.model.parameters() if not p.requires_grad)
        # peft's own layers mix precisions, so they need autocast where the base is bfloat16; joined ones do not, and are faster without
        self._autocast = join_products(encoder.model) < adapted_modules(encoder.model) and frozen.dtype is torch.bfloat16
        self._rows = training_rows(examples, most_negatives=plan.negatives_per_query)
        self._checkpoints, self._probes, self._team = checkpoints, probes, team
        self._objective = Objective(plan, width=encoder.dimensions, device=encoder.device)
        self._adapter = list(trainable(encoder.model).values())
        self._parameters = [*self._adapter, *self._objective.parameters.values()]
        self._optimizer = torch.optim.AdamW(self._adapter, lr=plan.learning_rate, betas=BETAS, weight_decay=plan.weight_decay)
        if self._objective.parameters:
            self._optimizer.add_param_group({"params": list(self._objective.parameters.values()), "weight_decay": 0.0})
        self._gradient = BatchGradient(
            self._forward,
            self._parameters,
            width=encoder.dimensions,
            padding=encoder.tokens.pad,
            packed=is_packing(encoder.model),
        )
        self._order = order_of(self._rows, plan)
        self.step = 0  # steps done
        self._seen: tuple[Batch, torch.Tensor]  # of the last step: its batch and the vectors before its update
        self.facts: dict[str, Any] = {"loss_first": None, "loss_last": None, "seconds": 0.0, "triples": 0, "tokens": 0}

    def train(self, *, stop_requested: Callable[[], bool]) -> Iterator[Event]:
        """Go on from the newest checkpoint to the last step; yields ("step" | "similarities" | "probe" | "checkpoint" | "resumed", fields).

        A stop finishes the step and saves. Raises TrainingDiverged on a loss that is no number or on collapsed vectors; the last good
        checkpoint stays.
        """
        if self._restore():
            yield "resumed", {"step": self.step}
        else:
            yield from self._probed()
        while self.step < self.plan.steps:
            yield "step", self._one_step()
            last = self.step == self.plan.steps
            stopping = self._team.any(self._team.rank == 0 and stop_requested())
            saving = last or stopping or self.step % self.plan.checkpoint_every == 0
            if saving or self.step == 1:
                plan = self.plan
                yield "similarities", {"step": self.step, **similarities(*self._seen, margin=plan.margin_mask, spare=plan.spare_confirmed)}
            if saving:
                if self._team.rank == 0:
                    others = self._objective.parameters
                    self._checkpoints.save(self.encoder.model, self._optimizer, step=self.step, facts=self.facts, others=others)
                yield "checkpoint", {"step": self.step}
                yield from self._probed()
            if stopping:
                return

    @property
    def temperature(self) -> float:
        """What cosines are divided by, as it is now."""
        return self._objective.temperature

    def _restore(self) -> bool:
        """Put the newest checkpoint into every process of the team; False where there is none."""
        if self._team.rank == 0:
            restored = self._checkpoints.restore(self.encoder.model, self._optimizer, others=self._objective.parameters)
            if restored:
                self.step, self.facts = restored.step, dict(restored.facts)
        self.step, self.facts = self._team.share([self.step, self.facts])
        for parameter in self._parameters if self._team.rank and self.step else ():
            self._optimizer.state[parameter] = {"step": torch.tensor(0.0)} | {m: torch.zeros_like(parameter) for m in MOMENTS[:2]}
        states = [self._optimizer.state[p][moment] for p in self._parameters for moment in MOMENTS] if self.step else []
        self._team.spread([p.data for p in self._parameters] + states)
        if "micro_batch_tokens" not in self.facts:
            found = self.plan.micro_batch_tokens or find_budget(self.encoder.model, self.encoder.spec, self.encoder.device)
            self.facts["micro_batch_tokens"] = self._team.share(found)
        return self.step > 0

    def _probed(self) -> Iterator[Event]:
        if self._team.rank == 0:
            yield "probe", self.probe()

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
        batch = batch_of([self._rows[i] for i in self._order.indices(step)], plan, step=step)
        rate = learning_rate(step, plan)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._team.seed(plan.seed, step)
        loss_of, chance = self._objective.of(batch)
        ids = self._ids(batch)
        self.encoder.model.train()
        found: Found = self._gradient.of(ids, loss_of, budget=self.facts["micro_batch_tokens"], team=self._team)
        self._add_up()
        tokens = sum(len(row) for row in ids)
        loss = float(found.contrast.loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, plan.max_gradient_norm))
        _check(loss, norm, found.vectors[len(batch.queries) :], step + 1)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._objective.keep_in_bounds()
        self.facts["micro_batch_tokens"] = found.budget
        self._seen = batch, found.vectors
        self.step += 1
        seconds = time.monotonic() - started
        self._count(loss, seconds, len(batch.queries), tokens)
        return {
            "step": self.step,
            "steps": plan.steps,
            "epoch": self._order.epoch_of(step) + 1,
            "loss": loss,
            "chance_loss": chance,
            "accuracy": float(found.contrast.accuracy),
            "temperature": self.temperature,
            "masked_pairs": int(found.contrast.masked),
            "micro_batch_tokens": found.budget,
            "gradient_norm": norm,
            "adapter_norm": change_norm(self.encoder.model),
            "learning_rate": rate,
            "seconds": seconds,
            "triples_per_second": len(batch.queries) / seconds,
            "tokens_per_second": tokens / seconds,
            "memory_bytes": psutil.Process().memory_info().rss,
            "eta_seconds": (plan.steps - self.step) * self.facts["seconds"] / self.step,
        }

    def _ids(self, batch: Batch) -> list[list[int]]:
        tokenizer = self.encoder.tokens
        ids = [tokenizer.ids([q], role=Role.QUERY, task=t)[0] for q, t in zip(batch.queries, batch.tasks, strict=True)]
        return ids + tokenizer.ids(batch.documents, role=Role.DOCUMENT)

    def _forward(self, batches: Sequence[TokenBatch]) -> torch.Tensor:
        with self._precision():
            return embed(self.encoder.model, [batch.to(self.encoder.device) for batch in batches], self.encoder.spec)

    def _add_up(self) -> None:
        """Make the adapter's gradient that of the whole team; each process has the temperature's already."""
        if self._team.size > 1:
            for parameter in self._adapter:  # of a process that had no text
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            self._team.add([p.grad for p in self._adapter if p.grad is not None])

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
        bidirectional=plan.bidirectional,
        layers=plan.base_layers,
        max_length=max(plan.max_length, plan.encode_length),
    )
