"""
What is asked of the parts that take mail out, put together from the service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from empath.config.recipients import relay_of
from empath.config.schema import Relay
from empath.control.serving import Answers
from empath.policy.relay import RelayPolicy
from empath.service.control.delivery import DeliveryControl
from empath.service.control.dns import DnsControl
from empath.service.control.explaining import Explaining
from empath.service.control.queue import QueueControl
from empath.service.control.route import RouteControl
from empath.service.control.safety import SafetyControl
from empath.service.control.spool import SpoolControl
from empath.service.control.ways import Ways

if TYPE_CHECKING:
    from empath.service import EmpathService


def sending_tables(service: EmpathService, clock: Any) -> tuple[Answers, ...]:
    """
    Gather what can be asked about the queue and the way out.
    """
    outgoing, queue, spool = service.outgoing, service.queue, service.spool
    returning, ways = outgoing.returning, Ways(outgoing.looking, clock)

    async def find(queue_id: str) -> tuple[dict[str, Any], ...] | None:
        return (await service.auditing.find(queue_id)).records if service.auditing.readable else None

    route = RouteControl(
        outgoing.routing,
        ways,
        queue.standings,
        returning.suppression,
        lambda: _relay(service.config.relay),
        returning.returns.answers,
        lambda: returning.paths.paths,
    )
    parts = (
        QueueControl(queue, spool, clock, find, outgoing.routing.leads_to),
        SpoolControl(spool, queue.listing, clock),
        Explaining(queue, spool, ways, clock, find, service.safety.senders.stopping),
        route,
        DeliveryControl(queue, outgoing.routing.leads_to),
        DnsControl(service.resolver, outgoing.overrides, clock),
        SafetyControl(returning.suppression, service.safety.senders, clock),
    )
    return tuple([part.answers() for part in parts])


def _relay(section: Relay) -> tuple[RelayPolicy, str]:
    """
    Tell for whom outsiders may send mail through us, and how it is found out who there is.
    """
    return relay_of(Relay(domains=section.domains)), _recipients(section.recipients)


def _recipients(source: str) -> str:
    """
    Tell what is asked about a recipient of our domains.
    """
    if source == "verify":
        return "whether there is such a mailbox is asked of the next hop, at RCPT"
    if source == "any":
        return "any mailbox is taken"
    return f"whether there is such a mailbox is looked up in {source}, at RCPT"
