"""
What is done about transport security.
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from empath.policy.tls import COURSES, LOWERED, REQUIRED, Course, Demand, Policy, Seen, course


class CourseTests(SynchronousTestCase):
    """
    The table.
    """

    def test_complete(self) -> None:
        """
        There is a course for every policy and everything a server can show.
        """
        self.assertEqual(set(COURSES), set(product(Policy, Seen)))

    def test_strict_policies_never_go_on_in_cleartext(self) -> None:
        """
        An unmet policy waits for another host.
        """
        for policy, seen in product((Policy.REQUIRED, Policy.VERIFIED, Policy.DANE), Seen):
            self.assertIn(course(policy, seen), (Course.STARTTLS, Course.NEXT_HOST))

    def test_opportunistic(self) -> None:
        """
        Opportunistic TLS delivers in cleartext rather than not at all (RFC 7435), on a new connection.
        """
        self.assertIs(course(Policy.OPPORTUNISTIC, Seen.OFFERED), Course.STARTTLS)
        self.assertIs(course(Policy.OPPORTUNISTIC, Seen.NOT_OFFERED), Course.CLEARTEXT)
        self.assertIs(course(Policy.OPPORTUNISTIC, Seen.FAILED), Course.RECONNECT)

    def test_implicit(self) -> None:
        """
        A port that speaks TLS only has no cleartext to fall back to.
        """
        self.assertIs(course(Policy.OPPORTUNISTIC, Seen.FAILED, implicit=True), Course.NEXT_HOST)
        self.assertIs(course(Policy.OPPORTUNISTIC, Seen.NOT_OFFERED, implicit=True), Course.CLEARTEXT)


class DemandTests(SynchronousTestCase):
    """
    What hosts must show.
    """

    def test_equal_demands_share(self) -> None:
        """
        Equal demands are one: connections are shared where nothing differs.
        """
        one, other = (Demand(Policy.VERIFIED, (f"{host}.example",)) for host in ("mx1", "mx1"))
        self.assertEqual((one, hash(one)), (other, hash(other)))
        self.assertNotEqual(one, Demand(Policy.VERIFIED, ("mx2.example",)))
        self.assertNotEqual(REQUIRED, LOWERED)

    def test_judged(self) -> None:
        """
        Certificates end a session under "verified" and DANE only.
        """
        self.assertEqual([p for p in Policy if Demand(p, ("mx",)).judged], [Policy.VERIFIED, Policy.DANE])
