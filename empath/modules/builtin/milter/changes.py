"""
What a milter wants changed, kept until it has said that the message may pass, then done all together.

MilterError for what no mail could carry, before anything is changed: a milter that fails half-way changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs

from empath.modules import Address, IContent, IServices, Recipient, Transaction, parse_address
from empath.modules.builtin.milter.codec import MilterError
from empath.modules.builtin.milter.fields import read_field
from empath.modules.builtin.milter.new_body import NewBody
from empath.modules.builtin.milter.recipients import Recipients
from empath.modules.builtin.milter.said import (
    AddHeader,
    AddRecipient,
    Change,
    ChangeHeader,
    ChangeSender,
    DeleteRecipient,
    InsertHeader,
    Quarantine,
    ReplaceBody,
)

MOST: Final = 50_000  # changes besides the body: more than a client can make a milter want
MOST_INSERTED: Final = 1000  # of them, those in the middle of the header
LARGEST: Final = 4 * 1024 * 1024  # octets of all of them
_NOTIFY: Final = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}")
_ORCPT: Final = re.compile(r"[A-Za-z0-9-]+;[!-~]{1,500}")

Done = Callable[[Transaction, IContent, Recipients], object]


class Changes:
    """
    The changes to one message. A new body may have up to `limit` octets; `utf8` tells that the message came with
    SMTPUTF8.
    """

    def __init__(self, services: IServices, limit: int, utf8: bool = False) -> None:
        self._services = services
        self._limit = limit
        self._utf8 = utf8
        self._done: list[Done] = []
        self._inserted = 0
        self._octets = 0
        self._body: NewBody | None = None

    def take(self, change: Change) -> Awaitable[None] | None:
        """
        Keep one more; wait for the Awaitable before the next.
        """
        if isinstance(change, ReplaceBody):
            if self._body is None:
                self._body = NewBody(self._services.in_thread, self._limit)
            return self._body.take(change.piece)
        self._inserted += isinstance(change, InsertHeader)
        self._octets += sum(len(each) for each in attrs.astuple(change, recurse=False) if isinstance(each, bytes))
        if len(self._done) >= MOST or self._inserted > MOST_INSERTED or self._octets > LARGEST:
            raise MilterError("wants more changes to one message than there may be")
        self._done.append(_READERS[type(change)](change, self._utf8))
        return None

    async def apply(self, transaction: Transaction, content: IContent) -> None:
        """
        Make them all, in their order; the body is last.
        """
        recipients = Recipients(transaction)
        try:
            for done in self._done:
                done(transaction, content, recipients)
        except ValueError as error:
            raise MilterError(f"wants a change that cannot be made: {error}") from error
        recipients.give()
        if self._body is not None:
            await self._body.give(content)

    def close(self) -> None:
        """
        Let go of everything.
        """
        if self._body is not None:
            self._body.close()


def _address(raw: bytes) -> Address | None:
    """
    Read an address with or without its angle brackets; None for the null one.
    """
    text = raw.decode(errors="replace").strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    if not text:
        return None
    try:
        return parse_address(text, utf8=not text.isascii())
    except ValueError as error:
        raise MilterError(f"an address that is none: {text[:100]!r}") from error


def _parameters(raw: bytes) -> dict[str, str]:
    """
    Read the parameters of a new recipient; those besides NOTIFY and ORCPT mean nothing to us (RFC 3461 §4).
    """
    found: dict[str, str] = {}
    for each in raw.decode(errors="replace").split():
        keyword, _, value = each.partition("=")
        keyword = keyword.upper()
        if (keyword == "NOTIFY" and _NOTIFY.fullmatch(value.upper())) or (
            keyword == "ORCPT" and _ORCPT.fullmatch(value)
        ):
            found[keyword] = value.upper() if keyword == "NOTIFY" else value
    return found


def _add_header(change: AddHeader, utf8: bool) -> Done:
    name, value = read_field(change.name, change.value, utf8)
    return lambda _, content, __: content.add(name, value)


def _insert_header(change: InsertHeader, utf8: bool) -> Done:
    name, value = read_field(change.name, change.value, utf8)
    at = max(change.index - 1, 0)  # our Received, which is not there yet, has the index 0
    return lambda _, content, __: content.add(name, value, at)


def _change_header(change: ChangeHeader, utf8: bool) -> Done:
    if not change.value:
        known = change.name.decode(errors="replace")
        return lambda _, content, __: content.remove(known, change.index - 1)
    name, value = read_field(change.name, change.value, utf8)
    return lambda _, content, __: content.replace(name, value, change.index - 1)


def _add_recipient(change: AddRecipient, _utf8: bool) -> Done:
    address = _address(change.address)
    if address is None:
        raise MilterError("wants a recipient without an address")
    new = Recipient(address, _parameters(change.parameters))
    return lambda _, __, recipients: recipients.add(new)


def _delete_recipient(change: DeleteRecipient, _utf8: bool) -> Done:
    address = _address(change.address)
    if address is None:
        raise MilterError("wants to remove a recipient without an address")
    return lambda _, __, recipients: recipients.remove(address)


def _change_sender(change: ChangeSender, _utf8: bool) -> Done:
    address = _address(change.address)
    return lambda transaction, _, __: setattr(transaction, "reverse_path", address)


def _quarantine(change: Quarantine, _utf8: bool) -> Done:
    reason = change.reason.decode(errors="replace")
    return lambda transaction, _, __: transaction.hold(reason if reason.isprintable() else ascii(reason))


_READERS: Final[dict[type, Callable[[Any, bool], Done]]] = {
    AddHeader: _add_header,
    InsertHeader: _insert_header,
    ChangeHeader: _change_header,
    AddRecipient: _add_recipient,
    DeleteRecipient: _delete_recipient,
    ChangeSender: _change_sender,
    Quarantine: _quarantine,
}
