"""The WSGI application of ``serve``: the page, the picture, the state as JSON, and a health check."""

import hmac
import json
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from runtime.serve.live import Live

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

COOKIE = "edgecnn_token"
PAGE = os.path.join(os.path.dirname(__file__), "page")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
HEADERS = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
]


class Answer(NamedTuple):
    """An HTTP response."""

    status: str
    kind: str = "text/plain; charset=utf-8"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class App:
    """A WSGI application that answers ``GET`` and ``HEAD``.

    Args:
        live: the state to show.
        token: required in each request except ``/health``: as ``Authorization: Bearer``, as the cookie that the page
            sets, or once as ``/?token=``. ``None``: no token is required.
        hosts: accepted host names (header ``Host``). Other names are refused, so that a web page cannot reach a server
            on the loopback interface through a host name of its own (DNS rebinding). ``None``: accept all.
    """

    def __init__(self, live: Live, token: str | None, hosts: frozenset[str] | None) -> None:
        self._live, self._token, self._hosts = live, token, hosts
        self._files = {path: (_read(name), kind) for path, (name, kind) in FILES.items()}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        answer = self._answer(environ)
        headers = [("Content-Type", answer.kind), ("Content-Length", str(len(answer.body))), *HEADERS, *answer.headers]
        start_response(answer.status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        path = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return Answer("405 Method Not Allowed", headers=(("Allow", "GET, HEAD"),))
        if self._hosts is not None and _host(environ.get("HTTP_HOST", "")) not in self._hosts:
            return Answer("403 Forbidden", body=b"This server answers to localhost alone.\n")
        if path == "/health":
            health = self._live.health()
            return _json(health, "503 Service Unavailable" if health["status"] == "late" else "200 OK")
        return self._refusal(path, environ) or self._content(path, environ)

    def _refusal(self, path: str, environ: dict[str, Any]) -> Answer | None:
        """Answer a missing or wrong token, or redirect and set the cookie; ``None``: access granted."""
        if self._token is None:
            return None
        given = parse_qs(environ.get("QUERY_STRING", "")[:1000]).get("token", [""])[0]
        if path == "/" and self._is_token(given):
            cookie = f"{_cookie(environ)}={given}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"
            return Answer("303 See Other", headers=(("Location", "/"), ("Set-Cookie", cookie)))
        if self._is_token(_carried(environ)):
            return None
        return Answer("401 Unauthorized", body=b"Open this page once with /?token=TOKEN at its end.\n")

    def _content(self, path: str, environ: dict[str, Any]) -> Answer:
        if path == "/api/state":
            return _json(self._live.state(), "200 OK")
        if path == "/frame.jpg":
            return self._picture(environ)
        if path in self._files:
            content, kind = self._files[path]
            return Answer("200 OK", kind, content)
        return Answer("404 Not Found", body=b"There are /, /frame.jpg, /api/state and /health.\n")

    def _picture(self, environ: dict[str, Any]) -> Answer:
        picture = self._live.picture
        if picture is None:
            return Answer("503 Service Unavailable", body=b"No frame has come yet.\n")
        tag = f'"{picture.number}"'
        if environ.get("HTTP_IF_NONE_MATCH") == tag:
            return Answer("304 Not Modified", "image/jpeg", headers=(("ETag", tag),))
        return Answer("200 OK", "image/jpeg", picture.content, (("ETag", tag),))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), (self._token or "").encode())


def _carried(environ: dict[str, Any]) -> str:
    """Return the token in a request's headers."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return str(token.strip())
    # http.cookies rejects the whole header if other programs on this host have set unusual values.
    pairs = [pair.strip().partition("=") for pair in environ.get("HTTP_COOKIE", "").split(";")]
    return next((value for name, _, value in pairs if name == _cookie(environ)), "")


def _cookie(environ: dict[str, Any]) -> str:
    """Return the cookie's name, with the port, because browsers send cookies to all ports of a host."""
    return f"{COOKIE}_{environ.get('SERVER_PORT', '')}"


def _host(header: str) -> str:
    """Return the host name without port, in lower case."""
    name = header if header.endswith("]") else header.rpartition(":")[0] or header
    return name.strip("[]").lower()


def _json(value: Any, status: str) -> Answer:
    return Answer(status, "application/json", json.dumps(value).encode())


def _read(name: str) -> bytes:
    with open(os.path.join(PAGE, name), "rb") as file:
        return file.read()
