"""
What becomes of mail where DNSSEC finds a denial forged: that there is no such domain, no host, or no mail wanted.
"""

from __future__ import annotations

from collections.abc import Iterable

from empath.mail.answer import Answer, Security
from empath.mail.outcome import Failure, PermanentFailure
from empath.mail.wish import Wish
from empath.policy.demand import dnssec_trouble
from empath.policy.tls import Policy


def unless_forged(failure: Failure, answers: Iterable[Answer], local: Policy, wish: Wish) -> Failure:
    """
    Let mail wait that would be returned because of denials which DNSSEC finds forged, where our operator (`local`) or
    the sender goes by DNSSEC: nobody is to bounce it who could not read it.
    """
    if isinstance(failure, PermanentFailure) and (
        wish is Wish.REQUIRE or (local is Policy.DANE and wish is not Wish.OPTIONAL)
    ):
        for answer in answers:
            if answer.security is Security.BOGUS:
                return dnssec_trouble(answer.name, f"{answer.rdtype} is signed, and denied without proof").failure
    return failure
