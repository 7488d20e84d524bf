"""
Who waits for what a domain says of its policy, while it is asked.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from empath.dns.mta_sts.kept import Kept
from empath.policy.mta_sts import StsPolicy


@attrs.define(slots=True, eq=False)
class Flight:
    """
    A domain that is being asked: who waits for what it says, `patient` ones to the last, and who for the end.
    `refreshing` tells that the policy in memory is the newest, and fetched again only to last longer; `aging`, that it
    is so even if no record announces it any more; `slow`, that only patient mail waits now. `version` is the id of the
    record whose policy is being fetched, "" before that.
    """

    waiting: list[Deferred[StsPolicy | None]] = attrs.field(factory=list)
    patient: list[Deferred[StsPolicy | None]] = attrs.field(factory=list)
    ending: list[Deferred[None]] = attrs.field(factory=list)
    running: Deferred[None] | None = None
    patience: IDelayedCall | None = None
    aging: bool = False
    refreshing: bool = False
    slow: bool = False
    version: str = ""

    def join(self, patient: bool) -> Deferred[StsPolicy | None]:
        """
        Wait for what the domain says, with all others who do.
        """
        line = self.patient if patient else self.waiting
        caller: Deferred[StsPolicy | None] = Deferred(line.remove)
        line.append(caller)
        return caller

    def hurry(self, kept: Kept | None) -> None:
        """
        Let nobody wait any longer but who is patient.
        """
        self.slow = True
        waiting, self.waiting = self.waiting, []
        for caller in waiting:
            if not caller.called:  # one of them may have cancelled others
                caller.callback(in_force(kept))

    def tell(self, kept: Kept | None) -> None:
        """
        Let nobody wait any longer.
        """
        self.waiting, self.patient = self.waiting + self.patient, []
        self.hurry(kept)


def in_force(kept: Kept | None) -> StsPolicy | None:
    """
    Give the policy that counts.
    """
    return None if kept is None else kept.in_force
