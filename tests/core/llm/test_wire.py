from __future__ import annotations

import asyncio

import pytest

from core.errors import EndpointUnreachable
from core.llm.endpoint import EndpointModel
from core.llm.wire import Wire
from tests.core.llm.loopback import Answer, completion, serving
from tests.core.llm.test_endpoint import ASK, CountingToll, ask_many

PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def proxy_of(base_url: str) -> tuple[str | None, tuple[str, str] | None]:
    async def run() -> Wire:
        wire = Wire(base_url, None, timeout_seconds=1, connections=1)
        await wire.close()
        return wire

    wire = asyncio.run(run())
    auth = wire._proxy_auth
    return wire._proxy, (auth.login, auth.password) if auth else None


def test_the_proxy_of_the_environment_is_used_and_its_password_kept_apart(monkeypatch: pytest.MonkeyPatch):
    assert proxy_of("https://api.example.org/v1") == (None, None)
    monkeypatch.setenv("https_proxy", "http://ann:se%40cret@proxy.example.org:3128")
    assert proxy_of("https://api.example.org/v1") == ("http://proxy.example.org:3128", ("ann", "se@cret"))
    monkeypatch.setenv("no_proxy", "api.example.org")
    assert proxy_of("https://api.example.org/v1") == (None, None)


def test_a_proxy_without_a_scheme_and_one_for_everything_are_understood(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("all_proxy", "proxy.example.org:3128")
    assert proxy_of("https://api.example.org/v1") == ("http://proxy.example.org:3128", None)
    for here in ("http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://[::1]:8000/v1"):
        assert proxy_of(here) == (None, None)


def test_a_proxy_of_another_kind_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("all_proxy", "socks5://proxy.example.org:1080")
    with pytest.raises(EndpointUnreachable, match="socks5 proxy"):
        proxy_of("https://api.example.org/v1")


def test_a_proxy_that_refuses_costs_nothing_and_its_password_is_not_told(monkeypatch: pytest.MonkeyPatch):
    toll = CountingToll()
    with serving(lambda body, n: Answer(407, "no")) as proxy:  # answers CONNECT with an error, as every server that knows no CONNECT
        address = proxy.url.removeprefix("http://").removesuffix("/v1")
        monkeypatch.setenv("https_proxy", f"http://ann:hidden-word@{address}")
        with pytest.raises(EndpointUnreachable) as caught:
            ask_many("https://api.example.org/v1", 1, toll=toll)
    assert toll.failed_ones == [False] * 3
    assert "hidden-word" not in str(caught.value)


def test_a_key_does_not_follow_a_redirect_to_another_host():
    with serving(lambda body, n: completion("{}")) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost") + "/chat/completions"
        with serving(lambda body, n: Answer(307, "", {"location": elsewhere})) as server:

            async def run() -> None:
                from pydantic import SecretStr

                model = EndpointModel(server.url, "m", key=SecretStr("the-key"))
                await model.reply(ASK)
                await model.close()

            asyncio.run(run())
    assert (server.keys, other.keys) == (["Bearer the-key"], [None])
