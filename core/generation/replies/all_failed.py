"""A job whose requests all failed: why most of them did, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import BroughtNothing
from core.generation.replies.parsing import REASONS

LOOK = "Look at what came (the job on its page, or python -m core requests list)"
SENT_AGAIN = "Then resume the job: what has no reply is sent again."
NEW_SEED = "These replies are paid and kept, so the same plan sends nothing again: start it with another seed."
OTHER_WRITER = f"Reword the prompt on the Prompts page, or choose another model. {NEW_SEED}"
NO_JSON = (
    f"{LOOK}. A model that cannot write JSON by itself needs an endpoint that holds it to a schema, or choose another model. {NEW_SEED}"
)
UNANSWERED = {  # failed without a reply, by the code of the error: what it means, and what to do
    "endpoint_unreachable": (
        "the endpoint did not answer.",
        f"Check its address on the Settings page, and that the server runs. {SENT_AGAIN}",
    ),
    "endpoint_rejected": ("the endpoint refused them.", f"{LOOK}: the key, the model's name or a limit may be wrong. {SENT_AGAIN}"),
    "not_the_protocol": ("what came is no reply of the protocol.", f"{LOOK}. The address usually ends in /v1. {SENT_AGAIN}"),
    "rate_limited": ("the endpoint kept asking to slow down.", f"Send fewer at a time, or check the quota of the account. {SENT_AGAIN}"),
}
UNUSABLE = {  # failed with a reply, by the reason of the parser: what to do
    "length": f"Allow more tokens a reply, or ask for shorter texts. {NEW_SEED}",
    "content_filter": f"Choose other tasks or another endpoint. {NEW_SEED}",
    "refusal": OTHER_WRITER,
    "no_tasks": OTHER_WRITER,
}


def nothing_came(failures: Mapping[str, int]) -> BroughtNothing:
    """The end of a job of which all requests failed; `failures` are counts by reason."""
    reason = max(failures, key=lambda name: (failures[name], name))
    words, hint = UNANSWERED.get(reason, (REASONS.get(reason, reason), UNUSABLE.get(reason, NO_JSON)))
    total = sum(failures.values())
    how_many = "The only request" if total == 1 else f"All {total:,} requests"
    return BroughtNothing(f"{how_many} failed, {failures[reason]:,} as {reason}: {words}", hint=hint)
