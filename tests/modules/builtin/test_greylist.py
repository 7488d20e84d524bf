"""
Greylisting: who is asked to come again, who passes, what is remembered, also after a restart.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.errors import StorageError
from empath.mail.address import parse_address
from empath.mail.session import Session, Transaction
from empath.modules import IModule, Recipient, Verdict
from empath.modules.builtin.greylist import Greylist
from empath.modules.builtin.greylist_keys import client_network, sender_key, triplet_key
from tests.modules.builtin.lists import ListServices
from tests.modules.support import recipient, session, transaction

MINUTE = 60
DAY = 86400
PEER = "203.0.113.1"


class SlowStorage:
    """
    A storage whose operations wait until `go`, and fail while there is a `failure`.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.failure: Exception | None = None
        self.waiting: list[tuple[Callable[..., Any], tuple[Any, ...], Deferred[Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Deferred[Any]]:
        """
        Give `get` or `put`.
        """

        def later(*arguments: Any) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            self.waiting.append((getattr(self.storage, name), arguments, done))
            return done

        return later

    def go(self) -> None:
        """
        Do all that waits, and what is asked for because of it, in turns.
        """
        while self.waiting:
            asked, self.waiting = self.waiting, []
            for call, arguments, done in asked:
                if self.failure is not None:
                    done.errback(self.failure)
                else:
                    call(*arguments).chainDeferred(done)


class GreylistCase(SynchronousTestCase):
    """
    A module with a file to remember in.
    """

    def setUp(self) -> None:
        """
        Begin with an empty file.
        """
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        self.services = ListServices(os.path.join(folder, "storage.sqlite"))
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.services.storages.close())))
        self.module = self.started()

    def started(self, **written: Any) -> Greylist:
        """
        Make a started module.
        """
        module = Greylist(**written)
        module.start(self.services)
        return module

    def restart(self, **written: Any) -> None:
        """
        Begin again with what is on the disk.
        """
        self.successResultOf(Deferred.fromCoroutine(self.services.storages.close()))
        self.services.storages.open()
        self.module = self.started(**written)

    def ask(
        self, client: Session | None = None, mail: Transaction | None = None, to: Recipient | None = None
    ) -> Deferred[Verdict | None]:
        """
        Ask the module.
        """
        told = self.module.rcpt_to(client or session(PEER), mail or transaction(), to or recipient())
        assert told is not None and not isinstance(told, Verdict)
        return Deferred.fromCoroutine(told)  # type: ignore[arg-type]

    def reply(self, peer: str = PEER, sender: str | None = "sender@example.com", to: str = "user@example.org") -> str:
        """
        Tell what a client hears, "" if it passes.
        """
        mail = transaction(sender)
        told = self.module.rcpt_to(session(peer), mail, recipient(to))
        verdict: Verdict | None = None
        if told is not None and not isinstance(told, Verdict):
            verdict = self.successResultOf(told)  # type: ignore[arg-type]
        return "" if verdict is None else str(verdict.reply)

    def wait(self, seconds: float) -> None:
        """
        Let time go by.
        """
        self.services.clock.advance(seconds)

    def passed(self, peer: str = PEER, sender: str = "sender@example.com", to: str = "user@example.org") -> None:
        """
        Be refused, come again, and pass.
        """
        self.assertNotEqual(self.reply(peer, sender, to), "")
        self.wait(6 * MINUTE)
        self.assertEqual(self.reply(peer, sender, to), "")


