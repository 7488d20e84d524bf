"""
The seams: every interface where one room meets another, and nothing else.

Rooms import this module and the pure packages, never one another; `service.py` puts providers in their places.
Where a promise says "at once", the call returns a plain value; where it may have to wait, an Awaitable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from empath.mail.answer import Answer
from empath.mail.envelope import Recipient
from empath.mail.life import Attempt
from empath.mail.message import Delivery, Message, Status
from empath.mail.outcome import Outcome
from empath.mail.session import Session, Transaction
from empath.mail.settlement import Settlement
from empath.policy.verdict import Verdict
from empath.smtp.scram import ScramVerifier

T = TypeVar("T")

InThread = Callable[[Callable[[], T]], "Deferred[T]"]
"""
Run a blocking call elsewhere and tell its result; tests pass one that runs it at once.
"""

MaybeVerdict = Verdict | None
"""
What a check says: None is no opinion.
"""


class IComponent(Interface):
    """
    A part of the service that holds a section of the configuration and runs from `start` to `stop`.
    """

    def start() -> Awaitable[None] | None:
        """
        Begin; called once, after privileges are dropped, in the order of the composition root. Raises to refuse.
        """

    def stop() -> Awaitable[None] | None:
        """
        Finish what is in flight within its own bound and let go of everything; called once, in reverse order.
        """

    def reconfigure(section: object) -> None:
        """
        Use a new, already validated section from now on; what runs is not disturbed.
        """


class IDecisions(Interface):
    """
    The decision seam: the checks and modules in their order, asked stage by stage; the first refusal wins.

    Each call returns at once with a Verdict or None (no opinion: the step passes), or with an Awaitable of the same
    when some module has to wait; it never raises and the Awaitable never fails: a fault has its declared answer.
    """

    def connect(session: Session) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        A client connected; nothing was sent to it.
        """

    def ehlo(session: Session, name: str) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        EHLO or HELO was said; `session.name` is still the previous one.
        """

    def starttls(session: Session) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        The TLS handshake is done, by STARTTLS or from the beginning; `session` tells its protocol, cipher and client.
        """

    def auth(session: Session, login: str) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        The client proved to be `login`; `session.login` is still "".
        """

    def mail_from(session: Session, transaction: Transaction) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        MAIL was said; `transaction` has the reverse-path and the parameters.
        """

    def rcpt_to(
        session: Session, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        RCPT was said; `recipient` joins `transaction.recipients` only if nothing refuses.
        """

    def data(session: Session, transaction: Transaction, message: Message) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        The final dot was read; nothing is stored yet. `message.body` is None where the content went to a file.
        """


class IAuthenticator(Interface):
    """
    Knows who may log in. No call blocks, and an Awaitable never takes time that tells whether a login exists.
    """

    def mechanisms() -> Collection[str]:
        """
        The SASL mechanisms that every user can use now, among PLAIN, LOGIN, SCRAM-SHA-256, XOAUTH2 and OAUTHBEARER.
        """

    def check_password(login: str, password: str) -> Awaitable[str | None]:
        """
        Tell the login as it is known here, None for a wrong password or an unknown login. AuthenticatorUnavailable
        (raised by the Awaitable): nothing can be said now; the client hears 454.
        """

    def check_token(login: str, token: str) -> Awaitable[str | None]:
        """
        As `check_password`, for a bearer token (RFC 6750); `login` is "" where the client gave none.
        """

    def scram_verifier(login: str) -> ScramVerifier | Awaitable[ScramVerifier]:
        """
        Give what SCRAM-SHA-256 checks a login with (RFC 5803). For an unknown login one that nothing fulfils, always
        the same, with the iterations of the others.
        """


class IContentWriter(Interface):
    """
    The body of one message on its way into the spool: in memory up to the inline limit, in a file beyond it.
    """

    size = Attribute("Bytes written so far.")
    body = Attribute("All that was written, as bytes, while it is small enough to be stored inline; else None.")
    body_file = Attribute("The name of the content file, or None while all is in memory.")

    def write(data: bytes) -> Awaitable[None] | None:
        """
        Take the next bytes. None: go on at once. An Awaitable: give no more before it fires (back-pressure).

        SpoolFull and SpoolError, raised or fired, end the writer: nothing is left behind.
        """

    def commit(message: Message, deliveries: tuple[Delivery, ...]) -> Deferred[None]:
        """
        Store the message with its deliveries; fires once all of it is on stable storage, and only then.

        `message.body` and `message.body_file` are this writer's. Fails with QueueIdTaken, SpoolFull or SpoolError,
        and then nothing is left behind. Cancelling withdraws it: the message is not kept, even if its group was
        under way already.
        """

    def abort() -> None:
        """
        Drop everything; harmless after an end of any kind.
        """


class IBodyReader(Interface):
    """
    The body of a stored message, from its first byte on.
    """

    def read() -> Awaitable[bytes]:
        """
        Give the next piece (at most 64 KiB), b"" at the end. SpoolError if it cannot be read.
        """

    def close() -> None:
        """
        Let go of it; harmless when repeated.
        """


class ISpool(Interface):
    """
    Durable storage: the whole truth about every message.

    Everything that is waiting is committed as one group; a group is atomic and on stable storage when its Deferreds
    fire. Calls that change anything fail with SpoolFull or SpoolError and have then changed nothing.
    """

    deletion_failures = Attribute("How often content could not be deleted, since the start.")
    orphans = Attribute("How many content files without a message were found, since the start.")

    def open() -> None:
        """
        Lock, open and if need be migrate the spool. SpoolLocked, SpoolTooNew, SpoolError: it cannot be used.
        """

    def close() -> Awaitable[None]:
        """
        Commit what waits, then let go of everything.
        """

    def has_room(size: int) -> bool:
        """
        Tell at once whether a message of `size` bytes may be received: `min_free` stays free after it.
        """

    def begin(queue_id: str) -> IContentWriter:
        """
        Start to receive the body of a message.
        """

    def store(message: Message, deliveries: tuple[Delivery, ...]) -> Deferred[None]:
        """
        Store a whole message whose body is in memory; otherwise as `IContentWriter.commit`.
        """

    def settle(settlement: Settlement) -> Deferred[None]:
        """
        Record how a delivery stands now and store its report, both or neither.

        A delivery that is completed, failed or expired is deleted, or kept as the configuration says; the message
        and its content go with its last delivery.
        """

    def due(now: float, limit: int, skip: Collection[str]) -> Deferred[list[Delivery]]:
        """
        Find up to `limit` scheduled deliveries whose `next_attempt` is not after `now`, longest due first, without
        those to the domains in `skip`. Those that are being attempted are among them: the caller knows them.
        """

    def next_due(after: float) -> Deferred[float | None]:
        """
        Tell the earliest `next_attempt` later than `after`, None if nothing is scheduled then.
        """

    def hasten(domain: str, now: float) -> Deferred[int]:
        """
        Make everything that waits for a retry to `domain` due at `now`; tells how many.
        """

    def load(queue_id: str) -> Deferred[Message]:
        """
        Read a message; `body` is filled unless it lies in a file. MessageUnknown if there is none.
        """

    def open_body(message: Message) -> IBodyReader:
        """
        Read a body, wherever it is.
        """

    def counts() -> Deferred[dict[Status, int]]:
        """
        Count the deliveries by status.
        """

    def due_count(now: float) -> Deferred[int]:
        """
        Count the scheduled deliveries whose `next_attempt` is not after `now`.
        """

    def oldest(now: float) -> Deferred[float | None]:
        """
        Tell when the oldest message with a scheduled delivery was received, or released where that was later; None if
        nothing is scheduled but what is released after `now`.
        """

    def expire_kept(now: float) -> Deferred[int]:
        """
        Delete what was kept for `keep_failed` or `keep_completed` and is past it; tells how many deliveries.
        """

    def retry_cleanup(now: float) -> Deferred[int]:
        """
        Try again the failed deletions that are due; tells how many are still to be done.
        """

    def probe() -> Deferred[None]:
        """
        Prove that the spool can be written; fails if not.
        """


class IResolver(Interface):
    """
    A stub resolver that never blocks.
    """

    def lookup(name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        Ask for the records of a name ("example.org", no final dot needed; rdtype "MX", "A", "AAAA", …).

        At once from the cache, else an Awaitable, bounded in time, that never fails: trouble is `Found.FAILED`.
        """


class IAgent(Interface):
    """
    A way to carry mail to its next hop: SMTP, a maildir, …
    """

    def deliver(message: Message, delivery: Delivery, attempt: Attempt) -> Awaitable[tuple[Outcome, ...]]:
        """
        Make one pass over the destination's hosts for the delivery's open recipients.

        Tells an outcome for each of `delivery.open_recipients`, in their order, and fills in `attempt`. Never leaves
        a recipient without an outcome and never raises for what a peer did; may be cancelled, and then lets go of
        its connection and raises CancelledError, or tells outcomes all the same if somebody has the mail already.
        """

    def stop() -> Awaitable[None] | None:
        """
        Close idle connections and everything else that is held open.
        """
