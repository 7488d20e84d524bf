"""
Where connections leave from: source addresses, the name that EHLO tells, and which of several pools a delivery takes.
"""

from __future__ import annotations

import random
from itertools import accumulate

import attrs

from empath.config.schema import Delivery as Section
from empath.config.schema import EgressPool


@attrs.frozen(slots=True, cache_hash=True)
class Egress:
    """
    What all connections of a pool have in common. Without `addresses` the system picks one.

    `bound`: there is no way out but by these addresses, so that a family none of them has cannot be reached.
    """

    ehlo_name: str
    addresses: tuple[str, ...] = ()
    bound: bool = False
    name: str = ""

    def reaches(self, address: str) -> bool:
        """
        Tell whether an address can be connected to from here.
        """
        return not self.bound or any(_alike(address, own) for own in self.addresses)

    def source(self, address: str, chance: random.Random) -> str:
        """
        Pick what to connect from, "" to leave it to the system.
        """
        own = [each for each in self.addresses if _alike(address, each)]
        return own[0] if len(own) == 1 else chance.choice(own) if own else ""


class Egresses:
    """
    The pools of the section in force. Without any, mail leaves from `source_address`, as `hostname`.
    """

    def __init__(self, section: Section, hostname: str, chance: random.Random) -> None:
        self._hostname = hostname
        self._chance = chance
        self.reconfigure(section)

    def choose(self, name: str) -> Egress:
        """
        Give the pool of a name; for "" draw one by weight.
        """
        if not self._drawn:
            return self._named.get(name, self._usual)
        return self._named.get(name) or self._chance.choices(self._drawn, cum_weights=self._weights)[0]

    def reconfigure(self, section: Section) -> None:
        """
        Use a new section from now on.
        """
        source = section.source_address
        self._usual = Egress(self._hostname, (source,) if source else ())
        self._named = {pool.name: self._egress(pool) for pool in section.pools}
        drawn = [pool for pool in section.pools if pool.weight > 0]
        self._drawn = [self._named[pool.name] for pool in drawn]
        self._weights = list(accumulate(pool.weight for pool in drawn))

    def _egress(self, pool: EgressPool) -> Egress:
        return Egress(pool.ehlo_name or self._hostname, pool.addresses, bool(pool.addresses), pool.name)


def _alike(one: str, other: str) -> bool:
    """
    Tell whether two addresses are of one family.
    """
    return (":" in one) == (":" in other)
