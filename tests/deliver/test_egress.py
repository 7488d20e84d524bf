"""
Where connections leave from.
"""

from __future__ import annotations

import random
from collections import Counter

import attrs
from twisted.trial.unittest import SynchronousTestCase

from empath.config.schema import Delivery as Section
from empath.config.schema import Domain, EgressPool
from empath.deliver.egress import Egresses
from tests.deliver.world import SENT, World, message

SIX, FOUR = "2001:db8::9", "198.51.100.9"
BULK = EgressPool("bulk", (SIX, FOUR), "bulk.example.net", 3)
PLAIN = EgressPool("plain", ("198.51.100.10", "198.51.100.11"), "", 1)
SPARE = EgressPool("spare", (), "spare.example.net", 0)


class PoolTests(SynchronousTestCase):
    """
    Which pool a delivery takes, and which of its addresses a connection.
    """

    def egresses(self, *pools: EgressPool, source: str = "") -> Egresses:
        """
        Make the pools.
        """
        return Egresses(Section(pools=pools, source_address=source), "us.example.net", random.Random(1))

    def test_none(self) -> None:
        """
        Without pools mail leaves from `source_address` under the hostname, in the other family as the system likes.
        """
        usual = self.egresses(source=FOUR).choose("")
        chance = random.Random(1)
        self.assertEqual(usual.ehlo_name, "us.example.net")
        self.assertEqual([usual.source(each, chance) for each in ("192.0.2.1", "2001:db8::1")], [FOUR, ""])
        self.assertTrue(usual.reaches("2001:db8::1"))
        self.assertEqual(self.egresses().choose("").source("192.0.2.1", chance), "")

    def test_by_name(self) -> None:
        """
        A domain's pool is taken whatever its weight.
        """
        egresses = self.egresses(BULK, PLAIN, SPARE)
        self.assertEqual(
            [egresses.choose(name).name for name in ("bulk", "plain", "spare")], ["bulk", "plain", "spare"]
        )
        self.assertEqual(egresses.choose("plain").ehlo_name, "us.example.net")
        self.assertEqual(self.egresses(SPARE).choose("spare").ehlo_name, "spare.example.net")

    def test_by_weight(self) -> None:
        """
        Otherwise pools are drawn by their weights, those of weight 0 never.
        """
        egresses = self.egresses(BULK, PLAIN, SPARE)
        drawn = Counter(egresses.choose("").name for _ in range(4000))
        self.assertEqual(set(drawn), {"bulk", "plain"})
        self.assertTrue(2800 < drawn["bulk"] < 3200, drawn)

    def test_nothing_to_draw(self) -> None:
        """
        Where all pools are for domains that name them, other mail leaves as if there were none.
        """
        self.assertEqual(self.egresses(SPARE, source=FOUR).choose("").addresses, (FOUR,))

    def test_addresses(self) -> None:
        """
        A connection leaves from an address of its own family, one of several by chance.
        """
        chance = random.Random(1)
        bulk, plain = (self.egresses(BULK, PLAIN).choose(name) for name in ("bulk", "plain"))
        self.assertEqual([bulk.source(each, chance) for each in ("192.0.2.1", "2001:db8::1")], [FOUR, SIX])
        self.assertEqual({plain.source("192.0.2.1", chance) for _ in range(50)}, {"198.51.100.10", "198.51.100.11"})
        self.assertEqual([plain.reaches(each) for each in ("192.0.2.1", "2001:db8::1")], [True, False])


class DeliveryTests(SynchronousTestCase):
    """
    Mail that leaves from pools.
    """

    def world(self, *pools: EgressPool, pool: str = "") -> World:
        """
        Make a world with pools; example.org names one.
        """
        return World(Section(pools=pools, domains={"example.org": Domain(pool=pool)}))

    def test_named(self) -> None:
        """
        The connection is bound to the pool's address, and EHLO tells its name.
        """
        world = self.world(BULK, PLAIN, pool="bulk")
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual(world.reactor.connectors[0].bind, (FOUR, 0))
        self.assertEqual(world.mx1.commands[0], "EHLO bulk.example.net")

    def test_not_shared(self) -> None:
        """
        A connection of one pool carries no mail of another.
        """
        world = self.world(BULK, PLAIN, pool="bulk")
        world.resolver.table["example.com", "MX"] = world.resolver.table["example.org", "MX"]
        world.deliver()
        world.agent.reconfigure(
            attrs.evolve(
                world.section, domains={"example.org": Domain(pool="plain"), "example.com": Domain(pool="bulk")}
            )
        )
        world.routing.reconfigure(attrs.evolve(world.section, domains={"example.org": Domain(pool="plain")}))
        world.deliver()
        self.assertEqual(
            [command for command in world.mx1.commands if command.startswith("EHLO")],
            ["EHLO bulk.example.net", "EHLO client.example.net"],
        )

    def test_kept_over_reconfiguration(self) -> None:
        """
        A connection goes on to be used where a new configuration leaves its pool as it was.
        """
        world = self.world(BULK, pool="bulk")
        world.deliver()
        world.agent.reconfigure(attrs.evolve(world.section, port=25))
        world.deliver()
        self.assertEqual(len(world.reactor.connectors), 1)

    def test_family_that_the_pool_lacks(self) -> None:
        """
        Addresses of a family that the pool has none of are not tried; if no others are there, the mail waits.
        """
        world = self.world(PLAIN, pool="plain")
        world.resolver.table["mx1.example.org", "AAAA"] = ["2001:db8::1"]
        self.assertEqual(world.deliver(), SENT)
        self.assertEqual([each.host for each in world.reactor.connectors], ["192.0.2.1"])
        world.resolver.table["example.com", "AAAA"] = ["2001:db8::1"]
        world.routing.reconfigure(attrs.evolve(world.section, domains={"*": Domain(pool="plain")}))
        self.assertEqual(world.deliver(message("a@example.com")), ["TransientFailure 451 4.4.4"])
