"""Rows with bespokelabs-curator, each reply parsed by a `parse` of our own, as its documentation shows."""

from __future__ import annotations

import json
from typing import Any

import tiktoken
from errand import Errand


class AboutTokens:
    """Stands in for the tokenizer that curator would fetch from the network at its start; it only estimates with it."""

    def encode(self, text: str, **_: Any) -> range:
        """As many numbers as the text has tokens, about."""
        return range(len(text) // 4)


tiktoken.get_encoding = lambda _: AboutTokens()
from bespokelabs import curator  # noqa: E402


class TripleWriter(curator.LLM):
    """One triple a prompt."""

    def prompt(self, row: dict[str, Any]) -> str:
        """What is sent."""
        return row["prompt"]

    def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
        """The row of a reply."""
        return json.loads(response)


def main() -> None:
    """Run the errand."""
    errand = Errand.read()
    writer = TripleWriter(
        model_name=errand.model,
        backend="openai",
        generation_params={"temperature": 1.0, "top_p": 1.0, "max_tokens": 2048},
        backend_params={
            "base_url": errand.base_url,
            "max_concurrent_requests": errand.in_flight,
            "max_requests_per_minute": 1_000_000,  # where the server tells no limit, curator assumes one that is far lower
            "max_tokens_per_minute": 10_000_000_000,
            "require_all_responses": False,  # else one refused request ends the run without a row
        },
    )
    answer = writer([{"prompt": prompt} for prompt in errand.prompts], working_dir=str(errand.cache))
    errand.done(answer.dataset)


if __name__ == "__main__":
    main()
