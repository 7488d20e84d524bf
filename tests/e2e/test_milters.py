"""
Real milters from Debian judge and change mail: rspamd refuses GTUBE, OpenDKIM signs, and one that dies is missed as
configured.
"""

from __future__ import annotations

from typing import Any

import dkim  # type: ignore[import-untyped]  # it has no annotations

from tests.e2e.dialogue import Dialogue, Heard, stuffed
from tests.e2e.harness import EndToEndTestCase, message
from tests.e2e.milters import OpenDkim, Rspamd
from tests.e2e.program import Empath
from tests.e2e.serving import parsed

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
YOU = "you@one.test"
DOMAIN = "origin.test"
MANY = 3


def milter(endpoint: str, name: str = "", on_error: str = "tempfail", **options: Any) -> dict[str, Any]:
    """
    Configure a milter.
    """
    usual = {"endpoint": endpoint, "command_timeout": "10s", "content_timeout": "60s"}
    bounds = {"timeout": "20s", "data_timeout": "60s", "on_error": on_error, "failure_threshold": 50}
    return {"factory": "milter", **({"name": name} if name else {}), **bounds, "options": {**usual, **options}}


class MilterCase(EndToEndTestCase):
    """
    Has a next hop, and starts empath with milters before it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.server = self.peer("127.0.0.11")

    def filtering(self, *milters: dict[str, Any]) -> Empath:
        """
        Start empath with these milters.
        """
        return self.to_peer(self.server, {"modules": list(milters)})

    def assert_code(self, heard: Heard, code: int) -> None:
        """
        The reply has this code.
        """
        self.assertEqual(heard.code, code, str(heard))


class RspamdTests(MilterCase):
    """
    rspamd, with its own rules.
    """

    def setUp(self) -> None:
        super().setUp()
        self.rspamd = Rspamd(self.folder / "rspamd")
        self.addCleanup(self.rspamd.stop)
        self.rspamd.start()

    def test_spam_is_refused_and_ham_is_marked(self) -> None:
        """
        GTUBE is answered with rspamd's own reply; other mail gets its fields, in the same session and others, whether
        the connection is used again or not.
        """
        for keep in (0, 1):
            empath = self.filtering(milter(self.rspamd.endpoint, "rspamd", keep=keep))
            for number in range(MANY):
                ham = f"ham{keep}{number}@one.test"
                with Dialogue(empath.port) as client:
                    client.greet()
                    self.assert_code(client.post("me@origin.test", [YOU], message("spam") + GTUBE + b"\r\n"), 554)
                    self.assertIn("Gtube", str(client.post("me@origin.test", [YOU], message("again") + GTUBE)))
                    self.assert_code(client.post("me@origin.test", [ham], message("hello")), 250)
                stored = self.wait_arrived(self.server, ham)
                fields = parsed(stored)
                self.assertIn("X-Spamd-Bar", fields)
                self.assertIn("Authentication-Results", fields)
                self.assertTrue((stored.content or b"").endswith(b"\r\n\r\nhello\r\n"))
            empath.kill()
        self.assertEqual(self.server.arrived(YOU), [])

    def test_a_large_message(self) -> None:
        """
        It passes through the filter in pieces, unchanged.
        """
        empath = self.filtering(milter(self.rspamd.endpoint))
        body = b"All work and no play makes Jack a dull boy.\r\n" * 20_000
        with Dialogue(empath.port, timeout=90.0) as client:
            client.greet()
            self.assert_code(client.post("me@origin.test", [YOU], message("large") + body), 250)
        self.assertTrue((self.wait_arrived(self.server, YOU).content or b"").endswith(b"\r\nlarge\r\n" + body))

    def test_two_milters(self) -> None:
        """
        Both see the message, the second one what the first one made of it: the signature covers what rspamd added.
        """
        signer = OpenDkim(self.folder / "dkim", DOMAIN, "relaxed/simple")
        self.addCleanup(signer.remove)
        signer.start()
        empath = self.filtering(milter(self.rspamd.endpoint, "rspamd"), milter(signer.endpoint, "opendkim"))
        self.send(empath, [YOU])
        content = self.wait_arrived(self.server, YOU).content or b""
        self.assertIn(b"\r\nX-Spamd-Bar:", content)
        self.assertTrue(dkim.verify(content, dnsfunc=signer.record))


class OpenDkimTests(MilterCase):
    """
    OpenDKIM, which is libmilter's own protocol.
    """

    def signer(self, canonicalization: str = "relaxed/simple", unix: bool = False) -> OpenDkim:
        """
        Start a signer.
        """
        signer = OpenDkim(self.folder / "dkim", DOMAIN, canonicalization, unix)
        self.addCleanup(signer.remove)
        signer.start()
        return signer

    def assert_signed(self, signer: OpenDkim, recipient: str = YOU) -> None:
        """
        The message arrived with a signature that verifies, and does not when it is changed.
        """
        content = self.wait_arrived(self.server, recipient).content or b""
        self.assertIn(b"\r\nDKIM-Signature: ", content)
        self.assertTrue(dkim.verify(content, dnsfunc=signer.record), content)
        self.assertFalse(dkim.verify(content.replace(b"\r\nFrom:", b"\r\nFrom:x", 1), dnsfunc=signer.record))

    def test_signatures_verify(self) -> None:
        """
        By TCP and by UNIX socket, with header and body taken exactly as they are or relaxed, for mail with odd blanks,
        folded fields, 8-bit octets and an empty body.
        """
        odd = b"From:me@origin.test\r\nSubject:  two \r\n\t lines\t\r\nDate:\tnow\r\n"
        contents = (message(), odd + b"\r\n\xc3\xa9 body \r\n\r\n\r\n", odd + b"\r\n", odd)
        for unix, canonicalization in ((False, "simple/simple"), (True, "relaxed/relaxed")):
            signer = self.signer(canonicalization, unix)
            empath = self.filtering(milter(signer.endpoint))
            for number, content in enumerate(contents):
                recipient = f"{number}-{unix}@one.test".lower()
                self.send(empath, [recipient], content)
                self.assert_signed(signer, recipient)
            empath.kill()
            signer.kill()

    def test_it_dies_in_a_session(self) -> None:
        """
        With `tempfail` the transaction answers 451, at once and as long as it is away; once it is back the same session
        goes on, and mail is signed.
        """
        for unix in (False, True):
            signer = self.signer(unix=unix)
            empath = self.filtering(milter(signer.endpoint))
            recipient = f"you-{unix}@one.test".lower()
            with Dialogue(empath.port) as client:
                client.greet()
                self.assert_code(client.say("MAIL FROM:<me@origin.test>"), 250)
                self.assert_code(client.say(f"RCPT TO:<{recipient}>"), 250)
                signer.kill()
                self.assert_code(client.say("RCPT TO:<two@one.test>"), 451)
                self.assert_code(client.say("DATA"), 354)
                client.send(stuffed(message("lost")))
                self.assert_code(client.reply(), 451)
                self.assert_code(client.post("me@origin.test", [recipient], message("lost")), 451)
                signer.start()
                self.assert_code(client.post("me@origin.test", [recipient], message("found")), 250)
            self.assert_signed(signer, recipient)
            self.assertEqual(len(self.server.arrived(recipient)), 1)
            empath.kill()
            signer.kill()

    def test_it_dies_and_is_not_missed(self) -> None:
        """
        With `ignore` the mail passes unsigned.
        """
        signer = self.signer()
        empath = self.filtering(milter(signer.endpoint, on_error="ignore"))
        with Dialogue(empath.port) as client:
            client.greet()
            self.assert_code(client.say("MAIL FROM:<me@origin.test>"), 250)
            signer.kill()
            self.assert_code(client.say(f"RCPT TO:<{YOU}>"), 250)
            self.assert_code(client.say("DATA"), 354)
            client.send(stuffed(message()))
            self.assert_code(client.reply(), 250)
        content = self.wait_arrived(self.server, YOU).content or b""
        self.assertNotIn(b"DKIM-Signature", content)

    def test_it_comes_late(self) -> None:
        """
        Mail that passes without it is not signed, what comes after it is.
        """
        signer = OpenDkim(self.folder / "dkim", DOMAIN, "relaxed/simple")
        self.addCleanup(signer.remove)
        empath = self.filtering(milter(signer.endpoint, on_error="ignore"))
        self.send(empath, ["early@one.test"])
        signer.start()
        self.send(empath, ["late@one.test"])
        self.assert_signed(signer, "late@one.test")
        self.assertNotIn(b"DKIM-Signature", self.wait_arrived(self.server, "early@one.test").content or b"")
