"""
What the extensions of a server session do beyond the dialogues: events, limits, and answers that have no question.
"""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.address import Address
from empath.mail.reply import Reply
from empath.smtp.chunks import IncomingChunks, read_chunk_size
from empath.smtp.events import (
    AuthAnswered,
    AuthBegun,
    ChunkEnded,
    ClientAttributes,
    Closed,
    ContentChunk,
    ContentEnded,
    DataBegun,
    Ending,
    HeaderBlock,
    MailFrom,
    RcptTo,
    Refused,
    StartTls,
    Verb,
)
from empath.smtp.extension import Standing
from empath.smtp.server import ServerSession
from empath.smtp.server_states import State
from tests.smtp.server_peer import Peer, rules

ENVELOPE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"


def greeted(peer: Peer) -> Peer:
    """
    Say EHLO.
    """
    peer.session.output()
    peer.send(b"EHLO c\r\n")
    return peer


class ParameterTests(SynchronousTestCase):
    """
    Parameters are handed on valid and normalized.
    """

    def test_of_mail(self) -> None:
        """
        Each is in its one form.
        """
        own = rules(kind="submission", auth=True, max_future_release=100)
        peer = greeted(Peer(own, mechanisms=("PLAIN",), cleartext=True, latest_release="2026-12-31T00:00:00Z"))
        for given, wanted in {
            "size=012": {"SIZE": "012"},
            "body=binarymime": {"BODY": "BINARYMIME"},
            "smtputf8": {"SMTPUTF8": ""},
            "ret=hdrs envid=a+20b": {"RET": "HDRS", "ENVID": "a+20b"},
            "auth=<>": {"AUTH": "<>"},
            "auth=a+3Db@c": {"AUTH": "a+3Db@c"},
            "by=+0012;rt": {"BY": "12;RT"},
            "by=-0;n": {"BY": "0;N"},
            "holdfor=5": {"HOLDFOR": "5"},
            "holduntil=2026-01-01t00:00:00z": {"HOLDUNTIL": "2026-01-01T00:00:00Z"},
            "mt-priority=-9": {"MT-PRIORITY": "-9"},
        }.items():
            self.assertEqual(peer.send(f"RSET\r\nMAIL FROM:<a@b.example> {given}\r\n".encode())[-4:], b"Ok\r\n", given)
            event = peer.events[-1]
            assert isinstance(event, MailFrom)
            self.assertEqual(event.parameters, wanted)

    def test_of_rcpt(self) -> None:
        """
        Conditions come once each, the type of an address in lower case.
        """
        peer = greeted(Peer(rules()))
        peer.send("MAIL FROM:<ü@B.example> SMTPUTF8\r\n".encode())
        self.assertEqual(peer.events[-1], MailFrom(Address("ü", "b.example", "ü@B.example"), {"SMTPUTF8": ""}))
        peer.send("RCPT TO:<c@Ü.example> notify=delay,failure,delay orcpt=UTF-8;ü@d\r\n".encode())
        parameters = {"NOTIFY": "DELAY,FAILURE", "ORCPT": "utf-8;ü@d"}
        self.assertEqual(peer.events[-1], RcptTo(Address("c", "xn--tda.example", "c@Ü.example"), parameters))

    def test_utf8_as_xtext(self) -> None:
        """
        Postfix writes the UTF-8 of an original recipient as xtext of type rfc822: it is one of type utf-8.
        """
        peer = greeted(Peer(rules()))
        peer.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example> ORCPT=rfc822;j+C3+BC+2Br@d.example\r\n")
        parameters = {"ORCPT": r"utf-8;j\x{FC}\x{2B}r@d.example"}
        self.assertEqual(peer.events[-1], RcptTo(Address("c", "d.example", "c@d.example"), parameters))

    def test_not_ascii(self) -> None:
        """
        A letter that would become ASCII in upper case is not ASCII.
        """
        peer = greeted(Peer(rules()))
        self.assertEqual(peer.send("MAIL FROM:<> BODY=8BıTMIME\r\n".encode())[:3], b"501")
        self.assertEqual(peer.send("R\u017fET\r\n".encode())[:3], b"500")

    def test_flags_end_with_the_transaction(self) -> None:
        """
        SMTPUTF8 and BINARYMIME of one transaction mean nothing in the next.
        """
        peer = greeted(Peer(rules()))
        peer.send(b"MAIL FROM:<> BODY=BINARYMIME SMTPUTF8\r\nRSET\r\nMAIL FROM:<> SIZE=5\r\n")
        self.assertEqual(peer.send("RCPT TO:<ü@b.example>\r\n".encode())[:3], b"553")
        self.assertIn(b"\r\n354 ", peer.send(b"RCPT TO:<a@b.example>\r\nDATA\r\n"))

    def test_long_utf8(self) -> None:
        """
        Lengths are those of octets.
        """
        peer = greeted(Peer(rules()))
        for local, code in {"ü" * 32: b"250", "ü" * 33: b"501", '"' + "ü" * 32 + '"': b"501"}.items():
            self.assertEqual(peer.send(f"RSET\r\nMAIL FROM:<{local}@b.example> SMTPUTF8\r\n".encode())[14:17], code)


