"""Endpoints, keys, models, your name, storage, and what is sent where. Keys are held in memory only."""

from __future__ import annotations

import os

import pandas as pd
import streamlit as st

from core.domain.endpoint import ConnectionReport, Endpoint
from core.errors import BadInput
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench, reviewer
from pages.ui.widgets import plain

LEFT_OUT = "refused, left out from now on"
LOW_SPACE_BYTES = 2 * 1024**3


def show_endpoints() -> None:
    """Who can write; which one is offered first; test; add; remove."""
    book = open_workbench().endpoints
    endpoints = book.list()
    default = book.default().name
    rows = [
        {
            "name": e.name,
            "address": "on this machine" if e.embedded else e.base_url,
            "model": e.model,
            "key": "none needed" if e.embedded else f"{e.api_key_env} ({'set' if book.has_key(e) else 'not set'})",
            "in flight": e.in_flight,
            "offered first": "✓" if e.name == default else "",
        }
        for e in endpoints
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="endpoints-table")
    names = [e.name for e in endpoints]
    choice, test, first, remove = st.columns([3, 1.6, 1.6, 1.2], vertical_alignment="bottom")
    endpoint = book.get(choice.selectbox("Endpoint", names, index=names.index(default), key="endpoint-name"))
    if test.button("Test connection", key="test-endpoint", icon=":material/network_check:", disabled=endpoint.embedded, width="stretch"):
        with problems_shown(), st.spinner("Asking …", show_time=True):
            st.session_state["connection"] = (endpoint.name, book.test(endpoint))
    if first.button("Offer first", key="default-endpoint", icon=":material/star:", disabled=endpoint.name == default, width="stretch"):
        book.choose_default(endpoint.name)
        st.rerun()
    if remove.button("Remove", key="remove-endpoint", icon=":material/delete:", disabled=endpoint.embedded, width="stretch"):
        with problems_shown():
            book.remove(endpoint.name)
            st.rerun()
    found: tuple[str, ConnectionReport] | None = st.session_state.get("connection")
    if found and found[0] == endpoint.name:
        show_connection(found[1])
    elif not endpoint.embedded:
        show_capabilities(book.known_capabilities(endpoint))


def show_connection(report: ConnectionReport) -> None:
    """What the test found."""
    st.success(f"It answers in {report.seconds:.1f} s as {plain(report.model)}.", icon=":material/check_circle:")
    facts = {
        "JSON": f"{report.json_mode}; the test reply {'fitted' if report.json_fits else 'did not fit'}",
        "Seed": "accepted" if report.takes_seed else LEFT_OUT,
        "Temperature, top-p": "accepted" if report.takes_sampling else LEFT_OUT,
        "Token limit": report.token_word,
        "Rate limits": _rates(report.requests_per_minute, report.tokens_per_minute) or "its answers tell none",
        "Price": "known" if report.price_known else "unknown: budgets in money cannot be kept for it",
        "Models": ", ".join(report.models[:12]) + (" …" if len(report.models) > 12 else "") if report.models else "not listed",
    }
    st.dataframe(pd.DataFrame(facts.items(), columns=["what", "found"]), hide_index=True, key="connection-table")
    for note in report.notes:
        st.caption(plain(note))


def show_capabilities(known: dict[str, str | bool] | None) -> None:
    """What the workspace knows of an endpoint, before it is tested again."""
    if known is None:
        st.caption("Nobody asked this model yet: the test, or the first request of a run, finds out what it understands.")
        return
    words = {"json_mode": "JSON", "token_word": "Token limit", "takes_sampling": "Temperature, top-p", "takes_seed": "Seed"}
    said = {True: "accepted", False: LEFT_OUT}
    rows = [(words[name], said[value] if isinstance(value, bool) else value) for name, value in known.items()]
    st.dataframe(pd.DataFrame(rows, columns=["what", "known from earlier"]), hide_index=True, key="capabilities-table")


