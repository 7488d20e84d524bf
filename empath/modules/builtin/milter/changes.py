"""
What a milter wants changed, kept until it has said that the message may pass, then done all together.

MilterError for what no mail could carry, before anything is changed: a milter that fails half-way changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final

from empath.mail.header import field
from empath.mail.xtext import original_recipient
from empath.modules import Address, IContent, IServices, Recipient, Transaction, parse_address
from empath.modules.builtin.milter.codec import (
    MilterError,
)
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

IN_MEMORY: Final = 64 * 1024  # octets of a new body; more goes to a temporary file
MOST: Final = 10_000  # changes besides the body
_PIECE: Final = 64 * 1024
_NOTIFY: Final = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}")
_ORCPT: Final = re.compile(r"[A-Za-z0-9-]+;[!-~]{1,500}")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")

Done = Callable[[Transaction, IContent], object]


class Changes:
    """
    The changes to one message. A new body may have up to `limit` octets.
    """

    def __init__(self, services: IServices, limit: int) -> None:
        self._services = services
        self._limit = limit
        self._done: list[Done] = []
        self._body: _NewBody | None = None

    def take(self, change: Change) -> Awaitable[None] | None:
        """
        Keep one more; wait for the Awaitable before the next.
        """
        if isinstance(change, ReplaceBody):
            if self._body is None:
                self._body = _NewBody(self._services.in_thread, self._limit)
            return self._body.take(change.piece)
        if len(self._done) >= MOST:
            raise MilterError(f"wants more than {MOST} changes to one message")
        self._done.append(_READERS[type(change)](change))
        return None

    async def apply(self, transaction: Transaction, content: IContent) -> None:
        """
        Make them all, in their order; the body is last.
        """
        try:
            for done in self._done:
                done(transaction, content)
        except ValueError as error:
            raise MilterError(f"wants a change that cannot be made: {error}") from error
        if self._body is not None:
            await self._body.give(content)

    def close(self) -> None:
        """
        Let go of everything.
        """
        if self._body is not None:
            self._body.close()


class _NewBody:
    """
    A body as it comes in, with all line ends made CRLF.
    """

    def __init__(self, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]], limit: int) -> None:
        self._in_thread = in_thread
        self._limit = limit
        self._size = 0
        self._kept = b""  # a CR whose LF may come with the next piece
        self._last = b""
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - `close` closes it

    def take(self, piece: bytes) -> Awaitable[None] | None:
        """
        Keep the next piece.
        """
        piece = self._kept + piece
        self._kept = piece[-1:] if piece.endswith(b"\r") else b""
        return self._write(_crlf(piece.removesuffix(b"\r")))

    async def give(self, content: IContent) -> None:
        """
        Put it in the place of the body there is.
        """
        ended = self._write((b"\r\n" if self._kept else b"") or (b"\r\n" if self._last not in (b"", b"\n") else b""))
        if ended is not None:
            await ended
        await self._read(lambda: self._file.seek(0))
        waiting = content.replace_body(b"\r\n")
        kept = b""
        while True:
            if waiting is not None:
                await waiting
            piece = await self._read(lambda: self._file.read(_PIECE))
            if not piece:
                return
            whole = kept + piece
            kept = b"\r" if whole.endswith(b"\r") else b""
            waiting = content.append(whole.removesuffix(b"\r"))

    def close(self) -> None:
        """
        Let go of it.
        """
        self._file.close()

    def _write(self, data: bytes) -> Awaitable[None] | None:
        if b"\0" in data:
            raise MilterError("wants a body with a NUL")
        self._size += len(data)
        if self._size > self._limit:
            raise MilterError(f"wants a body of more than {self._limit} octets")
        self._last = data[-1:] or self._last
        if self._size <= IN_MEMORY:
            self._file.write(data)
            return None
        return self._in_thread(lambda: self._file.write(data))

    async def _read(self, call: Callable[[], Any]) -> Any:
        return call() if self._size <= IN_MEMORY else await self._in_thread(call)


def _crlf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def _text(raw: bytes) -> str:
    """
    Read the value of a field: its lines end in LF or CRLF.
    """
    return _LINE_END.sub("\r\n", raw.decode(errors="replace")).removesuffix("\r\n")


def _field(name: bytes, value: bytes) -> tuple[str, str]:
    """
    Read a field, and be sure that it can be written.
    """
    known, text = name.decode(errors="replace"), _text(value)
    try:
        field(known, text)
    except ValueError as error:
        raise MilterError(str(error)) from error
    return known, text


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


def _add_header(change: AddHeader) -> Done:
    name, value = _field(change.name, change.value)
    return lambda _, content: content.add(name, value)


def _insert_header(change: InsertHeader) -> Done:
    name, value = _field(change.name, change.value)
    at = max(change.index - 1, 0)  # our Received, which is not there yet, has the index 0
    return lambda _, content: content.add(name, value, at)


def _change_header(change: ChangeHeader) -> Done:
    if not change.value:
        known = change.name.decode(errors="replace")
        return lambda _, content: content.remove(known, change.index - 1)
    name, value = _field(change.name, change.value)
    return lambda _, content: content.replace(name, value, change.index - 1)


def _add_recipient(change: AddRecipient) -> Done:
    address = _address(change.address)
    if address is None:
        raise MilterError("wants a recipient without an address")
    new = Recipient(address, _parameters(change.parameters))

    def done(transaction: Transaction, _: IContent) -> None:
        if not any(_same(each.address, address) for each in transaction.recipients):
            transaction.recipients.append(new)

    return done


def _delete_recipient(change: DeleteRecipient) -> Done:
    """
    Remove a recipient, or those that an alias made of it.
    """
    address = _address(change.address)
    if address is None:
        raise MilterError("wants to remove a recipient without an address")
    original = original_recipient(address.text).lower()

    def done(transaction: Transaction, _: IContent) -> None:
        transaction.recipients[:] = [
            each
            for each in transaction.recipients
            if not _same(each.address, address) and each.parameters.get("ORCPT", "").lower() != original
        ]

    return done


def _change_sender(change: ChangeSender) -> Done:
    address = _address(change.address)
    return lambda transaction, _: setattr(transaction, "reverse_path", address)


def _quarantine(change: Quarantine) -> Done:
    reason = change.reason.decode(errors="replace")
    return lambda transaction, _: transaction.hold(reason if reason.isprintable() else ascii(reason))


def _same(first: Address, second: Address) -> bool:
    return (first.local, first.domain) == (second.local, second.domain)


_READERS: Final[dict[type, Callable[[Any], Done]]] = {
    AddHeader: _add_header,
    InsertHeader: _insert_header,
    ChangeHeader: _change_header,
    AddRecipient: _add_recipient,
    DeleteRecipient: _delete_recipient,
    ChangeSender: _change_sender,
    Quarantine: _quarantine,
}
