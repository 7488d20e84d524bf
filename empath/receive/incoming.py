"""
The content of one message on its way from the client into the spool.

Fatal: nothing. Once anything is refused the rest is ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from twisted.logger import Logger

from empath.errors import SpoolError
from empath.mail.reply import Reply
from empath.mail.session import Session, Transaction
from empath.receive.replies import NUL_IN_HEADER, TOO_LARGE, TOO_MANY_HOPS, spool_reply
from empath.receive.terms import Surroundings, Terms
from empath.smtp.events import HeaderBlock

_BLANKS: Final = (b" ", b"\t")

log = Logger()


class Incoming:
    """
    What has come of one message. `refusal` is what the final answer will be if it is known already.
    """

    __slots__ = (
        "_around",
        "_eight",
        "_header",
        "_hops",
        "_session",
        "_size",
        "_terms",
        "_transaction",
        "_writer",
        "refusal",
    )

    def __init__(self, terms: Terms, around: Surroundings, session: Session, transaction: Transaction) -> None:
        self._terms = terms
        self._around = around
        self._session = session
        self._transaction = transaction
        self._writer = around.begin(transaction.queue_id)
        self._header = b""
        self._hops = 0
        self._size = 0
        self._eight: bool | None = None  # whether the body is not ASCII; None: as the whole content
        self.refusal: Reply | None = None

    @property
    def begun(self) -> bool:
        """
        Whether any of the content has come so far.
        """
        return self._size > 0

    def take_header(self, event: HeaderBlock) -> Awaitable[None] | None:
        """
        Take the header block, and look for a loop (RFC 5321 §6.3). One that begins with a blank would continue our
        Received field, and so is body, behind an empty line. Gives what `write` gives.
        """
        if event.nul:
            self._refuse(NUL_IN_HEADER)
        elif event.hops > self._terms.max_hops:
            self._refuse(TOO_MANY_HOPS)
        elif event.data.startswith(_BLANKS):
            return self.write(b"\r\n" + event.data)
        else:
            self._header = header = event.data
            self._hops = event.hops
            self._measure(len(header))
            if not header.isascii():
                self._eight = False
        return None

    def write(self, data: bytes) -> Awaitable[None] | None:
        """
        Take the next piece of the body. None: go on; else give no more before the Awaitable fires, if it does not fail.
        """
        if self.refusal is None:
            self._measure(len(data))
        if self.refusal is not None:
            return None
        if self._eight is False and not data.isascii():
            self._eight = True
        try:
            return self._writer.write(data)
        except SpoolError as error:
            self.spool_failed(error)
            return None

    def spool_failed(self, error: Exception) -> None:
        """
        Take note that the spool could not write.
        """
        self._refuse(self._reply_to(error))

    def _measure(self, more: int) -> None:
        self._size += more
        if self._size > self._terms.max_message_size > 0:
            self._refuse(TOO_LARGE)

    def _refuse(self, reply: Reply) -> None:
        if self.refusal is None:
            self.refusal = reply
            self._writer.abort()

    def _reply_to(self, error: BaseException) -> Reply:
        """
        Say what the spool's failure means to the client, and write it down.
        """
        log.warn(
            "{queue_id}: not stored: {error}",
            queue_id=self._transaction.queue_id,
            error=str(error) or type(error).__name__,
        )
        return spool_reply(error)
