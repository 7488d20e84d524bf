"""
The counts of one domain in one day.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from empath.report.tls_rpt.counting import LONGEST_POLICY, LONGEST_REASON, MOST_OCTETS, DomainDay
from tests.report.tls_rpt.support import LINES, tried


class CountingTests(SynchronousTestCase):
    def test_policies(self) -> None:
        """
        RFC 8460 §4.4: successes and failures by policy, equal failures together, nothing that is not known.
        """
        day = DomainDay()
        for each in (
            tried(),
            tried(),
            tried(result="certificate-expired"),
            tried(result="certificate-expired"),
            tried(result="sts-policy-fetch-error", host="", address="", source="", reason=""),
            tried(policy="no-policy-found", policy_string=(), mx_patterns=()),
        ):
            day.count(each)
        policy = {"policy-type": "sts", "policy-domain": "one.test", "policy-string": list(LINES)}
        self.assertEqual(
            day.policies("one.test"),
            [
                {
                    "policy": {**policy, "mx-host": ["*.one.test"]},
                    "summary": {"total-successful-session-count": 2, "total-failure-session-count": 3},
                    "failure-details": [
                        {
                            "result-type": "certificate-expired",
                            "sending-mta-ip": "198.51.100.1",
                            "receiving-mx-hostname": "mx1.one.test",
                            "receiving-ip": "192.0.2.1",
                            "failure-reason-code": "it is too old",
                            "failed-session-count": 2,
                        },
                        {"result-type": "sts-policy-fetch-error", "failed-session-count": 1},
                    ],
                },
                {
                    "policy": {"policy-type": "no-policy-found", "policy-domain": "one.test"},
                    "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0},
                },
            ],
        )

    def test_it_can_be_written_down(self) -> None:
        """
        And is the same when it is read again, and goes on counting.
        """
        day = DomainDay()
        day.count(tried(result="certificate-expired", reason='quote " and ü'))
        again = DomainDay.restore(json.loads(json.dumps(day.dump())))
        for each in (day, again):
            each.count(tried(result="certificate-expired", reason='quote " and ü'))
            each.count(tried())
        self.assertEqual(again.policies("one.test"), day.policies("one.test"))
        self.assertEqual(again.dump(), day.dump())
        self.assertGreater(again.size, 0)

    def test_what_was_never_written(self) -> None:
        """
        Is refused.
        """
        for other in (None, 1, {"a": 1}, [1], [["sts", [], [], "x", 0, []]], [["sts", [], [], 0, 0, [[1]]]]):
            self.assertRaises(ValueError, DomainDay.restore, other)

    def test_bounds(self) -> None:
        """
        However many failures and policies there are, what is kept of them is bounded; failures are counted on.
        """
        day = DomainDay()
        for nth in range(2000):
            day.count(tried(result="validation-failure", reason=f"{nth} " + '\\"\x00' * 300))
        [policy] = day.policies("one.test")
        self.assertEqual(policy["summary"]["total-failure-session-count"], 2000)
        self.assertLess(len(policy["failure-details"]), 200)
        self.assertEqual(len(policy["failure-details"][0]["failure-reason-code"]), LONGEST_REASON)
        for nth in range(2000):
            day.count(tried(policy="tlsa", policy_string=(f"3 1 1 {nth}" + "0" * 100,)))
        self.assertLessEqual(len(json.dumps([day.dump(), [], 0, 0.0])), MOST_OCTETS + 10_000)
        self.assertLessEqual(day.size, MOST_OCTETS)

    def test_a_long_policy(self) -> None:
        """
        Is told as far as there is room, and counted under one name.
        """
        day = DomainDay()
        lines = tuple(f"mx: {nth}.one.test" for nth in range(3000))
        for _ in range(3):
            day.count(tried(policy_string=lines))
        [policy] = day.policies("one.test")
        self.assertEqual(policy["summary"]["total-successful-session-count"], 3)
        self.assertLess(len(json.dumps(policy["policy"]["policy-string"])), LONGEST_POLICY * 1.3)
        self.assertEqual(policy["policy"]["policy-string"][0], "mx: 0.one.test")
