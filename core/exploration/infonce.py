"""The contrastive loss in numpy, small enough to look at: what the lesson recomputes while a slider moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class InfoNCE:
    """The loss of a batch, taken apart. Row i is query i; column i is its positive."""

    cosines: Matrix  # (queries, documents)
    probabilities: Matrix  # softmax of cosines / temperature over each row's documents; 0 where masked
    losses: NDArray[np.float64]  # (queries,): -log of the positive's probability
    pull: Matrix  # minus the gradient by each cosine, times the temperature: above 0 is drawn nearer, below 0 pushed away

    @property
    def mean_loss(self) -> float:
        """What training lowers."""
        return float(self.losses.mean())

    @property
    def chance_loss(self) -> float:
        """Mean loss where all documents a row may choose from are equally probable."""
        return float(np.log((self.probabilities > 0).sum(axis=1)).mean())

    @property
    def right(self) -> int:
        """Rows whose positive is strictly more probable than every other document."""
        rows = np.arange(len(self.losses))
        rivals = self.probabilities.copy()
        own = rivals[rows, rows].copy()
        rivals[rows, rows] = -1
        return int((own > rivals.max(axis=1)).sum())


def info_nce(cosines: NDArray[np.floating], temperature: float, masked: NDArray[np.bool_] | None = None) -> InfoNCE:
    """InfoNCE of a matrix of cosines, shape (queries, documents) with documents >= queries and the positives on the diagonal.

    `masked` documents are no candidates of a row: they leave the denominator and are neither drawn nor pushed.

    Raises:
        BadInput: the temperature is not above 0, there are fewer documents than queries, or a positive is masked.
    """
    values = np.asarray(cosines, dtype=np.float64)
    if temperature <= 0:
        raise BadInput("The temperature must be above 0.", hint="The paper's value is 0.02.")
    queries, documents = values.shape
    if documents < queries:
        raise BadInput("Each query needs a positive of its own.", hint="Give at least as many documents as queries.")
    diagonal = np.arange(queries)
    hidden = np.zeros(values.shape, dtype=bool) if masked is None else masked
    if hidden[diagonal, diagonal].any():
        raise BadInput("A positive cannot be masked.", hint="Mask negatives only.")
    logits = np.where(hidden, -np.inf, values / temperature)
    logits = logits - logits.max(axis=1, keepdims=True)  # the same softmax, without overflow
    weights = np.exp(logits)
    sums = weights.sum(axis=1)
    probabilities = weights / sums[:, None]
    losses = np.log(sums) - logits[diagonal, diagonal]
    pull = -probabilities
    pull[diagonal, diagonal] += 1
    return InfoNCE(values, probabilities, losses, pull)
