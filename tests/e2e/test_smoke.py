"""
The main job in its smallest form.
"""

from __future__ import annotations

from tests.e2e.harness import EndToEndTestCase, message


class SmokeTests(EndToEndTestCase):
    """
    One message through a real process.
    """

    def test_a_message_arrives_unchanged_and_sigterm_ends_with_zero(self) -> None:
        peer = self.peer("127.0.0.11")
        empath = self.to_peer(peer)
        self.send(empath, ["you@one.test"], message())
        stored = self.wait_arrived(peer, "you@one.test")
        self.assert_relayed(stored.content, message())
        self.assertEqual(empath.stop(), 0)
