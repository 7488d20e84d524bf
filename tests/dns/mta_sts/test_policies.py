"""
Requirements on what is told of a domain's policy: found by its record, kept, refreshed, and what a failure means.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from empath.dns.mta_sts import policies
from empath.dns.mta_sts.policies import StsPolicies
from empath.errors import StorageError
from empath.interfaces import IStsPolicies
from empath.mail.life import LifeEvent, TlsTried
from empath.policy.mta_sts import FETCH_ERROR, Mode, StsPolicy, Unusable, read_policy, write_policy
from empath.testing.kept import KeptStorages
from tests.dns.mta_sts.fakes import POLICY, FakeResolver

DAY = 86400.0
NOW = 1_700_000_000.0
TROUBLE = Unusable(FETCH_ERROR, "the answer is 404")


def policy(version: str = "1", text: str = POLICY) -> StsPolicy:
    """
    Make a policy.
    """
    read = read_policy(text, version)
    assert isinstance(read, StsPolicy)
    return read


class PolicyCase(SynchronousTestCase):
    """
    Policies over a resolver, a storage and a fetcher that record.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.resolver = FakeResolver()
        self.storages = KeptStorages(self.clock.seconds)
        self.events: list[LifeEvent] = []
        self.fetched: list[tuple[str, str]] = []
        self.outcomes: list[StsPolicy | Unusable | Deferred[StsPolicy | Unusable] | Exception] = []
        self.policies = self.make()

    def make(self) -> StsPolicies:
        """
        Make them, as at a start, with what is stored.
        """
        storage = self.storages.of(".mta-sts")
        made = StsPolicies(self.resolver, self.fetch, storage, self.clock, self.events.append)
        self.successResultOf(Deferred.fromCoroutine(made.restore()))
        return made

    async def fetch(self, domain: str, version: str) -> StsPolicy | Unusable:
        """
        Record, and tell the next outcome.
        """
        self.fetched.append((domain, version))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return await outcome if isinstance(outcome, Awaitable) else outcome

    def record(self, version: str = "1", domain: str = "example.org") -> None:
        """
        Announce a policy.
        """
        self.resolver.records(f"_mta-sts.{domain}", f"v=STSv1; id={version};")

    def ask(self, domain: str = "example.org") -> StsPolicy | None:
        """
        Ask for a policy, which comes without any waiting.
        """
        told = self.policies.policy_of(domain)
        return self.successResultOf(told) if isinstance(told, Deferred) else told

    def at_once(self, domain: str = "example.org") -> StsPolicy | None:
        """
        Ask for a policy that is in memory.
        """
        told = self.policies.policy_of(domain)
        assert not isinstance(told, Deferred), "it is not told at once"
        return told

    def wait(self, patient: bool = False) -> Deferred[StsPolicy | None]:
        """
        Ask for a policy that has to be waited for.
        """
        told = self.policies.policy_of("example.org", patient)
        assert isinstance(told, Deferred), "it is told at once"
        return told

    def refresh(self) -> None:
        """
        Refresh, which comes without any waiting.
        """
        self.successResultOf(Deferred.fromCoroutine(self.policies.refresh()))


