"""`index`, `search`, `serve`: documents to vectors, queries to documents, models to every program on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, follow, open_workbench, people
from core.domain.ranking import Ranking
from core.errors import BadInput

CorpusOption = Annotated[str, typer.Option("--corpus", help="demo | version:<dataset version> | an imported corpus.")]
SHOWN_CHARACTERS = 90


def register(app: typer.Typer) -> None:
    """Add the commands of this step."""
    app.command()(index)
    app.command()(search)
    app.command()(serve)


def index(
    corpus: CorpusOption = "demo",
    model: Annotated[str, typer.Option(help="raw | baseline | bm25 | run:<job id> | a hub id or folder.")] = "raw",
    file: Annotated[Path | None, typer.Option(help="Import this file (txt, csv, tsv, jsonl, BEIR zip) as --corpus first.")] = None,
    replace: Annotated[bool, typer.Option(help="With --file: take the place of a corpus of this name.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts a forward pass.")] = 32,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Encode a corpus with a model and build its index."""
    with failures_told():
        workbench = open_workbench(workspace)
        corpus_id, imported = corpus, {}
        if file is not None:
            report = workbench.corpora.import_corpus(corpus, file, replace=replace)
            corpus_id = report.corpus.id
            imported = {"bad_rows": [asdict(row) for row in report.bad], "duplicates": report.duplicates}
        job = follow(workbench, workbench.search.start_index(corpus_id, model, batch_size=batch_size))
        finish({"job": job.id, "state": job.state.value, **imported, **job.result}, as_json=as_json)


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    corpus: CorpusOption = "demo",
    model: Annotated[list[str] | None, typer.Option(help="Repeat it to compare: raw | baseline | bm25 | run:<job id>.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="Documents to show.")] = 10,
    task: Annotated[str | None, typer.Option(help="Instruction put before the query, for models trained with one.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the documents of a corpus by one or more models. Uses the model service where one runs."""
    with failures_told():
        workbench = open_workbench(workspace)
        systems = list(dict.fromkeys(model or ["raw"]))
        if workbench.service.ready():
            rankings = workbench.search.search(corpus, systems, query, task, k)
        else:  # a service left behind by one shell command would surprise: load the models here
            from core.retrieval.engine import SearchEngine

            engine = SearchEngine(workbench.systems, workbench.corpora, workbench.settings)
            rankings = {name: engine.search(corpus, name, query, task=task, k=k) for name in systems}
        if as_json:
            finish({"query": query, "task": task, "corpus": corpus, "rankings": [_plain(r) for r in rankings.values()]}, as_json=True)
            return
        for name, ranking in rankings.items():
            people.print(_table(workbench.systems.label(name), ranking))


def serve(
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 picks a free one.", min=0, max=65535)] = 0,
    idle_minutes: Annotated[float | None, typer.Option(help="End after so long without a request; absent: never.", min=0)] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End the service of this workspace instead.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve embeddings (OpenAI's format), search and the embedded teacher to programs of this machine."""
    with failures_told():
        workbench = open_workbench(workspace)
        if stop:
            workbench.service.stop()
            finish({"running": False}, as_json=as_json)
            return
        from core.retrieval.engine import SearchEngine
        from core.retrieval.service_process import run_service

        engine = SearchEngine(workbench.systems, workbench.corpora, workbench.settings)
        served = run_service(
            engine,
            workbench.systems,
            workbench.settings,
            port=port,
            idle_minutes=idle_minutes,
            on_start=lambda address: people.print(
                f"Serving {address.url}/v1 (token in {workbench.settings.workspace / 'service.json'})", markup=False, highlight=False
            ),
        )
        if not served:
            raise BadInput("A model service runs for this workspace already.", hint="End it with: python -m core serve --stop")
        finish({"running": False}, as_json=as_json)


def _plain(ranking: Ranking) -> dict[str, Any]:
    hits = [
        {"rank": h.rank, "id": h.document.id, "title": h.document.title, "similarity": round(h.similarity, 6), "text": h.document.text}
        for h in ranking.hits
    ]
    return {
        "system": ranking.system,
        "corpus_size": ranking.corpus_size,
        "encode_milliseconds": round(ranking.encode_milliseconds, 2),
        "search_milliseconds": round(ranking.search_milliseconds, 2),
        "hits": hits,
    }


def _table(label: str, ranking: Ranking) -> Table:
    times = f"encode {ranking.encode_milliseconds:.0f} ms, search {ranking.search_milliseconds:.1f} ms, {ranking.corpus_size:,} documents"
    table = Table("rank", "similarity", "document", title=f"{label}: {times}", title_justify="left")
    for hit in ranking.hits:
        text = " ".join(hit.document.content.split())[:SHOWN_CHARACTERS]
        table.add_row(str(hit.rank), f"{hit.similarity:.3f}", text.replace("[", "\\["))
    return table
