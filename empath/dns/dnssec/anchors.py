"""
Trust anchors: the keys that are believed without further proof.

Pure: text in, a value out. What cannot be read is a ValueError, for the operator to see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import dns.dnssec
import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.zonefile
from dns.dnssectypes import DSDigest
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rrset import RRset

from empath.dns.dnssec.keys import known, known_digests

Anchors = Mapping[dns.name.Name, tuple[DS, ...]]
"""
What is believed of the keys of each of these zones; the closest one around a name counts.
"""

SHIPPED: Final = """\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
"""  # the root's key-signing keys of 2017 and 2024, as IANA publishes them


def read_anchors(text: str) -> Anchors:
    """
    Read DS and DNSKEY records in master-file form (RFC 1035 §5.1), such as unbound's and Debian's root.key.

    ValueError for anything else, for algorithms and digests that we do not know, and where there is no record.
    """
    try:
        records = dns.zonefile.read_rrsets(text, rdclass=None, default_ttl=0, origin=dns.name.root)
    except (dns.exception.DNSException, ValueError) as trouble:
        raise ValueError(f"no DS or DNSKEY records: {trouble}") from None
    anchors: dict[dns.name.Name, tuple[DS, ...]] = {}
    for rrset in records:
        anchors[rrset.name] = anchors.get(rrset.name, ()) + _vouched(rrset)
    if not anchors:
        raise ValueError("no DS or DNSKEY records: there is none at all")
    return anchors


def _vouched(rrset: RRset) -> tuple[DS, ...]:
    """
    Tell what a set of records says of keys; a DNSKEY is as good as its digest.
    """
    owner = rrset.name.to_text()
    match rrset.rdclass, rrset.rdtype:
        case dns.rdataclass.IN, dns.rdatatype.DS:
            found = [cast(DS, rdata) for rdata in rrset]
        case dns.rdataclass.IN, dns.rdatatype.DNSKEY:
            keys = [cast(DNSKEY, rdata) for rdata in rrset]
            found = [dns.dnssec.make_ds(rrset.name, key, DSDigest.SHA256) for key in keys]
        case _:
            raise ValueError(f"{owner}: neither DS nor DNSKEY but {dns.rdatatype.to_text(rrset.rdtype)}")
    usable = known_digests(found)
    if not usable:
        algorithms = sorted({int(ds.algorithm) for ds in found if not known(ds.algorithm)})
        raise ValueError(f"{owner}: algorithm or digest that we do not know {algorithms or ''}".rstrip())
    return usable
