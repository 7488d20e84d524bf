"""
What one attempt carries: a message for some of its recipients, as the session is told of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from twisted.internet.interfaces import IReactorTime

from empath.deliver.seven_bit import SevenBit
from empath.deliver.streaming import OpenBody
from empath.mail.deliver_by import deliver_by
from empath.mail.envelope import Recipient
from empath.mail.life import Attempt
from empath.mail.message import Delivery, Message
from empath.smtp.client_events import Consignment


class Cargo:
    """
    A message on its way to the open recipients of a delivery, which are counted from 0. `by_data`: a server was wrong
    about its CHUNKING, so nothing goes in chunks any more, and binary content only as 7 bits.
    """

    __slots__ = ("_attempt", "_clock", "_open_body", "_seven_bit", "by_data", "domain", "message", "recipients")

    def __init__(
        self, message: Message, delivery: Delivery, attempt: Attempt, clock: IReactorTime, open_body: OpenBody
    ) -> None:
        self.message = message
        self.domain = delivery.domain
        self.recipients = tuple([state.recipient for state in delivery.open_recipients])
        self._attempt = attempt
        self._clock = clock
        self._open_body = open_body
        self._seven_bit: SevenBit | None = None
        self.by_data = False

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
        return Consignment(
            envelope.reverse_path,
            recipients if len(batch) == len(recipients) else self._of(batch),
            message.size,
            message.eight_bit,
            self._with_priority(parameters) if message.priority else parameters,
            message.binary,
            message.eight_bit and "SMTPUTF8" in parameters and not message.header.isascii(),
            message.body is None and self._attempt.number == 1 and not self.by_data,
            self._time_left() if "BY" in parameters else None,
        )

    def converted(self, consignment: Consignment, made: Message) -> Consignment:
        """
        Give the same for content that was converted to 7 bits.
        """
        return attrs.evolve(consignment, size=made.size, eight_bit=False, binary=False)

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
