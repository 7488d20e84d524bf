"""
The verbs that change something, but for the queue's.
"""

from __future__ import annotations

from msgspec import json
from twisted.trial.unittest import SynchronousTestCase

from empath.control.terms.delivery import RateLimits, Reset, ResetCircuit, SetRateLimit
from empath.control.terms.dns import (
    CachedAnswer,
    ClearCache,
    Cleared,
    OverrideRow,
    Overrides,
    RefreshDomain,
    Refreshed,
    RemoveOverride,
    SetOverride,
)
from empath.control.terms.safety import (
    Changed,
    ReleaseSender,
    StoppedRow,
    StoppedSenders,
    StopSender,
    Suppress,
    Unsuppress,
)
from empath.control.terms.smtp import Killed, KillSession
from empath.control.terms.spool import Cleaned, CleanUpCompleted, GetSpoolStats
from empath.control.terms.system import LogLevel, Reload, Reloaded, SetLogLevel
from tests.ctl.asked import ran
from tests.ctl.test_looking import SPOOL


class ChangingTests(SynchronousTestCase):
    """
    Requirements on verbs that change something.
    """

    def test_a_log_level_is_set_and_reset(self) -> None:
        """
        It says what is configured while another one is in force.
        """
        got = ran("system", "set-log-level", "debug", answers={SetLogLevel: LogLevel("debug", "info")})
        self.assertEqual(got.asked, [SetLogLevel("debug")])
        self.assertIn("Logging at debug; configured is info.", got.out)
        got = ran("system", "set-log-level", "reset", answers={SetLogLevel: LogLevel("info", "info")})
        self.assertEqual((got.asked, got.out), ([SetLogLevel(None)], "Logging at info, as configured.\n"))
        self.assertEqual(ran("system", "set-log-level", "loud").code, 2)

    def test_a_reload_says_what_it_did(self) -> None:
        """
        What changed, and what waits for a restart.
        """
        answer = Reloaded("/e.toml", ("log.level", "smtp.banner"), ("hostname",), {"hostname": "so begun"})
        got = ran("system", "reload-config", answers={Reload: answer})
        self.assertEqual(
            got.out,
            "/e.toml is in use.\nChanged: log.level, smtp.banner\nOnly a restart applies hostname: so begun\n",
        )
        got = ran("system", "reload-config", answers={Reload: Reloaded("/e.toml", (), ())})
        self.assertIn("nothing in it differs", got.out)

    def test_an_empty_name_is_not_refreshed(self) -> None:
        """
        It is a variable that was never set.
        """
        got = ran("dns", "refresh", "", answers={})
        self.assertEqual((got.code, got.asked), (2, []))
        self.assertIn("an empty name is no domain", got.err)

    def test_sessions_are_ended(self) -> None:
        """
        One by its id at once; all of a peer after a question; nobody is an error.
        """
        answers = {KillSession: Killed(("S1", "S2"))}
        got = ran("smtp", "kill", "S1", answers=answers)
        self.assertEqual((got.asked, got.out), ([KillSession("S1")], "S1 ended.\nS2 ended.\n"))
        self.assertEqual(ran("smtp", "kill", "--peer", "192.0.2.1", answers=answers, typed="n\n").asked, [])
        got = ran("smtp", "kill", "--peer", "192.0.2.1", answers=answers, typed="y\n")
        self.assertEqual(got.asked, [KillSession("", "192.0.2.1")])
        got = ran("smtp", "kill", "--peer", "192.0.2.1", "--yes", answers={KillSession: Killed(())})
        self.assertEqual((got.code, got.out), (1, ""))
        self.assertEqual(ran("smtp", "kill").code, 2)
        self.assertEqual(ran("smtp", "kill", "S1", "--peer", "192.0.2.1").code, 2)

    def test_where_nobody_can_be_asked_nothing_is_done(self) -> None:
        """
        A script must say --yes; a no is told as one.
        """
        got = ran("smtp", "kill", "--peer", "192.0.2.1")
        self.assertEqual((got.code, got.asked), (2, []))
        self.assertIn("--yes", got.err)
        got = ran("smtp", "kill", "--peer", "192.0.2.1", typed="\n")
        self.assertEqual((got.code, got.asked), (1, []))
        self.assertIn("nothing was done", got.err)

    def test_the_dns_cache_is_cleared_and_filled(self) -> None:
        """
        Of a domain or of all.
        """
        got = ran("dns", "clear-cache", answers={ClearCache: Cleared(1200)})
        self.assertEqual((got.asked, got.out), ([ClearCache()], "Forgot 1,200 answers.\n"))
        self.assertEqual(ran("dns", "clear-cache", "d", answers={ClearCache: Cleared(1)}).asked, [ClearCache("d")])
        answer = CachedAnswer("example.org", "MX", "records", ("10 mx",), 300.0, 0.0, "insecure", False)
        got = ran("dns", "refresh", "example.org", answers={RefreshDomain: Refreshed((answer,))})
        self.assertEqual((got.asked, "10 mx" in got.out), ([RefreshDomain("example.org")], True))

    def test_hosts_are_set_by_hand(self) -> None:
        """
        In their order; removing what is not there is an error.
        """
        answers = {SetOverride: Overrides((OverrideRow("d", ("a:25", "b")),), True), RemoveOverride: Overrides(())}
        got = ran("dns", "set-override", "d", "a:25,b", answers=answers)
        self.assertEqual(got.asked, [SetOverride("d", ("a:25", "b"))])
        self.assertEqual(ran("dns", "set-override", "d", answers=answers).code, 2)
        got = ran("dns", "remove-override", "d", answers=answers)
        self.assertEqual((got.code, got.asked), (1, [RemoveOverride("d")]))
        got = ran("dns", "remove-override", "d", answers={RemoveOverride: Overrides((), True)})
        self.assertEqual((got.code, got.out), (0, "No hosts were set by hand.\n"))

    def test_rates_are_set_and_reset(self) -> None:
        """
        "reset" gives the configured one again.
        """
        answers = {SetRateLimit: RateLimits((), "none", "none")}
        self.assertEqual(
            ran("delivery", "set-rate-limit", "d", "10/s", answers=answers).asked, [SetRateLimit("d", "10/s")]
        )
        self.assertEqual(
            ran("delivery", "set-rate-limit", "d", "reset", answers=answers).asked, [SetRateLimit("d", None)]
        )

    def test_a_breaker_is_reset(self) -> None:
        """
        One that nobody knows is an error.
        """
        self.assertEqual(ran("delivery", "reset-circuit", "d", answers={ResetCircuit: Reset(True)}).code, 0)
        self.assertEqual(ran("delivery", "reset-circuit", "d", answers={ResetCircuit: Reset(False)}).code, 1)

    def test_addresses_are_suppressed(self) -> None:
        """
        And get mail again.
        """
        got = ran("suppression", "add", "a@b", "--why", "asked", answers={Suppress: Changed(True)})
        self.assertEqual((got.asked, got.out), ([Suppress("a@b", "asked")], "<a@b> is suppressed.\n"))
        got = ran("suppression", "add", "a@b", answers={Suppress: Changed(True, in_use=False)})
        self.assertIn("The list is not in use", got.err)
        got = ran("suppression", "remove", "a@b", answers={Unsuppress: Changed(False)})
        self.assertEqual((got.code, got.out), (1, ""))

    def test_senders_are_stopped(self) -> None:
        """
        And go on.
        """
        answers = {
            StopSender: StoppedSenders((StoppedRow("login:alice", None, "stolen"),), True),
            ReleaseSender: StoppedSenders((), True),
        }
        got = ran("senders", "stop", "login:alice", "--why", "stolen", answers=answers)
        self.assertEqual(got.asked, [StopSender("login:alice", "stolen")])
        self.assertEqual(ran("senders", "release", "login:alice", answers=answers).out, "No sender is stopped.\n")

    def test_completed_mail_is_deleted_after_a_question(self) -> None:
        """
        With how much it is; nothing is asked about nothing.
        """
        answers = {GetSpoolStats: SPOOL, CleanUpCompleted: Cleaned(0)}
        self.assertEqual(ran("spool", "cleanup-completed", answers=answers).out, "Deleted 0.\n")
        many = json.decode(json.encode(SPOOL).replace(b'"retry":2', b'"completed":3'), type=type(SPOOL))
        answers = {GetSpoolStats: many, CleanUpCompleted: Cleaned(3)}
        got = ran("spool", "cleanup-completed", answers=answers, typed="y\n")
        self.assertIn("Delete 3 completed deliveries? [y/N]", got.err)
        self.assertEqual(got.asked, [GetSpoolStats(), CleanUpCompleted()])
