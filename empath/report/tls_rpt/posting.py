"""
Reports over HTTPS (RFC 8460 §5.4): one POST, to a certified host, no redirect, bounded in time.

Fatal: nothing. Told: whatever keeps the server from taking the report; who asks tries again.
"""

from __future__ import annotations

from typing import Final

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.client import Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from empath.net.web_client import WebClient
from empath.net.web_line import TROUBLE
from empath.policy.tls_rpt import Web
from empath.report.tls_rpt.writing import MEDIA_TYPE, Report

TIMEOUT: Final = 60.0  # seconds for all of it
LARGEST: Final = 64 * 1024  # octets of what a server says before its code, and the fields behind that, are whole


class Poster(WebClient):
    """
    Posts reports.
    """

    def post(self, web: Web, report: Report) -> Deferred[str]:
        """
        Give a report to a server; tells why it was not taken, "" if it was. It fails only if it is cancelled.
        """
        posting: Deferred[str] = Deferred.fromCoroutine(self._post(web, report))
        return posting.addTimeout(TIMEOUT, self._reactor, lambda _, seconds: f"no answer within {seconds:g} s")

    async def _post(self, web: Web, report: Report) -> str:
        addresses, _ = await self.look_up(web.host)
        if not addresses:
            return "it has no address that we would connect to"
        line = self.line(web.host, addresses, web.port, LARGEST)
        client = HTTPClient(Agent.usingEndpointFactory(self._reactor, line))
        headers = Headers({"Content-Type": [MEDIA_TYPE], "User-Agent": ["empath"]})
        try:
            response = await client.post(
                web.url, data=_Body(report.content), headers=headers, allow_redirects=False, unbuffered=True
            )
        except TROUBLE as trouble:
            return line.trouble(trouble)
        finally:
            line.close()
        return "" if 200 <= response.code < 300 else f"the answer is {response.code}"


@implementer(IBodyProducer)
class _Body:
    """
    A body that is written at once: treq's own would be, too, but by the global reactor.
    """

    def __init__(self, content: bytes) -> None:
        self.length = len(content)
        self._content = content

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write it.
        """
        consumer.write(self._content)
        return succeed(None)

    def stopProducing(self) -> None:
        """
        There is nothing to stop.
        """

    def pauseProducing(self) -> None:
        """
        Nor to pause.
        """

    def resumeProducing(self) -> None:
        """
        Nor to resume.
        """
