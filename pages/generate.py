"""Plan examples, know what they take, start, and watch them come."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from pydantic import ValidationError

from core.domain.endpoint import Endpoint
from core.domain.groups import GROUPS, TaskGroup
from core.domain.jobs import Job, JobKind
from core.domain.plans import Budget, GenerationPlan
from core.domain.prompt import PromptStep
from core.domain.task import TaskState
from core.errors import BadPlan, WorkbenchError
from pages.ui.batch_panel import choose_batch, show_batches
from pages.ui.check_histograms import show_checks
from pages.ui.generation_charts import UNKNOWN_PRICE, attempt, duration, language_chart, show_attempts, show_job
from pages.ui.language_choice import choose_languages
from pages.ui.problems import problems_shown
from pages.ui.prompt_editor import money
from pages.ui.session import open_workbench
from pages.ui.widgets import plain, show_empty_state, show_text
from pages.ui.yield_table import show_yields

PACE = {"requests_per_minute": "Requests/minute", "tokens_per_minute": "Tokens/minute"}


def choose_counts() -> dict[TaskGroup, int]:
    """How many examples of each group; says where tasks are missing."""
    accepted = {group: counts[TaskState.ACCEPTED] for group, counts in open_workbench().tasks.counts().items()}
    counts: dict[TaskGroup, int] = {}
    for column, group in zip(st.columns(6), TaskGroup, strict=True):
        tasks = accepted.get(group)
        start = 10 if group is TaskGroup.SHORT_LONG and tasks else 0
        counts[group] = int(column.number_input(group.value, 0, 1_000_000, start, step=5, key=f"count-{group.value}",
                                                help=GROUPS[group].kind) or 0)  # fmt: skip
        column.caption("fixed task" if tasks is None else f"{tasks:,} accepted task{'' if tasks == 1 else 's'}")
    return counts


def choose_endpoint() -> Endpoint:
    """Who writes."""
    book = open_workbench().endpoints
    endpoints = {e.name: e for e in book.list()}
    names = list(endpoints)
    name = st.selectbox("Written by", names, index=names.index(book.default().name), key="generate-endpoint",
                        format_func=lambda n: f"{n} · {endpoints[n].model}")  # fmt: skip
    endpoint = endpoints[name]
    if endpoint.embedded:
        st.warning("The embedded teacher is a 135M model: it shows that everything works, but its texts are weak. Set a real endpoint in "
                   "Settings for data worth training on.", icon=":material/info:")  # fmt: skip
    elif not book.has_key(endpoint):
        st.warning(plain(f"The key {endpoint.api_key_env} is not set. Give it on the Settings page, unless this endpoint needs none."),
                   icon=":material/key_off:")  # fmt: skip
    return endpoint


def choose_details(endpoint: Endpoint) -> dict[str, object]:
    """Sampling, speed, budgets and seed."""
    jobs = len(open_workbench().jobs.find(JobKind.GENERATE))
    first = st.columns(4)
    temperature = first[0].number_input("Temperature", 0.0, 2.0, endpoint.temperature, 0.1, key=f"temperature-{endpoint.name}")
    top_p = first[1].number_input("Top-p", 0.01, 1.0, endpoint.top_p, 0.05, key=f"top-p-{endpoint.name}")
    in_flight = first[2].number_input("In flight", 1, 1000, endpoint.in_flight, key=f"in-flight-{endpoint.name}", help="Requests at a time")
    max_tokens = first[3].number_input("Reply tokens", 16, 200_000, endpoint.max_tokens, step=256, key=f"max-tokens-{endpoint.name}",
                                       help="A reply that needs more is cut off, and asked for once more with twice the room")  # fmt: skip
    second = st.columns(4)
    requests = second[0].number_input("Most requests", 1, None, None, key="budget-requests", placeholder="no limit")
    dollars = second[1].number_input("Most US$", 0.0, None, None, key="budget-money", placeholder="no limit")
    tokens = second[2].number_input("Most tokens", 1, None, None, key="budget-tokens", placeholder="no limit",
                                    help="Prompts and replies together")  # fmt: skip
    seed = second[3].number_input("Seed", 0, None, jobs, key="generate-seed",
                                  help="Same plan, same seed: the same requests; what has a reply is not sent again.")  # fmt: skip
    third = st.columns(4)
    pace = {
        name: column.number_input(words, 1.0, None, getattr(endpoint, name), key=f"{name}-{endpoint.name}", placeholder="no limit",
                                  format="%.0f", help="Never faster; what the endpoint says of itself holds as well")
        for column, name, words in zip(third, PACE, PACE.values(), strict=False)
    }  # fmt: skip
    return {"temperature": temperature, "top_p": top_p, "in_flight": in_flight, "max_tokens": max_tokens, **pace,
            "budget": Budget(requests=requests, money=dollars, tokens=tokens), "seed": seed}  # fmt: skip


def choose_prompts(counts: dict[TaskGroup, int]) -> dict[TaskGroup, str]:
    """Prompt version of each group in the plan; the newest unless another is chosen."""
    library = open_workbench().prompts
    chosen: dict[TaskGroup, str] = {}
    for group in (g for g, count in counts.items() if count):
        versions = {f"v{v.number} {v.note}".strip(): v.id for v in library.versions(group, PromptStep.EXAMPLE)}
        chosen[group] = versions[st.selectbox(f"Prompt for {group.value}", list(versions), key=f"prompt-version-{group.value}")]
    return chosen


def make_plan() -> GenerationPlan:
    """The form."""
    st.markdown("##### How many")
    counts = choose_counts()
    left, right = st.columns([3, 2], gap="large")
    with left:
        languages = choose_languages()
        endpoint = choose_endpoint()
        as_batch = choose_batch(embedded=endpoint.embedded)
        with st.expander("Sampling, speed, budgets, seed", icon=":material/tune:"):
            details = choose_details(endpoint)
        with st.expander("Prompt versions", icon=":material/edit_note:"):
            versions = choose_prompts(counts)
    if sum(languages.values()) > 0:
        right.altair_chart(language_chart(languages), key="language-plan", alt="Share of each language in the plan")
    values = endpoint.model_dump(exclude={"name"}) | details | {"counts": counts, "languages": languages, "prompt_versions": versions}
    values["batch"] = as_batch
    try:
        return GenerationPlan.model_validate(values)
    except ValidationError as error:
        raise BadPlan(f"The plan cannot be used: {error.errors()[0]['msg']}.", hint="Correct the form above.") from error


def show_estimate(plan: GenerationPlan) -> bool:
    """What the plan will take, before anything is spent; whether it can be started."""
    try:
        estimate = open_workbench().generation.estimate(plan)
    except WorkbenchError as error:
        st.info(f"{plain(error.message)} {plain(error.hint)}", icon=":material/info:")
        return False
    columns = st.columns(5)
    columns[0].metric("Requests to send", f"{estimate.to_send:,}")
    columns[1].metric("Prompt tokens", f"{estimate.prompt_tokens:,}")
    columns[2].metric("Reply tokens", f"{estimate.completion_tokens:,}")
    columns[3].metric("Cost", money(estimate.cost, unknown="?"), help="From a price table" if estimate.cost is not None else UNKNOWN_PRICE)
    columns[4].metric("Time", duration(estimate.seconds))
    st.caption(plain(estimate.basis if estimate.cost is not None else f"{estimate.basis} {UNKNOWN_PRICE}"))
    if estimate.answered:
        st.info(f"{estimate.answered:,} of {estimate.requests:,} requests of this plan have a reply already and are not sent again. "
                "Change the seed for new examples.", icon=":material/inventory:")  # fmt: skip
    return True


def show_preview(plan: GenerationPlan) -> None:
    """Three prompts of this plan as they will be sent; they can be sent first, alone, and their replies read here."""
    box = st.expander("Look at 3 of these before spending", icon=":material/visibility:", on_change="rerun", key="plan-preview")
    if not box.open:
        return
    with box:
        active = first_active()
        st.fragment(run_every=1 if active else None)(show_first)(plan, was_active=active)


def first_active() -> bool:
    """Whether the examples that are written first are under way."""
    job_id = st.session_state.get("preview-job")
    return job_id is not None and open_workbench().jobs.get(job_id).state.active


def show_first(plan: GenerationPlan, *, was_active: bool) -> None:
    """The first requests of a plan with what came of them; drawn again while they are under way."""
    desk = open_workbench().generation
    found = desk.preview(plan, 3)
    replies = [desk.reply_of(request) for request, _ in found]
    for tab, (request, preview), reply in zip(
        st.tabs(["First", "Second", "Third"][: len(found)], key="preview-tabs"), found, replies, strict=True
    ):
        with tab:
            drawn = " ".join(f":blue-badge[{plain(name)}: {plain(str(value))}]" for name, value in preview.slots.items())
            st.markdown(f":gray-badge[{request.group.value}] {drawn}")
            prompt, came = st.columns(2)
            prompt.markdown("**Prompt**")
            prompt.code(preview.text, language=None, wrap_lines=True, height=330)
            came.markdown("**Reply**" + (f" · {reply.state.value} {plain(reply.reason)}" if reply else ""))
            with came.container(height=330, border=True):
                show_text((reply.reply_text or reply.raw or "Under way …") if reply else "Not asked yet.")
    if not all(reply and reply.raw for reply in replies):
        first = desk.first_of(plan)
        cost = money(desk.estimate(first).cost)
        st.button(f"Write these {len(found)} first", key="write-first", icon=":material/looks_3:", disabled=was_active, on_click=attempt,
                  args=(start_first, first))  # fmt: skip
        st.caption(plain(f"{len(found)} requests, {cost}. The whole plan does not send or pay them again."))
    if first_active() != was_active:
        st.rerun()  # begins to draw itself again, or the estimate above counts what was answered


def start_first(plan: GenerationPlan) -> None:
    """Send the previewed requests alone."""
    st.session_state["preview-job"] = open_workbench().generation.start_generation(plan).id


def start(plan: GenerationPlan) -> None:
    """Start and show that job below."""
    job = open_workbench().generation.start_generation(plan)
    st.session_state["generation-job"] = job.id
    st.toast("Started: it is at work below, under Jobs.", icon=":material/arrow_downward:")


@st.fragment(run_every=2)
def show_jobs() -> None:
    """One generation job, live; the newest unless another is chosen."""
    with problems_shown():
        show_attempts()
        jobs = {job.id: job for job in open_workbench().jobs.find(JobKind.GENERATE)}
        if not jobs:
            show_empty_state("Nothing has been generated yet. Set counts above, look at the estimate, then start.")
            return
        chosen = st.selectbox(
            "Job", list(jobs), format_func=lambda i: job_name(jobs[i]), key="generation-job", label_visibility="collapsed"
        )
        with st.container(border=True, key="generation-live"):
            show_job(jobs[chosen], unit="triples")
            show_batches(jobs[chosen])
            if jobs[chosen].result:
                show_result(jobs[chosen])
        was_active = st.session_state.get("generation-active")
        st.session_state["generation-active"] = chosen if jobs[chosen].state.active else None
        if was_active == chosen and not jobs[chosen].state.active:
            st.rerun()  # the yields below count what it brought


def job_name(job: Job) -> str:
    """A line of the list of jobs."""
    return f"{job.created_at[:16].replace('T', ' ')} · {job.title} · {job.state.value}"


def show_result(job: Job) -> None:
    """What a finished job brought, and where to go on."""
    result = job.result
    flags = ", ".join(f"{plain(code)} {n}" for code, n in result.get("flags", {}).items()) or "none"
    st.markdown(
        f"**{result.get('added', 0):,} new triples**, {result.get('duplicates', 0):,} duplicates, {result.get('flagged', 0):,} flagged by "
        f"the checks ({flags}), in {duration(result.get('seconds'))}."
    )
    if result.get("added"):
        st.page_link(str(Path(__file__).parent / "review.py"), label="Review them, most suspicious first", icon=":material/arrow_forward:")


st.title("Generate")
st.caption("One request writes one example: a query, a document that answers it, and a hard negative that nearly does.")
with problems_shown():
    wanted = make_plan()
    st.divider()
    ready = show_estimate(wanted)
    if ready:
        show_preview(wanted)
    st.button("Start writing", key="start-generation", type="primary", icon=":material/play_arrow:", disabled=not ready,
              on_click=attempt, args=(start, wanted))  # fmt: skip
    st.divider()
    st.markdown("##### Jobs")
    show_jobs()
    st.divider()
    st.markdown("##### Yield and cost")
    show_yields(st.session_state.get("generation-job"))
    st.divider()
    st.markdown("##### Checks")
    st.caption("They flag and order the review. Only exact duplicates and unreadable replies are left out; both can be listed.")
    show_checks()