class DiscoveryTests(PolicyCase):
    """
    A domain is asked for the first time.
    """

    def test_interface(self) -> None:
        """
        It is what delivery wants.
        """
        verifyObject(IStsPolicies, self.policies)

    def test_no_record(self) -> None:
        """
        None at once, and nobody is asked over HTTPS; nor if the record is wrong or cannot be had.
        """
        self.assertIsNone(self.at_once())
        self.resolver.records("_mta-sts.example.org", "v=STSv1")
        self.assertIsNone(self.at_once())
        self.resolver.fail("_mta-sts.example.org", "TXT")
        self.assertIsNone(self.at_once())
        self.assertEqual((self.fetched, self.events), ([], []))

    def test_no_domain_name(self) -> None:
        """
        An address literal, nothing, and what could not be part of a URL have no policy.
        """
        for domain in ("", "[192.0.2.1]"):
            self.assertIsNone(self.at_once(domain))
        self.assertEqual(self.resolver.asked, [])
        for domain in ("a_b.example", "Example.org", "x/y"):
            self.record("1", domain)
            self.assertIsNone(self.ask(domain))
        self.assertEqual(self.fetched, [])

    def test_record_and_policy(self) -> None:
        """
        It is fetched once, then told at once.
        """
        self.record()
        self.outcomes = [policy()]
        self.assertEqual(self.ask(), policy())
        self.assertEqual(self.at_once(), policy())
        self.assertEqual(self.fetched, [("example.org", "1")])

    def test_all_who_wait_hear_of_one_fetch(self) -> None:
        """
        One who gives up disturbs nobody.
        """
        self.resolver.slow = True
        self.record()
        fetching: Deferred[StsPolicy | Unusable] = Deferred()
        self.outcomes = [fetching]
        first, second, third = (self.wait() for _ in range(3))
        self.resolver.tell()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        fetching.callback(policy())
        self.assertEqual((self.successResultOf(first), self.successResultOf(third)), (policy(), policy()))
        self.assertEqual((len(self.fetched), len(self.resolver.asked)), (1, 1))

    def test_a_slow_policy_host(self) -> None:
        """
        Usual mail waits for ten seconds, then goes on by what is known: hosts that hang must not hold up all delivery.
        Patient mail waits to the end; what comes then counts from then on.
        """
        self.record()
        fetching: Deferred[StsPolicy | Unusable] = Deferred()
        self.outcomes = [fetching]
        waiting, patient = self.wait(), self.wait(patient=True)
        self.clock.advance(9.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertIsNone(self.at_once())
        later = self.wait(patient=True)
        self.assertNoResult(patient)
        fetching.callback(policy())
        self.assertEqual([self.successResultOf(each) for each in (patient, later)], [policy()] * 2)
        self.assertEqual(self.at_once(), policy())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.fetched), 1)

    def test_a_slow_policy_host_under_a_new_id(self) -> None:
        """
        What is known is the policy before.
        """
        self.record()
        self.outcomes = [policy(), Deferred()]
        self.ask()
        self.record("2")
        waiting = self.wait()
        self.clock.advance(10)
        self.assertEqual(self.successResultOf(waiting), policy())
        self.assertEqual(self.at_once(), policy())
        self.policies.stop()

    def test_many_slow_policy_hosts(self) -> None:
        """
        Where too many hang the one that has for longest is given up, and left alone for five minutes; not before its
        ten seconds are over, nor while patient mail waits for it.
        """
        self.patch(policies, "MOST_ASKED", 2)
        fetching: list[Deferred[StsPolicy | Unusable]] = [Deferred() for _ in range(5)]
        self.outcomes = [*fetching]
        for name in "abcde":
            self.record("1", f"{name}.example")
        told = [self.policies.policy_of(f"{name}.example", name == "a") for name in "abc"]
        self.assertEqual((len(self.fetched), self.events), (3, []))
        self.clock.advance(10)
        self.policies.policy_of("d.example")
        self.assertNoResult(told[0])
        self.assertEqual([event.domain for event in self.events if isinstance(event, TlsTried)], ["b.example"])
        self.assertIsNone(self.at_once("b.example"))
        self.clock.advance(10)
        self.assertEqual(len(self.fetched), 4)
        for each in (fetching[0], *fetching[2:4]):
            each.callback(policy())
        self.assertEqual(self.at_once("d.example"), policy())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_mode_none_is_no_policy(self) -> None:
        """
        It is remembered, so that it is not fetched again for each message.
        """
        self.record()
        self.outcomes = [policy("1", "version: STSv1\nmode: none\nmax_age: 86400")]
        self.assertIsNone(self.ask())
        self.assertIsNone(self.at_once())
        self.assertEqual(len(self.fetched), 1)

    def test_policy_without_any_age(self) -> None:
        """
        It holds for those who waited, and a minute for all.
        """
        self.record()
        brief = policy("1", POLICY.replace("604800", "0"))
        self.outcomes = [brief, brief]
        self.assertEqual((self.ask(), self.at_once()), (brief, brief))
        self.clock.advance(60)
        self.assertEqual(self.ask(), brief)
        self.assertEqual(len(self.fetched), 2)


