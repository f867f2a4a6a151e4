"""What a reply costs, from the price table inside genai-prices or a person's own price. Unknown is None, never 0."""

from __future__ import annotations

from functools import lru_cache

from core.domain.plans import EMBEDDED_TEACHER, Price

BATCH_SHARE = 0.5  # of the price, where requests may take a day: OpenAI's rule for all models, and for own prices too


def price(base_url: str, model: str, prompt_tokens: int | None, completion_tokens: int | None, own: Price | None = None) -> float | None:
    """US dollars of one reply, None where the model's price or its token counts are unknown; the embedded teacher costs 0.

    `own` is used instead of the table's price where it is given.
    """
    if base_url == EMBEDDED_TEACHER:
        return 0.0
    if prompt_tokens is None or completion_tokens is None:
        return None
    if own is not None:
        return (prompt_tokens * own.prompt + completion_tokens * own.completion) / 1_000_000
    return _table_price(base_url, model, prompt_tokens, completion_tokens)


def price_is_known(base_url: str, model: str, own: Price | None = None) -> bool:
    """Whether money budgets can be kept for this model."""
    return price(base_url, model, 1000, 1000, own) is not None


def _table_price(base_url: str, model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    if not _is_listed(base_url, model):
        return None
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=prompt_tokens, output_tokens=completion_tokens)
    try:
        return float(calc_price(usage, model, provider_api_url=base_url).total_price)
    except (LookupError, ValueError, TypeError):  # unknown model, or token counts no table covers
        return None


@lru_cache(maxsize=256)
def _is_listed(base_url: str, model: str) -> bool:
    """Whether the table knows the model; remembered, since a local model's price is asked for thousands of times, and is never there."""
    from genai_prices.data_snapshot import get_snapshot  # 60 ms and a table of all models: only where something is paid

    try:
        get_snapshot().find_provider_model(model, None, None, base_url)
    except LookupError:
        return False
    return True