class TripletTests(GreylistCase):
    """
    One client, one sender, one recipient.
    """

    def test_it_is_a_module(self) -> None:
        """
        It provides what every module does.
        """
        verifyObject(IModule, self.module)

    def test_who_comes_again_passes(self) -> None:
        """
        Not before the delay, which is told each time; then at once, and the message knows of its delay.
        """
        self.assertEqual(self.reply(), "450 4.2.0 greylisted, try again in 300 s")
        self.wait(60.5)
        self.assertEqual(self.reply(), "450 4.2.0 greylisted, try again in 240 s")
        self.wait(239)
        self.assertEqual(self.reply(), "450 4.2.0 greylisted, try again in 1 s")
        self.wait(0.5)
        mail = transaction()
        self.assertIsNone(self.successResultOf(self.ask(mail=mail)))
        self.assertEqual(mail.metadata, {"greylist": "delayed 300 s"})
        later = transaction()
        self.assertIsNone(self.successResultOf(self.ask(mail=later)))
        self.assertEqual(later.metadata, {})
        self.assertEqual(self.services.counted, {"new": 1, "early": 2, "passed": 1, "known": 1})

    def test_all_of_it_survives_restarts(self) -> None:
        """
        Refused, restarted, passed, restarted, known.
        """
        self.reply()
        self.wait(6 * MINUTE)
        self.restart()
        self.assertEqual(self.reply(), "")
        self.restart()
        self.assertEqual(self.reply(), "")
        self.assertEqual(self.services.counted, {"new": 1, "passed": 1, "known": 1})

    def test_whoever_comes_too_late_begins_anew(self) -> None:
        """
        After the window nobody is waited for any more.
        """
        self.reply()
        self.wait(2 * DAY)
        self.assertIn("in 300 s", self.reply())

    def test_what_has_passed_is_kept_while_it_is_in_use(self) -> None:
        """
        Thirty-five days from the last mail on, not from the first.
        """
        self.passed()
        for _ in range(3):
            self.wait(34 * DAY)
            self.assertEqual(self.reply(), "")
        self.wait(35 * DAY)
        self.assertIn("in 300 s", self.reply())

    def test_another_host_of_the_network_may_come_again(self) -> None:
        """
        The /24 and the /64 count, unless the operator says otherwise.
        """
        self.reply("203.0.113.1")
        self.reply("2001:db8::1")
        self.wait(6 * MINUTE)
        self.assertEqual(self.reply("203.0.113.200"), "")
        self.assertEqual(self.reply("2001:db8::ffff:1"), "")
        self.assertNotEqual(self.reply("203.0.114.1"), "")
        self.assertNotEqual(self.reply("2001:db8:0:1::1"), "")
        self.restart(ipv4_prefix=32, ipv6_prefix=128)
        self.assertNotEqual(self.reply("203.0.113.200"), "")
        self.assertNotEqual(self.reply("2001:db8::1"), "")

    def test_each_triplet_is_its_own(self) -> None:
        """
        Another sender or recipient waits again; the null reverse-path is a sender like others.
        """
        self.passed()
        self.assertNotEqual(self.reply(sender="other@example.com"), "")
        self.assertNotEqual(self.reply(to="other@example.org"), "")
        self.assertNotEqual(self.reply(sender=None), "")
        self.wait(6 * MINUTE)
        self.assertEqual(self.reply(sender=None), "")

    def test_a_clock_that_was_set_back(self) -> None:
        """
        Whoever was seen in the future begins anew, and waits no longer than others.
        """
        key = triplet_key("203.0.113.0/24", parse_address("sender@example.com"), parse_address("user@example.org"))
        self.successResultOf(self.services.storages.of("module").put(key, f"0 {self.services.clock.seconds() + DAY}"))
        self.assertIn("in 300 s", self.reply())
        self.wait(5 * MINUTE)
        self.assertEqual(self.reply(), "")

    def test_a_record_that_cannot_be_read(self) -> None:
        """
        It is as if there were none.
        """
        key = triplet_key("203.0.113.0/24", parse_address("sender@example.com"), parse_address("user@example.org"))
        for value in ("", "x", "1", "1 x", "1 nan", "1 2 3"):
            self.successResultOf(self.services.storages.of("module").put(key, value))
            self.assertIn("in 300 s", self.reply(), value)


class ClientTests(GreylistCase):
    """
    Clients that have shown that they come again.
    """

    def test_a_client_that_passed_five_times_is_known(self) -> None:
        """
        Then nobody of its network waits, and nothing is looked up.
        """
        for number in range(5):
            self.assertNotEqual(self.reply(sender=f"{'abcde'[number]}@example.com"), "")
        self.wait(6 * MINUTE)
        for number in range(4):
            self.assertEqual(self.reply(sender=f"{'abcde'[number]}@example.com"), "")
        self.assertNotEqual(self.reply(sender="stranger@example.com"), "")
        self.assertEqual(self.reply(sender="e@example.com"), "")
        self.assertEqual(self.reply("203.0.113.9", "another@example.com"), "")
        self.assertIsNone(self.module.rcpt_to(session(PEER), transaction("x@example.com"), recipient()))
        self.assertEqual(self.services.counted["client"], 2)
        self.restart()
        self.assertEqual(self.reply(sender="y@example.com"), "")

    def test_it_is_kept_while_it_is_in_use(self) -> None:
        """
        Thirty-five days from the last mail on, as far as a day's fraction.
        """
        self.restart(auto_allow=1)
        self.passed()
        for number in range(40):
            self.wait(DAY)
            self.assertEqual(self.reply(sender=f"{'x' * (number + 1)}@example.com"), "")
        self.wait(35 * DAY)
        self.assertNotEqual(self.reply(sender="z@example.com"), "")

    def test_one_after_the_other(self) -> None:
        """
        Whoever comes while a key has passed on to the next one waits too; and at the end nothing is left of it.
        """
        doors: list[Deferred[None]] = [Deferred() for _ in range(3)]
        inside: list[int] = []

        async def enter(number: int) -> None:
            async with self.module._turn("key"):
                inside.append(number)
                await doors[number]

        first = [Deferred.fromCoroutine(enter(number)) for number in (0, 1)]
        doors[0].callback(None)
        self.assertEqual(inside, [0, 1])
        last = Deferred.fromCoroutine(enter(2))
        self.assertEqual(inside, [0, 1])
        doors[1].callback(None)
        self.assertEqual(inside, [0, 1, 2])
        doors[2].callback(None)
        for done in (*first, last):
            self.successResultOf(done)
        self.assertEqual(self.module._locks, {})

    def test_it_can_be_switched_off(self) -> None:
        """
        With 0 every triplet waits, even from a network that was known before.
        """
        self.restart(auto_allow=1)
        self.passed()
        self.restart(auto_allow=0)
        for sender in ("a@example.com", "b@example.com", "c@example.com"):
            self.passed(sender=sender)
        self.assertNotEqual(self.reply(sender="d@example.com"), "")

    def test_how_many_are_remembered_is_bounded(self) -> None:
        """
        The oldest are looked up again.
        """
        self.restart(auto_allow=1)
        self.patch(__import__("empath.modules.builtin.greylist", fromlist=["x"]), "MOST_REMEMBERED", 2)
        for number in range(4):
            peer = f"198.51.{number}.1"
            self.passed(peer)
            self.assertEqual(self.reply(peer), "")
        self.assertEqual(list(self.module._allowed), ["198.51.2.0/24", "198.51.3.0/24"])


