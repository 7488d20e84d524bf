"""
What the sessions of a listener share: the terms it offers, and the rest of the service as reception sees it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from empath.config.schema import Listener, Smtp, SmtpTimeouts
from empath.interfaces import IAuthenticator, IContentWriter, IDecisions
from empath.mail.expansion import Expanded
from empath.mail.life import Emit
from empath.mail.message import Delivery, Message
from empath.mail.session import Session
from empath.mail.traces import Traces
from empath.net.dialogues import Dialogues
from empath.policy.relay import relay_policy
from empath.policy.throttle import Throttle
from empath.receive.idempotent import Idempotency
from empath.receive.tls import ServerTls
from empath.smtp.server_rules import ServerRules

TRUSTED: Final = "trusted"  # in [smtp] bare_newlines_exclude: all clients that may relay


def nobody(peer: str) -> bool:
    """
    Trust no peer.
    """
    return False


def nobody_told(message: Message, expanded: list[Expanded]) -> Deferred[None] | None:
    """
    Tell nobody that recipients became several.
    """
    return None


def not_recorded(message: Message, session: Session) -> Deferred[None] | None:
    """
    Have no record that anybody waits for.
    """
    return None


def nothing_held(message: Message) -> str:
    """
    Hold no message.
    """
    return ""


@attrs.frozen(slots=True, eq=False)
class Surroundings:
    """
    Who works with reception. Mail for <Postmaster>, without a domain, goes to `postmaster`.

    `begin` opens the spool's writer for a queue id. `trusts` tells of a peer (IP address as text, or "unix") whether
    it may send to anyone. `on_stored` is called with every message that is on stable storage, and its deliveries.

    `authenticator` knows who may log in (None: nobody can), `throttle` holds off who guesses (None: it holds off
    nobody), `secret_chance` makes the nonces of SCRAM. `held` tells of a message that is to be stored why it is to be
    held, "" if it is not. `idempotency` knows what was accepted under a key (None: keys mean nothing). `on_expanded` is
    called with a message that is stored, and those of its recipients that became several, if its sender wants to know;
    the client waits for what it gives, which never fails. `dialogues` tells who overhears sessions (None: nobody can),
    `traces` which messages are followed under which trace.
    """

    hostname: str
    postmaster: str
    clock: IReactorTime
    chance: random.Random
    decisions: IDecisions
    begin: Callable[[str], IContentWriter]
    trusts: Callable[[str], bool]
    emit: Emit
    on_stored: Callable[[Message, tuple[Delivery, ...]], None]
    command_took: Callable[[str, float], None]
    authenticator: IAuthenticator | None = None
    throttle: Throttle | None = None
    secret_chance: random.Random = attrs.field(factory=random.SystemRandom)
    held: Callable[[Message], str] = nothing_held
    idempotency: Idempotency | None = None
    on_expanded: Callable[[Message, list[Expanded]], Deferred[None] | None] = nobody_told
    record: Callable[[Message, Session], Deferred[None] | None] = not_recorded
    dialogues: Dialogues | None = None
    traces: Traces = attrs.field(factory=Traces)


@attrs.frozen(slots=True, eq=False)
class Terms:
    """
    One listener's terms; times in seconds. Bare newlines become CRLF from everyone if `normalize`, from trusted clients
    if `normalize_trusted`, and from the peers that `excluded` tells of.

    `tls` is None where there is none; `implicit_tls`: the handshake comes before the greeting. `auth`: AUTH is offered,
    over TLS, or anywhere if `auth_cleartext`; `auth_required`: mail is refused without it. `xclient` tells of a peer
    whether it may say XCLIENT.
    """

    listener: str
    kind: str
    context: dict[str, str]
    rules: ServerRules
    timeouts: SmtpTimeouts
    greeting_delay: float
    max_message_size: int
    max_hops: int
    normalize: bool
    normalize_trusted: bool
    excluded: Callable[[str], bool]
    tls: ServerTls | None = None
    implicit_tls: bool = False
    auth: bool = False
    auth_required: bool = False
    auth_cleartext: bool = False
    xclient: Callable[[str], bool] = nobody

    def normalizes(self, session: Session) -> bool:
        """
        Tell whether bare newlines of a session's content become CRLF instead of being refused.
        """
        return self.normalize or (self.normalize_trusted and session.trusted) or self.excluded(session.peer)


def members(networks: Iterable[str]) -> Callable[[str], bool]:
    """
    Make the question whether a peer (IP address as text, or "unix") is in one of `networks`.
    """
    compiled = relay_policy(networks, (), None)
    return compiled.trusts if compiled.networks or compiled.unix else nobody


def terms_of(listener: Listener, smtp: Smtp, hostname: str, tls: ServerTls | None = None) -> Terms:
    """
    Put together what the configuration says of one listener, and its TLS where it has some.
    """
    overrides = attrs.asdict(listener.timeouts)
    submission = listener.kind == "submission"
    return Terms(
        listener=listener.endpoint,
        kind=listener.kind,
        context=listener.context,
        rules=_rules(listener, smtp, hostname, submission),
        timeouts=attrs.evolve(smtp.timeouts, **{key: value for key, value in overrides.items() if value is not None}),
        greeting_delay=smtp.greeting_delay,
        max_message_size=smtp.max_message_size,
        max_hops=smtp.max_hops,
        normalize=smtp.bare_newlines == "normalize",
        normalize_trusted=TRUSTED in smtp.bare_newlines_exclude,
        excluded=members(each for each in smtp.bare_newlines_exclude if each != TRUSTED),
        tls=tls,
        implicit_tls=listener.tls == "implicit",
        auth=submission or bool(listener.auth),
        auth_required=submission or listener.auth == "required",
        auth_cleartext=listener.auth_cleartext,
        xclient=members(smtp.xclient),
    )


def _rules(listener: Listener, smtp: Smtp, hostname: str, submission: bool) -> ServerRules:
    return ServerRules(
        hostname=hostname,
        banner=smtp.banner.replace("{hostname}", hostname),
        max_message_size=smtp.max_message_size,
        max_errors=smtp.max_errors,
        max_commands=smtp.max_commands,
        max_messages=smtp.max_messages,
        extensions_off=tuple(listener.extensions_off),
        kind=listener.kind,
        starttls=listener.tls == "starttls",
        auth=submission or bool(listener.auth),
        max_recipients=smtp.max_recipients,
        max_future_release=int(smtp.max_future_release) if submission else 0,
    )
