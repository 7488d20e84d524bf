"""
Who signs what leaves.

Fatal, from `prepare` only: keys that cannot be used (ConfigError). Retried, as SigningFailed: mail whose key, or whose
content, cannot be read now. Ignored: mail whose author's domain has no key, or cannot be told.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from empath.config.schema import Dkim
from empath.errors import SigningFailed, SpoolError
from empath.interfaces import IBodyReader, InThread, ISigner
from empath.mail.dkim.author import author_domain
from empath.mail.dkim.fields import Choice, Field, Selection, fields_of
from empath.mail.dkim.signature import Form, body_digest, body_of, draft, signatories
from empath.mail.message import Message
from empath.sign.batches import Batches
from empath.sign.keys import Keys, SigningKey
from empath.sign.sharing import Sharing

REUSED: Final = 3600.0  # seconds for which a signature serves the other destinations of its message
REMEMBERED: Final = 4096  # messages

OpenBody = Callable[[Message], IBodyReader]
Name = tuple[str, int, bool]
K = TypeVar("K")
V = TypeVar("V")


@attrs.frozen(slots=True)
class _Made:
    """
    The fields of a message that has several destinations.
    """

    keys: tuple[SigningKey, ...]
    at: float
    fields: bytes


@implementer(ISigner)
class Signer:
    """
    Signs the mail of our own side by the keys of `section`; what takes long is done `in_thread`. ConfigError for keys
    that cannot be used.
    """

    def __init__(self, section: Dkim, clock: IReactorTime, in_thread: InThread[None]) -> None:
        self._clock = clock
        self._batches = Batches(in_thread)
        self._keys = Keys(clock)
        self._sharing = Sharing()
        self._made: OrderedDict[Name, _Made] = OrderedDict()
        self._bodies: OrderedDict[tuple[Name, Form], bytes] = OrderedDict()
        self.prepare(section)()

    @property
    def active(self) -> bool:
        """
        Whether there is any key.
        """
        return bool(self._keys)

    def prepare(self, section: Dkim) -> Callable[[], None]:
        """
        Read the keys of a new section, and give what has it used; ConfigError if it cannot be.
        """
        use_keys = self._keys.prepare(section)
        choice = Choice(section.headers, section.oversign)

        def use() -> None:
            use_keys()
            self._choice = choice
            self._expiration = section.expiration
            self._made.clear()
            self._bodies.clear()

        return use

    def sign(self, message: Message, open_body: OpenBody) -> bytes | Awaitable[bytes]:
        """
        See `ISigner`.
        """
        if not self._keys or not message.origin.vouched:
            return b""
        fields = fields_of(message.header)
        keys = () if fields is None else self._keys_of(fields)
        if fields is None or not keys:
            return b""
        selection = self._choice.of(fields)
        if message.body is not None and len(message.envelope.recipients) == 1:
            return self._signed(keys, selection, body_digest(message.body, keys[0].signatory.body_form))
        return self._shared(message, open_body, keys, selection)

    def _keys_of(self, fields: tuple[Field, ...]) -> tuple[SigningKey, ...]:
        """
        Tell by which keys a message is to be signed: those of its author's domain that it bears no signature of.
        """
        domain = author_domain(fields)
        keys = () if domain is None else self._keys.of(domain)
        if not keys:
            return ()
        there = signatories(fields)
        return tuple([key for key in keys if (key.signatory.domain, key.signatory.selector.lower()) not in there])

    def _signed(self, keys: tuple[SigningKey, ...], selection: Selection, body: bytes) -> bytes | Deferred[bytes]:
        """
        Sign what has this hash: at once, if that is quick.
        """
        now = int(self._clock.seconds())
        expires = now + int(self._expiration) if self._expiration else None
        work = [(key, draft(key.signatory, selection, body, now, expires)) for key in keys]
        if all(key.quick for key in keys):
            return b"".join([drawn.signed(key.sign(drawn.digest)) for key, drawn in work])
        return self._batches.sign(work)

    # What is signed for several destinations, or again ------------------------------------------------------------

    def _shared(
        self, message: Message, open_body: OpenBody, keys: tuple[SigningKey, ...], selection: Selection
    ) -> bytes | Deferred[bytes]:
        """
        Sign a message once for all who ask meanwhile, and soon after. Converted to 7 bits it is another one: that has
        another size, or is not eight-bit any more.
        """
        name = (message.queue_id, message.size, message.eight_bit)
        made = self._made.get(name)
        if made is not None and made.keys == keys and 0.0 <= self._clock.seconds() - made.at < self._reused:
            return made.fields
        return self._sharing.join((name, keys), lambda: self._make(name, message, open_body, keys, selection))

    @property
    def _reused(self) -> float:
        return min(REUSED, self._expiration / 2) if self._expiration else REUSED

    async def _make(
        self, name: Name, message: Message, open_body: OpenBody, keys: tuple[SigningKey, ...], selection: Selection
    ) -> bytes:
        form = keys[0].signatory.body_form
        body = self._bodies.get((name, form))
        if body is None:
            body = await self._body_digest(message, open_body, form)
            _remember(self._bodies, (name, form), body)
        begun = self._clock.seconds()
        signed = self._signed(keys, selection, body)
        fields = signed if isinstance(signed, bytes) else await signed
        if len(message.envelope.recipients) > 1:
            _remember(self._made, name, _Made(keys, begun, fields))
        return fields

    async def _body_digest(self, message: Message, open_body: OpenBody, form: Form) -> bytes:
        """
        Hash a body, from its file piece by piece.
        """
        if message.body is not None:
            return body_digest(message.body, form)
        body, begin = body_of(form), b""
        reader = open_body(message)
        try:
            while len(begin) < len(b"\r\n") and (piece := await reader.read()):
                begin += piece
            body.update(begin.removeprefix(b"\r\n"))
            while piece := await reader.read():
                body.update(piece)
        except SpoolError as fault:
            raise SigningFailed(f"its content cannot be read: {fault}") from fault
        finally:
            reader.close()
        return body.digest()


def _remember(known: OrderedDict[K, V], name: K, value: V) -> None:
    """
    Keep something of a message, as long as there are not too many others.
    """
    known[name] = value
    known.move_to_end(name)
    if len(known) > REMEMBERED:
        known.popitem(last=False)