class ExemptTests(GreylistCase):
    """
    Who never waits.
    """

    def at_once(self, client: Session, mail: Transaction | None = None, to: str = "user@example.org") -> bool:
        """
        Tell whether somebody passes without a look into the storage.
        """
        told = self.module.rcpt_to(client, mail or transaction(), recipient(to))
        if told is not None and not isinstance(told, Verdict):
            told.close()  # type: ignore[attr-defined]
        return told is None

    def test_who_may_relay_never_waits(self) -> None:
        """
        By network, by login, on a UNIX socket.
        """
        self.assertTrue(self.at_once(session(PEER, trusted=True)))
        self.assertTrue(self.at_once(session(PEER, login="tim")))
        self.assertTrue(self.at_once(session("unix")))
        self.assertFalse(self.at_once(session(PEER)))

    def test_exempt_clients_senders_and_recipients(self) -> None:
        """
        As the operator lists them.
        """
        self.restart(
            exempt=["198.51.100.0/24", "2001:db8::/32"],
            exempt_senders=["@example.com", "<>"],
            exempt_recipients=["postmaster@"],
        )
        other = transaction("me@example.net")
        self.assertTrue(self.at_once(session("198.51.100.7"), other))
        self.assertTrue(self.at_once(session("2001:db8::7"), other))
        self.assertFalse(self.at_once(session(PEER), other))
        self.assertTrue(self.at_once(session(PEER), transaction("anyone@example.com")))
        self.assertTrue(self.at_once(session(PEER), transaction(None)))
        self.assertTrue(self.at_once(session(PEER), other, "Postmaster@example.org"))

    def test_domains_can_choose_it(self) -> None:
        """
        Where domains are listed, recipients of others never wait.
        """
        self.restart(domains=["example.org", ".example.net"])
        self.assertFalse(self.at_once(session(PEER), to="user@example.org"))
        self.assertFalse(self.at_once(session(PEER), to="user@sub.example.net"))
        self.assertTrue(self.at_once(session(PEER), to="user@example.com"))


