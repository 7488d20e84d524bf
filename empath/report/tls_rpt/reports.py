"""
TLS-RPT (RFC 8460): counts how TLS went with each domain's hosts, and tells those who ask for it once a day.

Fatal: nothing. Retried, for a day: a record that cannot be looked up, mail that cannot be stored, a web server that
does not take a report. Ignored: domains that ask for nothing.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.config import schema
from empath.errors import SpoolError
from empath.interfaces import IResolver, IStorage
from empath.mail.address import Address, parse_address
from empath.mail.answer import Answer, Found
from empath.mail.life import TlsTried
from empath.mail.message import Message
from empath.mail.queue_id import new_queue_id
from empath.policy.tls_rpt import OWNER, Web, endpoints_of
from empath.report.tls_rpt.ledger import Ledger, Page
from empath.report.tls_rpt.writing import Report, Submitter, make_mail, make_report

ROUND: Final = 300.0  # seconds between two rounds
AT_ONCE: Final = 8  # reports under way
BY_MAIL: Final = "mailto"  # stands for all mailboxes of a domain, which get one mail

Submit = Callable[[Message], Awaitable[None]]
"""
Store a message of ours and have it delivered; SpoolError: it is not stored.
"""

Post = Callable[[Web, Report], Awaitable[str]]
"""
Give a report to a web server; tells why it was not taken, "" if it was. Never fails, and is bounded in time.
"""

log = Logger()


def submitter_of(section: schema.TlsRpt) -> Submitter | None:
    """
    Tell who reports, as [delivery.tls_rpt] says; None where it does not say all of it: then nobody does.
    """
    if not (section.organization and section.contact and section.sender):
        return None
    return Submitter(section.organization, section.contact, parse_address(section.sender))


class TlsReports:
    """
    Reports as `submitter`, while there is one. `round` is called every `ROUND` seconds, `restore` once before anything
    is counted.
    """

    def __init__(
        self,
        submitter: Submitter | None,
        clock: IReactorTime,
        chance: random.Random,
        storage: IStorage,
        resolver: IResolver,
        submit: Submit,
        post: Post,
    ) -> None:
        self.submitter = submitter
        self._clock = clock
        self._chance = chance
        self._ledger = Ledger(storage)
        self._resolver = resolver
        self._submit = submit
        self._post = post

    def collect(self, tried: TlsTried) -> None:
        """
        Count a session. One with an address literal is nobody's to report to.
        """
        if not tried.domain.startswith("["):
            self._ledger.count(tried, self._clock.seconds())

    async def restore(self) -> None:
        """
        Take up what was counted before a restart.
        """
        await self._ledger.restore(self._clock.seconds())

    async def round(self) -> None:
        """
        Store what was counted, and send the reports that are due.
        """
        if self.submitter is None:
            return
        now = self._clock.seconds()
        self._ledger.turn(now)
        await self._ledger.flush()
        due = self._ledger.due(now)
        sending = [Deferred.fromCoroutine(self._send_all(due, self.submitter)) for _ in range(AT_ONCE)]
        await gatherResults(sending, consumeErrors=True)
        await self._ledger.flush()

    async def stop(self) -> None:
        """
        Store what was counted; rounds have stopped.
        """
        await self._ledger.flush()

    async def _send_all(self, due: Iterator[Page], submitter: Submitter) -> None:
        for page in due:
            await self._send(page, submitter)

    async def _send(self, page: Page, submitter: Submitter) -> None:
        """
        Send one report, to all who have not got it yet.
        """
        trouble = await self._try(page, submitter)
        again = bool(trouble) and page.postpone(self._clock.seconds())
        if trouble:
            log.warn(
                "TLS report about {domain} {state}: {trouble}",
                domain=page.domain,
                state="waits" if again else "given up",
                trouble=trouble,
            )
        if again:
            self._ledger.changed(page)
        else:
            await self._ledger.forget(page)

    async def _try(self, page: Page, submitter: Submitter) -> str:
        """
        Find out who wants the report, and give it to them; tells what went wrong, "" for nothing.
        """
        looked_up = self._resolver.lookup(f"{OWNER}{page.domain}", "TXT")
        answer = looked_up if isinstance(looked_up, Answer) else await looked_up
        if answer.found is Found.FAILED:
            return f"look-up of {answer.name} TXT failed: {answer.detail}"
        endpoints = endpoints_of(answer.texts)
        if not endpoints:
            return ""
        report = make_report(page.domain, page.began, page.counts.policies(page.domain), submitter)
        troubles = [await self._mail(page, report, [each for each in endpoints if isinstance(each, Address)])]
        troubles += [await self._give(page, report, each) for each in endpoints if isinstance(each, Web)]
        return "; ".join(filter(None, troubles))

    async def _mail(self, page: Page, report: Report, to: list[Address]) -> str:
        """
        Mail a report to all mailboxes; tells what went wrong, "" for nothing.
        """
        if not to or BY_MAIL in page.done:
            return ""
        now = self._clock.seconds()
        message = make_mail(report, to, new_queue_id(now, self._chance), now)
        try:
            await self._submit(message)
        except SpoolError as error:
            return f"not stored: {error}"
        log.info("{queue_id}: TLS report about {domain}", queue_id=message.queue_id, domain=page.domain)
        page.done.add(BY_MAIL)
        return ""

    async def _give(self, page: Page, report: Report, web: Web) -> str:
        """
        Give a report to a web server; tells what went wrong, "" for nothing.
        """
        if web.url in page.done:
            return ""
        trouble = await self._post(web, report)
        if trouble:
            return f"{web.host}: {trouble}"
        log.info("TLS report about {domain} is with {host}", domain=page.domain, host=web.host)
        page.done.add(web.url)
        return ""
