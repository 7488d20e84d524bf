"""
What one attempt carries: a message for some of its recipients, as the session is told of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from empath.deliver.seven_bit import SevenBit
from empath.deliver.streaming import OpenBody
from empath.errors import SigningFailed
from empath.interfaces import ISigner
from empath.mail.address import Address
from empath.mail.attempt import Attempt
from empath.mail.deliver_by import deliver_by
from empath.mail.envelope import Recipient
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Failure, Scope, TransientFailure
from empath.mail.reply import Reply
from empath.smtp.client_events import Consignment
from empath.smtp.client_findings import NO_EIGHT_BIT
from empath.smtp.client_offer import Offer
from empath.smtp.client_transfer import convertible

if TYPE_CHECKING:
    from empath.deliver.traced import AttemptTrace

UNSIGNED: Final = TransientFailure(Reply(451, "4.3.5", ("the message cannot be signed now",)), Scope.MESSAGE)

log = Logger()


class ReturnPaths(Protocol):
    """
    Who gives mail another reverse-path on its way out (SRS, VERP).
    """

    def single(self, message: Message, recipients: tuple[Recipient, ...]) -> bool:
        """
        Tell whether each of these recipients of a message needs a transaction of its own.
        """

    def return_path(self, message: Message, delivery: Delivery, recipients: tuple[Recipient, ...]) -> Address | None:
        """
        Give the reverse-path of the transaction with these recipients; None is the null one.
        """


@attrs.frozen(slots=True)
class Load:
    """
    What goes in place of the message as it is stored; `open_body` reads what of it is not in memory.
    """

    consignment: Consignment
    message: Message
    open_body: OpenBody


class Cargo:
    """
    A message on its way to the open recipients of a delivery, which are counted from 0. `by_data`: a server was wrong
    about its CHUNKING, so nothing goes in chunks any more, and binary content only as 7 bits.

    `signer` and `return_paths` are None where nothing is signed, or rewritten. `trace` is None where nothing is traced;
    `traceparent` is a field that goes on top of all others, signatures included, b"" for none.
    """

    __slots__ = (
        "_attempt",
        "_clock",
        "_delivery",
        "_open_body",
        "_return_paths",
        "_seven_bit",
        "_signatures",
        "_signer",
        "by_data",
        "domain",
        "message",
        "recipients",
        "trace",
        "traceparent",
    )

    def __init__(
        self,
        message: Message,
        delivery: Delivery,
        attempt: Attempt,
        clock: IReactorTime,
        open_body: OpenBody,
        signer: ISigner | None = None,
        return_paths: ReturnPaths | None = None,
    ) -> None:
        self.message = message
        self.domain = delivery.domain
        self.recipients = tuple([state.recipient for state in delivery.open_recipients])
        self._attempt = attempt
        self._clock = clock
        self._delivery = delivery
        self._open_body = open_body
        self._return_paths = return_paths
        self._seven_bit: SevenBit | None = None
        self._signatures: dict[bool, bytes] = {}  # by whether the content is converted
        self._signer = signer if message.origin.vouched else None  # no other mail is signed
        self.by_data = False
        self.trace: AttemptTrace | None = None
        self.traceparent = b""

    def most(self, most: int) -> int:
        """
        Tell how many recipients a transaction may have, of `most`.
        """
        paths = self._return_paths
        return most if paths is None or not paths.single(self.message, self.recipients) else 1

    @property
    def seven_bit(self) -> SevenBit:
        """
        The same content for servers that take 7 bits only.
        """
        if self._seven_bit is None:
            self._seven_bit = SevenBit(self.message, self._open_body)
        return self._seven_bit

    def consignment(self, batch: list[int]) -> Consignment:
        """
        Give what the transaction for some recipients carries.

        Content in a file goes in chunks at the first attempt only: whatever a server makes of them, it gets the next
        one by DATA.
        """
        message, recipients = self.message, self.recipients
        envelope = message.envelope
        parameters = envelope.parameters
        offered = recipients if len(batch) == len(recipients) else self._of(batch)
        paths = self._return_paths
        return Consignment(
            envelope.reverse_path if paths is None else paths.return_path(message, self._delivery, offered),
            offered,
            message.size,
            message.eight_bit,
            self._with_priority(parameters) if message.priority else parameters,
            message.binary,
            message.eight_bit and "SMTPUTF8" in parameters and not message.header.isascii(),
            message.body is None and self._attempt.number == 1 and not self.by_data,
            self._time_left() if "BY" in parameters else None,
        )

    def as_stored(self, consignment: Consignment, offer: Offer) -> bool:
        """
        Tell whether the message may go as it is stored: nothing goes on top, and the server takes its bytes.
        """
        return self._signer is None and not self.traceparent and not self._converts(consignment, offer)

    async def load(self, consignment: Consignment, offer: Offer) -> Load | Failure:
        """
        Give what goes instead: converted to 7 bits for a server that takes no others, then signed, as whoever verifies
        it sees it so (RFC 6376 §5.3); or why nothing does. Content that must not be converted is left as it is: the
        session refuses it for its host.
        """
        message, open_body = self.message, self._open_body
        if self._converts(consignment, offer):
            made = await self.seven_bit.make()
            if isinstance(made, TransientFailure):
                return made
            if made is None and self.by_data:
                return NO_EIGHT_BIT
            if made is not None:
                message, open_body = made, self.seven_bit.open_body
                consignment = attrs.evolve(consignment, size=made.size, eight_bit=False, binary=False)
        fields: bytes | Failure = b""
        if self._signer is not None:
            fields = await self._signatures_of(self._signer, message, open_body)
        if not isinstance(fields, bytes):
            return fields
        if fields := self.traceparent + fields:
            message = attrs.evolve(message, header=fields + message.header, size=message.size + len(fields))
            consignment = attrs.evolve(consignment, size=message.size)
        return Load(consignment, message, open_body)

    @property
    def settled(self) -> bool:
        """
        Whether a message that is to be signed goes as it is, whatever the server takes.
        """
        return self._signer is not None and not (self.message.eight_bit or self.message.binary)

    async def sign(self) -> Failure | None:
        """
        Have such a message signed before a connection waits for that; tells why it cannot be.
        """
        if self._signer is None:
            return None
        fields = await self._signatures_of(self._signer, self.message, self._open_body)
        return None if isinstance(fields, bytes) else fields

    async def _signatures_of(self, signer: ISigner, message: Message, open_body: OpenBody) -> bytes | Failure:
        """
        Have a message signed, once for all transactions of the attempt; or tell why it cannot be.
        """
        converted = message is not self.message
        known = self._signatures.get(converted)
        if known is not None:
            return known
        try:
            asked = signer.sign(message, open_body)
            known = self._signatures[converted] = asked if isinstance(asked, bytes) else await asked
        except SigningFailed as failure:
            log.error("{queue_id}: cannot be signed, so it waits: {why}", queue_id=message.queue_id, why=failure)
            return UNSIGNED
        return known

    def _converts(self, consignment: Consignment, offer: Offer) -> bool:
        return convertible(consignment, offer) or (self.by_data and consignment.binary)

    def _of(self, batch: list[int]) -> tuple[Recipient, ...]:
        return tuple([self.recipients[position] for position in batch])

    def _with_priority(self, parameters: Mapping[str, str]) -> Mapping[str, str]:
        return {**parameters, "MT-PRIORITY": str(self.message.priority)}

    def _time_left(self) -> tuple[int, str] | None:
        by = deliver_by(self.message)
        if by is None:
            return None
        mode = f"{'R' if by.returned else 'N'}{'T' if by.trace else ''}"
        return int(by.deadline - self._clock.seconds()), mode
