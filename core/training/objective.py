"""What a plan's loss is, given the vectors of a batch: denominators, masks, weights, lengths of vectors, temperature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from core.domain.contrast import Direction, Hardness
from core.domain.plans import TEMPERATURES, TrainingPlan
from core.errors import BadPlan
from core.training.batches import Batch
from core.training.losses import Contrast, Extras, denominator, further_denominator, info_nce, own_negatives

Loss = Callable[[torch.Tensor], Contrast]  # of unit vectors (texts, width): the batch's queries, then its documents
FIRST = Direction.QUERY_DOCUMENT  # always there


class Objective:
    """The loss of a run. A temperature that is learnt lives here, as its logarithm."""

    def __init__(self, plan: TrainingPlan, *, width: int, device: torch.device) -> None:
        """`width` is the length of the vectors.

        Raises:
            BadPlan: a Matryoshka length is not shorter than the vectors.
        """
        if too_long := [size for size in plan.matryoshka if size >= width]:
            raise BadPlan(
                f"The vectors have {width} numbers; {too_long[0]} is not the length of a beginning of them.",
                hint=f"Choose Matryoshka lengths below {width}.",
            )
        self._plan, self._device = plan, device
        self._sizes = sorted({*plan.matryoshka, width})
        self.parameters: dict[str, torch.nn.Parameter] = {}
        if plan.learn_temperature:
            start = torch.tensor(float(plan.temperature), device=device).log()
            self.parameters["log_temperature"] = torch.nn.Parameter(start)

    @property
    def temperature(self) -> float:
        """As it is now."""
        learnt = self.parameters.get("log_temperature")
        return self._plan.temperature if learnt is None else float(learnt.detach().exp())

    def keep_in_bounds(self) -> None:
        """To be called after each update."""
        low, high = TEMPERATURES
        for learnt in self.parameters.values():
            with torch.no_grad():
                learnt.clamp_(torch.tensor(low).log().item(), torch.tensor(high).log().item())

    def of(self, batch: Batch) -> tuple[Loss, float]:
        """The loss of a batch, and what it is for vectors that say nothing (nats)."""
        allowed = denominator(batch)
        extras = self._extras(batch, allowed)
        counted = allowed.sum(1) + sum(mask.sum(1) for mask in extras.further.values())
        allowed = allowed.to(self._device)
        positives = torch.tensor(batch.positives, device=self._device)
        count = len(batch.queries)
        learnt = self.parameters.get("log_temperature")

        def loss(vectors: torch.Tensor) -> Contrast:
            temperature = self._plan.temperature if learnt is None else learnt.exp()
            found = []
            for size in self._sizes:
                short = vectors if size == vectors.shape[1] else F.normalize(vectors[:, :size], dim=1)
                found.append(info_nce(short[:count], short[count:], positives, allowed=allowed, temperature=temperature, extras=extras))
            whole = found[-1]
            return whole if len(found) == 1 else replace(whole, loss=torch.stack([part.loss for part in found]).mean())

        return loss, float(counted.float().log().mean())

    def _extras(self, batch: Batch, allowed: torch.Tensor) -> Extras:
        plan = self._plan
        further = {d: further_denominator(batch, d).to(self._device) for d in Direction if d in plan.directions and d is not FIRST}
        own = own_negatives(batch)
        spared = own.to(self._device) if plan.margin_mask is not None and plan.spare_confirmed else None
        hardened = None
        if plan.hardness_weight:
            negatives = allowed.clone()
            negatives[torch.arange(len(batch.queries)), torch.tensor(batch.positives)] = False
            chosen = {Hardness.HARD: own, Hardness.IN_BATCH: ~own, Hardness.ALL: torch.ones_like(own)}[plan.hardness_on]
            hardened = (negatives & chosen).to(self._device)
        return Extras(further=further, margin=plan.margin_mask, spared=spared, hardness=plan.hardness_weight, hardened=hardened)
