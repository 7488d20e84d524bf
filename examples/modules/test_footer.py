"""
A footer where it can be read, and nowhere else.
"""

from __future__ import annotations

from quopri import decodestring

from footer import Footer
from twisted.trial.unittest import SynchronousTestCase

from empath.testing import Mta

CONFIG = '[relay]\nnetworks = ["192.0.2.0/24"]\n'
TEXT = "Example Ltd, Zürich"
ASCII = "Example Ltd"


class FooterTests(SynchronousTestCase):
    """
    Mail from a client that may relay, to an address elsewhere.
    """

    def delivered(
        self, header: str, body: bytes, text: str = TEXT, to: str = "you@example.com", peer: str = "192.0.2.7"
    ) -> bytes:
        """
        Send a message; gives the body that arrived.
        """
        mta = Mta([(Footer, {"text": text})], domains=["example.org"], config=CONFIG)
        self.addCleanup(mta.stop)
        mta.peer(to.partition("@")[2])
        content = f"Subject: hello\r\n{header}\r\n".encode() + body
        reply = mta.client(peer).send("me@example.org", [to], content, "BODY=8BITMIME")
        self.assertEqual(reply[:9], "250 2.0.0")
        mta.advance(1)
        [message] = mta.peer(to.partition("@")[2]).messages
        return message.body

    def test_plain_text_gets_it(self) -> None:
        """
        In the body's own character set and encoding.
        """
        plain = "Content-Type: text/plain; charset={}\r\nContent-Transfer-Encoding: {}\r\n"
        expected = "Hello.\r\n\r\n-- \r\nExample Ltd, Zürich\r\n"
        self.assertEqual(self.delivered(plain.format("utf-8", "8bit"), b"Hello.\r\n"), expected.encode())
        latin = self.delivered(plain.format("ISO-8859-1", "8BIT"), b"Hello.\r\n")
        self.assertEqual(latin, expected.encode("latin-1"))
        quoted = self.delivered(plain.format("utf-8", "quoted-printable"), b"Gr=C3=BC=C3=9Fe.\r\n")
        self.assertTrue(quoted.isascii())
        self.assertEqual(decodestring(quoted).decode(), expected.replace("Hello", "Grüße"))
        self.assertTrue(self.delivered("", b"Hello.\r\n", ASCII).endswith(b"-- \r\nExample Ltd\r\n"))

    def test_all_else_passes_as_it_came(self) -> None:
        """
        What has parts, is signed, encoded, an attachment, or cannot say the footer.
        """
        for header in (
            'Content-Type: multipart/signed; boundary="x"\r\n',
            'Content-Type: multipart/mixed; boundary="x"\r\n',
            "Content-Type: text/html\r\n",
            "Content-Type: application/pkcs7-mime\r\n",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",  # 7bit, and the footer is not
            "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 8bit\r\n",
            "Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: 8bit\r\n",
            "Content-Type: text/plain; charset=no-such-thing\r\nContent-Transfer-Encoding: 8bit\r\n",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
            "DKIM-Signature: v=1; a=rsa-sha256\r\n",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
            "Content-Disposition: attachment; filename=a.txt\r\n",
        ):
            self.assertEqual(self.delivered(header, b"Hello.\r\n"), b"Hello.\r\n", header)

    def test_mail_for_our_own_people_and_from_strangers_stays_as_it_is(self) -> None:
        """
        A disclaimer is for those outside, from those inside.
        """
        for to, peer in (("you@example.org", "192.0.2.7"), ("you@example.org", "198.51.100.99")):
            self.assertEqual(self.delivered("", b"Hello.\r\n", ASCII, to, peer), b"Hello.\r\n")

    def test_no_text_stops_the_start(self) -> None:
        """
        Told by the constructor.
        """
        self.assertRaises(ValueError, Footer, " ")
