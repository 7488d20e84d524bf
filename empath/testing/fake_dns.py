"""
A DNS server in memory: it takes and gives real messages, so the resolver that asks it is the real one.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from empath.dns.datagrams import DatagramReceiver, Datagrams
from empath.dns.servers import Server

TTL: Final = 60
SERVFAIL: Final = "servfail"
SILENT: Final = "silent"


class FakeDns:
    """
    Zones that a test writes, and may change at any time; what was told before is remembered for its TTL, as ever.

    A name without any record, and without one below it, does not exist (NXDOMAIN). `asked` are the questions that came,
    as ("example.org", "MX").
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self._records: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
        self._trouble: dict[str, str] = {}

    def records(self, name: str, rdtype: str, *texts: str, ttl: int = TTL) -> None:
        """
        Set all records of a name and type as in a zone file, such as records("example.org", "TXT", '"v=spf1 -all"');
        none of them takes them away.
        """
        key = (_plain(name), rdtype.upper())
        self._records.pop(key, None)
        if texts:
            self._records[key] = (ttl, texts)
        self._trouble.pop(key[0], None)

    def mx(self, name: str, *hosts: str, ttl: int = TTL) -> None:
        """
        Set the MX hosts of a domain, the most preferred first; "" is the null MX (RFC 7505).
        """
        self.records(name, "MX", *(f"{10 * at} {_plain(host)}." for at, host in enumerate(hosts, 1)), ttl=ttl)

    def a(self, name: str, *addresses: str, ttl: int = TTL) -> None:
        """
        Set the IPv4 addresses of a host.
        """
        self.records(name, "A", *addresses, ttl=ttl)

    def aaaa(self, name: str, *addresses: str, ttl: int = TTL) -> None:
        """
        Set the IPv6 addresses of a host.
        """
        self.records(name, "AAAA", *addresses, ttl=ttl)

    def txt(self, name: str, *texts: str, ttl: int = TTL) -> None:
        """
        Set the TXT records of a name.
        """
        quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
        self.records(name, "TXT", *quoted, ttl=ttl)

    def remove(self, name: str) -> None:
        """
        Take all records of a name away.
        """
        plain = _plain(name)
        self._trouble.pop(plain, None)
        for key in [key for key in self._records if key[0] == plain]:
            del self._records[key]

    def fail(self, name: str) -> None:
        """
        Answer SERVFAIL to whatever is asked of a name, until records are set for it.
        """
        self._trouble[_plain(name)] = SERVFAIL

    def silence(self, name: str) -> None:
        """
        Answer nothing that is asked of a name, until records are set for it.
        """
        self._trouble[_plain(name)] = SILENT

    def texts(self, name: str, rdtype: str) -> tuple[str, ...]:
        """
        Tell the records of a name and type.
        """
        return self._records.get((_plain(name), rdtype), (0, ()))[1]

    def mx_hosts(self) -> set[str]:
        """
        Tell all hosts that are somebody's MX.
        """
        return {
            text.split()[1].rstrip(".") for key, found in self._records.items() if key[1] == "MX" for text in found[1]
        }

    def find(self, name: str, rdtype: str) -> tuple[str, tuple[str, ...]]:
        """
        Tell how a question ends: SERVFAIL (silence as well), "" for a name that does not exist, else a word; and the
        records.
        """
        plain = _plain(name)
        if plain in self._trouble:
            return SERVFAIL, ()
        exists = any(known == plain or known.endswith(f".{plain}") for known, _ in self._records)
        return "exists" if exists else "", self.texts(plain, rdtype)

    def answer(self, query: bytes) -> bytes | None:
        """
        Answer a message, None: not at all.
        """
        asked = dns.message.from_wire(query)
        question = asked.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype)))
        trouble = self._trouble.get(name)
        if trouble == SILENT:
            return None
        response = dns.message.make_response(asked, recursion_available=True)
        if trouble:
            response.set_rcode(dns.rcode.SERVFAIL)
        else:
            self._fill(response, question.name, name, question.rdtype)
        return response.to_wire()

    def _fill(self, response: Any, owner: dns.name.Name, name: str, rdtype: Any) -> None:
        """
        Put the records in, along aliases.
        """
        for _ in range(10):
            alias = self._records.get((name, "CNAME"))
            if alias is None:
                break
            response.answer.append(dns.rrset.from_text(owner, alias[0], "IN", "CNAME", *alias[1]))
            name = _plain(alias[1][0])
            owner = dns.name.from_text(name)
        found = self._records.get((name, dns.rdatatype.to_text(rdtype)))
        if found is not None:
            response.answer.append(dns.rrset.from_text(owner, found[0], "IN", dns.rdatatype.to_text(rdtype), *found[1]))
        elif name and not any(known == name or known.endswith(f".{name}") for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)


@attrs.define(eq=False)
class DnsSockets:
    """
    Opens sockets towards a fake server, from a machine whose clock this is.
    """

    dns: FakeDns
    clock: Any

    def __call__(self, server: Server, receiver: DatagramReceiver) -> Datagrams:
        """
        Open one.
        """
        return _Socket(self, server, receiver)


@attrs.define(eq=False)
class _Socket:
    sockets: DnsSockets
    server: Server
    receiver: DatagramReceiver
    open: bool = True

    def send(self, datagram: bytes) -> None:
        """
        Ask; the answer comes in the next turn.
        """
        answer = self.sockets.dns.answer(datagram)
        if answer is not None:
            self.sockets.clock.callLater(0, self._came, answer)

    def close(self) -> None:
        """
        Hear nothing more.
        """
        self.open = False

    def _came(self, answer: bytes) -> None:
        if self.open:
            self.receiver.received(answer, self.server.host, self.server.port)


def _plain(name: str) -> str:
    return name.lower().rstrip(".")
