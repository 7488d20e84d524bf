"""
DNS lists: who is asked about, what an answer means, when the client hears of it.
"""

from __future__ import annotations

import gc
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.mail.session import Session, Transaction
from empath.modules import Answer, IModule, Verdict
from empath.modules.builtin.dnsbl import Dnsbl
from empath.modules.builtin.dnsbl_zones import client_label, domain_label, read_zones
from tests.modules.builtin.lists import ListServices
from tests.modules.support import recipient, session, transaction

LISTED = "1.113.0.203.bl.example"
PEER = "203.0.113.1"


class DnsblCase(SynchronousTestCase):
    """
    A module, a DNS, and one session.
    """

    def setUp(self) -> None:
        """
        Begin with an empty DNS.
        """
        self.services = ListServices()
        self.session = session(PEER, name="client.example.net")
        self.transaction = transaction()

    def module(self, **written: Any) -> Dnsbl:
        """
        Make a started module; one list if nothing else is written.
        """
        module = Dnsbl(**({"zones": ["bl.example"]} | written))
        module.start(self.services)
        return module

    def lists(self, name: str = LISTED, *addresses: str) -> None:
        """
        Put a name on a list.
        """
        self.services.zones[name, "A"] = addresses or ("127.0.0.2",)

    def verdict(self, told: object) -> Verdict | None:
        """
        Give what a hook told, at once or by a coroutine that has ended.
        """
        if told is None or isinstance(told, Verdict):
            return told
        verdict: Verdict | None = self.successResultOf(told)  # type: ignore[arg-type]
        return verdict

    def judge(self, module: Dnsbl, whose: Session | None = None, about: Transaction | None = None) -> str:
        """
        Go through a session up to RCPT; tells the reply, "" if nothing was refused.
        """
        client, mail = whose or self.session, about or self.transaction
        for told in (
            module.connect(client),
            module.mail_from(client, mail),
            module.rcpt_to(client, mail, recipient()),
        ):
            verdict = self.verdict(told)
            if verdict is not None:
                return str(verdict.reply)
        return ""


