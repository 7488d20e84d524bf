"""
A milter that fails at any step, in any way: the step fails, nothing is left behind, and the next message passes.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.python.failure import Failure

from empath.modules import MaybeVerdict
from empath.modules.builtin.milter.codec import MilterError
from tests.modules.milter.fakes import SILENT, FakeContent, options, packet, recipient, session, transaction
from tests.modules.milter.test_module import MilterCase

FAILINGS = {
    "hangs up": b"",
    "half a length": b"\0\0",
    "half a packet": packet(b"hX-A\0b\0")[:-3],
    "an empty packet": b"\0\0\0\0",
    "a huge one": struct.pack("!I", 0xFFFFFFFF) + b"h",
    "nonsense": packet(b"\0\xff"),
    "two answers": packet(b"c") + packet(b"c"),
    "an answer with more": packet(b"cx"),
    "half of a body": packet(b"bnew")[:6],
    "changes": packet(b"hX-A\0b\0") + packet(b"bnew") + packet(b"qodd") + packet(b"+<x@y.test>\0"),
    "progress": packet(b"p") * 3,
    "silence": b"",
}
HEADER = b"Subject: hello\r\n"


class FailingTests(MilterCase):
    """
    Failures of every kind.
    """

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from("OCHMRTLNBE"), st.sampled_from(sorted(FAILINGS)), st.booleans(), st.integers(0, 1))
    def test_any_failure_at_any_step(self, letter: str, how: str, silent: bool, keep: int) -> None:
        """
        A step either has no opinion or fails. Once the milter is well, messages pass, of this session and of others,
        through the only connection there may be; in the end nothing is open and nothing is due.
        """
        self.setUp()
        if silent:
            self.milter.negotiated, self.milter.silent = options(flags=SILENT), b"DAQKCHMRTLNB"
        self.module = self.made(max_connections=1, keep=keep)
        self.milter.answers[letter] = [lambda: self.fail_so(how)]
        self.judge(True, may_fail=True)
        self.milter.answers.clear()
        self.judge(False)
        self.module.on_connection_closed(self.session)
        self.session = session(number=2, name="client.test")
        self.judge(True)
        self.module.on_connection_closed(self.session)
        self.module.stop()
        self.assertTrue(all(wire.lost for wire in self.milter.connections))
        self.assertEqual(self.services.clock.getDelayedCalls(), [])

    def fail_so(self, how: str) -> None:
        """
        Let the milter say something and, unless it keeps silent, hang up.
        """
        wire = self.milter.connections[-1]
        wire.deliver(FAILINGS[how])
        if how != "silence":
            wire.lose()

    def judge(self, new: bool, may_fail: bool = False) -> None:
        """
        Bring one message through all hooks, of a new session or of one that goes on.
        """
        self.transaction, self.content, said = transaction(), FakeContent(HEADER), recipient()
        if new:
            self.ended(self.module.connect(self.session), may_fail)
            self.ended(self.module.ehlo(self.session, "client.test"), may_fail)
        self.ended(self.module.mail_from(self.session, self.transaction), may_fail)
        self.ended(self.module.rcpt_to(self.session, self.transaction, said), may_fail)
        self.transaction.accept(said)
        self.ended(self.module.data(self.session, self.transaction, self.content), may_fail)
        self.assertEqual((self.content.header, len(self.transaction.recipients)), (HEADER, 1))

    def ended(self, answer: MaybeVerdict | Awaitable[MaybeVerdict], may_fail: bool) -> None:
        """
        A step ends, within its time.
        """
        if not isinstance(answer, Awaitable):
            self.assertIs(answer, None)
            return
        found: list[Any] = []
        self.deferred(answer).addBoth(found.append)
        if not found:
            self.services.clock.advance(301)
        [result] = found
        if isinstance(result, Failure):
            self.assertTrue(may_fail and result.check(MilterError), result.getTraceback())
        else:
            self.assertIs(result, None)