class ChunkTests(SynchronousTestCase):
    """
    BDAT (RFC 3030).
    """

    def setUp(self) -> None:
        self.session = ServerSession(rules())
        self.session.receive(b"EHLO c\r\n" + ENVELOPE)
        for _ in range(3):
            self.session.next_event()
            self.session.accept()
        self.session.output()

    def test_streams(self) -> None:
        """
        A chunk is told as it comes, and nothing of it is kept.
        """
        session = self.session
        session.receive(b"BDAT 1000000\r\n")
        self.assertEqual(session.next_event(), DataBegun())
        self.assertIs(session.pending, Verb.BDAT)
        session.accept()
        self.assertEqual(session.output(), b"")
        session.receive(b"A: b\r\n\r\n")
        self.assertEqual(session.next_event(), HeaderBlock(b"A: b\r\n", 0))
        self.assertEqual(session.next_event(), ContentChunk(b"\r\n"))
        for _ in range(15):
            session.receive(b"x" * 65536)
            self.assertEqual(session.next_event(), ContentChunk(b"x" * 65536))
            self.assertIsNone(session.next_event())
            self.assertEqual(session.backlog, 0)
        left = 1000000 - 8 - 15 * 65536
        session.receive(b"x" * left + b"BDAT 0 LAST\r\n")
        self.assertEqual(session.next_event(), ContentChunk(b"x" * left))
        self.assertEqual(session.next_event(), ChunkEnded(1000000))
        self.assertIsNone(session.next_event())
        session.accept()
        self.assertIs(session.state, State.CHUNKS)
        self.assertEqual(session.next_event(), ContentChunk(b"\r\n"))  # text has a last line end
        self.assertEqual(session.next_event(), ContentEnded(1000002, False, False))
        session.accept_content("01")
        self.assertEqual(session.output(), b"250 2.0.0 Ok: 1000000 octets\r\n250 2.0.0 Ok: queued as 01\r\n")

    def test_refused_chunk_is_not_kept(self) -> None:
        """
        What is refused is read and dropped, and the reply follows its last octet.
        """
        self.session.receive(b"BDAT 100000\r\n")
        self.session.next_event()
        self.session.refuse(Reply.of("550 5.7.1 no"))
        self.session.receive(b"x" * 99999)
        self.assertIsNone(self.session.next_event())
        self.assertEqual((self.session.output(), self.session.backlog), (b"", 0))
        self.session.receive(b"xNOOP\r\n")
        self.assertIsNone(self.session.next_event())
        self.assertEqual(self.session.output(), b"550 5.7.1 no\r\n250 2.0.0 Ok\r\n")

    def test_errors_in_chunks_are_counted(self) -> None:
        """
        The last error ends the session, whichever way a chunk was refused.
        """
        for sent in (b"BDAT 1\r\nxNOOP\r\n", b"EHLO c\r\n" + ENVELOPE + b"BDAT 3 LAST\r\na\nbNOOP\r\n"):
            peer = Peer(rules(max_errors=1))
            peer.send(sent)
            self.assertEqual(peer.events[-1], Closed(Ending.ERRORS, Reply.of("421 4.7.0 too many errors")))

    def test_small_chunks_are_commands(self) -> None:
        """
        Chunks that bring nothing forward use up the commands of a session, others do not.
        """
        peer = greeted(Peer(rules(max_commands=10)))
        peer.send(ENVELOPE)
        chunk = b"BDAT 1024\r\n" + b"x" * 1024
        self.assertEqual(peer.send(chunk * 50), b"250 2.0.0 Ok: 1024 octets\r\n" * 50)
        self.assertEqual(peer.send(b"BDAT 0 LAST\r\n" + ENVELOPE)[:4], b"250 ")
        said = peer.send(b"BDAT 1\r\nx" * 20)
        self.assertEqual((said.count(b"250 "), peer.ending), (9, "limit"))

    def test_many_small_chunks_in_one_read(self) -> None:
        """
        They cost time in proportion to their number.
        """
        peer = greeted(Peer(rules(max_commands=10**6)))
        said = peer.send(ENVELOPE + b"BDAT 1\r\nx" * 20000)
        self.assertEqual(said.count(b"Ok: 1 octets"), 20000)

    def test_binary(self) -> None:
        """
        Content that was declared binary says whether it needs it; its header block ends with a line end all the same.
        """
        for octets, ended in {
            b"A: b\r\n\r\nbody": ContentEnded(12, False, False, False),
            b"A: b\r\n\r\nbo\ndy\r": ContentEnded(14, False, False, True),
            b"A: b\r\n\r\n\0": ContentEnded(9, False, False, True),
            b"A: \0": ContentEnded(6, False, False, True),
            b"\r": ContentEnded(3, False, False, True),
        }.items():
            chunks = IncomingChunks(normalize=True, binary=True)
            events = [*chunks.receive(octets), *chunks.finish()]
            self.assertEqual(events[-1], ended)
            assert isinstance(events[0], HeaderBlock)
            self.assertFalse(events[0].nul)

    def test_nul_in_the_header_block(self) -> None:
        """
        It is told of in text, after DATA and in chunks.
        """
        peer = greeted(Peer(rules()))
        told: list[HeaderBlock] = []
        for content in (b"DATA\r\nA: \0\r\n.\r\n", b"BDAT 6 LAST\r\nA: \0\r\n"):
            peer.session.receive(ENVELOPE + content)
            while (event := peer.session.next_event()) is not None:
                if isinstance(event, HeaderBlock):
                    told.append(event)
                elif isinstance(event, ContentEnded):
                    peer.session.accept_content("01")
                else:
                    peer.session.accept()
        self.assertEqual(told, [HeaderBlock(b"A: \0\r\n", 0, nul=True)] * 2)

    def test_sizes(self) -> None:
        """
        The size is a number of up to 20 digits.
        """
        self.assertEqual(read_chunk_size("  010  LaST "), (10, True))
        for wrong in ("", "LAST", "-1", "1 2", "1 LAST LAST", "1" * 21, "0x1", "\u0661"):
            self.assertRaises(ValueError, read_chunk_size, wrong)