class VerdictTests(DnsblCase):
    """
    Who is refused, and when.
    """

    def test_it_is_a_module(self) -> None:
        """
        It provides what every module does.
        """
        verifyObject(IModule, self.module())

    def test_a_listed_client_is_refused_at_rcpt(self) -> None:
        """
        It is asked about when it connects, judged at RCPT, and the lists are noted with the message.
        """
        self.lists()
        module = self.module(zones=["bl.example", "other.example"])
        self.assertIsNone(module.connect(self.session))
        names = [name for name, _ in self.services.questions]
        self.assertEqual(names, [LISTED, "1.0.0.127.bl.example", "1.113.0.203.other.example"])
        self.assertIsNone(module.mail_from(self.session, self.transaction))
        verdict = module.rcpt_to(self.session, self.transaction, recipient())
        assert isinstance(verdict, Verdict)
        self.assertEqual(str(verdict.reply), f"554 5.7.1 {PEER} is listed at bl.example")
        self.assertEqual(verdict.why, f"score 1: {PEER} bl.example 127.0.0.2 (+1)")
        self.assertEqual(self.transaction.metadata, {"dnsbl": "bl.example"})
        self.assertIs(module.rcpt_to(self.session, self.transaction, recipient()), verdict)
        self.assertEqual(len(self.services.questions), 3)
        self.assertEqual(self.services.counted, {"listed:bl.example": 1, "refused": 1})

    def test_who_is_on_no_list_passes_without_a_wait(self) -> None:
        """
        All hooks answer at once, and nothing is noted.
        """
        self.assertEqual(self.judge(self.module()), "")
        self.assertEqual((self.transaction.metadata, self.services.counted), ({}, {}))

    def test_at_connect(self) -> None:
        """
        The verdict comes before the greeting, and is noted with the session.
        """
        self.lists()
        module = self.module(at="connect", reply="554 5.7.1 {peer} goes away")
        verdict = self.verdict(module.connect(self.session))
        assert verdict is not None
        self.assertEqual(str(verdict.reply), f"554 5.7.1 {PEER} goes away")
        self.assertEqual(self.session.metadata, {"dnsbl": "bl.example"})
        self.assertIsNone(module.mail_from(self.session, self.transaction))
        self.assertIsNone(module.rcpt_to(self.session, self.transaction, recipient()))

    def test_at_mail(self) -> None:
        """
        The verdict comes at MAIL.
        """
        self.lists()
        module = self.module(at="mail_from", reply="450 4.7.1 not now")
        self.assertIsNone(module.connect(self.session))
        verdict = self.verdict(module.mail_from(self.session, self.transaction))
        self.assertEqual(str(verdict and verdict.reply), "450 4.7.1 not now")

    def test_who_needs_no_list(self) -> None:
        """
        Clients that may relay, those of our own networks, and exempt ones are not asked about.
        """
        module = self.module(exempt=["203.0.113.0/24", "2001:db8::/32"])
        for peer in ("unix", "127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.7.7", "100.64.0.1", "0.0.0.0"):
            self.assertEqual(self.judge(module, session(peer)), "", peer)
        for peer in ("::1", "fd00::1", "fe80::1%eth0", "2001:db8::1", "203.0.113.77"):
            self.assertEqual(self.judge(module, session(peer)), "", peer)
        self.assertEqual(self.judge(module, session("198.51.100.1", trusted=True)), "")
        self.assertEqual(self.services.questions, [])

    def test_whoever_logs_in_is_not_judged(self) -> None:
        """
        A client at a port for submission is asked about only if it sends without a login.
        """
        self.lists()
        module = self.module()
        client = session(PEER, kind="submission")
        self.assertIsNone(module.connect(client))
        self.assertEqual(self.services.questions, [])
        self.assertIn("listed", self.judge(module, client))
        known = session(PEER)
        module.connect(known)
        known.trusted = True
        self.assertIsNone(module.rcpt_to(known, self.transaction, recipient()))

    def test_exempt_recipients(self) -> None:
        """
        A postmaster hears even those who are listed (RFC 5321 §4.5.1).
        """
        self.lists()
        module = self.module(exempt_recipients=["postmaster@", "abuse@example.org"])
        module.connect(self.session)
        module.mail_from(self.session, self.transaction)
        self.assertIsNone(module.rcpt_to(self.session, self.transaction, recipient("PostMaster@example.org")))
        self.assertIsNone(module.rcpt_to(self.session, self.transaction, recipient("abuse@example.org")))
        self.assertIsNotNone(module.rcpt_to(self.session, self.transaction, recipient("abuse@example.net")))

    def test_the_sum_of_the_weights_decides(self) -> None:
        """
        Lists of friends count against lists of others.
        """
        zones = [
            {"zone": "bl.example", "answers": "127.0.0.2-11", "weight": 2},
            {"zone": "bl.example", "answers": ["127.0.0.4", "127.0.1.*"], "weight": 1},
            {"zone": "wl.example", "answers": "127.0.*.1-3", "weight": -2.5},
        ]
        module = self.module(zones=zones, threshold=3)
        self.lists(LISTED, "127.0.0.3")
        self.assertEqual(self.judge(module), "")
        self.assertEqual(self.transaction.metadata, {"dnsbl": "bl.example"})
        self.lists(LISTED, "127.0.0.4")
        self.assertIn("listed", self.judge(module, session(PEER), transaction()))
        self.lists("1.113.0.203.wl.example", "127.0.9.2")
        mail = transaction()
        self.assertEqual(self.judge(module, session(PEER), mail), "")
        self.assertEqual(mail.metadata, {"dnsbl": "bl.example wl.example"})
        clients = [name for name, _ in self.services.questions if not name.startswith("1.0.0.127.")]
        self.assertEqual(len(clients), 6)

    def test_a_list_that_names_everybody_names_nobody(self) -> None:
        """
        As lists do that are closed: what no list has shows it, by IPv4, IPv6 and name; and it is told.
        """
        nobody6 = ".".join("100000f7ffff" + 20 * "0")
        for nobody, peer, listed in (
            ("1.0.0.127", PEER, LISTED),
            (nobody6, "2001:db8::1", f"{client_label('2001:db8::1')}.bl.example"),
            ("invalid", "203.0.113.9", "example.com.dbl.example"),
        ):
            self.services = ListServices()
            module = self.module(domains=["dbl.example"])
            self.lists(listed)
            client = session(peer, name="client.example.net")
            self.assertIn("is listed at", self.judge(module, client, transaction()))
            zone = listed[listed.index(".bl.") + 1 :] if ".bl." in listed else "dbl.example"
            self.lists(f"{nobody}.{zone}")
            self.assertEqual(self.judge(module, session(peer), transaction()), "", nobody)
            self.assertEqual(self.services.counted[f"error:{zone}"], 1)

    def test_who_does_not_say_whether_it_names_everybody_names_whom_it_names(self) -> None:
        """
        An answer that fails, comes late, or means nothing here changes nothing; a list of friends is asked, too.
        """
        nobody = "1.0.0.127.bl.example"
        self.lists()
        module = self.module(zones=[{"zone": "bl.example", "answers": "127.0.0.2"}])
        self.lists(nobody, "127.0.0.1", "127.255.255.254")
        self.assertIn("is listed", self.judge(module))
        self.services.failing.add(nobody)
        self.assertIn("is listed", self.judge(module, session(PEER), transaction()))
        self.services.failing.clear()
        self.services.silent.add(nobody)
        for silent in ((), (LISTED,)):
            self.services.silent.update(silent)
            client, mail = session(PEER), transaction()
            module.connect(client)
            asked = module.rcpt_to(client, mail, recipient())
            told: Deferred[Verdict | None] = Deferred.fromCoroutine(asked)  # type: ignore[arg-type]
            self.services.clock.advance(3)
            if silent:
                self.services.tell(LISTED)
            self.assertNoResult(told)
            self.services.clock.advance(1)
            verdict = self.verdict(told)
            self.assertIn("is listed", str(verdict and verdict.reply))
            self.services.tell(nobody)

    def test_it_says_late_that_it_names_everybody(self) -> None:
        """
        The verdict waits for that, and for a failure of the look-up.
        """
        nobody = "1.0.0.127.bl.example"
        self.lists()
        self.lists(nobody)
        self.services.silent.add(nobody)
        module = self.module()
        for fails, told in ((False, ""), (True, f"554 5.7.1 {PEER} is listed at bl.example")):
            client, mail = session(PEER), transaction()
            module.connect(client)
            asked = module.rcpt_to(client, mail, recipient())
            waiting: Deferred[Verdict | None] = Deferred.fromCoroutine(asked)  # type: ignore[arg-type]
            self.assertNoResult(waiting)
            if fails:
                self.services.asked.pop((nobody, "A"))[0].errback(RuntimeError("bug"))
            else:
                self.services.tell(nobody)
            verdict = self.verdict(waiting)
            self.assertEqual(str(verdict.reply) if verdict else "", told)

    def test_domains_are_asked_about_at_mail(self) -> None:
        """
        So that the answers are there when RCPT comes; where the verdict fell when the client connected nobody is.
        """
        module = self.module(domains=["dbl.example"])
        module.connect(self.session)
        self.services.questions.clear()
        module.mail_from(self.session, self.transaction)
        self.assertIn(("example.com.dbl.example", "A"), self.services.questions)
        early = self.module(at="connect")
        early.connect(self.session)
        self.lists()
        self.services.questions.clear()
        other = session(PEER)
        self.assertIsNone(early.mail_from(other, transaction()))
        self.assertEqual(self.services.questions, [])

    def test_the_threshold_itself_is_enough(self) -> None:
        """
        Below it nobody is refused, nor is a text asked for; where the answers wait, too.
        """
        self.lists()
        for threshold, refused in ((1, True), (1.5, False)):
            for late in (False, True):
                module = self.module(threshold=threshold, reply="554 5.7.1 {zone} {text}")
                client, mail = session(PEER), transaction()
                if late:
                    self.services.silent.add(LISTED)
                module.connect(client)
                self.services.silent.clear()
                self.services.questions.clear()
                told = module.rcpt_to(client, mail, recipient())
                waiting: Any = None if told is None else Deferred.fromCoroutine(told)  # type: ignore[arg-type]
                if late:
                    self.services.tell(LISTED)
                verdict = None if waiting is None else self.verdict(waiting)
                self.assertEqual(verdict is not None, refused)
                self.assertEqual((LISTED, "TXT") in self.services.questions, refused)

    def test_without_a_reply_the_lists_are_only_noted(self) -> None:
        """
        Another module may look at the metadata.
        """
        self.lists()
        self.assertEqual(self.judge(self.module(reply="")), "")
        self.assertEqual(self.transaction.metadata, {"dnsbl": "bl.example"})

    def test_the_text_of_the_list(self) -> None:
        """
        It is asked for only when somebody is refused, by the list that counts most, and cannot break the reply.
        """
        self.lists()
        self.lists("1.113.0.203.worse.example")
        self.services.zones["1.113.0.203.worse.example", "TXT"] = ("see\r\nhttps://worse.example/é {peer}" + "x" * 600,)
        zones = ["bl.example", {"zone": "worse.example", "weight": 2}]
        module = self.module(zones=zones, reply="554 5.7.1 {listed}: {text}")
        reply = self.judge(module)
        self.assertTrue(reply.startswith(f"554 5.7.1 {PEER}: see??https://worse.example/? {{peer}}xxx"), reply)
        self.assertLess(len(reply), 300)
        self.services.zones.clear()
        self.lists()
        self.assertEqual(self.judge(module, session(PEER), transaction()), f"554 5.7.1 {PEER}")
        self.services.zones.clear()
        self.services.questions.clear()
        self.assertEqual(self.judge(module, session(PEER), transaction()), "")
        self.assertEqual([rdtype for _, rdtype in self.services.questions], ["A", "A"])

    def test_a_text_that_does_not_come(self) -> None:
        """
        The client is refused without it, in time.
        """
        self.lists()
        module = self.module(reply="554 5.7.1 {zone} {text}")
        module.connect(self.session)
        self.services.silent.add(LISTED)
        asked = module.rcpt_to(self.session, self.transaction, recipient())
        told: Deferred[Verdict | None] = Deferred.fromCoroutine(asked)  # type: ignore[arg-type]
        self.services.clock.advance(4)
        verdict = self.verdict(told)
        self.assertEqual(str(verdict and verdict.reply), "554 5.7.1 bl.example")

    def test_sessions_are_forgotten(self) -> None:
        """
        At their end, and even if nobody tells of it; another client of the same connection is asked about anew.
        """
        module = self.module()
        module.connect(self.session)
        self.session.peer = "203.0.113.2"
        module.connect(self.session)
        self.assertEqual(self.services.questions[1], ("2.113.0.203.bl.example", "A"))
        module.on_connection_closed(self.session)
        self.assertEqual(len(module._standings), 0)
        module.on_connection_closed(self.session)
        module.connect(session(PEER))
        gc.collect()
        self.assertEqual(len(module._standings), 0)


