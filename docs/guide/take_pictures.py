"""Take the guide's pictures from the running app: `make pictures`, or `python -m docs.guide.take_pictures [WORKSPACE [PAGE …]]`.

Without a workspace the demo is run first (some minutes), so that every page has something to show.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import sync_playwright

from core.domain.filters import TripleFilter
from core.domain.groups import TaskGroup
from core.domain.jobs import JobState
from core.domain.plans import MapPlan
from core.settings import PROJECT_FOLDER, Settings
from core.workbench import Workbench
from pages.routes import titles
from tests.journeys.running import Visitor, end_leftovers, launch_chromium, new_window, start_app

PICTURES = Path(__file__).with_name("pictures")


def draw_a_map(workbench: Workbench, tuned: str) -> None:
    """A map before and after, of the groups with short texts: two models read them in about a minute."""
    if workbench.exploration.maps():
        return
    short = TripleFilter(groups=(TaskGroup.SHORT_SHORT, TaskGroup.STS))
    version = workbench.dataset.freeze("short texts", short, heldout_share=0.2)
    job = workbench.exploration.start_map(MapPlan(models=("raw", tuned), dataset_version_id=version.id))
    if workbench.jobs.wait(job.id).state is not JobState.DONE:
        sys.exit(f"The map failed: {workbench.jobs.log_tail(job.id)}")


def views(workbench: Workbench) -> dict[str, str]:
    """Address of each page's most telling view."""
    run = next(job for job in workbench.training.runs() if job.state is JobState.DONE)
    tuned = f"run:{run.id}"
    draw_a_map(workbench, tuned)
    corpus = workbench.corpora.get(workbench.search.indexes()[0].corpus_id)
    shown = quote(f"{corpus.name} ({corpus.documents:,} documents)")  # the address holds what the box shows
    found = {name: name for name in titles()} | {"home": ""}
    starter = TripleFilter(groups=(TaskGroup.SHORT_LONG,), languages=("English",), source="starter")
    card = workbench.dataset.search(starter, limit=3)[-1].id
    return found | {"review": f"review?card={card}", "search": f"search?search_in={shown}&search_q=when is an exception raised"}


def main() -> None:
    """Run the demo where no workspace is given, then visit every page."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(sys.argv[1] if len(sys.argv) > 1 else folder).resolve()
        if len(sys.argv) < 2:
            subprocess.run([sys.executable, "-m", "core", "demo", "--workspace", str(workspace)], cwd=PROJECT_FOLDER, check=True)
        addresses = views(Workbench(Settings(workspace=workspace)))
        PICTURES.mkdir(exist_ok=True)
        app = start_app(workspace, workspace / "pictures.log")
        try:
            with sync_playwright() as playwright:
                browser = launch_chromium(playwright)
                if browser is None:
                    sys.exit("No chromium was found: run `make browser`.")
                me = Visitor(new_window(browser).new_page(), app)
                for name, address in addresses.items():
                    if len(sys.argv) > 2 and name not in sys.argv[2:]:
                        continue
                    me.open(address)
                    me.page.wait_for_timeout(12_000 if name in ("search", "learn", "review") else 4_000)
                    me.settled()
                    me.page.screenshot(path=PICTURES / f"{name}.png")
                    me.assert_no_trouble()
        finally:
            app.kill()
            end_leftovers(workspace)


if __name__ == "__main__":
    main()
