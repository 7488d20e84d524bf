"""
What `route` and `queue explain` tell of the TLS that is demanded, and what then happens to mail.
"""

from __future__ import annotations

from empath.control.client import ControlClient
from empath.control.terms.delivery import LookUpRoute
from empath.control.terms.explaining import Explain, Explanation
from tests.deliver.shaking import self_made, tlsa
from tests.e2e.policy_hosts import policy
from tests.e2e.program import Empath
from tests.e2e.test_dane import Case, DaneTestCase
from tests.e2e.test_mta_sts_delivery import MtaStsTestCase


def foretold(empath: Empath, domain: str) -> tuple[str, str, str]:
    """
    Ask for the way: the TLS of its only host, who demands it, its trouble.
    """
    with ControlClient(empath.control_socket, timeout=30) as client:
        [host] = client.ask(LookUpRoute(f"you@{domain}")).hosts
    return host.tls, host.demanded_by, host.trouble


def explained(empath: Empath, queue_id: str) -> Explanation:
    """
    Ask for the story, at once.
    """
    with ControlClient(empath.control_socket, timeout=30) as client:
        return client.ask(Explain(queue_id))


def became(told: Explanation) -> str:
    """
    Tell what became of it: "delivered", or the last reply.
    """
    if told.message is None:
        return next(str(each["event"]) for each in told.audit if each["event"] == "delivered")
    return told.message.deliveries[0].history[-1].reply


class DaneTests(DaneTestCase):
    """
    Destinations with TLSA records.
    """

    def test_what_is_told_happens(self) -> None:
        """
        Of mail that is gone the audit trail tells in the next moment.
        """
        own, other = self_made("elsewhere.test"), self_made("other.test")
        cases = {
            "good": ("dane", "dane", "delivered"),
            "weak": ("dane", "dane", "none that the host's TLSA records vouch for"),
            "none": ("opportunistic", "", "delivered"),
            "no-tls": ("dane", "dane", "TLS is required"),
        }
        records = {"good": [tlsa(own.chain[0])], "weak": [tlsa(other.chain[0])], "no-tls": [tlsa(own.chain[0])]}
        for name in cases:
            shown = None if name == "no-tls" else own
            self.publish(Case(name, shown, records.get(name, []), ""), self.signed)
        empath = self.begin()
        for name, (tls, by, end) in cases.items():
            domain = f"{name}.dane.test"
            self.assertEqual(foretold(empath, domain), (tls, by, ""))
            queue_id = self.send(empath, [f"you@{domain}"])
            empath.wait_logged(queue_id, '"status"')
            self.assertIn(end, became(explained(empath, queue_id)))

    def test_records_that_cannot_be_trusted(self) -> None:
        """
        The host is barred, in the words that the attempt ends with.
        """
        own = self_made("elsewhere.test")
        self.publish(
            Case(
                "bogus",
                own,
                [tlsa(own.chain[0])],
                "",
                lambda zone, _, at: zone.tamper(at, "TLSA", "3 1 1 " + "00" * 32),
            ),
            self.signed,
        )
        empath = self.begin()
        queue_id = self.send(empath, ["you@bogus.dane.test"])
        empath.wait_logged(queue_id, '"status"')
        trouble = foretold(empath, "bogus.dane.test")[2]
        self.assertIn("TLSA failed: servfail", trouble)
        told = explained(empath, queue_id)
        self.assertEqual((became(told), told.steps[0].hosts[0].trouble), (trouble, trouble))


class MtaStsTests(MtaStsTestCase):
    """
    Destinations with policies.
    """

    def test_what_is_told_happens(self) -> None:
        """
        Whether a policy is met, is not, or only tested.
        """
        good = self.publish("good", policy("enforce", "mx1.good.sts.test"))
        elsewhere = self.publish("elsewhere", policy("enforce", "mx1.other.test"))
        wrong = self.publish("wrong", policy("enforce", "mx1.wrong.sts.test"))
        testing = self.publish("testing", policy("testing", "mx1.other.test"))
        self.host("mx1.good.sts.test")
        empath = self.begin()
        barred = f"451 4.7.5 the MTA-STS policy of {elsewhere} does not name mx1.{elsewhere}"
        remark = f"the MTA-STS policy does not name mx1.{testing}"
        for domain, (tls, by, trouble), end in (
            (good, ("verified", "mta-sts", ""), "delivered"),
            (wrong, ("verified", "mta-sts", ""), "the certificate is not for this host"),
            (testing, ("opportunistic", "", remark), "delivered"),
            (elsewhere, ("", "", barred), barred),
        ):
            queue_id = self.send(empath, [f"you@{domain}"])
            empath.wait_logged(queue_id, "status=")
            found = foretold(empath, domain)
            self.assertEqual(found if tls else found[2:], (tls, by, trouble) if tls else (trouble,))
            self.assertIn(end, became(explained(empath, queue_id)))