def _rates(requests: float | None, tokens: float | None) -> str:
    told = [f"{limit:,.0f} {unit} a minute" for limit, unit in ((requests, "requests"), (tokens, "tokens")) if limit]
    return ", ".join(told)


def add_endpoint() -> None:
    """Any OpenAI-compatible API."""
    with st.expander("Add or change an endpoint", icon=":material/add:"), st.form("endpoint-form", border=False):
        first = st.columns([2, 4])
        name = first[0].text_input("Name", key="new-endpoint-name", placeholder="my server")
        base_url = first[1].text_input(
            "Address", key="new-endpoint-url", placeholder="https://api.openai.com/v1 or http://127.0.0.1:8000/v1"
        )
        second = st.columns([2, 2, 1, 1, 1])
        model = second[0].text_input("Model", key="new-endpoint-model", placeholder="gpt-4o-mini")
        key_name = second[1].text_input("Name of its key", "TERCET_API_KEY", key="new-endpoint-key",
                                        help="An environment variable; the key itself is given below and never stored.")  # fmt: skip
        in_flight = second[2].number_input("In flight", 1, 1000, 8, key="new-endpoint-in-flight")
        max_tokens = second[3].number_input("Reply tokens", 16, 200_000, 2048, key="new-endpoint-max-tokens")
        timeout = second[4].number_input("Timeout, s", 1, 3600, 120, key="new-endpoint-timeout")
        third = st.columns(4)
        rate = third[0].number_input("Requests a minute", 0.1, None, None, key="new-endpoint-requests-per-minute", placeholder="as it says")
        token_rate = third[1].number_input(
            "Tokens a minute", 1.0, None, None, key="new-endpoint-tokens-per-minute", placeholder="as it says"
        )
        prompt_price = third[2].number_input("$ a million prompt tokens", 0.0, None, None, key="new-endpoint-price-prompt",
                                             placeholder="from the table", help="Your own price; give both or none.")  # fmt: skip
        reply_price = third[3].number_input("$ a million reply tokens", 0.0, None, None, key="new-endpoint-price-completion",
                                            placeholder="from the table")  # fmt: skip
        if st.form_submit_button("Save", key="save-endpoint", icon=":material/save:"):
            with problems_shown():
                saved = open_workbench().endpoints.save(
                    {"name": (name or "").strip(), "base_url": base_url or "", "model": (model or "").strip(), "in_flight": in_flight,
                     "api_key_env": (key_name or "").strip(), "max_tokens": max_tokens, "timeout_seconds": timeout,
                     "requests_per_minute": rate, "tokens_per_minute": token_rate,
                     "price": own_price(prompt_price, reply_price)}
                )  # fmt: skip
                st.toast(f"Saved {saved.name}", icon=":material/check:")
                st.rerun()


def own_price(prompt: float | None, completion: float | None) -> dict[str, float] | None:
    """A price of one's own, None where neither part is given."""
    if prompt is None and completion is None:
        return None
    if prompt is None or completion is None:
        raise BadInput("A price needs both parts.", hint="Give dollars for prompt and for reply tokens; a local model costs 0 and 0.")
    return {"prompt": prompt, "completion": completion}


def take_key() -> None:
    """Hand a typed key to the key ring and forget it here (a callback: the field is emptied before it is drawn again)."""
    name = str(st.session_state.get("key-name") or "").strip()
    open_workbench().keys.give(name, str(st.session_state.get("key-value") or "").strip())
    st.session_state["key-value"] = ""
    st.toast(f"{name} is held in memory until the app ends", icon=":material/key:")


