"""
What the edge of a dialogue does with each event: functions by the event's type.

A name with "forbidden" or "busy" in it is refused, content for "greedy" too; content with "spam" in its body, and each
chunk of 13 octets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import attrs

from empath.mail.reply import Reply
from empath.policy.relay import relay_policy
from empath.smtp import events
from empath.smtp.extension import Standing
from empath.smtp.sasl_server import begin
from empath.smtp.sasl_server_steps import Challenge, PasswordClaim, Proved, Refused, Step
from fuzz import reach
from fuzz.divisions import chance_of
from fuzz.server_edge import BARE, MECHANISMS, NO, QUEUE_ID, check_content

if TYPE_CHECKING:
    from fuzz.dialogue_edge import DialogueEdge

LOGIN: Final = "tester"
PASSWORD: Final = "secret7"
RELAY: Final = relay_policy(["10.0.0.0/8"], ["example.org", "d.example"], None)
NOWHERE: Final = "192.0.2.2"  # where a client is that the proxy cannot name
ROUTED: Final = Reply.of("550 5.7.1 source routes are not relayed")
_NO_CHANCE: Final = chance_of(b"")  # chance is for SCRAM, which is not offered


def _header(edge: DialogueEdge, event: events.HeaderBlock) -> None:
    assert edge.taking and edge.header is None, "a header block out of place"
    edge.header = event


def _chunk(edge: DialogueEdge, event: events.ContentChunk) -> None:
    assert edge.taking and edge.header is not None, "a body out of place"
    edge.body += event.data


def _hello(edge: DialogueEdge, event: events.Hello) -> None:
    edge.told.append(event)
    edge.expected += 1
    known = edge.known
    auth = edge.listener.rules.auth and (known.secure or edge.listener.cleartext_auth)
    edge.session.mechanisms = MECHANISMS if auth else ()
    edge.forget_content()
    edge.transaction = None
    edge.greeted = edge.decide("")
    if known.secure:
        edge.reached |= reach.UNDER_TLS


def _starttls(edge: DialogueEdge, event: events.StartTls) -> None:
    edge.told.append(event)
    assert edge.greeted and edge.transaction is None, "STARTTLS out of place"
    assert edge.listener.rules.starttls and not edge.known.secure, "STARTTLS that was not offered"
    edge.session.accept()


def _auth_begun(edge: DialogueEdge, event: events.AuthBegun) -> None:
    edge.told.append(event)
    assert edge.greeted and edge.transaction is None and not edge.known.login, "AUTH out of place"
    assert edge.listener.rules.auth and (edge.known.secure or edge.listener.cleartext_auth), "AUTH in cleartext"
    _log_in(edge, begin(event.mechanism, event.initial, {}, _NO_CHANCE))


def _auth_answered(edge: DialogueEdge, event: events.AuthAnswered) -> None:
    edge.told.append(event)
    assert edge.step is not None, "a response without a challenge"
    edge.reached |= reach.CHALLENGED
    _log_in(edge, edge.step(event.response))


def _log_in(edge: DialogueEdge, step: Step) -> None:
    edge.expected += 1
    edge.step = None
    if isinstance(step, PasswordClaim):
        step = step.then(LOGIN if (step.login, step.password) == (LOGIN, PASSWORD) else None)
    match step:
        case Challenge(data=data):
            edge.step = step.then
            edge.session.challenge(data)
        case Proved(login=login):
            edge.session.logged_in(login)
            edge.reached |= reach.LOGGED_IN
            edge.become(attrs.evolve(edge.known, login=login, trusted=True))
        case Refused(reply=reply):
            edge.reached |= reach.LOGIN_FAILED
            edge.session.refuse(reply)
        case _:
            raise AssertionError(f"a step that none of the mechanisms has: {step}")


def _attributes(edge: DialogueEdge, event: events.ClientAttributes) -> None:
    edge.told.append(event)
    values = event.values
    assert edge.listener.xclient and edge.transaction is None, "XCLIENT out of place"
    assert not any("\r" in value or "\n" in value for value in values.values() if value), "a line end in XCLIENT"
    if not edge.decide(values.get("HELO") or ""):
        edge.expected += 1
        return
    edge.reached |= reach.PRESENTED
    edge.greeted = False
    edge.peer = values.get("ADDR", edge.peer) or NOWHERE
    login = values.get("LOGIN", edge.known.login) or ""
    edge.become(Standing(edge.known.secure, login, bool(login) or RELAY.trusts(edge.peer), xclient=True))


def _mail(edge: DialogueEdge, event: events.MailFrom) -> None:
    edge.told.append(event)
    edge.expected += 1
    path, parameters = event.reverse_path, event.parameters
    assert edge.greeted and edge.transaction is None, "MAIL out of place"
    assert path is None or path.text.isascii() or "SMTPUTF8" in parameters, "UTF-8 that was not asked for"
    assert edge.known.secure or "REQUIRETLS" not in parameters, "TLS is promised in cleartext"
    if edge.decide("" if path is None else path.local):
        edge.transaction = []
        if parameters:
            edge.reached |= reach.UTF8 * ("SMTPUTF8" in parameters) | reach.DSN * (
                "RET" in parameters or "ENVID" in parameters
            )
            edge.reached |= reach.HELD * ("HOLDFOR" in parameters or "HOLDUNTIL" in parameters)


def _rcpt(edge: DialogueEdge, event: events.RcptTo) -> None:
    edge.told.append(event)
    edge.expected += 1
    transaction, address, standing = edge.transaction, event.address, edge.session.standing
    assert transaction is not None, "RCPT out of place"
    trusted = standing.trusted or bool(standing.login)
    verdict = RELAY.judge(trusted, address)
    if verdict is not None or (event.route and not trusted):
        edge.reached |= reach.DENIED
        edge.session.refuse(ROUTED if verdict is None else verdict.reply or ROUTED)
    elif edge.decide(address.local):
        transaction.append(bool(event.route) or RELAY.judge(False, address) is not None)
        edge.last = address.local


def _begun(edge: DialogueEdge, event: events.DataBegun) -> None:
    edge.told.append(event)
    edge.expected += 1
    assert edge.transaction and not edge.taking, "content without a recipient"
    chunked = edge.session.pending is events.Verb.BDAT
    if edge.decide("busy" if "greedy" in edge.last else ""):
        edge.taking = True
        edge.expected -= chunked
    elif chunked:
        edge.reached |= reach.CHUNK_REFUSED
        edge.transaction = None


def _chunk_ended(edge: DialogueEdge, event: events.ChunkEnded) -> None:
    edge.told.append(event)
    edge.expected += 1
    assert edge.taking, "a chunk out of place"
    if event.size == 13:  # one in a while is refused, and ends its transaction
        edge.session.refuse(NO)
        edge.reached |= reach.CHUNK_REFUSED
        edge.transaction = None
        edge.forget_content()
    else:
        edge.session.accept()


def _ended(edge: DialogueEdge, event: events.ContentEnded) -> None:
    edge.told.append(event)
    edge.expected += 1
    transaction, header, body = edge.transaction, edge.header, edge.body
    chunked = edge.session.pending is events.Verb.BDAT
    assert edge.taking and transaction, "an end without content"
    edge.transaction = None
    edge.forget_content()
    if event.bare_newline:
        edge.reached |= reach.BARE_NEWLINE
        edge.session.refuse(BARE)
        return
    assert header is not None, "content without a header block"
    edge.told.append((header, body))
    if b"spam" in body:
        edge.session.refuse(NO)
        return
    check_content(header, body, event)
    if any(transaction):
        edge.check_relay()
    edge.session.accept_content(QUEUE_ID)
    edge.reached |= (
        reach.MESSAGE | reach.CHUNKED * chunked | reach.SECOND * (edge.messages > 0) | reach.SECURE * edge.known.secure
    )
    edge.reached |= reach.LMTP * (edge.listener.rules.kind == "lmtp") | reach.BINARY * event.binary
    edge.messages += 1


def _reset(edge: DialogueEdge, event: events.Reset) -> None:
    edge.told.append(event)
    edge.transaction = None
    edge.forget_content()


def _refused(edge: DialogueEdge, event: events.Refused) -> None:
    edge.told.append(event)
    edge.expected += 1


def _closed(edge: DialogueEdge, event: events.Closed) -> None:
    edge.told.append(event)
    if event.ending is events.Ending.INJECTED:
        edge.reached |= reach.INJECTED
    else:
        edge.expected += 1
        if event.reply is not None:
            edge.reached |= reach.ENDED


TAKE: Final[dict[type, Callable[[DialogueEdge, Any], None]]] = {
    events.HeaderBlock: _header,
    events.ContentChunk: _chunk,
    events.Hello: _hello,
    events.StartTls: _starttls,
    events.AuthBegun: _auth_begun,
    events.AuthAnswered: _auth_answered,
    events.ClientAttributes: _attributes,
    events.MailFrom: _mail,
    events.RcptTo: _rcpt,
    events.DataBegun: _begun,
    events.ChunkEnded: _chunk_ended,
    events.ContentEnded: _ended,
    events.Reset: _reset,
    events.Refused: _refused,
    events.Closed: _closed,
}
