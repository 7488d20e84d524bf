"""
Denials that DNSSEC finds forged.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.answer import Answer, Found, Security
from empath.mail.outcome import TransientFailure
from empath.mail.wish import Wish
from empath.policy.forged import unless_forged
from empath.policy.mx import NO_DOMAIN, dns_trouble
from empath.policy.tls import Policy

TRUE = Answer("example.org", "MX", Found.NO_NAME, security=Security.SECURE)
FORGED = Answer("example.org", "MX", Found.NO_NAME, security=Security.BOGUS)


class ForgedTests(SynchronousTestCase):
    """
    Whether mail waits, or is returned.
    """

    def test_mail_waits_where_somebody_goes_by_dnssec(self) -> None:
        """
        The operator by `dane`, or the sender by REQUIRETLS, unless the sender wants it without.
        """
        for local, wish, waits in (
            (Policy.DANE, Wish.NONE, True),
            (Policy.OPPORTUNISTIC, Wish.REQUIRE, True),
            (Policy.DANE, Wish.OPTIONAL, False),
            (Policy.VERIFIED, Wish.NONE, False),
        ):
            told = unless_forged(NO_DOMAIN, (TRUE, FORGED), local, wish)
            self.assertEqual(isinstance(told, TransientFailure), waits, (local, wish))
            if waits:
                self.assertEqual(told.reply.status, "4.7.5")
                self.assertIn("example.org: MX is signed", told.reply.lines[0])

    def test_what_is_proved_counts(self) -> None:
        """
        And what waits anyway, waits for its own reason.
        """
        self.assertIs(unless_forged(NO_DOMAIN, (TRUE,), Policy.DANE, Wish.NONE), NO_DOMAIN)
        failure = dns_trouble(FORGED)
        self.assertIs(unless_forged(failure, (FORGED,), Policy.DANE, Wish.NONE), failure)
