"""`evaluate` and `map`: how good a model is on tasks it never saw, and what its space looks like."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from core.cli.output import JsonOption, WorkspaceOption, failures_told, finish, follow, open_workbench, people
from core.domain.plans import EvaluationPlan, MapPlan
from core.domain.report import Comparison, in_words
from core.errors import BadInput

SYSTEMS = "raw | baseline | bm25 | run:<job id> | a hub id or folder; repeat it to compare."
VersionOption = Annotated[str | None, typer.Option("--version", help="Dataset version, by id or name.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands of this step."""
    app.command()(evaluate)
    app.command("map")(draw_map)


def evaluate(
    version: VersionOption = None,
    collection: Annotated[
        str | None,
        typer.Option(help="A test collection instead: heldout (shipped) or a folder in BEIR layout.", show_default=False),
    ] = None,
    system: Annotated[list[str] | None, typer.Option(help=SYSTEMS)] = None,
    bootstrap_samples: Annotated[int, typer.Option(min=100, help="Resamples behind each interval.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare systems on held-out tasks: nDCG@10, MRR@10, Recall@100 with intervals and paired tests."""
    with failures_told():
        if (version is None) == (collection is None):
            raise BadInput(
                "A test is one version or one collection.",
                hint="Give --version (see: python -m core freeze) or --collection heldout.",
            )
        workbench = open_workbench(workspace)
        systems = tuple(dict.fromkeys(system or ("raw", "baseline", "bm25")))
        plan = EvaluationPlan(
            dataset_version_id=version, collection=collection, systems=systems, bootstrap_samples=bootstrap_samples, seed=seed
        )
        job = follow(workbench, workbench.evaluation.start(plan))
        if job.result.get("systems"):
            people.print(_score_table(job.result))
            for comparison in job.result["comparisons"]:
                if comparison["metric"] == "ndcg_at_10":
                    people.print(_told(job.result, comparison), markup=False, highlight=False)
        facts = {"job": job.id, "state": job.state.value, "folder": str(job.folder)}
        finish({**facts, **job.result} if as_json else {**facts, "report": str(job.folder / "report.html")}, as_json=as_json)


def draw_map(
    version: VersionOption = None,
    corpus: Annotated[str | None, typer.Option(help="A corpus instead of a version: demo or the id of an imported one.")] = None,
    triples: Annotated[bool, typer.Option("--triples", help="All triples of the workspace instead of a version.")] = False,
    model: Annotated[list[str] | None, typer.Option(help="raw | baseline | run:<job id>; give two for before and after.")] = None,
    neighbours: Annotated[int, typer.Option(min=2, help="UMAP's n_neighbors.")] = 15,
    min_distance: Annotated[float, typer.Option(min=0, help="UMAP's min_dist.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal maps.")] = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lay the texts of a version, a corpus or all triples out in two dimensions, for one or two models."""
    with failures_told():
        if (version is not None) + (corpus is not None) + triples != 1:
            raise BadInput("A map needs exactly one source.", hint="Give one of --version, --corpus and --triples.")
        models = tuple(dict.fromkeys(model or ("raw",)))
        if len(models) > 2:
            raise BadInput("A map shows one model or two.", hint="Give --model once or twice.")
        workbench = open_workbench(workspace)
        plan = MapPlan(
            models=models,
            dataset_version_id=version,
            corpus_id=corpus,
            triples=triples,
            neighbours=neighbours,
            min_distance=min_distance,
            seed=seed,
        )
        job = follow(workbench, workbench.exploration.start_map(plan))
        finish({"job": job.id, "state": job.state.value, "folder": str(job.folder), **job.result}, as_json=as_json)


def _score_table(result: dict[str, Any]) -> Table:
    table = Table("system", "nDCG@10", "MRR@10", "Recall@100", "queries", title=f"{result['documents']} documents")
    for name, facts in result["systems"].items():
        cells = [
            f"{score['mean']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
            for score in (facts[m] for m in ("ndcg_at_10", "mrr_at_10", "recall_at_100"))
        ]
        table.add_row(name, *cells, str(facts["ndcg_at_10"]["queries"]))
    return table


def _told(result: dict[str, Any], comparison: dict[str, Any]) -> str:
    labels = {name: facts["label"] for name, facts in result["systems"].items()}
    return in_words(Comparison(**comparison), labels[comparison["system"]], labels[comparison["against"]])
