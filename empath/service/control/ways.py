"""
Ways of mail, as answers tell of them.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime

from empath.control.terms.explaining import HoldRow, HostRow
from empath.deliver.looking import Looking, Stop, Way
from empath.mail.wish import Wish
from empath.policy.hold import Hold
from empath.policy.tls import Asker, Policy
from empath.service.control.paging import moment
from empath.service.control.patience import Late, within

PATIENCE: Final = 8.0  # seconds for the look-ups of one destination

_ASKERS: Final = {
    Asker.LOCAL: "config",
    Asker.DANE: "dane",
    Asker.MTA_STS: "mta-sts",
    Asker.REQUIRETLS: "requiretls",
}


class Ways:
    """
    Finds ways in bounded time.
    """

    def __init__(self, looking: Looking, clock: IReactorTime) -> None:
        self._looking = looking
        self._clock = clock

    async def find(self, domain: str, wish: Wish = Wish.NONE) -> Way | None:
        """
        Tell the way to a destination, None where the look-ups take too long.
        """
        found = await within(self._clock, PATIENCE, self._looking.way(domain, wish))
        return None if isinstance(found, Late) else found


def host_rows(way: Way) -> tuple[HostRow, ...]:
    """
    Tell of the hosts in the order in which they are tried.
    """
    return tuple([_row(each, way.route.implicit) for each in way.stops])


def trouble_of(way: Way | None) -> str:
    """
    Tell why there are no hosts, "" where there are, or need be none.
    """
    if way is None:
        return f"the look-ups take longer than {PATIENCE:g} s"
    return "" if way.failure is None else str(way.failure.reply)


def hold_row(hold: Hold) -> HoldRow:
    """
    Tell what keeps mail.
    """
    return HoldRow(hold.why.value, moment(hold.until), hold.detail)


def _row(stop: Stop, implicit: bool) -> HostRow:
    assurance, demand = stop.assurance, stop.assurance.demand
    tls = demand.policy.value
    if implicit:
        tls = Policy.REQUIRED.value if demand.policy in (Policy.DISABLED, Policy.OPPORTUNISTIC) else tls
        tls = f"{tls}, from the first byte"
    by = "config" if implicit and demand.asker is Asker.LOCAL else _asker(stop)
    trouble = "" if assurance.barred is None else str(assurance.barred.failure.reply)
    if not trouble and demand.lowered:
        trouble = "its certificate is not looked at, as accept_invalid_certs says"
    return HostRow(stop.host, stop.port, stop.preference, stop.addresses, tls, by, trouble or assurance.remark[1])


def _asker(stop: Stop) -> str:
    """
    Name who demands it; nobody does where any TLS, or none, will do.
    """
    demand = stop.assurance.demand
    return "" if demand.policy is Policy.OPPORTUNISTIC else _ASKERS[demand.asker]
