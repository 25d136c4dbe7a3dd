"""One door to the gateway: HTTP in, values or the errors of `remit.errors` out. Only this module imports httpx2."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import TypeVar
from weakref import finalize

import httpx2
from pydantic import TypeAdapter, ValidationError

from .answers import Page, Problem
from .errors import BrokenStream, GatewayFault, Misuse, Refused, Unreachable

T = TypeVar("T")
Token = str | Callable[[], str]
ARROW_STREAM = "application/vnd.apache.arrow.stream"
CONNECT_SECONDS = 5.0
WAITS = (0.1, 0.5)
"""Seconds before what may be asked again is asked again."""
_PROBLEM = TypeAdapter(Problem)


class Connection:
    """Speaks to one gateway as one principal; may be shared between threads.

    `token` may be something that gives one: it is asked before each request, as a token may have to be renewed.
    """

    def __init__(self, url: str, token: "Token | None", timeout: float) -> None:
        address = _address(url)
        if not timeout > 0:
            raise Misuse(f"`{timeout}` is no timeout; name a number of seconds above 0")
        self.url = _place(address)
        if token is not None and address.scheme != "https" and not is_loopback(address.host):
            raise Misuse(f"`{url}` is not encrypted, and a token would go over it in the clear; write it as https://")
        self._token = _usable(token) if isinstance(token, str) else token
        self._http = httpx2.Client(
            base_url=address,
            headers={"accept-encoding": "identity"},
            timeout=httpx2.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
            # a proxy of the environment has no business between two processes of one machine
            trust_env=not is_loopback(address.host),
        )
        self.close = finalize(self, self._http.close)
        """Closes every connection, also those of readers that are still open."""

    def get(self, path: str, shape: TypeAdapter[T], **query: str | int | None) -> T:
        """The answer to GET; parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask(self._request("GET", path, params=given), shape)

    def text(self, path: str) -> str:
        """The answer to GET where it is a text."""
        response = self._send(self._request("GET", path))
        if response.status_code != 200:
            raise _failure(response)
        if _media_type(response) != "text/plain":
            raise _not_remit(response)
        return response.text

    def every(
        self, path: str, shape: TypeAdapter[Page[T]], cursor: str = "before", /, **query: str | None
    ) -> Iterator[T]:
        """Everything in a list of pages, each fetched as it is taken; `cursor` is what the list calls its own."""
        at: str | None = None
        while True:
            page = self.get(path, shape, **{cursor: at}, **query)
            yield from page.items
            if page.next is None:
                return
            if page.next == at:
                raise GatewayFault(f"the list `{path}` never ends: its cursor stays where it is")
            at = page.next

    def post(self, path: str, body: Mapping[str, object], shape: TypeAdapter[T]) -> T:
        """The answer to POST with a JSON body."""
        return self._ask(self._request("POST", path, body=body), shape)

    def stream(self, path: str, body: Mapping[str, object]) -> "ArrowBody":
        """Posts `body` and opens the Arrow stream that answers it."""
        request = self._request("POST", path, body=body)
        request.headers["accept"] = ARROW_STREAM
        response = self._send(request, stream=True)
        if response.status_code == 200 and _media_type(response) == ARROW_STREAM:
            return ArrowBody(response, self)
        try:
            response.read()
        except httpx2.HTTPError as error:
            raise Unreachable(f"the gateway at `{request.url.host}` stopped in the middle of its answer") from error
        raise _failure(response)

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> httpx2.Request:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"content-type": "application/json"}
        if self._token is not None:
            token = self._token if isinstance(self._token, str) else _usable(self._token())
            headers["authorization"] = f"Bearer {token}"
        try:
            return self._http.build_request(method, path, params=params, content=content, headers=headers)
        except UnicodeEncodeError as error:
            raise Misuse("an argument holds bytes that are no text; write it in UTF-8") from error

    def _ask(self, request: httpx2.Request, shape: TypeAdapter[T]) -> T:
        response = self._send(request)
        if response.status_code not in (200, 201):
            raise _failure(response)
        try:
            return shape.validate_json(response.content)
        except ValidationError as error:
            raise _not_remit(response) from error

    def _send(self, request: httpx2.Request, *, stream: bool = False) -> httpx2.Response:
        if not self.close.alive:
            raise Misuse("this client was closed; connect again")
        for wait in WAITS:
            try:
                return self._http.send(request, stream=stream)
            except httpx2.HTTPError as error:
                if not _may_be_repeated(request, error):
                    raise _unreachable(request, error) from error
            time.sleep(wait)
        try:
            return self._http.send(request, stream=stream)
        except httpx2.HTTPError as error:
            raise _unreachable(request, error) from error


