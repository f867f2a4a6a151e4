"""One HTTP exchange with an endpoint: JSON goes out; status, headers and text come back.

The requests of a run go this way and not through the openai library: that takes 0.65 ms of our processor for each where this takes 0.23,
and as long to be imported as everything else (docs/decisions/0007). Files and batches, a few calls an hour, stay with the library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from core.errors import EndpointUnreachable

IDLE_SECONDS = 15.0  # a connection is kept without use
CONNECT_SECONDS = 30.0
NEVER_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL, aiohttp.ClientHttpProxyError)
WireError = (aiohttp.ClientError, TimeoutError)  # whatever keeps an answer from coming


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class Wire:
    """Connections to one base URL. Make it inside the event loop that uses it, and close it there."""

    def __init__(self, base_url: str, key: str | None, *, timeout_seconds: float, connections: int) -> None:
        self._base_url = base_url.rstrip("/")
        self._proxy, self._proxy_auth = _proxy_for(base_url)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "tercet"}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(CONNECT_SECONDS, timeout_seconds)),
        )

    async def post(self, path: str, body: object) -> Answer:
        """Send JSON.

        Raises:
            aiohttp.ClientError, TimeoutError: no answer came (`WireError`).
        """
        return await self._exchange("POST", path, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))

    async def get(self, path: str) -> Answer:
        """Ask for something. Raises what `post` raises."""
        return await self._exchange("GET", path, None)

    async def close(self) -> None:
        """Give the connections back."""
        await self._session.close()

    async def _exchange(self, method: str, path: str, data: bytes | None) -> Answer:
        proxy = {"proxy": self._proxy, "proxy_auth": self._proxy_auth} if self._proxy else {}
        async with self._session.request(method, self._base_url + path, data=data, **proxy) as answer:  # type: ignore[arg-type]
            text = (await answer.read()).decode("utf-8", "replace")
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, text)


def may_have_arrived(error: BaseException) -> bool:
    """Whether the endpoint may have worked on a request that brought no answer."""
    return not isinstance(error, NEVER_CONNECTED)


def _proxy_for(base_url: str) -> tuple[str | None, aiohttp.BasicAuth | None]:
    """The proxy of the environment (HTTPS_PROXY, ALL_PROXY, NO_PROXY …) without its password, which errors would repeat, and that apart.

    There is none to this machine.

    Raises:
        EndpointUnreachable: the proxy is of a kind that cannot be used.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    proxies = {} if _is_here(host) or proxy_bypass(host) else getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all")
    if not named:
        return None, None
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    if proxy.scheme not in ("http", "https"):
        raise EndpointUnreachable(
            f"The environment names a {proxy.scheme} proxy, and only http and https proxies can be used.",
            hint=f"Set NO_PROXY={host}, or HTTPS_PROXY to an http:// proxy.",
        )
    auth = aiohttp.BasicAuth(unquote(proxy.username), unquote(proxy.password or "")) if proxy.username else None
    return urlunsplit(proxy._replace(netloc=proxy.netloc.rpartition("@")[2])), auth


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
