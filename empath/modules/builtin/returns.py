"""
Addresses that we made ourselves: what comes back to them goes where it belongs, and is read.

Fatal: nothing. Retried: an address whose meaning cannot be read from the storage now (451).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from empath.errors import StorageError
from empath.interfaces import IStorage
from empath.mail.address import parse_address
from empath.modules import Action, Address, IModule, MaybeVerdict, Recipient, Reply, Session, Transaction, Verdict
from empath.policy.incoming import PLACE, Incoming, Reading
from empath.policy.mailbox import key_of
from empath.policy.srs import Kept, Srs
from empath.policy.throttle import Throttle
from empath.policy.verp import About

NAME: Final = "returns"
MOST_USES: Final = 100  # of one rewritten address, in a period
PERIOD: Final = 3600.0  # seconds

_DAEMONS: Final = frozenset({"mailer-daemon", "postmaster"})
FORGED: Final = Verdict(Action.REFUSE, Reply.of("550 5.1.1 no such address, or not any more"), NAME)
UNKNOWN: Final = Verdict(Action.REFUSE, Reply.of("550 5.1.1 no such user here"), NAME)
NO_SENDER: Final = Verdict(Action.REFUSE, Reply.of("550 5.1.8 nobody sends from there"), NAME)
NO_BOUNCE: Final = Verdict(Action.REFUSE, Reply.of("550 5.7.1 this address takes bounces only"), NAME)
TOO_OFTEN: Final = Verdict(Action.REFUSE, Reply.of("450 4.7.1 too many bounces to this address"), NAME)
NO_STORAGE: Final = Verdict(Action.REFUSE, Reply.of("451 4.3.0 local error, try again later"), NAME)


@implementer(IModule)
class Returns:
    """
    The second of every chain, as what `incoming` says; it is not configured with [[modules]]. `storage` tells what
    tokens stand for.

    A bounce to an SRS address goes on to the original sender. What comes to a VERP address goes to the sender whose it
    is; is it a bounce by its reverse-path, it is read, too, and so is what comes to an address for complaints.
    """

    __slots__ = ("_clock", "_incoming", "_off", "_storage", "_uses")

    name = NAME

    def __init__(self, incoming: Incoming, storage: IStorage, clock: IReactorTime) -> None:
        self._storage = storage
        self._clock = clock
        self._uses = Throttle(MOST_USES, PERIOD)
        self.use(incoming)

    def use(self, incoming: Incoming) -> None:
        """
        Go by these from now on.
        """
        self._incoming = incoming
        self._off = incoming.idle

    def answers(self, address: Address) -> bool:
        """
        Tell whether we judge an address, even where its domain is not ours.
        """
        return not self._off and self._incoming.answers(address, self._clock.seconds())

    def mail_from(self, session: Session, transaction: Transaction) -> MaybeVerdict:
        """
        Refuse mail from where reports are read: what came back to it would be read as if we had sent it there.
        """
        path = transaction.reverse_path
        return NO_SENDER if path is not None and path.domain == PLACE else None

    def rcpt_to(
        self, session: Session, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Judge an address of our making, and put what it stands for in its place.
        """
        address, incoming = recipient.address, self._incoming
        if address.domain == PLACE:
            return UNKNOWN  # nobody sends there but we
        if self._off:
            return None
        if incoming.srs is not None and address.domain == incoming.srs.domain:
            if incoming.srs.concerns(address):
                return self._forwarded(incoming.srs, transaction, recipient)
            if address.domain not in incoming.ours:
                return self._strange(transaction, recipient)
        if incoming.verp is not None and address.domain in incoming.verp.domains:
            about = incoming.verp.read(address, self._clock.seconds())
            if about is not None:
                return self._returned(transaction, recipient, about)
        if key_of(address) in incoming.feedback:
            self._complained(session, transaction, recipient)
        return None

    def _forwarded(
        self, srs: Srs, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Send a bounce on to whom the address stands for. Whoever has seen the address could use it for other mail, or
        for a flood.
        """
        now = self._clock.seconds()
        found = srs.back(recipient.address, now)
        if found is None:
            return FORGED
        if transaction.reverse_path is not None:
            return NO_BOUNCE
        use = recipient.address.local.lower()
        if self._uses.holds_off(use, now):
            return TOO_OFTEN
        self._uses.failed(use, now)
        if isinstance(found, Kept):
            return Deferred.fromCoroutine(self._forwarded_kept(transaction, recipient, found))
        transaction.rewrite(recipient, found)
        return None

    async def _forwarded_kept(self, transaction: Transaction, recipient: Recipient, kept: Kept) -> MaybeVerdict:
        found = await self._find(kept)
        if isinstance(found, Verdict):
            return found
        transaction.rewrite(recipient, found)
        return None

    def _strange(self, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
        """
        Judge another address in the domain that is for rewritten ones only: its postmaster is ours (RFC 5321 §4.5.1).
        """
        postmaster = self._incoming.postmaster
        if key_of(recipient.address)[0] != "postmaster" or postmaster is None:
            return UNKNOWN
        if key_of(postmaster) != key_of(recipient.address):
            transaction.rewrite(recipient, postmaster)
        return None

    def _returned(
        self, transaction: Transaction, recipient: Recipient, about: About
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Give what comes back to the sender whose address it is, and read it.
        """
        path = transaction.reverse_path
        if path is not None and key_of(path)[0] not in _DAEMONS:
            transaction.rewrite(recipient, about.sender)
        elif isinstance(about.recipient, Kept):
            return Deferred.fromCoroutine(self._returned_kept(transaction, recipient, about.sender, about.recipient))
        else:
            self._read(transaction, recipient, Reading(about.recipient), about.sender)
        return None

    async def _returned_kept(
        self, transaction: Transaction, recipient: Recipient, sender: Address, kept: Kept
    ) -> MaybeVerdict:
        found = await self._find(kept)
        if found is NO_STORAGE:
            return found
        if isinstance(found, Verdict):
            transaction.rewrite(recipient, sender)
        else:
            self._read(transaction, recipient, Reading(found), sender)
        return None

    def _complained(self, session: Session, transaction: Transaction, recipient: Recipient) -> None:
        """
        Read what comes to an address for complaints, beside whoever gets it there.
        """
        own = (recipient.address,) if recipient.address.domain in self._incoming.ours else ()
        self._read(transaction, recipient, Reading(None, session.trusted), *own)

    def _read(self, transaction: Transaction, recipient: Recipient, reading: Reading, *others: Address) -> None:
        """
        Have mail read, beside what others get: here, even where a module has all mail delivered another way.
        """
        place = reading.address
        transaction.rewrite(recipient, *others, place)
        transaction.redirect(PLACE, Recipient(place))

    async def _find(self, kept: Kept) -> Address | Verdict:
        """
        Tell what a token stands for.
        """
        try:
            text = await self._storage.get(kept.token)
        except StorageError:
            return NO_STORAGE
        try:
            found = parse_address(text or "", utf8=True)
        except ValueError:
            return FORGED
        return FORGED if found.domain == PLACE else found
