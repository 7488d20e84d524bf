"""
Sessions as one milter is told of them, and what comes of what it says.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.modules import Action, ILifecycle, IModule, MaybeVerdict, Transaction
from empath.modules.builtin.milter import Milter
from empath.modules.builtin.milter.codec import MilterError
from tests.modules.milter.fakes import (
    SILENT,
    FakeContent,
    FakeMilter,
    FakeServices,
    options,
    packet,
    recipient,
    session,
    transaction,
)


class MilterCase(SynchronousTestCase):
    """
    Has a milter and the module that asks it.
    """

    def setUp(self) -> None:
        self.milter = FakeMilter()
        self.services = FakeServices(self.milter)
        self.session = session(name="client.test")
        self.transaction = transaction()
        self.content = FakeContent()
        self.module = self.made()

    def made(self, **options: Any) -> Milter:
        """
        Make the module and start it.
        """
        module = Milter(**options)
        module.start(self.services)
        return module

    def deferred(self, answer: MaybeVerdict | Awaitable[MaybeVerdict]) -> Deferred[MaybeVerdict]:
        """
        Wait for what a hook gave.
        """
        assert isinstance(answer, Awaitable)

        async def awaited() -> MaybeVerdict:
            return await answer

        return Deferred.fromCoroutine(awaited())

    def heard(self, answer: MaybeVerdict | Awaitable[MaybeVerdict]) -> str:
        """
        Tell in words what a hook decided.
        """
        verdict = self.successResultOf(self.deferred(answer)) if isinstance(answer, Awaitable) else answer
        if verdict is None:
            return ""
        return f"{verdict.action.value} {verdict.reply}" if verdict.reply else verdict.action.value

    def failed(self, answer: MaybeVerdict | Awaitable[MaybeVerdict]) -> str:
        """
        The hook failed; tells why.
        """
        return str(self.failureResultOf(self.deferred(answer), MilterError).value)

    def opened(self, name: str = "client.test") -> None:
        """
        Bring a session as far as MAIL.
        """
        self.assertEqual(self.heard(self.module.connect(self.session)), "")
        self.assertEqual(self.heard(self.module.ehlo(self.session, name)), "")

    def mail(self, of: Transaction | None = None) -> str:
        """
        Say MAIL.
        """
        return self.heard(self.module.mail_from(self.session, of or self.transaction))

    def rcpt(self, address: str = "you@ours.test") -> str:
        """
        Say RCPT, and accept the recipient if the milter does.
        """
        said = recipient(address)
        heard = self.heard(self.module.rcpt_to(self.session, self.transaction, said))
        if not heard:
            self.transaction.accept(said)
        return heard

    def data(self) -> str:
        """
        Hand the content over.
        """
        return self.heard(self.module.data(self.session, self.transaction, self.content))

    def whole(self) -> str:
        """
        Bring one message through all hooks; tells what the last one decided.
        """
        self.opened()
        self.assertEqual((self.mail(), self.rcpt()), ("", ""))
        return self.data()


class TellingTests(MilterCase):
    """
    What the milter hears.
    """

    def test_a_message(self) -> None:
        """
        All of it, in order, on one connection, with the goodbye at the end of the session.
        """
        verifyObject(IModule, self.module)
        verifyObject(ILifecycle, self.module)
        self.assertEqual(self.whole(), "")
        self.module.on_connection_closed(self.session)
        self.assertEqual(self.milter.commands(), "OCHMRTLNBEQ")
        self.assertEqual(self.milter.said("C"), [b"[192.0.2.7]\x004\x10\xe1192.0.2.7\0"])
        self.assertEqual(self.milter.said("H"), [b"client.test\0"])
        self.assertEqual(self.milter.said("M"), [b"<me@one.test>\0"])
        self.assertEqual(self.milter.said("R"), [b"<you@ours.test>\0"])
        self.assertEqual(self.milter.said("L"), [b"Subject\0hello\0"])
        self.assertEqual(self.milter.said("B"), [b"hello\r\n"])
        self.assertTrue(self.milter.connections[0].lost)

    def test_macros(self) -> None:
        """
        What is known, and what the operator gives in its place.
        """
        self.module = self.made(macros={"daemon_name": "ORIGINATING", "{x_site}": "north"})
        self.session.tls, self.session.cipher = "TLSv1.3", "TLS_AES_256_GCM_SHA384"
        self.session.login, self.session.mechanism = "robot", "PLAIN"
        self.content = FakeContent(b"Message-ID: <1@a.test>\r\n")
        self.whole()
        told = dict(self.milter.macros)
        self.assertEqual(told["C"]["j"], "mx.empath.test")
        self.assertEqual(told["C"]["{daemon_name}"], "ORIGINATING")
        self.assertEqual((told["C"]["_"], told["C"]["{client_name}"]), ("[192.0.2.7]", "unknown"))
        tls = {"{tls_version}": "TLSv1.3", "{cipher}": "TLS_AES_256_GCM_SHA384", "{cipher_bits}": "256"}
        self.assertEqual(told["H"], tls)
        self.assertEqual(told["M"]["i"], "QUEUE-1")
        self.assertEqual((told["M"]["{auth_authen}"], told["M"]["{auth_type}"]), ("robot", "PLAIN"))
        self.assertEqual((told["M"]["{mail_addr}"], told["M"]["{mail_host}"]), ("me@one.test", "one.test"))
        self.assertEqual((told["R"]["{rcpt_addr}"], told["R"]["{rcpt_mailer}"]), ("you@ours.test", "local"))
        self.assertEqual(told["E"], {"i": "QUEUE-1", "{msg_id}": "<1@a.test>"})

    def test_a_login_at_a_proxy(self) -> None:
        """
        Its mechanism is not known, but that there was one; what was tried in vain is none.
        """
        self.session.login = "robot"
        self.whole()
        self.assertEqual(dict(self.milter.macros)["M"]["{auth_type}"], "XCLIENT")
        self.session = session(number=2, name="client.test", mechanism="PLAIN")
        self.whole()
        self.assertNotIn("{auth_type}", self.milter.macros[-4][1])

    def test_a_macro_that_was_asked_for(self) -> None:
        """
        The milter's own lists are what it is told.
        """
        self.milter.negotiated = options(macros=struct.pack("!I", 2) + b"{x_site} i\0")
        self.module = self.made(macros={"x_site": "north"})
        self.whole()
        self.assertEqual(dict(self.milter.macros)["M"], {"{x_site}": "north", "i": "QUEUE-1"})

    def test_only_what_it_wants_to_hear(self) -> None:
        """
        Neither the envelope nor the body, for one that said so: the content is not even opened.
        """
        self.milter.negotiated = options(flags=0x02 | 0x04 | 0x08 | 0x10 | 0x200)
        self.assertEqual(self.whole(), "")
        self.assertEqual(self.milter.commands(), "OCLNE")
        self.assertEqual(self.content.readers, [])

    def test_silence_saves_round_trips(self) -> None:
        """
        Nothing is waited for where the milter said that it does not answer, and it is not even connected to before MAIL
        once that is known.
        """
        self.milter.negotiated = options(flags=SILENT)
        self.milter.silent += b"CHMRTLNB"
        self.assertEqual(self.whole(), "")
        self.assertEqual(self.milter.commands(), "OCHMRTLNBE")
        self.session = session(number=2, name="client.test")
        self.assertIs(self.module.connect(self.session), None)
        self.assertIs(self.module.ehlo(self.session, "client.test"), None)
        self.transaction = transaction(number=2)
        self.assertEqual(self.mail(), "")
        self.assertEqual(self.milter.commands()[10:], "OCHM")

    def test_several_messages_of_a_session(self) -> None:
        """
        One connection; what was begun and not ended is aborted: by RSET, by EHLO, by a refusal.
        """
        self.whole()
        self.transaction = transaction(number=2)
        self.mail()
        self.transaction = transaction(number=3)
        self.mail()
        self.heard(self.module.ehlo(self.session, "other.test"))
        self.transaction = transaction(number=4)
        self.assertEqual((self.mail(), self.rcpt(), self.data()), ("", "", ""))
        self.assertEqual(self.milter.commands(), "OCHMRTLNBE" + "M" + "AM" + "AH" + "MRTLNBE")
        self.assertEqual(len(self.milter.connections), 1)

    def test_a_session_that_began_before(self) -> None:
        """
        After a reload the milter is told at RCPT or DATA what it missed; a recipient that was accepted already stays.
        """
        self.transaction.recipients = [recipient("one@ours.test"), recipient("two@ours.test")]
        self.milter.on("R", b"r")
        self.assertEqual(self.data(), "")
        self.assertEqual(self.milter.commands(), "OCHMRRTLNBE")
        self.assertEqual(len(self.transaction.recipients), 2)

    def test_a_client_that_a_proxy_presents(self) -> None:
        """
        It begins a connection of its own.
        """
        self.opened()
        self.session = session("2001:db8::9", metadata={"client_name": "far.test"})
        self.opened()
        self.assertEqual(self.milter.commands(), "OCHQOCH")
        self.assertEqual(self.milter.said("C")[1], b"far.test\x006\x10\xe12001:db8::9\0")

    def test_clients_without_an_address(self) -> None:
        """
        A UNIX socket's peer is local, one that a proxy does not know is unknown.
        """
        for peer, told in (("unix", b"localhost\0L\0\0unix\0"), ("0.0.0.0", b"unknown\0U")):
            self.session = session(peer)
            self.opened()
            self.assertEqual(self.milter.said("C")[-1], told)

    def test_an_end_in_the_middle(self) -> None:
        """
        A session that ends within a transaction aborts it.
        """
        self.opened()
        self.mail()
        self.module.on_connection_closed(self.session)
        self.module.on_connection_closed(self.session)
        self.assertEqual(self.milter.commands(), "OCHMAQ")

    def test_stop(self) -> None:
        """
        All connections end.
        """
        self.opened()
        self.module.stop()
        self.assertEqual(self.milter.commands(), "OCHQ")

    def test_connections_are_used_again(self) -> None:
        """
        With `keep`, for the next session, without an offer; too old ones are closed, as all are at the end.
        """
        self.module = self.made(keep=1)
        for number in (1, 2):
            self.session, self.transaction = session(number=number, name="c.test"), transaction(number=number)
            self.whole()
            self.module.on_connection_closed(self.session)
        self.assertEqual(self.milter.commands(), "OCHMRTLNBEK" + "CHMRTLNBEK")
        [sweep] = self.services.rounds
        sweep()
        self.assertFalse(self.milter.connections[0].lost)
        self.services.clock.advance(61)
        sweep()
        self.assertTrue(self.milter.connections[0].lost)
        self.opened()
        self.module.on_connection_closed(self.session)
        self.module.stop()
        self.assertEqual(self.milter.commands()[-5:], "OCHKQ")


class AnswerTests(MilterCase):
    """
    What its answers do.
    """

    def at(self, command: str, *answer: bytes) -> list[str]:
        """
        Give an answer to a command; tells what connect, ehlo, mail_from, rcpt_to and data decided.
        """
        self.setUp()
        self.milter.on(command, *answer)
        steps: list[Callable[[], str]] = [
            lambda: self.heard(self.module.connect(self.session)),
            lambda: self.heard(self.module.ehlo(self.session, "client.test")),
            self.mail,
            self.rcpt,
            self.data,
        ]
        return [step() for step in steps]

    def test_refusals(self) -> None:
        """
        At CONNECT and HELO they count for the session, at MAIL for the transaction, at RCPT for the recipient, later
        for the message.
        """
        for answer, decided in (
            (b"r", "refuse 550 5.7.1 command rejected"),
            (b"t", "refuse 451 4.7.1 service unavailable, try again later"),
            (b"y554 5.7.1 spam\0", "refuse 554 5.7.1 spam"),
            (b"y421 4.7.0 go\0", "disconnect 421 4.7.0 go"),
            (b"4", "disconnect 421 4.7.0 closing connection"),
            (b"f", "disconnect 421 4.7.0 closing connection"),
        ):
            self.assertEqual(self.at("C", answer), [decided] * 5)
            self.assertEqual(self.at("H", answer), ["", *[decided] * 4])
            self.assertEqual(self.at("M", answer)[2], decided)
            self.assertEqual(self.at("R", answer)[3], decided)
            for command in "TLNBE":
                self.assertEqual(self.at(command, answer), ["", "", "", "", decided])
                self.assertEqual(self.milter.commands()[-1] == "A", command != "E" and "disconnect" not in decided)

    def test_a_refused_recipient_is_one(self) -> None:
        """
        The others are asked about.
        """
        self.opened()
        self.mail()
        self.milter.on("R", b"y550 5.1.1 nobody\0")
        self.assertEqual([self.rcpt("a@ours.test"), self.rcpt("b@ours.test")], ["refuse 550 5.1.1 nobody", ""])
        self.assertEqual(self.data(), "")

    def test_accept(self) -> None:
        """
        The milter is not asked any more: in the whole session, or in the transaction.
        """
        for command, asked in (
            ("C", "OCQ"),
            ("H", "OCHQ"),
            ("M", "OCHM"),
            ("R", "OCHMR"),
            ("T", "OCHMRTA"),
            ("L", "OCHMRTLA"),
            ("E", "OCHMRTLNBE"),
        ):
            self.assertEqual(self.at(command, b"a"), [""] * 5)
            self.assertEqual(self.milter.commands(), asked)
        self.setUp()
        self.milter.on("M", b"a")
        self.opened()
        self.mail()
        self.transaction = transaction(number=2)
        self.assertEqual((self.mail(), self.rcpt(), self.data()), ("", "", ""))
        self.assertEqual(self.milter.commands(), "OCHMAMRTLNBE")

    def test_discard(self) -> None:
        """
        The message is dropped, whenever the milter says so of it; it means nothing before MAIL.
        """
        self.assertEqual(self.at("C", b"d"), [""] * 5)
        self.assertEqual(self.at("M", b"d"), ["", "", "discard", "", ""])
        self.assertEqual(self.at("R", b"d"), ["", "", "", "discard", ""])
        for command in "TLNBE":
            self.assertEqual(self.at(command, b"d"), ["", "", "", "", "discard"])

    def test_skip(self) -> None:
        """
        The rest of the header, or of the body, is not told; the end is.
        """
        self.milter.on("L", b"s")
        self.milter.on("B", b"s")
        self.content = FakeContent(b"A: 1\r\nB: 2\r\n", b"\r\n" + b"x" * 200_000)
        self.assertEqual(self.whole(), "")
        self.assertEqual(self.milter.commands(), "OCHMRTLNBE")
        self.assertTrue(self.content.readers[0].closed)

    def test_changes(self) -> None:
        """
        Made if the message passes, with CONTINUE as with ACCEPT.
        """
        changes = [b"hX-A\0b\0", b"+<new@ours.test>\0", b"qodd\0", b"bother\r\n", b"p"]
        for end in (b"c", b"a"):
            self.assertEqual(self.at("E", *changes, end)[4], "")
            self.assertEqual(self.content.header, b"Subject: hello\r\nX-A: b\r\n")
            self.assertEqual(self.content.body, b"\r\nother\r\n")
            self.assertEqual((len(self.transaction.recipients), self.transaction.held), (2, "odd"))

    def test_changes_of_what_is_refused(self) -> None:
        """
        Nothing is changed.
        """
        for end in (b"r", b"d"):
            self.at("E", b"hX-A\0b\0", b"qodd\0", end)
            self.assertEqual((self.content.header, self.transaction.held), (b"Subject: hello\r\n", ""))

    def test_leading_spaces(self) -> None:
        """
        A milter that wants them gets values as they were written.
        """
        self.milter.negotiated = options(flags=0x100000)
        self.whole()
        self.assertEqual(self.milter.said("L"), [b"Subject\0 hello\0"])

    def test_verdicts_tell_why(self) -> None:
        """
        The record says what the milter said, and it is counted.
        """
        self.milter.on("C", b"y550 5.7.1 no\0")
        verdict = self.successResultOf(self.deferred(self.module.connect(self.session)))
        assert verdict is not None
        self.assertEqual((verdict.action, verdict.why), (Action.REFUSE, "the milter said 550 5.7.1 no"))
        self.assertEqual(self.services.counted, ["connections", "reply"])


class TroubleTests(MilterCase):
    """
    Milters that are not there, or not as they should be.
    """

    def test_nobody_listens(self) -> None:
        """
        Every step fails, and the first one after the milter is back succeeds.
        """
        self.milter.down = True
        self.assertIn("could not connect", self.failed(self.module.connect(self.session)))
        self.failed(self.module.ehlo(self.session, "client.test"))
        self.milter.down = False
        self.assertEqual(self.mail(), "")
        self.assertEqual(self.milter.commands(), "OCHM")

    def test_it_dies_in_a_transaction(self) -> None:
        """
        That step fails; the next one tells it from the beginning, with the recipients there are.
        """
        self.opened()
        self.mail()
        self.rcpt("one@ours.test")
        self.milter.die_on("R")
        two = recipient("two@ours.test")
        self.failed(self.module.rcpt_to(self.session, self.transaction, two))
        self.assertEqual(self.rcpt("three@ours.test"), "")
        self.assertEqual(self.milter.commands(), "OCHMRR" + "OCHMRR")
        self.assertEqual(self.data(), "")

    def test_it_dies_at_the_end(self) -> None:
        """
        The message is not judged, and nothing of it changed, though it had said so.
        """
        self.opened()
        self.mail()
        self.rcpt()
        self.milter.on("E", b"hX-A\0b\0", b"bhalf")
        waiting = self.deferred(self.module.data(self.session, self.transaction, self.content))
        self.assertNoResult(waiting)
        self.milter.connections[-1].lose()
        self.failureResultOf(waiting, MilterError)
        self.assertEqual((self.content.header, self.content.body), (b"Subject: hello\r\n", b"\r\nhello\r\n"))
        self.transaction = transaction(number=2)
        self.assertEqual((self.mail(), self.rcpt(), self.data()), ("", "", ""))

    def test_it_dies_between_transactions(self) -> None:
        """
        The next one does not notice.
        """
        self.whole()
        self.milter.connections[-1].lose()
        self.transaction = transaction(number=2)
        self.assertEqual((self.mail(), self.rcpt(), self.data()), ("", "", ""))
        self.assertEqual(len(self.milter.connections), 2)

    def test_it_is_silent(self) -> None:
        """
        The step fails after the time for it, which progress prolongs, and the connection is cut.
        """
        self.opened()
        self.mail()
        self.milter.on("R")
        waiting = self.deferred(self.module.rcpt_to(self.session, self.transaction, recipient()))
        self.services.clock.advance(29)
        self.milter.connections[-1].deliver(packet(b"p"))
        self.services.clock.advance(29)
        self.assertNoResult(waiting)
        self.services.clock.advance(1.1)
        self.failureResultOf(waiting, MilterError)
        self.assertTrue(self.milter.connections[-1].lost)
        self.assertEqual(self.services.clock.getDelayedCalls(), [])

    def test_it_does_not_accept_connections(self) -> None:
        """
        The step fails after the time to connect.
        """
        self.services.stalled = Deferred()
        waiting = self.deferred(self.module.connect(self.session))
        self.services.clock.advance(30.1)
        self.assertIn("within 30 s", str(self.failureResultOf(waiting, MilterError).value))

    def test_it_talks_nonsense(self) -> None:
        """
        Whatever it says that it may not: the step fails, and the connection is cut.
        """
        problems: list[Failure] = []
        for command, answer in (
            ("C", b"?"),
            ("H", b"c\0"),
            ("M", b"hX\0b\0"),
            ("E", b"hX y\0b\0"),
            ("E", b"+nobody\0"),
            ("E", b"e<a@b@c>\0"),
        ):
            self.setUp()
            self.milter.on(command, answer, b"c")
            for step in (
                lambda: self.module.connect(self.session),
                lambda: self.module.ehlo(self.session, "client.test"),
                lambda: self.module.mail_from(self.session, self.transaction),
                lambda: self.module.data(self.session, self.transaction, self.content),
            ):
                asked = self.deferred(step()).addErrback(problems.append)
                self.successResultOf(asked)
                if problems:
                    break
            self.assertTrue(problems.pop().check(MilterError))
            self.assertTrue(self.milter.connections[-1].lost)

    def test_it_refuses_our_offer(self) -> None:
        """
        A version or changes that were not offered.
        """
        for offered in (options(7), options(1), options(actions=0x8000), b"c"):
            self.milter.negotiated = offered
            self.failed(self.module.connect(self.session))
            self.assertTrue(self.milter.connections[-1].lost)

    def test_the_session_does_not_wait_any_more(self) -> None:
        """
        A hook that is cancelled cuts the connection: nobody knows where the milter stands.
        """
        self.opened()
        self.milter.on("M")
        waiting = self.deferred(self.module.mail_from(self.session, self.transaction))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(self.milter.connections[-1].lost)
        self.assertEqual(self.mail(transaction(number=2)), "")

    def test_the_session_ends_while_the_milter_thinks(self) -> None:
        """
        The connection is cut, and the hook fails.
        """
        self.opened()
        self.milter.on("M")
        waiting = self.deferred(self.module.mail_from(self.session, self.transaction))
        self.module.on_connection_closed(self.session)
        self.failureResultOf(waiting, MilterError)

    def test_the_session_ends_while_the_milter_is_connected_to(self) -> None:
        """
        The connection that comes of it is not kept, though nobody may have stopped waiting for it (in shadow mode).
        """
        self.services.stalled = Deferred()
        waiting = self.deferred(self.module.connect(self.session))
        self.module.on_connection_closed(self.session)
        stalled, self.services.stalled = self.services.stalled, None
        self.services.connect("", self.services.factories[-1]).chainDeferred(stalled)
        self.failureResultOf(waiting, MilterError)
        self.assertTrue(self.milter.connections[-1].lost)
        self.assertNotIn("C", self.milter.commands())

    def test_connections_are_bounded(self) -> None:
        """
        Who comes beyond `max_connections` waits for a place, as long as to connect.
        """
        self.module = self.made(max_connections=1)
        self.opened()
        second, third = session(number=2), session(number=3)
        waiting = self.deferred(self.module.connect(second))
        given_up = self.deferred(self.module.connect(third))
        self.services.clock.advance(1)
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.assertNoResult(waiting)
        self.module.on_connection_closed(self.session)
        self.assertIs(self.successResultOf(waiting), None)
        late = self.deferred(self.module.connect(third))
        self.services.clock.advance(31)
        self.assertIn("wait for a connection", str(self.failureResultOf(late, MilterError).value))
        self.module.on_connection_closed(second)
        self.assertEqual(self.heard(self.module.connect(session(number=4))), "")

    def test_places_come_back(self) -> None:
        """
        However a connection came to nothing.
        """
        self.module = self.made(max_connections=1)
        for _ in range(3):
            self.milter.down = True
            self.failed(self.module.connect(self.session))
            self.milter.down = False
            self.milter.negotiated = b"?"
            self.failed(self.module.connect(self.session))
            self.milter.negotiated = options()
            self.milter.die_on("C")
            self.failed(self.module.connect(self.session))
            self.services.stalled = Deferred()
            waiting = self.deferred(self.module.connect(self.session))
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
            self.services.stalled = None
        self.opened()

    def test_it_reads_slowly(self) -> None:
        """
        While what was said has not left, nothing more is said; it must leave in time.
        """
        self.milter.negotiated = options(flags=SILENT)
        self.milter.silent += b"CHMRTLNB"
        self.opened()
        self.mail()
        wire = self.milter.connections[-1]
        wire.producer.pauseProducing()
        waiting = self.deferred(self.module.data(self.session, self.transaction, self.content))
        self.assertEqual(self.milter.commands(), "OCHMT")
        wire.producer.resumeProducing()
        self.assertIs(self.successResultOf(waiting), None)
        self.assertEqual(self.milter.commands(), "OCHMTLNBE")
        wire.producer.pauseProducing()
        waiting = self.deferred(self.module.mail_from(self.session, transaction(number=2)))
        self.services.clock.advance(31)
        self.failureResultOf(waiting, MilterError)

    def test_a_goodbye_that_does_not_leave(self) -> None:
        """
        The connection is cut after a while: its place is wanted.
        """
        self.opened()
        wire = self.milter.connections[-1]
        wire.stuck = True
        self.module.on_connection_closed(self.session)
        self.services.clock.advance(29)
        self.assertFalse(wire.lost)
        self.services.clock.advance(1.1)
        self.assertTrue(wire.lost)
        self.assertEqual(self.services.clock.getDelayedCalls(), [])
