"""
Correlation id: one name for a message from MAIL to its last delivery, restarts in between.

The id is the ENVID= of MAIL (RFC 3461 §4.4), where the client gave one, else a new one. It is kept in the message's
metadata, written into its header for the next hop, and told in one log line for each attempt that delivered.
"""

from __future__ import annotations

from twisted.logger import Logger
from zope.interface import implementer

from empath.modules import Attempt, IContent, IModule, IServices, Message, Session, Status, Transaction

KEY = "correlation_id"

log = Logger()


@implementer(IModule)
class CorrelationId:
    """
    `field` is the header field that carries the id, "" for none.
    """

    name = "correlation-id"

    def __init__(self, field: str = "X-Correlation-ID") -> None:
        self.field = field

    def start(self, services: IServices) -> None:
        """
        Take the source of chance: ids can be foretold in a test, and nowhere else.
        """
        self.chance = services.chance

    def mail_from(self, session: Session, transaction: Transaction) -> None:
        """
        Give the message its id: metadata is stored with the message, and is there as long as the message is.
        """
        transaction.metadata[KEY] = transaction.parameters.get("ENVID") or f"{self.chance.getrandbits(96):024x}"

    def data(self, session: Session, transaction: Transaction, content: IContent) -> None:
        """
        Write the id into the header, in the place of any other.
        """
        if self.field:
            content.remove(self.field)
            content.add(self.field, transaction.metadata[KEY])

    def on_delivery_success(self, message: Message, attempt: Attempt) -> None:
        """
        Tell who has got it, maybe days after `mail_from` and in another process.
        """
        delivered = [state.address.text for state in attempt.results if state.status is Status.COMPLETED]
        log.info(
            "{queue_id}: {correlation_id} delivered to {recipients} by {host}, attempt {number}",
            queue_id=message.queue_id,
            correlation_id=message.metadata.get(KEY, "unknown"),  # accepted before this module was configured
            recipients=", ".join(delivered),
            host=attempt.host or "local",
            number=attempt.number,
        )
