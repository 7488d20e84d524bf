"""
What spans tell of a message, a session and an attempt: in OpenTelemetry's words where it has some, else in ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from empath.mail.address import Address
from empath.mail.arrival import Arrival
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message, RecipientState, Status
from empath.mail.origin import Source
from empath.mail.reply import Reply
from empath.mail.step import Fact
from empath.observe.tracing.span import Kind

MOST_DOMAINS: Final = 20  # that a span names
FAILING: Final = frozenset({Status.RETRY, Status.FAILED, Status.EXPIRED})

Facts = dict[str, Fact]


def common(queue_id: str, client: str, priority: int) -> Facts:
    """
    Tell what every span of a message tells: the baggage.
    """
    facts: Facts = {"empath.queue_id": queue_id, "empath.message.priority": priority}
    if client:
        facts["client.address"] = client
    return facts


def of_all(message: Message) -> Facts:
    """
    Tell what every span of this message tells.
    """
    arrival = message.arrival
    return common(message.queue_id, "" if arrival is None else arrival.peer, message.priority)


def of_client(arrival: Arrival) -> Facts:
    """
    Tell of the session that a message came in.
    """
    facts: Facts = {
        "client.port": arrival.port,
        "network.protocol.name": "lmtp" if "LMTP" in arrival.protocol else "smtp",
        "empath.protocol": arrival.protocol,
        "empath.session": arrival.session_id,
        "empath.listener": arrival.listener,
        "empath.client.name": arrival.name,
    }
    return facts | of_tls(arrival.tls, arrival.cipher)


def of_tls(version: str, cipher: str) -> Facts:
    """
    Tell what protects a connection.
    """
    if not version:
        return {}
    facts: Facts = {"tls.protocol.name": "tls", "tls.protocol.version": version.removeprefix("TLSv")}
    return facts | ({"tls.cipher": cipher} if cipher else {})


def of_envelope(sender: Address | None, recipients: Iterable[Address]) -> Facts:
    """
    Tell whose mail it is, by domains: who it is is nobody's business here.
    """
    those = list(recipients)
    domains = list(dict.fromkeys(each.domain for each in those))
    facts: Facts = {"empath.recipients": len(those), "empath.recipients.domains": " ".join(domains[:MOST_DOMAINS])}
    if sender is not None:
        facts["empath.sender.domain"] = sender.domain
    return facts


def of_message(message: Message) -> Facts:
    """
    Tell what the root span of a message tells.
    """
    envelope = message.envelope
    facts = of_all(message) | of_envelope(envelope.reverse_path, (each.address for each in envelope.recipients))
    facts |= {"empath.message.size": message.size, "empath.origin": message.origin.source.value}
    return facts if message.arrival is None else facts | of_client(message.arrival)


def of_attempt(delivery: Delivery, attempt: Attempt, results: tuple[RecipientState, ...]) -> Facts:
    """
    Tell of an attempt and of what came of it.
    """
    facts: Facts = {
        "empath.destination": delivery.domain,
        "empath.attempt": attempt.number,
        "empath.status": delivery.status.value,
        "empath.recipients": len(results),
        "empath.connection.reused": attempt.reused,
    }
    for status in (Status.COMPLETED, *FAILING):
        if count := sum(each.status is status for each in results):
            facts[f"empath.recipients.{status.value}"] = count
    if attempt.site:
        facts["empath.site"] = attempt.site
    if attempt.host:
        facts |= {"server.address": attempt.host, "server.port": attempt.port}
    if attempt.address:
        facts |= {"network.peer.address": attempt.address, "network.peer.port": attempt.port}
    if attempt.security:
        facts["empath.tls.security"] = attempt.security
    if attempt.doubtful:
        facts["empath.recipients.doubtful"] = attempt.doubtful
    if delivery.status is Status.RETRY and delivery.next_attempt is not None:
        facts["empath.next_attempt"] = f"{datetime.fromtimestamp(delivery.next_attempt, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return facts | of_tls(attempt.tls, attempt.cipher) | of_reply(worst_of(results))


def of_reply(reply: Reply | None) -> Facts:
    """
    Tell the codes of a reply.
    """
    if reply is None:
        return {}
    facts: Facts = {"empath.reply.code": reply.code}
    return facts | ({"empath.reply.enhanced": reply.enhanced} if reply.enhanced else {})


def worst_of(results: tuple[RecipientState, ...]) -> Reply | None:
    """
    Find the reply that tells most: to one who did not get the mail, else to the first one.
    """
    failing = [each for each in results if each.status in FAILING]
    return next((each.reply for each in (*failing, *results) if each.reply is not None), None)


def trouble_of(results: tuple[RecipientState, ...]) -> str:
    """
    Say why an attempt failed, "" if nobody was left without mail.
    """
    failing = [each for each in results if each.status in FAILING]
    if not failing:
        return ""
    reply = next((each.reply for each in failing if each.reply is not None), None)
    return failing[0].status.value if reply is None else str(reply)


def kind_of_root(message: Message) -> tuple[str, Kind]:
    """
    Name a message's root span: what came in was received, the rest are reports of ours.
    """
    return ("report", "internal") if message.origin.source is Source.OWN else ("receive", "server")
