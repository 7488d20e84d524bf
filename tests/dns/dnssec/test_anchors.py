"""
Trust anchors as operators write them.
"""

from __future__ import annotations

import dns.name
from twisted.trial.unittest import SynchronousTestCase

from empath.dns.dnssec.anchors import SHIPPED, read_anchors
from tests.dns.dnssec.world import Zone

ROOT_KEY = """\
; autotrust trust anchor file
;;id: . 1
. 172800 IN DNSKEY 257 3 8 (
  AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kv
  ArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+e
  oZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwN
  R1AkUTV74bU= ) ;;state=2 [  VALID  ]
"""


class AnchorTests(SynchronousTestCase):
    """
    What is read, and what is refused.
    """

    def refused(self, text: str) -> str:
        """
        Tell why a text is refused.
        """
        return str(self.assertRaises(ValueError, read_anchors, text))

    def test_shipped_anchors(self) -> None:
        """
        The root's two keys, 20326 and 38696, both with SHA-256.
        """
        anchors = read_anchors(SHIPPED)
        self.assertEqual(list(anchors), [dns.name.root])
        self.assertEqual([(ds.key_tag, ds.digest_type) for ds in anchors[dns.name.root]], [(20326, 2), (38696, 2)])

    def test_key_is_as_good_as_its_digest(self) -> None:
        """
        unbound's root.key gives the anchor that IANA publishes.
        """
        self.assertEqual(read_anchors(ROOT_KEY)[dns.name.root], read_anchors(SHIPPED)[dns.name.root][:1])

    def test_several_zones(self) -> None:
        """
        Each zone has its own, and two lines for one zone add up.
        """
        one, two = Zone("one.test"), Zone("one.test", 2)
        anchors = read_anchors(f"one.test. IN DS {one.ds}\n. DS {two.ds}\none.test. 60 IN DNSKEY {two.dnskey}\n")
        self.assertEqual({found.to_text(): len(ds) for found, ds in anchors.items()}, {"one.test.": 2, ".": 1})

    def test_what_is_no_anchor(self) -> None:
        """
        Nothing at all, other records, no records, and keys that we could never check.
        """
        self.assertIn("none at all", self.refused("; nothing\n"))
        self.assertIn("neither DS nor DNSKEY but A", self.refused(". IN A 192.0.2.1"))
        self.assertIn("no DS or DNSKEY records", self.refused("<xml>"))
        self.assertIn("[200]", self.refused(f". IN DS 1 200 2 {'00' * 32}"))
        self.assertIn("digest that we do not know", self.refused(f". IN DS 1 8 99 {'00' * 32}"))
