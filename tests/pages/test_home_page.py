"""Home: the strip, the start of an empty workspace, jobs, another workspace, and a full disk."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import event
from streamlit.testing.v1 import AppTest

from core.domain.triple import Verdict
from core.settings import PROJECT_FOLDER
from core.storage.triples import TripleStore
from core.workbench import Workbench
from pages.ui.session import _workbench_at
from tests.factories import make_triples


def home() -> AppTest:
    return AppTest.from_file(str(PROJECT_FOLDER / "pages" / "shell.py"), default_timeout=60).run()


def words(app: AppTest) -> str:
    return " ".join([m.value for m in app.markdown] + [c.value for c in app.caption])


def test_an_empty_workspace_offers_the_starter_set_and_loads_it_to_review(workspace: Path) -> None:
    app = home()
    assert "This workspace is empty" in words(app)
    app.button(key="load-starter").click().run()
    assert not app.exception
    assert "This workspace is empty" not in words(app)
    counts = Workbench().overview().triples or {}
    assert counts[Verdict.PENDING.value] >= 150
    assert f"Review {counts[Verdict.PENDING.value]} triples" in words(app)


def test_loading_as_accepted_leads_to_freezing(workspace: Path) -> None:
    app = home()
    app.button(key="load-starter-accepted").click().run()
    assert not app.exception
    assert "Freeze a version" in words(app)
    assert set(Workbench().overview().triples or {}) == {Verdict.ACCEPTED.value}


def test_another_workspace_is_opened_and_one_that_cannot_be_leaves_this_one_open(workspace: Path, workbench: Workbench) -> None:
    TripleStore(workbench.database).add(make_triples(3))
    app = home()
    app.text_input(key="other-workspace").set_value(str(workspace / "tercet.db" / "inside-a-file")).run()
    app.button(key="open-workspace").click().run()
    assert "What to do" in app.error[0].value
    assert str(workspace) in " ".join(t.value for t in app.text)
    app.text_input(key="other-workspace").set_value(str(workspace.parent / "second")).run()
    app.button(key="open-workspace").click().run()
    assert not app.error
    assert "This workspace is empty" in words(app)
    assert (workspace.parent / "second" / "tercet.db").exists()


def test_a_full_disk_is_told_with_a_hint_and_nothing_is_lost(workspace: Path, workbench: Workbench) -> None:
    ids = TripleStore(workbench.database).add(make_triples(3)).added
    app = home()
    app.switch_page(str(PROJECT_FOLDER / "pages" / "dataset.py"))
    app.query_params["section"] = "Import and export"
    app.run()
    database = _workbench_at(str(workspace)).database
    with database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    database.close()
    event.listen(database._engine, "connect", lambda c, _: c.execute(f"PRAGMA max_page_count={pages}"))
    app.file_uploader(key="import-file").set_value(("starter.jsonl", starter_rows(), "application/json")).run()
    app.button(key="import").click().run()
    assert not app.exception
    assert "no space is left" in app.error[0].value.replace("\\", "")
    assert "Free some space" in app.error[0].value.replace("\\", "")
    assert TripleStore(Workbench().database).ids() == ids


def starter_rows() -> bytes:
    return (PROJECT_FOLDER / "data" / "starter" / "short-long.jsonl").read_bytes()
