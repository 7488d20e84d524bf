"""
Paths and parameters of commands.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.errors import CommandRefused
from empath.mail.address import Address
from empath.smtp.command import ForeignProtocol, read_mail, read_rcpt, split_line
from empath.smtp.events import MailFrom, RcptTo, Verb
from empath.smtp.extension import Extension, Standing, line_limits, offered
from empath.smtp.grammar import read_forward_path, read_reverse_path, split_path
from tests.smtp.server_peer import STRANGER, rules

ALL = frozenset(Extension)
VERBS = {verb.value: verb for verb in Verb}


class PathTests(SynchronousTestCase):
    """
    Forward and reverse paths (RFC 5321 §4.1.2).
    """

    def test_usual(self) -> None:
        """
        Plain addresses, in any case of the keyword.
        """
        address = Address("A.b+c", "example.org", "A.b+c@Example.ORG")
        self.assertEqual(read_mail("FROM:<A.b+c@Example.ORG>", ALL), MailFrom(address, {}))
        self.assertEqual(read_rcpt("to:<A.b+c@Example.ORG>", ALL), RcptTo(address, {}))

    def test_null(self) -> None:
        """
        The null reverse-path is no address, and no forward-path.
        """
        self.assertEqual(read_mail("FROM:<>", ALL), MailFrom(None, {}))
        self.assertRaises(CommandRefused, read_rcpt, "TO:<>", ALL)

    def test_source_routes(self) -> None:
        """
        A source route is told to who decides, and dropped from a reverse-path.
        """
        address = Address("user", "c.example", "user@c.example")
        self.assertEqual(read_forward_path("@a.example,@b.example:user@c.example"), (address, "@a.example,@b.example"))
        self.assertEqual(read_reverse_path("@a.example:user@c.example"), address)
        for wrong in ("@a.example", "@a.example,b.example:user@c.example", "@:user@c.example", "@a_b:user@c.example"):
            self.assertRaises(ValueError, read_forward_path, wrong)

    def test_postmaster(self) -> None:
        """
        <Postmaster> needs no domain, in any case of letters.
        """
        self.assertEqual(read_forward_path("PostMaster"), (Address("PostMaster", "", "PostMaster"), ""))

    def test_length(self) -> None:
        """
        A path has at most 256 octets with its brackets; long labels and local parts are refused too.
        """
        label = "x" * 62
        fits = f"{'u' * 2}@{label}.{label}.{label}.{label}"
        self.assertEqual(len(fits) + 2, 256)
        self.assertEqual(read_rcpt(f"TO:<{fits}>", ALL).address.text, fits)
        self.assertRaises(ValueError, split_path, f"<u{fits}>")
        self.assertRaises(CommandRefused, read_rcpt, f"TO:<u@{'x' * 64}.example>", ALL)
        self.assertRaises(CommandRefused, read_rcpt, f"TO:<{'u' * 65}@b.example>", ALL)
        self.assertRaises(CommandRefused, read_mail, f"FROM:<{'u' * 65}@b.example>", ALL)


class ParameterTests(SynchronousTestCase):
    """
    ESMTP parameters (RFC 5321 §4.1.1.11).
    """

    def test_known(self) -> None:
        """
        SIZE and BODY are read, keywords in upper case.
        """
        event = read_mail("FROM:<> size=1234 Body=8bitMIME", ALL)
        self.assertEqual(event, MailFrom(None, {"SIZE": "1234", "BODY": "8BITMIME"}, 1234))
        self.assertEqual(read_mail("FROM:<>  BODY=7BIT ", ALL).parameters, {"BODY": "7BIT"})

    def test_wrong(self) -> None:
        """
        Each wrong parameter has its reply.
        """
        for parameters, code in {
            "SIZE": 501,
            "SIZE=-1": 501,
            "SIZE=123456789012345678901": 501,
            "SIZE=1 size=1": 501,
            "BODY=x": 501,
            "BODY": 501,
            "-X": 501,
            "X=a=b": 501,
            "X=\t": 501,
            "RRVS=x": 555,
        }.items():
            error = self.assertRaises(CommandRefused, read_mail, f"FROM:<a@b.example> {parameters}", ALL)
            self.assertEqual(error.reply.code, code, parameters)

    def test_not_offered(self) -> None:
        """
        A parameter of an extension that is off is unknown.
        """
        for parameters in ("SIZE=1", "BODY=7BIT"):
            error = self.assertRaises(CommandRefused, read_mail, f"FROM:<> {parameters}", offered([]) - ALL)
            self.assertEqual(str(error), "555 5.5.4 parameter not recognized")


class VerbTests(SynchronousTestCase):
    """
    The first word of a line.
    """

    def test_foreign(self) -> None:
        """
        Requests of HTTP and header fields are told apart from mere nonsense.
        """
        for line in (b"GET / HTTP/1.1", b"get /", b"CONNECT x:25 HTTP/1.0", b"Host: x", b"X-Y:z", b"From:a@b"):
            self.assertRaises(ForeignProtocol, split_line, line, VERBS)
        for nonsense in (b"", b" NOOP", b"MAILFROM:<", b": x", b"\xff\xfe", b"HELO\t"):
            self.assertRaises(CommandRefused, split_line, nonsense, VERBS)


class ExtensionTests(SynchronousTestCase):
    """
    What is offered.
    """

    def keywords(self, *off: str, standing: Standing = STRANGER, **changes: object) -> list[str]:
        """
        Tell what the reply to EHLO lists, in its order.
        """
        offering = rules(extensions_off=off, **changes).offering(standing, ("PLAIN", "LOGIN"), "2026-12-31T00:00:00Z")
        return [line[4:] for line in offering.lines.decode().splitlines()]

    def test_all(self) -> None:
        """
        What is honoured is listed, with what it needs to say.
        """
        changes: dict[str, object] = {"starttls": True, "auth": True, "max_recipients": 100, "max_future_release": 60}
        self.assertEqual(
            self.keywords(kind="submission", standing=Standing(xclient=True), **changes),
            [
                "PIPELINING",
                "SIZE 1000000",
                "STARTTLS",
                "AUTH PLAIN LOGIN",
                "8BITMIME",
                "ENHANCEDSTATUSCODES",
                "DSN",
                "SMTPUTF8",
                "CHUNKING",
                "BINARYMIME",
                "DELIVERBY",
                "FUTURERELEASE 60 2026-12-31T00:00:00Z",
                "MT-PRIORITY",
                "LIMITS MAILMAX=1000 RCPTMAX=100",
                "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
            ],
        )
        secure = self.keywords(standing=Standing(secure=True), **changes)
        self.assertFalse({"STARTTLS", "FUTURERELEASE", "XCLIENT"} & {line.split()[0] for line in secure})
        self.assertIn("REQUIRETLS", secure)

    def test_off(self) -> None:
        """
        An extension that is off is not listed and lengthens no line, and those that need it are off, too.
        """
        self.assertEqual(
            self.keywords("SIZE", "PIPELINING", "CHUNKING", "DSN", "DELIVERBY", "MT-PRIORITY", "LIMITS"),
            ["8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"],
        )
        self.assertFalse({Extension.UTF8, Extension.BINARY} & offered(["8BITMIME"]))
        self.assertEqual(self.keywords(*(extension.value for extension in Extension)), [])
        self.assertEqual(set(line_limits(()).values()), {512})
        self.assertEqual(line_limits({Extension.SIZE, Extension.EIGHT_BIT})[Verb.MAIL], 512 + 26 + 17)

    def test_limits(self) -> None:
        """
        Limits that are none are not told.
        """
        self.assertNotIn("LIMITS", " ".join(self.keywords(max_messages=0)))

    def test_latest_release(self) -> None:
        """
        The latest date of a release is told as it is at the time of EHLO.
        """
        own = rules(kind="submission", max_future_release=60)
        for date in ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"):
            self.assertIn(f"FUTURERELEASE 60 {date}\r\n".encode(), own.offering(STRANGER, (), date).lines)
        self.assertIs(own.offering(STRANGER, (), date), own.offering(STRANGER, (), date))
        self.assertNotIn(b"FUTURERELEASE", own.offering(STRANGER, (), "").lines)
