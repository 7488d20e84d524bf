"""
Reports about TLS in the service: who counts, who sends, and what is done where nobody reports.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.logger import Logger

from empath.config.schema import Config, Delivery, TlsRpt
from empath.interfaces import IResolver, ISpool, IStorage
from empath.mail.life import Emit, LifeEvent, MessageReceived, TlsTried
from empath.mail.message import Delivery as MailDelivery
from empath.mail.message import Message, deliveries_of
from empath.mail.traces import Traces
from empath.report.tls_rpt.posting import Poster
from empath.report.tls_rpt.reports import Submit, TlsReports, submitter_of
from empath.report.tls_rpt.writing import Submitter
from empath.service.machine import Machine

log = Logger()


@attrs.frozen(slots=True, eq=False)
class TlsReporting:
    """
    Reports about TLS, as long as [delivery.tls_rpt] says by whom.
    """

    reports: TlsReports
    poster: Poster
    emit: Emit

    def tell(self, event: LifeEvent) -> None:
        """
        Tell an event to all who listen, and count it where it is about TLS.
        """
        self.emit(event)
        if isinstance(event, TlsTried) and self.reports.submitter is not None:
            self.reports.collect(event)

    @property
    def hears(self) -> Callable[[TlsTried], None] | None:
        """
        Who is to be told how the TLS of each session ended, if anybody is.
        """
        return None if self.reports.submitter is None else self.tell

    def use(self, section: Delivery) -> None:
        """
        Report as a new section says, from now on.
        """
        self.reports.submitter = _submitter_of(section.tls_rpt)
        self.poster.use(section.address_families, section.allow_private_mx)


def make_tls_reporting(
    config: Config,
    reactor: Any,
    machine: Machine,
    storage: IStorage,
    resolver: IResolver,
    emit: Emit,
    submit: Submit,
) -> TlsReporting:
    """
    Make them; `submit` takes the mails.
    """
    section = config.delivery
    submitter = _submitter_of(section.tls_rpt)
    poster = Poster(reactor, resolver, section.address_families, section.allow_private_mx)
    reports = TlsReports(submitter, reactor, machine.chance, storage, resolver, submit, poster.post)
    return TlsReporting(reports, poster, emit)


def _submitter_of(section: TlsRpt) -> Submitter | None:
    """
    Tell who reports; warn of a section that is only begun: whoever wrote it wants reports.
    """
    keys = attrs.asdict(section)
    missing = [key for key, value in keys.items() if not value]
    if 0 < len(missing) < len(keys):
        log.warn("delivery.tls_rpt: no reports about TLS go out, as these are not set: {keys}", keys=", ".join(missing))
    return submitter_of(section)


def submitting(
    spool: ISpool, emit: Emit, fresh: Callable[[Message, tuple[MailDelivery, ...]], None], traces: Traces
) -> Callable[[Message], Awaitable[None]]:
    """
    Give what stores a mail of ours, and hands it to `fresh`, as reception does with mail that came in.
    """

    async def submit(message: Message) -> None:
        message = attrs.evolve(message, trace=traces.written(message.queue_id))
        deliveries = deliveries_of(message)
        await spool.store(message, deliveries)
        emit(MessageReceived(message, None, 0.0))
        fresh(message, deliveries)

    return submit
