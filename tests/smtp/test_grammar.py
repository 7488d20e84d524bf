"""
Paths and parameters of commands.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.errors import CommandRefused
from empath.mail.address import Address
from empath.smtp.command import ForeignProtocol, read_mail, read_rcpt, split_line
from empath.smtp.events import MailFrom, RcptTo
from empath.smtp.extension import Extension, keyword_lines, line_limit, offered
from empath.smtp.grammar import read_forward_path, read_reverse_path, split_path

ALL = frozenset(Extension)


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
        self.assertEqual(read_rcpt("to:<A.b+c@Example.ORG>"), RcptTo(address, {}))

    def test_null(self) -> None:
        """
        The null reverse-path is no address, and no forward-path.
        """
        self.assertEqual(read_mail("FROM:<>", ALL), MailFrom(None, {}))
        self.assertRaises(CommandRefused, read_rcpt, "TO:<>")

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
        self.assertEqual(read_rcpt(f"TO:<{fits}>").address.text, fits)
        self.assertRaises(ValueError, split_path, f"<u{fits}>")
        self.assertRaises(CommandRefused, read_rcpt, f"TO:<u@{'x' * 64}.example>")
        self.assertRaises(CommandRefused, read_rcpt, f"TO:<{'u' * 65}@b.example>")
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
        self.assertEqual(event, MailFrom(None, {"SIZE": "1234", "BODY": "8bitMIME"}, 1234))
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
            "BODY=BINARYMIME": 555,
            "SMTPUTF8": 555,
            "AUTH=<>": 555,
        }.items():
            error = self.assertRaises(CommandRefused, read_mail, f"FROM:<a@b.example> {parameters}", ALL)
            self.assertEqual(error.reply.code, code if parameters != "AUTH=<>" else 555, parameters)

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
            self.assertRaises(ForeignProtocol, split_line, line)
        for nonsense in (b"", b" NOOP", b"MAILFROM:<", b": x", b"\xff\xfe", b"HELO\t"):
            self.assertRaises(CommandRefused, split_line, nonsense)


class ExtensionTests(SynchronousTestCase):
    """
    What is offered.
    """

    def test_off(self) -> None:
        """
        An extension that is off is not listed and lengthens no line.
        """
        self.assertEqual(keyword_lines(offered(["SIZE", "PIPELINING"]), 5), ["8BITMIME", "ENHANCEDSTATUSCODES"])
        self.assertEqual(line_limit(offered(["SIZE", "8BITMIME"])), 512)
        self.assertEqual(keyword_lines(offered([]), 0)[1], "SIZE 0")