class FailureTests(PolicyCase):
    """
    There is a record, and no policy.
    """

    def test_no_policy_then(self) -> None:
        """
        Delivery goes on as without, and the failure is told for reports (RFC 8460 §4.3.2.2), and to the operator.
        """
        self.record()
        self.outcomes = [TROUBLE]
        self.assertIsNone(self.ask())
        [event] = self.events
        assert isinstance(event, TlsTried)
        self.assertEqual(
            (
                event.domain,
                event.policy,
                event.policy_string,
                event.mx_patterns,
                event.host,
                event.result,
                event.reason,
            ),
            ("example.org", "sts", (), (), "", FETCH_ERROR, "the answer is 404"),
        )

    def test_unsure(self) -> None:
        """
        Whether there is one nobody knows where a record announces what cannot be fetched, or cannot be looked up.
        """
        self.assertFalse(self.policies.unsure("example.org"))
        self.record()
        self.outcomes = [TROUBLE, policy("2", "version: STSv1\nmode: none\nmax_age: 86400")]
        self.ask()
        self.assertTrue(self.policies.unsure("example.org"))
        self.record("2")
        self.ask()
        self.assertFalse(self.policies.unsure("example.org"))
        self.resolver.fail("_mta-sts.example.net", "TXT")
        self.assertTrue(self.policies.unsure("example.net"))
        self.assertFalse(self.policies.unsure("[192.0.2.1]"))
        self.resolver.slow = True
        self.assertTrue(self.policies.unsure("example.com"))

    def test_five_minutes_of_peace(self) -> None:
        """
        The same record is not tried again before; another one is.
        """
        self.record()
        self.outcomes = [TROUBLE, TROUBLE, policy("2"), policy("1")]
        self.assertIsNone(self.ask())
        self.clock.advance(299)
        self.assertIsNone(self.at_once())
        self.clock.advance(1)
        self.assertIsNone(self.ask())
        self.record("2")
        self.assertEqual(self.ask(), policy("2"))
        self.assertEqual([version for _, version in self.fetched], ["1", "1", "2"])

    def test_clock_set_back(self) -> None:
        """
        Nobody knows then when that was.
        """
        self.record()
        self.outcomes = [TROUBLE, policy()]
        self.assertIsNone(self.ask())
        self.clock.rightNow -= 1
        self.assertEqual(self.ask(), policy())

    def test_failures_in_memory_are_bounded(self) -> None:
        """
        Who failed first is tried again first.
        """
        self.patch(policies, "MOST_FAILURES", 2)
        for name in ("a", "b", "c"):
            self.record("1", f"{name}.example")
            self.outcomes = [TROUBLE]
            self.ask(f"{name}.example")
        self.outcomes = [policy()]
        self.assertIsNone(self.at_once("c.example"))
        self.assertEqual(self.ask("a.example"), policy())

    def test_a_bug_is_no_policy(self) -> None:
        """
        Nobody waits for ever.
        """
        self.record()
        self.outcomes = [RuntimeError("a bug")]
        self.assertIsNone(self.ask())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_an_older_policy_holds_on(self) -> None:
        """
        Until it expires (§3.3), whatever the record says or does not say; reports get its text.
        """
        self.record()
        self.outcomes = [policy()]
        self.ask()
        self.record("2")
        self.outcomes = [TROUBLE]
        self.assertEqual(self.ask(), policy())
        self.assertEqual(self.at_once(), policy())
        self.assertEqual(self.fetched[1:], [("example.org", "2")])
        [event] = self.events
        assert isinstance(event, TlsTried)
        self.assertEqual((event.policy_string, event.mx_patterns), (policy().lines, policy().mx))
        self.resolver.answers.clear()
        self.clock.advance(604800 - 1)
        self.assertEqual(self.at_once(), policy())
        self.clock.advance(1)
        self.assertIsNone(self.at_once())

    def test_nobody_hears_of_trouble_behind_mode_none(self) -> None:
        """
        The domain is about to do without (§3.3).
        """
        self.record()
        self.outcomes = [policy("1", "version: STSv1\nmode: none\nmax_age: 86400"), TROUBLE]
        self.ask()
        self.record("2")
        self.assertIsNone(self.ask())
        self.assertEqual((len(self.fetched), self.events), (2, []))