class WaitingTests(DnsblCase):
    """
    Lists that take their time.
    """

    def setUp(self) -> None:
        """
        Two lists, one of which is slow.
        """
        super().setUp()
        self.lists()
        self.services.silent.add(LISTED)
        self.slow = self.module(zones=["fast.example", "bl.example"])
        self.timers_before = self.timers()

    def timers(self) -> int:
        """
        Count what waits for the clock.
        """
        return len(self.services.clock.getDelayedCalls())

    def rcpt(self) -> Deferred[Verdict | None]:
        """
        Ask at RCPT, where the module has to wait.
        """
        told = self.slow.rcpt_to(self.session, self.transaction, recipient())
        return Deferred.fromCoroutine(told)  # type: ignore[arg-type]

    def test_the_verdict_waits_for_all(self) -> None:
        """
        The client's session goes on until RCPT, and there until the last list has answered.
        """
        self.slow.connect(self.session)
        told = self.rcpt()
        self.assertNoResult(told)
        self.services.tell(LISTED)
        self.assertIsNotNone(self.successResultOf(told))
        self.assertEqual(self.timers(), self.timers_before)

    def test_answers_that_came_meanwhile_are_not_waited_for(self) -> None:
        """
        RCPT is answered at once.
        """
        self.slow.connect(self.session)
        self.services.tell(LISTED)
        self.assertIsInstance(self.slow.rcpt_to(self.session, self.transaction, recipient()), Verdict)

    def test_who_is_late_has_no_opinion(self) -> None:
        """
        The time runs from the connection on; what comes later changes nothing.
        """
        self.slow.connect(self.session)
        self.services.clock.advance(3)
        told = self.rcpt()
        self.services.clock.advance(0.9)
        self.assertNoResult(told)
        self.services.clock.advance(0.1)
        self.assertIsNone(self.successResultOf(told))
        self.services.tell(LISTED)
        self.assertIsNone(self.slow.rcpt_to(self.session, self.transaction, recipient()))
        self.assertEqual(self.services.counted, {"unanswered:bl.example": 1})

    def test_a_wait_that_is_given_up(self) -> None:
        """
        Whoever cancels disturbs nobody: the answer counts for the next RCPT.
        """
        self.slow.connect(self.session)
        told = self.rcpt()
        told.cancel()
        self.failureResultOf(told, CancelledError)
        self.services.tell(LISTED)
        self.assertIsInstance(self.slow.rcpt_to(self.session, self.transaction, recipient()), Verdict)

    def test_services_may_answer_by_a_coroutine(self) -> None:
        """
        Any Awaitable will do.
        """
        answer = self.services.lookup

        async def later(name: str, rdtype: str) -> Answer:
            return await Deferred.fromCoroutine(wait(name, rdtype))

        async def wait(name: str, rdtype: str) -> Answer:
            told = answer(name, rdtype)
            return told if isinstance(told, Answer) else await told

        self.services.lookup = later  # type: ignore[method-assign]
        self.slow.connect(self.session)
        told = self.rcpt()
        self.services.tell(LISTED)
        self.assertIsNotNone(self.successResultOf(told))

    def test_look_ups_that_fail(self) -> None:
        """
        A time-out in the DNS, and a resolver that breaks its promise, are no opinion.
        """
        self.services.failing.add(LISTED)
        self.slow.connect(self.session)
        self.services.tell(LISTED)
        self.assertIsNone(self.slow.rcpt_to(self.session, self.transaction, recipient()))
        other = session(PEER)
        self.slow.connect(other)
        self.services.asked.pop((LISTED, "A"))[0].errback(RuntimeError("broken"))
        self.assertIsNone(self.slow.rcpt_to(other, transaction(), recipient()))
        self.assertEqual(self.services.counted, {"unanswered:bl.example": 2})


