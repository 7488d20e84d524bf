"""
The seams: every interface where one room meets another, and nothing else.

Rooms import this module and the pure packages, never one another; `service` puts providers in their places.
Where a promise says "at once", the call returns a plain value; where it may have to wait, an Awaitable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from empath.interfaces.modules import (
    IAuthor,
    IContent,
    ILifecycle,
    IListener,
    IModule,
    IModulePlugin,
    IServices,
    IValidator,
    MaybeVerdict,
)
from empath.interfaces.spool import IBodyReader, IContentWriter, ISpool
from empath.interfaces.storage import IStorage
from empath.interfaces.strategies import IStrategyServices
from empath.mail.answer import Answer
from empath.mail.attempt import Attempt
from empath.mail.message import Delivery, Message
from empath.mail.outcome import Outcome
from empath.mail.session import Session, Transaction
from empath.policy.mta_sts import StsPolicy
from empath.smtp.scram import ScramVerifier

__all__ = (
    "IAgent",
    "IAuthenticator",
    "IAuthor",
    "IBodyReader",
    "IComponent",
    "IContent",
    "IContentWriter",
    "IDecisions",
    "IJudgedContent",
    "ILifecycle",
    "IListener",
    "IModule",
    "IModulePlugin",
    "IResolver",
    "IServices",
    "ISigner",
    "ISites",
    "ISpool",
    "IStorage",
    "IStrategyServices",
    "IStsPolicies",
    "IValidator",
    "InThread",
    "MaybeVerdict",
)

T = TypeVar("T")

InThread = Callable[[Callable[[], T]], "Deferred[T]"]
"""
Run a blocking call elsewhere and tell its result; tests pass one that runs it at once.
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


class IDecisions(IValidator):
    """
    The decision seam: the checks and modules in their order, asked stage by stage; the first refusal wins.

    Each call returns at once with a Verdict or None (no opinion: the step passes), or with an Awaitable of the same
    when some module has to wait; it never raises and the Awaitable never fails: a fault has its declared answer.
    """

    judges_data = Attribute("Whether anyone judges content; otherwise `data` need not be asked.")

    def data(  # type: ignore[override]  # who asks has more in hand than who is asked needs
        session: Session, transaction: Transaction, content: IJudgedContent
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        The final dot was read; nothing is stored yet. What is made of `transaction` and `content` is what is stored.
        """


class IJudgedContent(IContent):
    """
    The content of a message that is being judged.
    """

    def shadow() -> IContent:
        """
        Give what looks the same, and whose changes count for nothing.
        """

    def mark() -> object:
        """
        Remember how it is.
        """

    def put_back(mark: object) -> None:
        """
        Undo what was done since `mark`. Where that is not possible, the message will not be taken.
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


class IResolver(Interface):
    """
    A stub resolver that never blocks.
    """

    def lookup(name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        Ask for the records of a name ("example.org", no final dot needed; rdtype "MX", "A", "AAAA", …).

        At once from the cache, else an Awaitable, bounded in time, that never fails: trouble is `Found.FAILED`.
        """


class IStsPolicies(Interface):
    """
    What domains say of their mail hosts by MTA-STS (RFC 8461).
    """

    def policy_of(domain: str, patient: bool = False) -> StsPolicy | Awaitable[StsPolicy | None] | None:
        """
        Tell the policy in force, None if there is none: at once from the cache, else an Awaitable that never fails and
        is bounded in time. A policy that cannot be fetched is none, unless an older one has not expired. Nor is one
        that takes long to fetch, unless who asks is `patient`.
        """

    def unsure(domain: str) -> bool:
        """
        Tell whether a domain for which there is no policy may have one all the same, that cannot be had now.
        """


class ISites(Interface):
    """
    Where mail goes: destinations that share their hosts share a site, and its limits.
    """

    def site_of(domain: str) -> str | Awaitable[str]:
        """
        Tell the name of a destination's site: at once where it is known, else an Awaitable that never fails. A
        destination whose hosts cannot be told is a site of its own, under its own name.
        """


class ISigner(Interface):
    """
    Signs mail (DKIM, RFC 6376).
    """

    def sign(message: Message, open_body: Callable[[Message], IBodyReader]) -> bytes | Awaitable[bytes]:
        """
        Give the header fields to be put on top of a message as it stands, b"" for one that is not to be signed: at
        once where nothing has to be computed. `open_body` reads the body where it is not in memory; it is the spool's
        own for content as it is stored, another one for what is converted on its way. SigningFailed (from the
        Awaitable, too) where it should be signed and cannot be for now.
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
        its connection and raises CancelledError, or tells outcomes all the same if somebody has the mail already, or
        may have it.
        """

    def stop() -> Awaitable[None] | None:
        """
        Close idle connections and everything else that is held open.
        """
