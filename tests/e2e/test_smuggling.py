"""
SMTP smuggling, as SEC Consult published it in 2023: a second message behind something that one server takes for the
end of the first, and another does not. Every line end around the dot that has been tried, in DATA and in BDAT, through
empath to a next hop.

The next hop is strict. That a lax one would not find a second message either follows from what arrives: there is no CR
and no LF in it that is not part of a CRLF, so every server reads the same lines, and each line that begins with a dot
came stuffed.
"""

from __future__ import annotations

import itertools
import re
from typing import Final

from tests.e2e.dialogue import Dialogue
from tests.e2e.harness import message
from tests.e2e.processes import wait_until
from tests.e2e.program import Empath
from tests.e2e.serving import ServingCase
from tests.e2e.storing_session import DEFAULT_EXTENSIONS, Options

ENDS: Final = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\0", b"\0\r\n", b"\x85", b"\xe2\x80\xa8", b"")
CHUNKED: Final = tuple(before + b"." + after for before, after in itertools.product(ENDS, ENDS))
DOTS: Final = tuple(dot for dot in CHUNKED if b"\r\n.\r\n" not in dot)  # those are ends by right in DATA
SECOND: Final = (
    b"MAIL FROM:<evil@origin.test>\r\nRCPT TO:<victim@one.test>\r\nDATA\r\nFrom: <evil@origin.test>\r\n\r\nevil\r\n"
)
FIRST: Final = b"From: <sender@origin.test>\r\nSubject: first\r\n\r\nhello"
BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class SmugglingTests(ServingCase):
    """
    Each sequence in a session of its own.
    """

    def instance(self, bare_newlines: str, *extensions: str) -> Empath:
        """
        Start empath in front of a next hop that offers these extensions besides the usual ones.
        """
        self.server.options = Options(extensions=(*DEFAULT_EXTENSIONS, *extensions))
        empath = self.serving({"smtp": {"bare_newlines": bare_newlines}})
        empath.start()
        return empath

    def begin(self, empath: Empath, nth: int, parameters: str = "") -> Dialogue:
        """
        Go on to where the content begins.
        """
        client = Dialogue(empath.port)
        self.addCleanup(client.close)
        client.greet()
        self.assertEqual(client.say(f"MAIL FROM:<sender@origin.test>{parameters}").code, 250)
        self.assertEqual(client.say(f"RCPT TO:<you{nth}@one.test>").code, 250)
        return client

    def assert_one_reply(self, client: Dialogue, what: bytes) -> bool:
        """
        There is one reply to the content, and the session goes on; tells whether the message was accepted.
        """
        heard = client.reply()
        self.assertIn(heard.code, (250, 550), f"{what!r}: {heard}")
        self.assertEqual(heard.lines[0][0], str(heard.code)[0], f"{what!r}: {heard}")
        client.send(b"VRFY a\r\n")
        self.assertEqual(client.reply().code, 252, repr(what))
        client.close()
        return heard.code == 250

    def assert_nothing_smuggled(self, empath: Empath, accepted: list[int]) -> None:
        """
        Exactly the accepted ones arrive, each once, from its sender, without a bare CR or LF.
        """
        wait_until("all arrived", lambda: len(self.server.stored) >= len(accepted), 60)
        self.send(empath, ["last@one.test"])
        self.wait_arrived(self.server, "last@one.test")
        arrived = sorted(each.recipients[0] for each in self.server.stored)
        self.assertEqual(arrived, sorted(["last@one.test", *(f"you{nth}@one.test" for nth in accepted)]))
        for each in self.server.stored:
            self.assertEqual(each.sender, "sender@origin.test")
            self.assertIsNone(BARE.search(each.content or b""), repr(each.content))

    def through_data(self, empath: Empath) -> list[int]:
        """
        Send all of them in DATA; tells which were accepted.
        """
        accepted = []
        for nth, dot in enumerate(DOTS):
            client = self.begin(empath, nth)
            self.assertEqual(client.say("DATA").code, 354)
            client.send(FIRST + dot + SECOND + b".\r\n")
            if self.assert_one_reply(client, dot):
                accepted.append(nth)
        return accepted

    def through_bdat(self, empath: Empath, parameters: str = "") -> list[int]:
        """
        Send all of them in BDAT, cut in the middle of the sequence; tells which were accepted.
        """
        accepted = []
        for nth, dot in enumerate(CHUNKED):
            client = self.begin(empath, nth, parameters)
            first, second = FIRST + dot[:-1], dot[-1:] + SECOND + b".\r\n"
            client.send(b"BDAT %d\r\n%bBDAT %d LAST\r\n%b" % (len(first), first, len(second), second))
            heard = client.reply()
            self.assertEqual(heard.code, 250, f"{dot!r}: {heard}")
            if self.assert_one_reply(client, dot):
                accepted.append(nth)
        return accepted

    def test_data_by_default(self) -> None:
        empath = self.instance("reject")
        accepted = self.through_data(empath)
        bare = [nth for nth, dot in enumerate(DOTS) if BARE.search(b"o" + dot + b"M")]
        self.assertEqual(set(accepted) & set(bare), set())
        self.assert_nothing_smuggled(empath, accepted)

    def test_data_normalized(self) -> None:
        empath = self.instance("normalize")
        self.assert_nothing_smuggled(empath, self.through_data(empath))

    def test_bdat_by_default(self) -> None:
        empath = self.instance("reject")
        accepted = self.through_bdat(empath)
        bare = [nth for nth, dot in enumerate(CHUNKED) if BARE.search(b"o" + dot + b"M")]
        self.assertEqual(set(accepted) & set(bare), set())
        self.assert_nothing_smuggled(empath, accepted)

    def test_bdat_normalized_to_a_next_hop_with_chunking(self) -> None:
        empath = self.instance("normalize", "CHUNKING")
        self.assert_nothing_smuggled(empath, self.through_bdat(empath))

    def test_binary_content_to_a_next_hop_without_binarymime(self) -> None:
        """
        What is binary by right (RFC 3030) does not leave as text: it is encoded, or returned to its sender.
        """
        empath = self.instance("reject", "CHUNKING")
        accepted = self.through_bdat(empath, " BODY=BINARYMIME")
        self.assertEqual(len(accepted), len(CHUNKED))
        wait_until("all done", lambda: len(self.server.stored) >= len(accepted), 60)
        self.assertEqual(self.server.arrived("victim@one.test"), [])
        for each in self.server.stored:
            self.assertIn(each.sender, ("sender@origin.test", ""))
            self.assertIsNone(BARE.search(each.content or b""), repr(each.content))

    def test_a_dot_at_the_edges_of_a_chunk_is_content(self) -> None:
        empath = self.instance("reject")
        client = self.begin(empath, 0)
        chunks = (message() + b"\r\n", b".", b"\r", b"\n", b"..", b"\r\n.\r\n")
        for chunk in chunks:
            client.send(b"BDAT %d\r\n%b" % (len(chunk), chunk))
            self.assertEqual(client.reply().code, 250)
        client.send(b"BDAT 0 LAST\r\n")
        self.assertTrue(self.assert_one_reply(client, b""))
        self.assert_relayed(self.arrived("you0@one.test").content, b"".join(chunks))
