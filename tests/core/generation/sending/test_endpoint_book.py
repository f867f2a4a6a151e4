from __future__ import annotations

import pytest

from core.errors import BadInput, EndpointUnreachable, NotFound
from core.workbench import Workbench
from tests.core.llm.loopback import Answer, closed_port_url, completion, serving

VALUES = {"name": "mine", "base_url": "http://127.0.0.1:1/v1", "model": "m"}


def test_the_embedded_teacher_is_always_there_and_first(workbench: Workbench):
    assert [e.name for e in workbench.endpoints.list()] == ["Embedded teacher"]
    assert workbench.endpoints.default().embedded


def test_saved_endpoints_are_listed_replaced_chosen_and_removed(workbench: Workbench):
    book = workbench.endpoints
    book.save(VALUES)
    book.save(VALUES | {"model": "better"})
    assert [(e.name, e.model) for e in book.list()[1:]] == [("mine", "better")]
    book.choose_default("mine")
    assert book.default().name == "mine"
    book.remove("mine")
    assert book.default().embedded
    with pytest.raises(NotFound):
        book.remove("mine")


def test_a_bad_field_is_named_and_nothing_is_saved(workbench: Workbench):
    with pytest.raises(BadInput, match="base_url"):
        workbench.endpoints.save(VALUES | {"base_url": "nonsense"})
    with pytest.raises(BadInput, match="cannot be changed"):
        workbench.endpoints.save(VALUES | {"name": "Embedded teacher"})
    assert len(workbench.endpoints.list()) == 1


def test_a_key_in_the_wrong_field_is_not_stored(workbench: Workbench):
    with pytest.raises(BadInput, match="API key"):
        workbench.endpoints.save(VALUES | {"model": "sk-abcdefghijklmnopqrstuvwxyz"})
    assert len(workbench.endpoints.list()) == 1


def test_a_connection_test_says_what_the_endpoint_supports(workbench: Workbench):
    def answer(body, n):
        if body.get("response_format", {}).get("type") == "json_schema":
            return Answer(400, {"error": {"message": "json_schema is not supported"}})
        return completion('{"word": "ready"}')

    with serving(answer) as server:
        report = workbench.endpoints.test(workbench.endpoints.save(VALUES | {"base_url": server.url}))
    assert (report.json_mode, report.json_fits, report.models, report.price_known) == ("json_object", True, ("another", "loopback"), False)


def test_a_connection_test_of_a_closed_port_says_so(workbench: Workbench):
    with pytest.raises(EndpointUnreachable):
        workbench.endpoints.test(workbench.endpoints.save(VALUES | {"base_url": closed_port_url()}))


def test_a_given_key_is_sent_and_never_stored(workbench: Workbench):
    with serving(lambda body, n: completion('{"word": "ready"}')) as server:
        endpoint = workbench.endpoints.save(VALUES | {"base_url": server.url, "api_key_env": "MY_TEST_KEY"})
        assert not workbench.endpoints.has_key(endpoint)
        workbench.keys.give("MY_TEST_KEY", "very-secret-value")
        workbench.endpoints.test(endpoint)
    assert workbench.endpoints.has_key(endpoint)
    assert server.keys == ["Bearer very-secret-value"]
    workbench.database.close()
    files = [path for path in workbench.settings.workspace.rglob("*") if path.is_file()]
    assert files
    assert not any(b"very-secret-value" in path.read_bytes() for path in files)
