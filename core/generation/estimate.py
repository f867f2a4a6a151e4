"""What a plan will take, said before anything is spent, with what the numbers rest on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from core.domain.groups import GROUPS, TaskGroup
from core.domain.plans import EMBEDDED_TEACHER, EndpointPlan
from core.domain.prompt import PromptStep
from core.domain.request import Estimate, PlannedRequest
from core.generation.replies.reply_schemas import BOUNDED_WORDS, words_asked
from core.generation.sending.sender import CHARACTERS_A_TOKEN
from core.llm.pricing import BATCH_SHARE, price
from core.storage.ledger import Ledger

TOKENS_A_WORD = 1.5  # over many languages; English alone has about 1.3
TOKENS_A_TASK = 45  # of a brainstorm
JSON_TOKENS = 25  # braces and field names
TOKENS_A_SECOND = {True: 6.0, False: 60.0}  # of one reply: embedded on two cores in a full batch; a hosted endpoint
BATCH_SECONDS = 24 * 3600.0  # the endpoint promises no less
EMBEDDED_BATCH = 8  # replies the embedded teacher writes together


def estimate_requests(planned: Sequence[PlannedRequest], plan: EndpointPlan, ledger: Ledger, *, answered: int) -> Estimate:
    """Sum up planned requests. Token counts are scaled down to the share that will be sent."""
    embedded = plan.base_url == EMBEDDED_TEACHER
    counts: dict[TaskGroup, int] = defaultdict(int)
    prompt_tokens = completion_tokens = seconds = 0.0
    measured = 0
    kinds = {(request.group, request.step) for request in planned}
    history = {(group, step): ledger.typical(plan.base_url, plan.model, group, step) for group, step in kinds}
    for request in planned:
        counts[request.group] += 1
        prompt_tokens += sum(len(m["content"]) for m in request.messages) / CHARACTERS_A_TOKEN
        seen, usual_tokens, usual_seconds = history[request.group, request.step]
        tokens = float(usual_tokens) if usual_tokens else _expected_tokens(request, embedded=embedded)
        completion_tokens += tokens
        seconds += float(usual_seconds) if usual_seconds else tokens / TOKENS_A_SECOND[embedded]
        measured = max(measured, seen)
    share = (len(planned) - answered) / len(planned) if planned else 0.0
    prompts, completions = round(prompt_tokens * share), round(completion_tokens * share)
    workers = min(plan.in_flight, EMBEDDED_BATCH) if embedded else plan.in_flight
    cost = price(plan.base_url, plan.model, prompts, completions, plan.price)
    basis = _basis(measured, workers, embedded=embedded)
    return Estimate(
        requests=len(planned),
        answered=answered,
        prompt_tokens=prompts,
        completion_tokens=completions,
        cost=cost * BATCH_SHARE if plan.batch and cost is not None else cost,
        seconds=(BATCH_SECONDS if share else 0.0) if plan.batch else seconds * share / workers,
        basis=f"{basis} By batch: half the price, and up to 24 hours." if plan.batch else basis,
        by_group=dict(counts),
    )


def _expected_tokens(request: PlannedRequest, *, embedded: bool) -> float:
    if request.step is PromptStep.BRAINSTORM:
        return JSON_TOKENS + TOKENS_A_TASK * int(request.slots.get("count", 20))
    words = sum(words_asked(request.group, name, request.slots) for name in GROUPS[request.group].fields)
    if embedded:
        words = sum(min(words_asked(request.group, name, request.slots), BOUNDED_WORDS) for name in GROUPS[request.group].fields)
    return JSON_TOKENS + TOKENS_A_WORD * words


def _basis(measured: int, workers: int, *, embedded: bool) -> str:
    speed = f"{TOKENS_A_SECOND[embedded]:.0f} tokens a second"
    rest = f"the mean of up to {measured:,} earlier replies of this model" if measured else f"the lengths asked for and a guess of {speed}"
    return f"Based on {rest}, {workers} in flight; prompts at {CHARACTERS_A_TOKEN:.0f} characters a token."
