"""
Fetching a policy over HTTPS (RFC 8461 §3.3): a certified host, no redirect, bounded in time and size.

Fatal: nothing. Told as `Unusable`: whatever keeps us from a policy. Retried: nothing here; see `policies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from treq import collect
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from empath.mail.answer import Answer, Found
from empath.net.web_client import WebClient
from empath.net.web_line import TROUBLE, Line
from empath.policy.mta_sts import FETCH_ERROR, INVALID, LARGEST, WEBPKI_INVALID, StsPolicy, Unusable, read_policy

PORT: Final = 443
TIMEOUT: Final = 60.0  # seconds for all of it
OVERHEAD: Final = 32 * 1024  # octets of the answer beside the policy
URL: Final = "https://policy.invalid/.well-known/mta-sts.txt"
"""
What the web client is told. The host is in the Host field, and `Line` knows it: treq would read it by the rules of
IDNA, and refuse names such as "ab--c.example".
"""
MEDIA_TYPE: Final = "text/plain"

_TOO_LARGE: Final = f"the answer is larger than {LARGEST} octets"
_TOLD: Final = 60  # characters of a header that are repeated in a reason


class PolicyFetcher(WebClient):
    """
    Fetches policies.
    """

    def fetch(self, domain: str, version: str) -> Deferred[StsPolicy | Unusable]:
        """
        Fetch the policy of a domain, a host name, whose record has the id `version`. It fails only if it is cancelled.
        """
        fetching: Deferred[StsPolicy | Unusable] = Deferred.fromCoroutine(self._fetch(domain, version))
        return fetching.addTimeout(TIMEOUT, self._reactor, _late)

    async def _fetch(self, domain: str, version: str) -> StsPolicy | Unusable:
        host = f"mta-sts.{domain}"
        addresses, answers = await self.look_up(host)
        if not addresses:
            return _nowhere(host, answers)
        line = self.line(host, addresses, PORT, LARGEST + OVERHEAD)
        try:
            body = await self._ask(line, host)
        except TROUBLE as trouble:
            return _trouble(line, trouble)
        finally:
            line.close()
        return body if isinstance(body, Unusable) else _read(body, version)

    async def _ask(self, line: Line, host: str) -> bytes | Unusable:
        """
        Make the request; tells the body. Each client is for one request: cookies last no longer.
        """
        agent = _Plain(Agent.usingEndpointFactory(self._reactor, line))
        headers = Headers({"Host": [host], "User-Agent": ["empath"]})
        response = await HTTPClient(agent).get(
            URL, headers=headers, allow_redirects=False, unbuffered=True, reactor=self._reactor
        )
        wrong = _refused(response) or agent.wrong
        if wrong:
            return Unusable(FETCH_ERROR, wrong)
        pieces: list[bytes] = []
        await collect(response, pieces.append)
        if line.cut and response.length == UNKNOWN_LENGTH:
            return Unusable(FETCH_ERROR, "the connection was cut, and the answer does not tell its length")
        return b"".join(pieces)


def _nowhere(host: str, answers: Sequence[Answer]) -> Unusable:
    """
    Tell why there is no address to fetch from.
    """
    if any(answer.addresses for answer in answers):
        return Unusable(FETCH_ERROR, f"{host} has no public address")
    failed = next((answer for answer in answers if answer.found is Found.FAILED), None)
    why = f"the look-up failed: {failed.detail}" if failed is not None else "there is no address"
    return Unusable(FETCH_ERROR, f"{host} cannot be found: {why}")


@implementer(IAgent)
class _Plain:
    """
    A web client that wants bodies as they are, since what is compressed could become any size. One that comes
    compressed is not unpacked, and `wrong` says so.
    """

    def __init__(self, agent: Any) -> None:
        self.wrong = ""
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 Twisted names it
    ) -> Deferred[IResponse]:
        """
        Make a request.
        """
        fields = Headers() if headers is None else headers.copy()
        fields.setRawHeaders(b"accept-encoding", [b"identity"])
        asked: Deferred[IResponse] = self._agent.request(method, uri, fields, bodyProducer)
        return asked.addCallback(self._came)

    def _came(self, response: Any) -> IResponse:
        if response.headers.hasHeader(b"content-encoding"):
            response.headers.removeHeader(b"content-encoding")
            self.wrong = "the answer is compressed, though that was not asked for"
        plain: IResponse = response
        return plain


def _refused(response: Any) -> str:
    """
    Tell why an answer is no policy, "" if it may be one (§3.3): nothing but 200, and text/plain.
    """
    if response.code != 200:
        return f"the answer is {response.code}"
    fields = response.headers.getRawHeaders("content-type") or [""]
    media_type = fields[0].partition(";")[0].strip(" \t").lower()
    return "" if media_type == MEDIA_TYPE else f"the answer is not {MEDIA_TYPE}: {media_type[:_TOLD]!a}"


def _read(body: bytes, version: str) -> StsPolicy | Unusable:
    if len(body) > LARGEST:
        return Unusable(FETCH_ERROR, _TOO_LARGE)
    try:
        return read_policy(body.decode("utf-8"), version)
    except UnicodeDecodeError:
        return Unusable(INVALID, "it is not UTF-8")


def _trouble(line: Line, trouble: Exception) -> Unusable:
    """
    Say what went wrong with a connection.
    """
    if not line.fault and line.overflown:
        return Unusable(FETCH_ERROR, _TOO_LARGE)
    reason = line.trouble(trouble)
    return Unusable(WEBPKI_INVALID if line.fault else FETCH_ERROR, reason)


def _late(_: object, seconds: float) -> Unusable:
    return Unusable(FETCH_ERROR, f"no policy within {seconds:g} s")