def show_keys() -> None:
    """Give a key; see which ones are at hand, never their values."""
    workbench = open_workbench()
    names = sorted({e.api_key_env for e in workbench.endpoints.list() if not e.embedded} | {"TERCET_API_KEY"})
    st.caption("A key is held in the memory of this server until it ends. It is never written to disk, shown, logged or put in a plan. "
               "For a key that outlives the app, set its environment variable before starting it.")  # fmt: skip
    name, value, give = st.columns([2, 3, 1.2], vertical_alignment="bottom")
    name.selectbox("Key", names, key="key-name")
    value.text_input("Value", type="password", key="key-value", autocomplete="off")
    give.button("Hold in memory", key="give-key", icon=":material/key:", on_click=take_key, width="stretch",
                help="An empty value forgets the key.")  # fmt: skip
    rows = [{"key": n, "state": "at hand" if _key_is_set(n) else "not set"} for n in names]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="keys-table", width=420)


def _key_is_set(name: str) -> bool:
    return open_workbench().endpoints.has_key(Endpoint(name="check", base_url="http://localhost", api_key_env=name))


def show_models() -> None:
    """Which models and which device are used; set by the environment, so that jobs and service agree."""
    settings = open_workbench().settings
    rows = {
        "Base decoder to train": (settings.base_model, "TERCET_BASE_MODEL"),
        "Embedded models": (str(settings.models_folder), "TERCET_MODELS_FOLDER"),
        "Device": (settings.device, "TERCET_DEVICE"),
        "CPU threads of a job": (str(settings.threads or f"all {os.cpu_count()}"), "TERCET_THREADS"),
        "Model service ends when idle for": (f"{settings.service_idle_minutes:g} min", "TERCET_SERVICE_IDLE_MINUTES"),
        "Database": ("SQLite in the workspace" if settings.database_url is None else "by URL", "TERCET_DATABASE_URL"),
    }
    table = [{"what": what, "now": now, "set by": variable} for what, (now, variable) in rows.items()]
    st.dataframe(pd.DataFrame(table), hide_index=True, key="models-table")
    st.caption("Set these in the environment or in .env before starting the app; jobs and the model service then use the same ones. "
               "The base model of one training run is chosen on the Train page.")  # fmt: skip


def show_reviewer() -> None:
    """The name decisions are signed with."""
    name = st.text_input("Your name", reviewer(), key="reviewer-name", max_chars=60, help="Every decision on the Review page carries it.")
    if name and name.strip() != reviewer():
        st.session_state["reviewer"] = name.strip()
        st.toast(f"You review as {name.strip()}", icon=":material/badge:")
    st.caption("It holds for this browser session; two reviewers with different names never get the same triple by accident.")


def show_storage() -> None:
    """Where everything lies and how much space is left."""
    workbench = open_workbench()
    st.text(f"Workspace: {workbench.settings.workspace}")
    with problems_shown():
        free = workbench.free_bytes()
        st.metric("Free space", f"{free / 1024**3:,.1f} GiB")
        if free < LOW_SPACE_BYTES:
            st.warning("Little space is left, and a training run keeps checkpoints: free some first.", icon=":material/warning:")
    st.caption("Database, jobs, adapters, indexes and maps all lie here. Copy the folder to copy the project; keys are not in it.")


def show_traffic() -> None:
    """What leaves this machine."""
    rows = [
        ("Brainstorm, Generate, Try it", "prompts with drawn slots and task texts; your key", "the chosen endpoint (embedded: nowhere)"),
        ("Review, Dataset, Explore, Learn", "nothing", "–"),
        ("Train, Index, Evaluate", "nothing; naming a hub model downloads it", "the model hub"),
        ("Search", "the query", "the model service on this machine (loopback, with a token)"),
        ("The page in your browser", "nothing: no fonts, scripts or statistics from elsewhere", "–"),
    ]
    st.dataframe(pd.DataFrame(rows, columns=["what you do", "what is sent", "where to"]), hide_index=True, key="traffic-table")


st.title("Settings")
with problems_shown():
    tabs = st.tabs(["Endpoints", "Keys", "Models and device", "You", "Storage", "What is sent where"], key="settings-tabs")
    with tabs[0]:
        show_endpoints()
        add_endpoint()
    for tab, show in zip(tabs[1:], (show_keys, show_models, show_reviewer, show_storage, show_traffic), strict=True):
        with tab:
            show()