class ChangeTests(PolicyCase):
    """
    A policy is in memory.
    """

    def setUp(self) -> None:
        super().setUp()
        self.record()
        self.outcomes = [policy()]
        self.ask()
        self.resolver.asked.clear()
        self.fetched.clear()

    def test_the_record_is_looked_at_each_time(self) -> None:
        """
        As the DNS cache has it; as long as its id is the same, nothing is fetched, and nobody waits.
        """
        for _ in range(5):
            self.at_once()
        self.assertEqual((len(self.resolver.asked), self.fetched), (5, []))

    def test_a_new_record_brings_a_new_policy(self) -> None:
        """
        No mail fails by the old one (§5.1): who comes meanwhile waits.
        """
        self.record("2")
        self.resolver.slow = True
        newer = policy("2", POLICY.replace("enforce", "testing"))
        self.outcomes = [newer]
        waiting = [self.wait() for _ in range(3)]
        self.resolver.tell()
        self.assertEqual([self.successResultOf(each) for each in waiting], [newer, newer, newer])
        self.assertEqual((len(self.resolver.asked), len(self.fetched)), (1, 1))

    def test_a_slow_record_that_is_the_same(self) -> None:
        """
        Or that is not there any more: the policy in memory holds.
        """
        self.resolver.slow = True
        for _ in range(2):
            waiting = self.wait()
            self.resolver.tell()
            self.assertEqual(self.successResultOf(waiting), policy())
            self.resolver.answers.clear()
        self.assertEqual(self.fetched, [])

    def test_nobody_waits_while_it_is_only_fetched_again(self) -> None:
        """
        However long that takes, and whatever comes of it.
        """
        self.clock.advance(DAY)
        fetching: Deferred[StsPolicy | Unusable] = Deferred()
        self.outcomes = [fetching]
        self.assertEqual(self.ask(), policy())
        self.assertEqual(self.at_once(), policy())
        fetching.callback(TROUBLE)
        self.assertEqual(self.at_once(), policy())
        self.assertEqual((len(self.fetched), len(self.events)), (1, 1))

    def test_used_and_a_day_old(self) -> None:
        """
        It is fetched again, and lasts longer, though the record is the same.
        """
        self.clock.advance(DAY)
        self.outcomes = [policy()]
        self.assertEqual(self.ask(), policy())
        self.resolver.answers.clear()
        self.clock.advance(604799)
        self.assertEqual(self.at_once(), policy())

    def test_refresh(self) -> None:
        """
        What was used in the last 30 days is fetched again once a day, though no mail asks; what was not ages.
        """
        self.refresh()
        self.assertEqual(self.fetched, [])
        for _ in range(29):
            self.clock.advance(DAY)
            self.outcomes = [policy()]
            self.refresh()
            self.refresh()
        self.assertEqual(len(self.fetched), 29)
        self.clock.advance(DAY)
        self.refresh()
        self.assertEqual(len(self.fetched), 29)
        self.assertEqual(self.outcomes, [])
        self.resolver.answers.clear()
        self.clock.advance(604800 - DAY - 1)
        self.assertIsNotNone(self.at_once())

    def test_refresh_without_a_record(self) -> None:
        """
        Also where no record announces it any more: whoever holds the record back must hold back the policy, too, for as
        long as it lasts (§10.2). No mail waits for it, and nobody is told of trouble: the domain may have given up.
        """
        self.resolver.answers.clear()
        self.clock.advance(DAY)
        self.outcomes = [policy()]
        self.refresh()
        self.assertEqual(self.fetched, [("example.org", "1")])
        self.clock.advance(604800 - 1)
        self.assertEqual(self.at_once(), policy())
        self.outcomes = [TROUBLE]
        self.refresh()
        self.refresh()
        self.assertEqual((len(self.fetched), self.events), (2, []))

    def test_refresh_of_many(self) -> None:
        """
        A few at a time, all in the end.
        """
        for number in range(25):
            self.record("1", f"d{number}.example")
            self.outcomes = [policy()]
            self.ask(f"d{number}.example")
        self.fetched.clear()
        self.clock.advance(DAY)
        fetching: list[Deferred[StsPolicy | Unusable]] = [Deferred() for _ in range(26)]
        self.outcomes = [*fetching]
        refreshing = Deferred.fromCoroutine(self.policies.refresh())
        self.assertEqual(len(self.fetched), 10)
        self.assertEqual(self.at_once("d0.example"), policy())
        for each in fetching:
            each.callback(policy())
        self.successResultOf(refreshing)
        self.assertEqual(len(set(self.fetched)), 26)

    def test_refresh_while_mail_asks(self) -> None:
        """
        It joins what is under way; one that is cancelled leaves it alone.
        """
        self.clock.advance(DAY)
        fetching: Deferred[StsPolicy | Unusable] = Deferred()
        self.outcomes = [fetching]
        self.ask()
        first, second = (Deferred.fromCoroutine(self.policies.refresh()) for _ in range(2))
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertNoResult(first)
        fetching.callback(policy())
        self.successResultOf(first)
        self.assertEqual(len(self.fetched), 1)


