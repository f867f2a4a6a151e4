"""The endpoints a workspace knows, and a test of what one of them supports."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from pydantic import ValidationError

from core.domain.chat import ChatRequest
from core.domain.endpoint import EMBEDDED_ENDPOINT, ConnectionReport, Endpoint
from core.domain.plans import EMBEDDED_TEACHER
from core.errors import BadInput, EndpointError, NotFound
from core.generation.replies.parsing import read_object
from core.generation.sending.teachers import Teachers
from core.llm.pricing import price_is_known
from core.settings import Settings
from core.storage.preferences import PreferenceStore

PREFERENCE = "endpoints"
DEFAULT = "default_endpoint"
ENVIRONMENT = "From the environment"
TEST_QUESTION = 'Answer with the JSON object {"word": "ready"} and nothing else.'
MODELS_SHOWN = 50


class EndpointBook:
    """Endpoints by name; the embedded teacher is always one of them."""

    def __init__(self, preferences: PreferenceStore, teachers: Teachers, settings: Settings) -> None:
        self._preferences = preferences
        self._teachers = teachers
        self._settings = settings

    def list(self) -> list[Endpoint]:
        """The embedded teacher, the one of the environment where it names another, then the saved ones by name."""
        found = {EMBEDDED_ENDPOINT.name: EMBEDDED_ENDPOINT}
        if self._settings.teacher_base_url != EMBEDDED_TEACHER:
            address, model = self._settings.teacher_base_url, self._settings.teacher_model
            try:
                found[ENVIRONMENT] = Endpoint(name=ENVIRONMENT, base_url=address, model=model)
            except ValidationError as error:
                raise BadInput(
                    f"TERCET_TEACHER_BASE_URL cannot be used: {error.errors()[0]['msg']}.", hint="For example http://127.0.0.1:8000/v1."
                ) from None
        for values in self._preferences.get(PREFERENCE, []):
            endpoint = Endpoint.model_validate(values)
            found[endpoint.name] = endpoint
        return list(found.values())

    def get(self, name: str) -> Endpoint:
        """One endpoint.

        Raises:
            NotFound: no such name.
        """
        for endpoint in self.list():
            if endpoint.name == name:
                return endpoint
        raise NotFound(f"There is no endpoint “{name}”.", hint="The Settings page lists them.")

    def default(self) -> Endpoint:
        """The one that is offered first: chosen on the Settings page, else the environment's, else the embedded teacher."""
        chosen = self._preferences.get(DEFAULT)
        known = self.list()
        if chosen is None:
            return known[1] if self._settings.teacher_base_url != EMBEDDED_TEACHER else known[0]
        return next((endpoint for endpoint in known if endpoint.name == chosen), known[0])

    def choose_default(self, name: str) -> None:
        """Offer this one first from now on."""
        self._preferences.set(DEFAULT, self.get(name).name)

    def save(self, values: dict[str, object]) -> Endpoint:
        """Add or replace an endpoint.

        Raises:
            BadInput: says which field is wrong and how to write it.
        """
        try:
            endpoint = Endpoint.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"]) or "endpoint"
            raise BadInput(f"{name}: {first['msg'].removeprefix('Value error, ')}.", hint="Correct the field and save again.") from error
        if endpoint.name == EMBEDDED_ENDPOINT.name:
            raise BadInput("The embedded teacher cannot be changed.", hint="Save your endpoint under another name.")
        others = [v for v in self._preferences.get(PREFERENCE, []) if v["name"] != endpoint.name]
        self._preferences.set(PREFERENCE, sorted([*others, endpoint.model_dump(mode="json")], key=lambda v: v["name"]))
        return endpoint

    def remove(self, name: str) -> None:
        """Forget a saved endpoint.

        Raises:
            NotFound: it is not a saved one.
        """
        saved = self._preferences.get(PREFERENCE, [])
        if not any(values["name"] == name for values in saved):
            raise NotFound(f"“{name}” is not a saved endpoint.", hint="The embedded one and the environment's cannot be removed here.")
        self._preferences.set(PREFERENCE, [values for values in saved if values["name"] != name])

    def known_capabilities(self, endpoint: Endpoint) -> dict[str, str | bool] | None:
        """What earlier runs and tests found out about it, by name; None where nobody asked yet."""
        dialect = self._teachers.capabilities.find(endpoint.base_url, endpoint.model)
        return dialect.as_record() if dialect else None

    def has_key(self, endpoint: Endpoint) -> bool:
        """Whether its key is at hand."""
        return self._teachers.key(endpoint.api_key_env) is not None

    def test(self, endpoint: Endpoint) -> ConnectionReport:
        """One small real call that asks for JSON, and the list of models. Costs a few tokens.

        What it finds out replaces what the workspace knew of this model there, so that a server that has learned more is asked for more.

        Raises:
            EndpointError: unreachable or refused, with what to do.
        """
        if endpoint.embedded:
            raise BadInput("The embedded teacher needs no connection.", hint="Try it on the Prompts page.")
        return asyncio.run(self._test(endpoint))

    async def _test(self, endpoint: Endpoint) -> ConnectionReport:
        from core.llm.endpoint import EndpointModel, Habits  # 0.4 s of imports: only where an endpoint is asked

        model = EndpointModel(
            endpoint.base_url,
            endpoint.model,
            **self._teachers.access(endpoint),  # a model on this machine may need all of the time for its first reply
            habits=Habits(learned=partial(self._teachers.capabilities.keep, endpoint.base_url, endpoint.model)),
        )
        schema = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"], "additionalProperties": False}
        ask = ChatRequest(({"role": "user", "content": TEST_QUESTION},), schema, max_tokens=200, seed=1)
        models: tuple[str, ...] = ()
        notes: tuple[str, ...] = ()
        started = time.perf_counter()
        try:
            reply = await model.reply(ask)
            seconds = time.perf_counter() - started
            try:
                models = tuple(await model.models())[:MODELS_SHOWN]
            except EndpointError as error:
                notes = (f"It does not list its models: {error.message}",)
        finally:
            await model.close()
        return ConnectionReport(
            reachable=True,
            seconds=seconds,
            json_mode=model.dialect.json_mode.value,
            json_fits=isinstance(read_object(reply).value.get("word"), str),
            takes_seed=model.dialect.takes_seed,
            takes_sampling=model.dialect.takes_sampling,
            token_word=model.dialect.token_word,
            model=reply.model,
            models=models,
            price_known=price_is_known(endpoint.base_url, endpoint.model, endpoint.price),
            requests_per_minute=model.pace.told.requests_per_minute,
            tokens_per_minute=model.pace.told.tokens_per_minute,
            notes=notes,
        )
