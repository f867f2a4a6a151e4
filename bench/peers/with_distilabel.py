"""Rows with distilabel: its own task for retrieval triples, given finished prompts instead of its template's."""

from __future__ import annotations

from typing import Any

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import GenerateTextRetrievalData
from errand import Errand


class WriteTriple(GenerateTextRetrievalData):
    """Sends the prompt in the column `task` as it stands; replies are parsed as distilabel does."""

    def format_input(self, input: dict[str, Any]) -> list[dict[str, str]]:  # noqa: A002 - distilabel's name
        """What is sent."""
        return [{"role": "user", "content": input["task"]}]


def main() -> None:
    """Run the errand."""
    errand = Errand.read()
    with Pipeline(name="triples", cache_dir=errand.cache) as pipeline:
        rows = LoadDataFromDicts(data=[{"task": prompt} for prompt in errand.prompts], batch_size=errand.in_flight)
        triples = WriteTriple(
            input_batch_size=errand.in_flight,  # a batch is what it sends at a time
            llm=OpenAILLM(
                model=errand.model,
                base_url=errand.base_url,
                api_key="none",
                generation_kwargs={"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 2048},  # 128 by default: cuts most triples off
            ),
        )
        rows >> triples
    answer = pipeline.run(use_cache=True)
    errand.done(answer["default"]["train"])


if __name__ == "__main__":  # its steps run in processes of their own
    main()