class StoringTests(PolicyCase):
    """
    A restart forgets no policy.
    """

    def test_what_was_fetched_is_there_after_a_restart(self) -> None:
        """
        With its age: it expires when it would have.
        """
        self.record()
        self.outcomes = [policy()]
        self.ask()
        self.clock.advance(3600)
        self.policies = self.make()
        self.resolver.answers.clear()
        self.assertEqual(self.at_once(), policy())
        self.clock.advance(604800 - 3601)
        self.assertEqual(self.at_once(), policy())
        self.clock.advance(1)
        self.assertIsNone(self.at_once())
        self.policies = self.make()
        self.assertIsNone(self.at_once())

    def test_more_than_a_page(self) -> None:
        """
        All there is.
        """
        items = self.storages.items[".mta-sts"]
        for number in range(1200):
            items[f"d{number}.example"] = (write_policy(policy(), NOW), None)
        self.policies = self.make()
        self.assertTrue(all(self.at_once(f"d{number}.example") for number in range(1200)))

    def test_what_cannot_be_read_is_passed_over(self) -> None:
        """
        And what has expired, though nobody has deleted it; a time that is still to come is now.
        """
        items = self.storages.items[".mta-sts"]
        items["a.example"] = ("nonsense", None)
        items["b.example"] = (write_policy(policy(), NOW - 604800), None)
        items["c.example"] = (write_policy(policy(), NOW + 9e6), None)
        self.policies = self.make()
        self.assertEqual([self.at_once(f"{name}.example") is None for name in "abc"], [True, True, False])
        self.clock.advance(604800)
        self.assertIsNone(self.at_once("c.example"))

    def test_what_made_room_is_stored_no_more(self) -> None:
        """
        Storage holds what memory holds.
        """
        kept: Any = self.policies
        kept._kept._most = 1
        for name in ("a.example", "b.example"):
            self.record("1", name)
            self.outcomes = [policy()]
            self.ask(name)
        self.assertEqual(list(self.storages.items[".mta-sts"]), ["b.example"])

    def test_a_storage_that_fails(self) -> None:
        """
        Costs no mail: policies hold until the restart.
        """
        storage: Any = self.storages.of(".mta-sts")
        self.patch(type(storage), "put", lambda *_: fail(StorageError("broken")))
        self.patch(type(storage), "items", lambda *_: fail(StorageError("broken")))
        self.policies = self.make()
        self.record()
        self.outcomes = [policy()]
        self.assertEqual(self.ask(), policy())
        self.assertEqual(self.at_once(), policy())


class StopTests(PolicyCase):
    """
    The end.
    """

    def test_who_waits_hears_what_is_known(self) -> None:
        """
        And nothing is begun any more.
        """
        self.record()
        self.outcomes = [Deferred()]
        waiting = self.wait()
        self.policies.stop()
        self.assertIsNone(self.successResultOf(waiting))
        self.assertIsNone(self.at_once())
        self.refresh()
        self.assertEqual((len(self.fetched), self.events), (1, []))

    def test_one_who_waits_cancels_another(self) -> None:
        """
        As they are told; nobody is told twice.
        """
        self.record()
        fetching: Deferred[StsPolicy | Unusable] = Deferred()
        self.outcomes = [fetching]
        first, second, third = self.wait(), self.wait(), self.wait(patient=True)

        def leave(told: StsPolicy | None) -> StsPolicy | None:
            second.cancel()
            third.cancel()
            return told

        first.addCallback(leave)
        fetching.callback(policy())
        self.assertEqual(self.successResultOf(first), policy())
        for each in (second, third):
            self.failureResultOf(each, CancelledError)
        self.assertEqual(self.at_once(), policy())

    def test_what_is_in_memory_is_still_told(self) -> None:
        """
        Without a look at its record.
        """
        self.record()
        self.outcomes = [policy()]
        self.ask()
        self.policies.stop()
        self.clock.advance(60)
        self.resolver.asked.clear()
        self.assertEqual(self.at_once(), policy())
        self.assertEqual((self.resolver.asked, policy().mode), ([], Mode.ENFORCE))