class ArrowBody:
    """The bytes of an Arrow IPC stream, as `pyarrow` reads them. To read past what arrived is `BrokenStream`.

    Arrow itself takes a stream that ends between two messages for a complete one, so the end has to be held here:
    only the end-of-stream marker, followed by the end of the HTTP body, stops pyarrow from asking for more.
    """

    closed = False

    def __init__(self, response: httpx2.Response, connection: Connection) -> None:
        self._connection = connection  # whoever dropped the client may still read
        self.headers: Mapping[str, str] = response.headers
        self._chunks: Iterator[bytes] = response.iter_bytes()
        self._rest = memoryview(b"")
        self._continued = False
        self.taken = 0
        """Bytes that were read so far."""
        self.close = finalize(self, response.close)

    def readable(self) -> bool:
        """For pyarrow, which asks."""
        return True

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        parts: list[memoryview] = []
        missing = size
        while missing:
            if not self._rest:
                self._rest = self._arrive()
            if not self._rest:
                raise BrokenStream("the rows stopped before their end, so they are not the whole answer; read again")
            part, self._rest = self._rest[:missing], self._rest[missing:]
            missing -= len(part)
            parts.append(part)
        found = b"".join(parts)
        self.taken += size
        if size == 4:
            self._look_for_the_end(found)
        return found

    def _look_for_the_end(self, word: bytes) -> None:
        """Before a message pyarrow reads two words of four bytes: a continuation, then a length, 0 at the end."""
        if self._continued and word == bytes(4):
            if self._rest or self._arrive():
                raise BrokenStream("the stream went on after its end; read again")
            self.close()
        self._continued = word == b"\xff\xff\xff\xff"

    def _arrive(self) -> memoryview:
        """The next bytes; empty only where the HTTP body has ended as it should."""
        try:
            return memoryview(next((chunk for chunk in self._chunks if chunk), b""))
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            if not (self.close.alive and self._connection.close.alive):
                raise BrokenStream("the reader was closed before the rows had ended; read again") from error
            reason = str(error) or type(error).__name__
            raise BrokenStream(f"the connection broke before the rows had ended ({reason}); read again") from error


def canonical(url: str) -> str:
    """The one spelling of a gateway's address; raises `Misuse` where it is none."""
    return str(_address(url)).rstrip("/")


def _address(url: str) -> httpx2.URL:
    try:
        address = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise Misuse(f"`{url}` is no address of a gateway ({error}); write it like http://127.0.0.1:8470") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise Misuse(f"`{url}` is no address of a gateway; write it like http://127.0.0.1:8470")
    return address


def _place(url: httpx2.URL) -> str:
    """Where it leads, without a name or a password that may stand in it."""
    return f"{url.scheme}://{url.netloc.decode()}"


def _usable(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        # the token itself is never shown: this message may end up in a log
        raise Misuse(
            "the token is empty or holds a character that no token has; set REMIT_TOKEN to an access token, or unset "
            "it and run `remit login`"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, so that nobody listens on the way to it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _may_be_repeated(request: httpx2.Request, error: httpx2.HTTPError) -> bool:
    """Whether nothing was sent, or nothing can have been changed: a read may have charged its budget unheard."""
    if isinstance(error, httpx2.ConnectError):
        return True
    return request.method == "GET" and isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError)


def _unreachable(request: httpx2.Request, error: httpx2.HTTPError) -> Unreachable:
    reason = str(error) or type(error).__name__
    where = _place(request.url)
    if request.method == "GET" or isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return Unreachable(f"no answer from `{where}`: {reason}; is `remit serve` running?")
    heard = "it may have been done all the same, so look before you ask again (`remit grants list`)"
    return Unreachable(f"no answer from `{where}`: {reason}; {heard}")


def _media_type(response: httpx2.Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _failure(response: httpx2.Response) -> Refused | GatewayFault:
    """A problem document with a 4xx is a refusal; with anything else a fault; without one it is no gateway."""
    if response.status_code < 400:
        return _not_remit(response)
    try:
        problem = _PROBLEM.validate_json(response.content)
    except ValidationError:
        return _not_remit(response)
    return Refused(problem) if response.status_code < 500 else GatewayFault(str(problem), problem)


def _not_remit(response: httpx2.Response) -> GatewayFault:
    asked, status = f"{response.request.method} {response.request.url.path}", response.status_code
    return GatewayFault(f"`{asked}` was answered with {status} and not as Remit does; check the address in REMIT_URL")
