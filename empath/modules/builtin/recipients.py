"""
Recipients of our domains: who is unknown is refused in the session, so that nothing of ours bounces it later.

Fatal at start: a file that cannot be read. Retried: an answer that the next hop owes us, with the client's next try
(450); until then what it said before counts, if that was yes. Ignored: storage that fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from empath.modules import (
    Address,
    IModule,
    IServices,
    MaybeVerdict,
    Recipient,
    Session,
    Transaction,
    Verdict,
    accept,
    options,
)
from empath.modules.builtin.recipients_asking import UNKNOWN, Asking
from empath.modules.builtin.recipients_known import Known, Lifetimes
from empath.modules.files import WatchedFile
from empath.policy.incoming import PLACE
from empath.policy.mailbox import EVERYBODY, key_of
from empath.policy.relay import read_recipients
from empath.policy.throttle import Throttle

NAME: Final = "recipients"
VERIFY: Final = "verify"
MOST_TARGETS: Final = 20  # of an alias, that are looked at: the operator answers for the others

_About = Callable[[Session, Address], MaybeVerdict | Awaitable[MaybeVerdict]]
_Answers = list[tuple[Recipient, MaybeVerdict]]

log = Logger()


@implementer(IModule)
class Recipients:
    """
    Checks recipients of our domains by what the next hop says (`source = "verify"`), or by a file of addresses.

    See docs/modules/builtin/recipients.md.
    """

    name = NAME

    def __init__(
        self,
        source: object = VERIFY,
        cache_positive: object = "24h",
        cache_negative: object = "1h",
        cache_stale: object = "7d",
        cache_size: object = 10_000,
        wait: object = "4s",
        max_unknown: object = "30/min",
    ) -> None:
        self._source = options.text(source, "source")
        if not self._source:
            raise ValueError(f'source: "{VERIFY}" or the path of a file, not ""')
        self._lifetimes = Lifetimes(
            options.duration(cache_positive, "cache_positive"),
            options.duration(cache_negative, "cache_negative"),
            options.duration(cache_stale, "cache_stale", low=0.0),
        )
        self._most = options.integer(cache_size, "cache_size", low=1)
        self._wait = options.duration(wait, "wait")
        self._limit = options.rate(max_unknown, "max_unknown")
        self._asking: Asking | None = None
        self._about: _About
        self._local: Callable[[Address], bool]

    def start(self, services: IServices) -> None:
        """
        Read the file, or begin with what is stored.
        """
        self._local = services.local
        if self._source == VERIFY:
            known = Known(services.storage, self._lifetimes, self._most)
            self._asking = Asking(services, known, self._wait, Throttle(self._limit.count, self._limit.seconds))
            self._about = self._asking.about
        else:
            file = WatchedFile(self._source, read_recipients, services)
            self._about = lambda _session, address: listed(file.value, address)

    async def stop(self) -> None:
        """
        Ask no more, and wait for what is being written.
        """
        if self._asking is not None:
            await self._asking.stop()

    def rcpt_to(
        self, session: Session, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        Judge the recipient, or what it was rewritten to, where that is ours.
        """
        becomes = transaction.becomes(recipient)
        if len(becomes) == 1:
            address = becomes[0].address
            return self._about(session, address) if self._ours(address) else None
        asked = [new for new in becomes[:MOST_TARGETS] if self._ours(new.address)]
        if not asked:
            return None
        answers = [(new, self._about(session, new.address)) for new in asked]
        return Deferred.fromCoroutine(self._judge_all(transaction, recipient, becomes, answers))

    def _ours(self, address: Address) -> bool:
        """
        Tell whether an address is to be judged: postmasters are always reachable (RFC 5321 §4.5.1).
        """
        return self._local(address) and key_of(address)[0] != "postmaster"

    async def _judge_all(
        self,
        transaction: Transaction,
        recipient: Recipient,
        becomes: tuple[Recipient, ...],
        answers: list[tuple[Recipient, MaybeVerdict | Awaitable[MaybeVerdict]]],
    ) -> MaybeVerdict:
        """
        Judge a recipient that becomes several: it is accepted if anyone takes it. Then who is unknown among them is
        dropped, as a bounce would go to whoever the sender claims to be.
        """
        heard: _Answers = []
        for new, answer in answers:
            heard.append((new, answer if answer is None or isinstance(answer, Verdict) else await answer))
        return self._settle(transaction, recipient, becomes, heard)

    def _settle(
        self, transaction: Transaction, recipient: Recipient, becomes: tuple[Recipient, ...], heard: _Answers
    ) -> MaybeVerdict:
        refused = [(new, verdict) for new, verdict in heard if verdict is not None]
        others = [new for new in becomes if new.address.domain != PLACE]  # the rest is read here, and nobody's mailbox
        later = [verdict for _, verdict in refused if verdict.reply is not None and verdict.reply.transient]
        if len(refused) == len(others) and (later or len(others) == len(becomes)):
            return later[0] if later else refused[0][1]
        gone = [new.address for new, verdict in refused if verdict.reply is not None and not verdict.reply.transient]
        if not gone:
            return None
        left = [new.address for new in becomes if new.address not in gone]
        transaction.rewrite(recipient, *left)
        names = ", ".join(address.text for address in gone)
        reports_only = all(address.domain == PLACE for address in left)
        log.emit(
            LogLevel.info if reports_only else LogLevel.warn,
            "{queue_id}: to=<{recipient}> becomes unknown recipients, which are dropped: {names}",
            queue_id=transaction.queue_id,
            recipient=recipient.address,
            names=names,
        )
        return accept(f"dropped unknown {names}")


def listed(mailboxes: frozenset[tuple[str, str]], address: Address) -> MaybeVerdict:
    """
    Judge an address by a file: it is in it, or its whole domain is.
    """
    key = key_of(address)
    return None if key in mailboxes or (EVERYBODY, key[1]) in mailboxes else UNKNOWN