class AuthTests(SynchronousTestCase):
    """
    AUTH (RFC 4954).
    """

    def begun(self, line: bytes) -> ServerSession:
        """
        Begin the exchange.
        """
        session = ServerSession(rules(auth=True))
        session.mechanisms = ("PLAIN",)
        session.receive(b"EHLO c\r\n")
        session.next_event()
        session.accept()
        session.output()
        session.receive(line)
        return session

    def test_exchange(self) -> None:
        """
        What the client sends is told decoded, and nothing else is read meanwhile.
        """
        session = self.begun(b"AUTH plain =\r\nAAEC\r\nNOOP\r\n")
        self.assertEqual(session.next_event(), AuthBegun("PLAIN", b""))
        self.assertIs(session.pending, Verb.AUTH)
        self.assertIsNone(session.next_event())
        session.challenge(b"\xff\0")
        self.assertEqual(session.output(), b"334 /wA=\r\n")
        self.assertEqual(session.next_event(), AuthAnswered(b"\0\1\2"))
        self.assertIsNone(session.next_event())
        session.logged_in("me")
        self.assertEqual(session.standing, Standing(login="me"))
        self.assertIsNone(session.next_event())
        self.assertEqual(session.output(), b"235 2.7.0 authentication successful\r\n250 2.0.0 Ok\r\n")

    def test_refused_between(self) -> None:
        """
        A refused response ends the exchange: what follows is a command.
        """
        session = self.begun(b"AUTH PLAIN\r\nAAEC\r\nNOOP\r\n")
        self.assertEqual(session.next_event(), AuthBegun("PLAIN", None))
        session.challenge(b"")
        self.assertIs(session.state, State.AUTH)
        session.next_event()
        session.refuse(Reply.of("454 4.7.0 not now"))
        self.assertIsNone(session.next_event())
        self.assertEqual(session.output(), b"334 \r\n454 4.7.0 not now\r\n250 2.0.0 Ok\r\n")
        self.assertEqual(session.standing.login, "")

    def test_longest_response(self) -> None:
        """
        12288 octets are read, one more is 500 5.5.6, and the next line is a command; a first response may be as long.
        """
        for line, wanted in {
            base64.b64encode(b"x" * 9213) + b"\r\n": AuthAnswered(b"x" * 9213),
            b"x" * 12287 + b"\r\n": Refused("AUTH", Reply.of("500 5.5.6 authentication exchange line is too long")),
        }.items():
            session = self.begun(b"AUTH PLAIN\r\n" + line)
            session.next_event()
            session.challenge(b"")
            self.assertEqual(session.next_event(), wanted)
        session.receive(b"NOOP\r\n")
        self.assertIsNone(session.next_event())
        self.assertEqual(session.output()[-14:], b"250 2.0.0 Ok\r\n")
        initial = base64.b64encode(b"x" * 9000)
        self.assertEqual(self.begun(b"AUTH PLAIN " + initial + b"\r\n").next_event(), AuthBegun("PLAIN", b"x" * 9000))

    def test_errors_are_counted(self) -> None:
        """
        Cancelled exchanges, too, end the session at last.
        """
        peer = greeted(Peer(rules(auth=True, max_errors=1), mechanisms=("PLAIN",), cleartext=True))
        peer.send(b"AUTH PLAIN\r\n*\r\nNOOP\r\n")
        self.assertEqual([type(event) for event in peer.events[-2:]], [Refused, Closed])

    def test_wrong_answers(self) -> None:
        """
        AUTH is not simply accepted, and nothing else is answered like AUTH: both are bugs of ours.
        """
        session = self.begun(b"AUTH PLAIN =\r\n")
        session.next_event()
        self.assertRaises(RuntimeError, session.accept)
        session = self.begun(b"MAIL FROM:<>\r\n")
        session.next_event()
        self.assertRaises(RuntimeError, session.logged_in, "me")
        self.assertRaises(RuntimeError, session.challenge, b"")
        self.assertEqual(session.standing.login, "")


