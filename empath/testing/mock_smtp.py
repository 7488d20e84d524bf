"""
An SMTP server that behaves as a test wants it to: a real peer in memory or on loopback, none of empath's own code.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from zope.interface import implementer

from empath.testing.certificates import self_signed
from empath.testing.mock_message import MockMessage
from empath.testing.mock_session import MockSession
from empath.testing.script import NONSENSE, STEPS, Act, Cut, Rule, Say, Script, Silence, reply


@attrs.frozen(slots=True)
class MockSmtpServer:
    """
    Says how a server is to behave; every `with_…` gives a changed copy, `build` makes the server.

    A step is a verb (EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BDAT, RSET, NOOP, QUIT …), GREETING for what comes first,
    or CONTENT for the final dot and the last chunk. Unless told otherwise the server takes all mail and keeps it.
    """

    script: Script = attrs.field(factory=Script)

    def build(self, clock: Any = None) -> MockServer:
        """
        Make the server. `clock` (IReactorTime) is what delays are measured by; `listen` and the kit's `Mta` bring
        their own.
        """
        return MockServer(self.script, clock)

    def with_greeting(self, code: int, text: str) -> MockSmtpServer:
        """
        Greet so.
        """
        return self._rule("GREETING", Say(reply(code, text)))

    def with_ehlo_response(self, code: int = 250, *lines: str) -> MockSmtpServer:
        """
        Answer EHLO so: with 250 the first line is the server's name and each other one a keyword that it keeps, such as
        "CHUNKING"; STARTTLS and AUTH are added by what makes them work.
        """
        if code == 250:
            return self._with(ehlo=lines or ("mock.example",))
        return self._rule("EHLO", Say(reply(code, *lines)))

    def with_mail_from_response(self, code: int, text: str) -> MockSmtpServer:
        """
        Answer every MAIL so.
        """
        return self._rule("MAIL", Say(reply(code, text)))

    def with_rcpt_to_response(self, code: int, text: str, recipient: str = "") -> MockSmtpServer:
        """
        Answer every RCPT so, or those that name `recipient`.
        """
        containing = f"<{recipient}>" if recipient else ""
        return self._rule("RCPT", Say(reply(code, text)), containing=containing)

    def with_data_response(self, code: int, text: str) -> MockSmtpServer:
        """
        Answer every DATA command so, even one that is out of order; what answers the final dot is
        `with_content_response`.
        """
        return self._rule("DATA", Say(reply(code, text)))

    def with_content_response(self, code: int, text: str) -> MockSmtpServer:
        """
        Answer every final dot, or last chunk, so; the message is kept only with a 2yz.
        """
        return self._rule("CONTENT", Say(reply(code, text)))

    def with_response(self, verb: str, nth: int, code: int, text: str) -> MockSmtpServer:
        """
        Answer the `nth` time of a step so, counted over all sessions from 1; 0: each time.
        """
        return self._rule(verb, Say(reply(code, text)), nth)

    def with_malformed_response(self, verb: str, raw: bytes = NONSENSE, nth: int = 0) -> MockSmtpServer:
        """
        Answer a step with bytes that need be no reply.
        """
        return self._rule(verb, Say(raw), nth)

    def with_silence(self, verb: str, nth: int = 0) -> MockSmtpServer:
        """
        Never answer a step, and hear nothing more in that session.
        """
        return self._rule(verb, Silence(), nth)

    def with_lost_reply(self, verb: str, nth: int = 0) -> MockSmtpServer:
        """
        Do what a step asks for, and close instead of answering: at CONTENT the message is kept.
        """
        return self._rule(verb, Cut(), nth)

    def with_slow_response(self, verb: str, seconds: float) -> MockSmtpServer:
        """
        Take that long for each answer to a step.
        """
        return self._with(slow=(*self.script.slow, (_step(verb), seconds)))

    def with_connection_delay(self, seconds: float) -> MockSmtpServer:
        """
        Greet that late.
        """
        return self.with_slow_response("GREETING", seconds)

    def with_network_error_after(self, commands: int) -> MockSmtpServer:
        """
        Break the connection at what comes after so many answered commands: a command, or a message's content.
        """
        return self._with(cut_after=commands)

    def with_partial_writes(self, size: int) -> MockSmtpServer:
        """
        Write at most so many bytes at a time, the rest in the reactor's later turns.
        """
        if size < 1:
            raise ValueError("a write has at least one byte")
        return self._with(piece=size)

    def with_starttls(self, creator: Any = None) -> MockSmtpServer:
        """
        Offer STARTTLS, with what Twisted's `startTLS` takes (CertificateOptions, say), or a certificate made for it
        that nobody vouches for.
        """
        return self._with(tls=creator if creator is not None else self_signed("mock.example").creator())

    def with_starttls_failure(self, code: int = 454, text: str = "4.7.0 TLS is not available") -> MockSmtpServer:
        """
        Offer STARTTLS and refuse it; with code 220 it is accepted, and what follows is no TLS.
        """
        offering = self._with(breaks_handshake=True)
        return offering if code == 220 else offering._rule("STARTTLS", Say(reply(code, text)))

    def with_login(self, name: str, password: str) -> MockSmtpServer:
        """
        Offer AUTH PLAIN, and take no mail without it.
        """
        return self._with(logins=(*self.script.logins, (name, password)))

    def _with(self, **changes: Any) -> MockSmtpServer:
        return MockSmtpServer(attrs.evolve(self.script, **changes))

    def _rule(self, verb: str, act: Act, nth: int = 0, containing: str = "") -> MockSmtpServer:
        return self._with(rules=(*self.script.rules, Rule(_step(verb), act, nth, containing)))


@implementer(IProtocolFactory)
class MockServer:
    """
    A server at work: a protocol factory that keeps what came.

    `sessions` are all connections in their order, `commands` all command lines, `messages` the mail that was taken.
    """

    def __init__(self, script: Script, clock: Any = None) -> None:
        self.script = script
        self.clock = clock
        self.seen: Counter[str] = Counter()
        self.sessions: list[MockSession] = []
        self.commands: list[str] = []
        self.messages: list[MockMessage] = []

    def behave(self, builder: MockSmtpServer | None = None) -> None:
        """
        Behave otherwise from the next command on, None: as usual; steps are counted anew.
        """
        self.script = (builder or MockSmtpServer()).script
        self.seen.clear()

    def listen(self, reactor: Any, port: int = 0, interface: str = "127.0.0.1") -> IListeningPort:
        """
        Listen on a real port, a free one unless named; `getHost().port` of what is returned tells it.
        """
        self.clock = reactor
        listening: IListeningPort = reactor.listenTCP(port, self, interface=interface)
        return listening

    def arrived(self, recipient: str) -> list[MockMessage]:
        """
        The messages that name a recipient.
        """
        return [message for message in self.messages if recipient in message.recipients]

    @property
    def open(self) -> int:
        """
        How many sessions are open.
        """
        return sum(session.open for session in self.sessions)

    def close(self) -> None:
        """
        Cut all sessions that are open.
        """
        for session in self.sessions:
            session.cut()

    def doStart(self) -> None:
        """
        A port listens for us: nothing to do.
        """

    def doStop(self) -> None:
        """
        The port is closed; sessions go on.
        """

    def buildProtocol(self, addr: IAddress | None) -> MockSession:
        """
        Begin a session.
        """
        session = MockSession(self, getattr(addr, "host", ""))
        self.sessions.append(session)
        return session


def _step(verb: str) -> str:
    step = verb.upper()
    if step not in STEPS:
        raise ValueError(f"{verb!r} is no step of a session; there are: {', '.join(sorted(STEPS))}")
    return step
