"""
Requirements on the policies in memory: their ages, and their bounds.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.dns.mta_sts.kept import Kept, KeptPolicies
from empath.policy.mta_sts import Mode, StsPolicy

DAY = 86400.0


def kept(max_age: int = 604800, fetched: float = 0.0, lines: int = 0, mode: Mode = Mode.ENFORCE) -> Kept:
    """
    Make one.
    """
    return Kept(StsPolicy(mode, ("mx.example.org",), max_age, "1", ("x" * 40,) * lines), fetched, fetched)


class AgeTests(SynchronousTestCase):
    """
    When one expires, and when it is fetched again.
    """

    def test_expires_after_max_age(self) -> None:
        """
        Not before, and then it is gone.
        """
        policies = KeptPolicies()
        policies.put("a.example", kept(604800))
        self.assertIsNotNone(policies.find("a.example", 604799))
        self.assertIsNone(policies.find("a.example", 604800))
        self.assertEqual(len(policies), 0)

    def test_lasts_a_minute_at_least(self) -> None:
        """
        Or each message would fetch it.
        """
        self.assertEqual(kept(0).expires, 60)

    def test_is_fetched_again_after_a_day_or_half_its_age(self) -> None:
        """
        Whatever comes first; not if nobody has used it for long.
        """
        self.assertEqual([kept(604800).refresh_at, kept(3600).refresh_at], [DAY, 1800])
        policies = KeptPolicies()
        policies.put("a.example", kept(30 * 86400))
        policies.put("b.example", kept(30 * 86400))
        policies.put("c.example", kept(3600))
        policies.use("b.example", 2 * DAY)
        self.assertEqual(policies.due(1799, DAY), [])
        self.assertEqual(policies.due(2 * DAY, DAY), ["b.example"])
        self.assertEqual(len(policies), 2)

    def test_none_is_no_policy(self) -> None:
        """
        It is kept all the same.
        """
        self.assertIsNone(kept(mode=Mode.NONE).in_force)
        self.assertIsNotNone(kept(mode=Mode.TESTING).in_force)


class BoundTests(SynchronousTestCase):
    """
    How much there may be.
    """

    def test_number(self) -> None:
        """
        Those not used for longest make room, and are told.
        """
        policies = KeptPolicies(most=2)
        self.assertEqual(policies.put("a.example", kept()), [])
        self.assertEqual(policies.put("b.example", kept()), [])
        policies.use("a.example", 1.0)
        self.assertEqual(policies.put("c.example", kept()), ["b.example"])
        self.assertEqual(policies.put("c.example", kept()), [])
        self.assertEqual(len(policies), 2)

    def test_size(self) -> None:
        """
        A line takes 60 octets more than it has characters; the newest stays, however large it is.
        """
        policies = KeptPolicies(octets=1000)
        for name in "abcdefgh":
            policies.put(f"{name}.example", kept(lines=5))
        self.assertEqual(len(policies), 2)
        self.assertEqual(sorted(policies.put("z.example", kept(lines=50))), ["g.example", "h.example"])
        self.assertEqual(policies.put("y.example", kept(lines=1)), ["z.example"])

    def test_fat_policies(self) -> None:
        """
        They take the place of one another, not that of small ones, even of such as nobody has used for long.
        """
        policies = KeptPolicies(octets=10_000)
        policies.put("small.example", kept(lines=4))
        gone = [policies.put(f"fat{number}.example", kept(lines=45)) for number in range(9)]
        self.assertEqual([len(each) for each in gone], [0, 0, *[1] * 7])
        self.assertIsNotNone(policies.find("small.example", 1.0))