class SecuringTests(SynchronousTestCase):
    """
    STARTTLS (RFC 3207).
    """

    def begun(self, behind: bytes = b"") -> ServerSession:
        """
        Say STARTTLS.
        """
        session = ServerSession(rules(starttls=True, auth=True), standing=Standing(login="me", trusted=True))
        session.receive(b"EHLO c\r\nSTARTTLS\r\n" + behind)
        session.next_event()
        session.accept()
        self.assertEqual(session.next_event(), StartTls())
        session.output()
        return session

    def test_secured(self) -> None:
        """
        Until the handshake is done nothing happens; then all that was known is forgotten.
        """
        session = self.begun()
        session.accept()
        self.assertEqual(session.output(), b"220 ready to start TLS\r\n")
        self.assertIs(session.state, State.HANDSHAKE)
        self.assertIsNone(session.next_event())
        session.secured()
        self.assertEqual(session.standing, Standing(secure=True))
        self.assertIs(session.state, State.CONNECTED)
        self.assertEqual(session.output(), b"")
        self.assertRaises(RuntimeError, session.secured)

    def test_refused(self) -> None:
        """
        A refused STARTTLS changes nothing: what follows is cleartext as before.
        """
        session = self.begun(b"NOOP\r\n")
        session.refuse(Reply.of("454 4.7.0 no certificate"))
        self.assertIsNone(session.next_event())
        self.assertEqual(session.output(), b"454 4.7.0 no certificate\r\n250 2.0.0 Ok\r\n")

    def test_injected(self) -> None:
        """
        Cleartext behind STARTTLS ends the session in silence, whenever it comes before the handshake is done.
        """
        at_once, meanwhile, late = self.begun(b"x"), self.begun(), self.begun()
        meanwhile.receive(b"x")
        for session in (at_once, meanwhile, late):
            session.accept()
        self.assertEqual((at_once.output(), meanwhile.output()), (b"", b""))
        late.receive(b"x")
        for session in (at_once, meanwhile, late):
            self.assertEqual(session.next_event(), Closed(Ending.INJECTED))
            self.assertIs(session.state, State.CLOSED)
            self.assertEqual(session.standing, Standing(login="me", trusted=True))

    def test_injected_before_the_handshake_was_told(self) -> None:
        """
        What was fed after STARTTLS is never read as a command behind the handshake.
        """
        session = self.begun()
        session.accept()
        session.receive(b"EHLO attacker.example\r\n")
        session.secured()
        self.assertEqual(session.next_event(), Closed(Ending.INJECTED))


class XclientTests(SynchronousTestCase):
    """
    XCLIENT (Postfix's XCLIENT_README).
    """

    def test_values(self) -> None:
        """
        They are decoded, addresses in their one form.
        """
        peer = Peer(rules(), standing=Standing(xclient=True))
        examples: dict[str, dict[str, str | None]] = {
            "ADDR=IPV6:2001:DB8:0::1 name=[unavailable]": {"ADDR": "2001:db8::1", "NAME": None},
            "ADDR=ipv6:::ffff:192.0.2.1 PORT=025": {"ADDR": "192.0.2.1", "PORT": "25"},
            "DESTADDR=2001:db8::2 DESTPORT=[TEMPUNAVAIL]": {"DESTADDR": "2001:db8::2", "DESTPORT": None},
            "LOGIN=a+20b HELO=c PROTO=esmtp": {"LOGIN": "a b", "HELO": "c", "PROTO": "ESMTP"},
        }
        for line, values in examples.items():
            peer.send(f"XCLIENT {line}\r\n".encode())
            self.assertEqual(peer.events[-1], ClientAttributes(values))
            self.assertIs(peer.session.state, State.CONNECTED)