class ErrorTests(DnsblCase):
    """
    Answers that are none (RFC 5782 §2.1, and what the large lists agree on).
    """

    def setUp(self) -> None:
        """
        Listen to the log.
        """
        super().setUp()
        self.logged: list[LogEvent] = []
        observer = cast(ILogObserver, self.logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def complaints(self) -> int:
        """
        Count what was logged of lists.
        """
        return len([event for event in self.logged if "zone" in event])

    def test_refusals_are_no_listings(self) -> None:
        """
        127.255.255.0/24, 127.0.0.1, and anything outside of 127.0.0.0/8.
        """
        module = self.module()
        for address in ("127.255.255.254", "127.255.255.1", "127.0.0.1", "192.0.2.80"):
            self.lists(LISTED, address)
            self.assertEqual(self.judge(module, session(PEER), transaction()), "", address)
        self.assertEqual(self.services.counted, {"error:bl.example": 4})

    def test_they_are_logged_once_an_hour_for_each_list(self) -> None:
        """
        A list that refuses to answer says so to every question.
        """
        module = self.module(zones=["bl.example", "other.example"])
        self.lists(LISTED, "127.255.255.254")
        self.judge(module)
        self.judge(module, session(PEER), transaction())
        self.assertEqual(self.complaints(), 1)
        self.lists("1.113.0.203.other.example", "127.255.255.255")
        self.judge(module, session(PEER), transaction())
        self.assertEqual(self.complaints(), 2)
        self.services.clock.advance(3600)
        self.judge(module, session(PEER), transaction())
        self.assertEqual(self.complaints(), 4)

    def test_a_listing_beside_an_error_counts(self) -> None:
        """
        Each address is judged by itself; 127.0.0.1 is a listing where the operator says so.
        """
        self.lists(LISTED, "192.0.2.80", "127.0.0.9")
        self.assertIn("listed", self.judge(self.module()))
        self.lists(LISTED, "127.0.0.1")
        zones = [{"zone": "bl.example", "answers": "127.0.0.1-2"}]
        self.assertIn("listed", self.judge(self.module(zones=zones), session(PEER), transaction()))


class DomainTests(DnsblCase):
    """
    Lists of domains.
    """

    def setUp(self) -> None:
        """
        Ask about domains only.
        """
        super().setUp()
        self.dbl = self.module(zones=(), domains=["dbl.example"])

    def test_the_sender_s_domain(self) -> None:
        """
        The reply names what is listed.
        """
        self.lists("example.com.dbl.example", "127.0.1.2")
        self.assertEqual(self.judge(self.dbl), "554 5.7.1 example.com is listed at dbl.example")
        self.assertEqual(self.transaction.metadata, {"dnsbl": "dbl.example"})

    def test_the_client_s_name(self) -> None:
        """
        What it said in EHLO, whatever the case.
        """
        self.lists("client.example.net.dbl.example")
        client = session(PEER, name="Client.Example.NET.")
        self.assertEqual(self.judge(self.dbl, client), "554 5.7.1 client.example.net is listed at dbl.example")

    def test_the_next_transaction_is_another_matter(self) -> None:
        """
        Each is judged by its own reverse-path.
        """
        self.lists("example.com.dbl.example")
        self.assertIn("listed", self.judge(self.dbl))
        self.assertEqual(self.judge(self.dbl, self.session, transaction("me@example.net")), "")
        self.assertEqual(self.judge(self.dbl, self.session, transaction(None)), "")

    def test_what_is_no_domain_is_not_asked_about(self) -> None:
        """
        Addresses (lists of domains answer them with an error), single labels, nothing at all, names too long.
        """
        zones = read_zones("dbl.example", "domains")
        for name in ("", "[192.0.2.1]", "[IPv6:2001:db8::1]", "192.0.2.1", "localhost", "a..b", "a b.example", "-"):
            self.assertEqual(domain_label(name, zones), "", name)
        long = ".".join(["a" * 60] * 4)
        self.assertEqual(domain_label(long, zones), "")
        self.assertEqual(domain_label(long[20:], zones), long[20:])
        self.judge(self.dbl, session(PEER, name="[203.0.113.1]"), transaction("a@[203.0.113.1]"))
        self.assertEqual(self.services.questions, [])

    def test_they_count_together_with_those_of_clients(self) -> None:
        """
        One sum.
        """
        module = self.module(domains=["dbl.example"], threshold=2)
        self.lists()
        self.assertEqual(self.judge(module), "")
        self.lists("example.com.dbl.example")
        mail = transaction()
        self.assertIn("listed", self.judge(module, session(PEER), mail))
        self.assertEqual(mail.metadata, {"dnsbl": "bl.example dbl.example"})


class OptionTests(SynchronousTestCase):
    """
    What can be written.
    """

    def test_labels(self) -> None:
        """
        Octets, or nibbles, in reverse (RFC 5782 §2.1, §2.4).
        """
        self.assertEqual(client_label("192.0.2.99"), "99.2.0.192")
        self.assertEqual(client_label("::ffff:192.0.2.99"), "99.2.0.192")
        nibbles = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4"
        self.assertEqual(client_label("4321:0:1:2:3:4:567:89ab"), nibbles)

    def test_what_cannot_be_used_is_refused(self) -> None:
        """
        The text names the option.
        """
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"zones": []}, "zones: there is no list"),
            ({"zones": 7}, "zones: a list"),
            ({"zones": [7]}, "zones[0]"),
            ({"zones": ["a", "not a name"]}, "zones[1]: no domain"),
            ({"zones": ["[192.0.2.1]"]}, "zones[0]: no domain"),
            ({"zones": [{"answers": "127.0.0.2"}]}, "zones[0]: zone is missing"),
            ({"zones": [{"zone": "a", "answer": "127.0.0.2"}]}, "unknown key 'answer'"),
            ({"zones": [{"zone": "a", "weight": 0}]}, "a weight"),
            ({"zones": [{"zone": "a", "weight": "1"}]}, "a weight"),
            ({"zones": [{"zone": "a", "weight": float("nan")}]}, "a weight"),
            ({"threshold": 0}, "threshold"),
            ({"threshold": True}, "threshold"),
            ({"at": "data"}, "at:"),
            ({"at": "connect", "domains": ["a"]}, "at:"),
            ({"at": "mail_from", "exempt_recipients": ["a@"]}, "at:"),
            ({"timeout": "soon"}, "timeout"),
            ({"exempt": ["nowhere"]}, "exempt"),
            ({"reply": "250 fine"}, "reply"),
            ({"reply": "550 {who}"}, "reply"),
            ({"reply": "550 {"}, "reply"),
            ({"reply": "550 {peer.x}"}, "reply"),
            ({"reply": "550 {peer:>99}"}, "reply"),
            ({"reply": "550 {}"}, "reply"),
            ({"reply": "no"}, "no reply"),
        ]
        for written, expected in wrong:
            problem = self.assertRaises(ValueError, Dnsbl, **({"zones": ["bl.example"]} | written))
            self.assertIn(expected, str(problem))
        for answers in ("127.0.0", "127.0.0.2.3", "127.0.0.9-2", "127.0.0.256", "128.0.0.2", "*.0.0.2", "127.0.0.x"):
            self.assertRaises(ValueError, Dnsbl, zones={"zone": "a", "answers": answers})
