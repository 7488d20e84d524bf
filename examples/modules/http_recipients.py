"""
A recipient check over HTTP: an application that knows the mailboxes is asked about each recipient of our domains.

`GET <url>?address=user%40example.org`: 200 and 204 say that the mailbox exists, 404 and 410 that it does not. Whatever
else happens, the client is told to come back. Answers are remembered, so that a burst of mail is one question.
"""

from __future__ import annotations

from collections import OrderedDict

from twisted.logger import Logger
from zope.interface import implementer

from empath.modules import IModule, IServices, Recipient, Session, Transaction, Verdict, refuse, tempfail
from empath.modules.http import HttpClient, checked_url

log = Logger()


@implementer(IModule)
class HttpRecipients:
    """
    `url` is what is asked, `timeout` the seconds for an answer. An answer is kept for `known` seconds where the mailbox
    exists, for `unknown` where it does not, and at most `most` answers are.
    """

    name = "http-recipients"

    def __init__(
        self, url: str, timeout: float = 3.0, known: float = 300.0, unknown: float = 30.0, most: int = 10_000
    ) -> None:
        self.url = checked_url(url)
        self.timeout = timeout
        self.known, self.unknown, self.most = known, unknown, most
        self.answers: OrderedDict[str, tuple[bool, float]] = OrderedDict()  # exists, and until when that is believed

    def start(self, services: IServices) -> None:
        """
        Prepare to ask.
        """
        self.services = services
        self.clock = services.clock
        self.http = HttpClient(services, self.timeout)

    async def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> Verdict | None:
        """
        Refuse who does not exist. The domains of others are none of our business: relay control judges them.
        """
        if not self.services.local(recipient.address):
            return None
        address = recipient.address.text
        exists = self.remembered(address)
        if exists is None:
            exists = await self.ask(address)
        if exists is None:
            return tempfail("451 4.4.3 cannot look up the recipient now, try again later", why=f"no answer: {self.url}")
        return None if exists else refuse("550 5.1.1 no such mailbox here")

    async def ask(self, address: str) -> bool | None:
        """
        Ask the application; None where it did not say.
        """
        answer = await self.http.get(self.url, {"address": address})
        if answer.code in (200, 204, 404, 410):
            return self.remember(address, answer.code < 400)
        log.warn("{url} answered {code} {trouble}", url=self.url, code=answer.code, trouble=answer.trouble)
        return None

    def remembered(self, address: str) -> bool | None:
        """
        Tell what was answered a short while ago.
        """
        exists, expires = self.answers.get(address, (False, 0.0))
        return exists if expires > self.clock.seconds() else None

    def remember(self, address: str, exists: bool) -> bool:
        """
        Keep an answer; the oldest makes room.
        """
        self.answers.pop(address, None)
        self.answers[address] = (exists, self.clock.seconds() + (self.known if exists else self.unknown))
        if len(self.answers) > self.most:
            self.answers.popitem(last=False)
        return exists