class ConcurrencyTests(GreylistCase):
    """
    Sessions that come at once, and storage that takes its time or fails.
    """

    def setUp(self) -> None:
        """
        Let the storage be slow.
        """
        super().setUp()
        self.storage = SlowStorage(self.services.storage)
        self.services.storage = self.storage  # type: ignore[assignment]
        self.module = self.started(auto_allow=2)

    def told(self, waiting: list[Deferred[Verdict | None]]) -> list[str]:
        """
        Tell the replies.
        """
        self.storage.go()
        verdicts = [self.successResultOf(one) for one in waiting]
        return ["" if verdict is None else str(verdict.reply) for verdict in verdicts]

    def test_the_same_triplet_from_two_sessions(self) -> None:
        """
        It is first seen once, and passes once.
        """
        self.assertEqual(self.told([self.ask(), self.ask()]), ["450 4.2.0 greylisted, try again in 300 s"] * 2)
        self.assertEqual(self.services.counted, {"new": 1, "early": 1})
        self.wait(6 * MINUTE)
        self.assertEqual(self.told([self.ask(), self.ask(), self.ask()]), ["", "", ""])
        self.assertEqual(self.services.counted, {"new": 1, "early": 1, "passed": 1, "known": 2})
        self.assertEqual(self.module._locks, {})

    def test_several_triplets_of_a_client(self) -> None:
        """
        They do not wait for one another, and each is counted for the client.
        """
        recipients = [recipient("a@example.org"), recipient("b@example.org")]
        refused = [self.ask(to=to) for to in recipients]
        self.assertEqual(len(self.storage.waiting), 4)
        self.told(refused)
        self.wait(6 * MINUTE)
        self.assertEqual(self.told([self.ask(to=to) for to in recipients]), ["", ""])
        self.assertEqual(self.told([self.ask(to=recipient("c@example.org"))]), [""])
        self.assertEqual(self.services.counted["client"], 1)

    def test_a_storage_that_fails(self) -> None:
        """
        The hook fails, so that `on_error` decides, and the next one is not held up.
        """
        self.storage.failure = StorageError("no room")
        first, second = self.ask(), self.ask()
        self.storage.go()
        self.failureResultOf(first, StorageError)
        self.failureResultOf(second, StorageError)
        self.storage.failure = None
        self.assertIn("in 300 s", self.told([self.ask()])[0])
        self.assertEqual(self.module._locks, {})

    def test_a_session_that_gives_up(self) -> None:
        """
        Whoever waits behind it goes on.
        """
        first, second, third = self.ask(), self.ask(), self.ask()
        second.cancel()
        first.cancel()
        self.failureResultOf(first)
        self.failureResultOf(second)
        self.storage.waiting = [waiting for waiting in self.storage.waiting if not waiting[2].called]
        self.assertIn("in 300 s", self.told([third])[0])
        self.assertEqual(self.module._locks, {})


class KeyTests(SynchronousTestCase):
    """
    What mail is known by.
    """

    def test_what_changes_from_mail_to_mail_does_not_count(self) -> None:
        """
        Numbers and ids in the local part, tags of BATV and SRS; case neither.
        """
        for left, right in (
            ("bounce-1234-user=example.org@list.example", "bounce-99-user=example.org@list.example"),
            ("0100018f7c2a-4d3e@ses.example", "0200018f7c2b-9d3f@ses.example"),
            ("prvs=3215ab8f2c=user@a.example", "prvs=9999cc8f2d=User@A.example"),
            ("SRS0=Ab+c=7X=b.example=user@a.example", "SRS0=Zz=8Y=b.example=user@a.example"),
            ("SRS1=ab=c.example==Ab=7X=b.example=user@a.example", "SRS1=xy=c.example==Zz=8Y=b.example=user@a.example"),
        ):
            self.assertEqual(sender_key(parse_address(left)), sender_key(parse_address(right)), left)
        for left, right in (
            ("john@a.example", "mary@a.example"),
            ("john@a.example", "john@a1.example"),
            ("srs0=ab=7x=b.example=john@a.example", "srs0=ab=7x=b.example=mary@a.example"),
            ("a-b@a.example", "ab@a.example"),
        ):
            self.assertNotEqual(sender_key(parse_address(left)), sender_key(parse_address(right)), left)
        self.assertEqual(sender_key(None), "<>")

    def test_keys_fit_the_storage(self) -> None:
        """
        The longest addresses do.
        """
        domain = ".".join(["d" * 62] * 4)
        longest = parse_address(f"{'l' * 64}@{domain}")
        self.assertLess(len(triplet_key("2001:db8:ffff:ffff::/64", longest, longest)), 1000)

    def test_networks(self) -> None:
        """
        IPv4-mapped addresses are IPv4; zones do not count.
        """
        self.assertEqual(client_network("192.0.2.77", 24, 64), "192.0.2.0/24")
        self.assertEqual(client_network("::ffff:192.0.2.77", 24, 64), "192.0.2.0/24")
        self.assertEqual(client_network("fe80::1%eth0", 24, 64), "fe80::/64")

    def test_what_cannot_be_used_is_refused(self) -> None:
        """
        The text names the option.
        """
        wrong: list[dict[str, Any]] = [
            {"delay": "soon"},
            {"window": 0},
            {"window": "5m"},
            {"keep": -1},
            {"auto_allow": -1},
            {"auto_allow": True},
            {"domains": ["no domain"]},
            {"exempt": ["nowhere"]},
            {"exempt_senders": ["a b@c"]},
            {"exempt_recipients": 7},
            {"ipv4_prefix": 33},
            {"ipv6_prefix": 129},
            {"reply": "550 5.7.1 no"},
            {"reply": "450 {who}"},
            {"reply": "450 {"},
            {"reply": "later"},
        ]
        for written in wrong:
            problem = self.assertRaises(ValueError, Greylist, **written)
            self.assertTrue(str(problem).startswith(next(iter(written))), (written, str(problem)))
