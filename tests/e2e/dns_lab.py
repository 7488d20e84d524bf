"""
A signed DNS of our own on loopback: a root and zones in BIND, signed by its tools, and unbound validating before it.

    lab = DnsLab(temporary_folder(self))
    self.addCleanup(lab.stop)
    one = lab.zone("one.test")                      # signed, chained from the root: secure
    one.mail("127.0.0.2", "127.0.0.3")              # MX 10 mx1.one.test, MX 20 mx2.one.test and their addresses
    one.tlsa("mx1", 25, 3, 1, 1, digest)            # _25._tcp.mx1.one.test
    one.mta_sts("20260101").tls_rpt("mailto:tls@one.test")
    two = lab.zone("two.test", Signing.NONE)        # proved to be insecure
    three = lab.zone("three.test", flaw=Flaw.TAMPERED).add("www A 192.0.2.1")
    lab.serve()                                     # again after changes: everything is signed and started anew
    lab.server, lab.authority, lab.anchors          # the resolver's and BIND's "127.0.0.1:port"; a file of DS records
    lab.within(["posttls-finger", ...])             # a command whose resolv.conf names our resolver, on port 53 (root)

The root and "test" are there from the beginning; a zone's parent is the closest other zone around it. "mail" zones may
lie anywhere else, too ("example.org").
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import subprocess
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

import dns.dnssec
import dns.name
import dns.node
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone

from tests.e2e.ports import free_port, is_free
from tests.e2e.processes import Program, require, require_program

TTL: Final = 60
NAME_SERVER: Final = "ns.lab."  # of every zone; its address lies in the root
LOOPBACK: Final = "127.0.0.1"
STANDARD_PORT: Final = 53


class Signing(Enum):
    """
    How a zone is signed.
    """

    NONE = "none"  # and its parent has no DS: insecure
    NSEC = "nsec"
    NSEC3 = "nsec3"
    OPT_OUT = "opt-out"  # NSEC3 that skips insecure delegations (RFC 5155 §6)


class Flaw(Enum):
    """
    What is wrong with a zone.
    """

    NONE = "none"
    WRONG_DS = "wrong-ds"  # the parent vouches for another key
    EXPIRED = "expired"  # all signatures ended yesterday
    NOT_YET = "not-yet"  # all signatures begin tomorrow
    TAMPERED = "tampered"  # addresses, MX, TXT and TLSA changed after they were signed
    STRIPPED = "stripped"  # the parent has a DS, and nothing is signed
    FOREIGN_DS = "foreign-ds"  # the only DS is of an algorithm that nobody has: insecure (RFC 4035 §5.2)


class Zone:
    """
    One zone. What it says may change until `serve`, and again before the next `serve`.
    """

    def __init__(self, name: str, signing: Signing, flaw: Flaw, algorithm: str, iterations: int) -> None:
        self.name = name
        self.signing = signing
        self.flaw = flaw
        self.algorithm = algorithm
        self.iterations = iterations
        self.records: list[str] = []
        self.after: list[Callable[[dns.zone.Zone], None]] = []

    @property
    def origin(self) -> str:
        """
        Its name with the final dot.
        """
        return "." if self.name == "." else f"{self.name}."

    @property
    def stem(self) -> str:
        """
        What its files are called.
        """
        return "root" if self.name == "." else self.name

    @property
    def signed(self) -> bool:
        """
        Whether it is to have signatures.
        """
        return self.signing is not Signing.NONE and self.flaw is not Flaw.STRIPPED

    def add(self, *records: str) -> Zone:
        """
        Add records ("www A 192.0.2.1", "@ MX 10 mx1", "mx1 30 AAAA ::1"): names without final dot are below the zone.
        """
        self.records += records
        return self

    def clear(self) -> Zone:
        """
        Drop all its records, and what was to be done to it after signing.
        """
        self.records.clear()
        self.after.clear()
        return self

    def mail(self, *addresses: str, owner: str = "@") -> Zone:
        """
        MX hosts mx1, mx2, … of `owner` with these addresses, the first preferred.
        """
        below = "" if owner == "@" else f".{owner}"
        for nth, address in enumerate(addresses, 1):
            kind = "AAAA" if ":" in address else "A"
            self.add(f"{owner} MX {10 * nth} mx{nth}{below}", f"mx{nth}{below} {kind} {address}")
        return self

    def tlsa(self, host: str, port: int, usage: int, selector: int, matching: int, association: bytes) -> Zone:
        """
        A TLSA record for a port of `host`, a name within the zone.
        """
        below = "" if host == "@" else f".{host}"
        return self.add(f"_{port}._tcp{below} TLSA {usage} {selector} {matching} {association.hex()}")

    def text(self, owner: str, text: str) -> Zone:
        """
        A TXT record, in strings of 255 octets at most.
        """
        parts = [text[start : start + 255] for start in range(0, len(text), 255)] or [""]
        escaped = [part.replace("\\", "\\\\").replace('"', '\\"') for part in parts]
        return self.add(f"{owner} TXT " + " ".join(f'"{part}"' for part in escaped))

    def mta_sts(self, ident: str, owner: str = "@", address: str = "") -> Zone:
        """
        The record that announces an MTA-STS policy (RFC 8461 §3.1), and the policy host's address if there is one.
        """
        below = "" if owner == "@" else f".{owner}"
        if address:
            self.add(f"mta-sts{below} {'AAAA' if ':' in address else 'A'} {address}")
        return self.text(f"_mta-sts{below}", f"v=STSv1; id={ident};")

    def tls_rpt(self, rua: str, owner: str = "@") -> Zone:
        """
        The record that asks for TLS reports (RFC 8460 §3).
        """
        return self.text("_smtp._tls" + ("" if owner == "@" else f".{owner}"), f"v=TLSRPTv1; rua={rua}")

    def spoil(self, change: Callable[[dns.zone.Zone], None]) -> Zone:
        """
        Change what the server serves after it was signed; names in it are absolute.
        """
        self.after.append(change)
        return self

    def unsign(self, owner: str, rdtype: str) -> Zone:
        """
        Drop the signatures over one set of records.
        """
        return self.spoil(lambda zone: _unsign(zone, self.absolute(owner), dns.rdatatype.from_text(rdtype)))

    def tamper(self, owner: str, rdtype: str, *records: str) -> Zone:
        """
        Put others in the place of signed records, and keep the signatures.
        """
        kind = dns.rdatatype.from_text(rdtype)
        put = dns.rdataset.from_text_list(dns.rdataclass.IN, kind, TTL, list(records))
        return self.spoil(lambda zone: zone.replace_rdataset(self.absolute(owner), put))

    def absolute(self, owner: str) -> dns.name.Name:
        """
        The whole name of `owner`.
        """
        origin = dns.name.from_text(self.origin)
        return origin if owner == "@" else dns.name.from_text(owner, origin)


class DnsLab:
    """
    The servers and their zones, all below `folder`. Call `stop` at the end.

    `serials` change with every `serve`, keys do not. With `standard_port` the resolver answers on port 53 of an address
    of loopback, too (root only): the test is skipped where that cannot be.
    """

    def __init__(self, folder: Path, standard_port: bool = False) -> None:
        self._named = require_program("named")
        self._signer = require_program("dnssec-signzone")
        self._keygen = require_program("dnssec-keygen")
        self._unbound = require_program("unbound")
        self._folder = folder / "dns"
        self._folder.mkdir(parents=True)
        self._folder.chmod(0o755)
        self._programs: list[Program] = []
        self._keys: dict[tuple[str, str], list[str]] = {}
        self._serial = 0
        self.resolver_port = free_port()
        self.authority_port = free_port()
        self.standard_address = _address_of_port_53() if standard_port else ""
        self.zones: dict[str, Zone] = {}
        self.root = self.zone(".").add(f"{NAME_SERVER} A {LOOPBACK}")
        self.test = self.zone("test")

    @property
    def server(self) -> str:
        """
        The validating resolver: what belongs into `[delivery.dns] servers`.
        """
        return f"{LOOPBACK}:{self.resolver_port}"

    @property
    def authority(self) -> str:
        """
        The authoritative server of all zones, which knows nothing else.
        """
        return f"{LOOPBACK}:{self.authority_port}"

    @property
    def anchors(self) -> Path:
        """
        A file with the root's DS record: what belongs into `[delivery.dns] trust_anchor`.
        """
        return self._folder / "anchors"

    def zone(
        self,
        name: str,
        signing: Signing = Signing.NSEC,
        flaw: Flaw = Flaw.NONE,
        algorithm: str = "ECDSAP256SHA256",
        iterations: int = 0,
    ) -> Zone:
        """
        Add a zone, or put another one in its place; `algorithm` is one of dnssec-keygen's.
        """
        made = self.zones[name] = Zone(name, signing, flaw, algorithm, iterations)
        return made

    def serve(self) -> None:
        """
        Sign all zones, and start the servers, or start them again, with empty caches.
        """
        self.stop()
        self._serial += 1
        keyset: dict[str, list[str]] = {}
        for zone in sorted(self.zones.values(), key=_depth, reverse=True):
            self._write(zone, keyset)
            keyset[zone.name] = self._vouch(zone)
        self.anchors.write_text("\n".join(keyset["."]) + "\n")
        self._start_authority()
        self.resume()

    def resume(self) -> None:
        """
        Start the resolver again, with an empty cache; the zones stay as they are served.
        """
        self.pause()
        file = self._folder / "unbound.conf"
        interfaces = [f"  interface: {LOOPBACK}@{self.resolver_port}"]
        if self.standard_address:
            interfaces.append(f"  interface: {self.standard_address}@{STANDARD_PORT}")
        text = UNBOUND.format(
            folder=self._folder, authority=self.authority_port, interfaces="\n".join(interfaces), anchors=self.anchors
        )
        file.write_text(text)
        self._start([self._unbound, "-d", "-c", str(file)], "unbound.log", self.resolver_port)

    def pause(self) -> None:
        """
        Let the resolver fall silent.
        """
        if len(self._programs) > 1:
            self._programs.pop().terminate(10)

    def stop(self) -> None:
        """
        End the servers; harmless when repeated.
        """
        while self._programs:
            self._programs.pop().terminate(10)

    def within(self, command: Sequence[str]) -> list[str]:
        """
        Make the command that runs `command` where /etc/resolv.conf names our resolver and trusts its AD bit.

        Needs `standard_port` and root; nothing outside the command sees another file.
        """
        assert self.standard_address
        file = self._folder / "resolv.conf"
        file.write_text(f"nameserver {self.standard_address}\noptions trust-ad edns0 timeout:5 attempts:2\n")
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return [require_program("unshare"), "--mount", "sh", "-c", script, str(file), *command]

    def _start(self, command: Sequence[str], log: str, port: int) -> None:
        program = Program(command, self._folder / log, self._folder)
        self._programs.append(program)
        program.wait_for(lambda: _answers(port))

    def _start_authority(self) -> None:
        zones = "\n".join(
            f'zone "{zone.origin}" {{ type primary; file "{zone.stem}.zone"; }};' for zone in self.zones.values()
        )
        file = self._folder / "named.conf"
        file.write_text(NAMED.format(folder=self._folder, port=self.authority_port, address=LOOPBACK, zones=zones))
        self._start([self._named, "-g", "-n", "1", "-U", "1", "-c", str(file)], "named.log", self.authority_port)

    def _parent(self, zone: Zone) -> str:
        labels = zone.name.split(".")
        around = (".".join(labels[cut:]) for cut in range(1, len(labels)))
        return next((name for name in around if name in self.zones), ".")

    def _children(self, zone: Zone) -> list[Zone]:
        return [child for child in self.zones.values() if child.name != "." and self._parent(child) == zone.name]

    def _write(self, zone: Zone, keyset: dict[str, list[str]]) -> None:
        lines = [
            f"$ORIGIN {zone.origin}",
            f"$TTL {TTL}",
            f"@ SOA {NAME_SERVER} hostmaster.lab. {self._serial} 3600 600 86400 {TTL}",
            f"@ NS {NAME_SERVER}",
            *(f"{child.origin} NS {NAME_SERVER}" for child in self._children(zone)),
            *(record for child in self._children(zone) for record in keyset[child.name]),
            *zone.records,
        ]
        plain, served = self._folder / f"{zone.stem}.plain", self._folder / f"{zone.stem}.zone"
        plain.write_text("\n".join(lines) + "\n")
        if zone.signed:
            self._sign(zone, plain, served)
        else:
            served.write_text(plain.read_text())
        changes = [*zone.after, *([_tamper] if zone.flaw is Flaw.TAMPERED else [])]
        if changes:
            made = dns.zone.from_file(
                str(served), dns.name.from_text(zone.origin), relativize=False, check_origin=False
            )
            for change in changes:
                change(made)
            made.to_file(str(served), relativize=False)

    def _sign(self, zone: Zone, plain: Path, served: Path) -> None:
        keys = self._key_files(zone.name, zone.algorithm)
        plain.write_text(plain.read_text() + "".join(f"$INCLUDE {key}.key\n" for key in keys))
        start, end = PERIODS.get(zone.flaw, ("now-3600", "now+2592000"))
        options = ["-P", "-q", "-O", "full", "-s", start, "-e", end, "-o", zone.origin, "-d", str(self._folder)]
        if zone.signing in (Signing.NSEC3, Signing.OPT_OUT):
            options += ["-3", "-" if zone.iterations == 0 else "5a17", "-H", str(zone.iterations)]
            options += ["-A"] if zone.signing is Signing.OPT_OUT else []
        _run([self._signer, *options, "-f", str(served), str(plain), *keys], self._folder)

    def _vouch(self, zone: Zone) -> list[str]:
        """
        Make the DS records that the parent has of a zone.
        """
        if zone.signing is Signing.NONE:
            return []
        key_file = self._key_files("other." + zone.name if zone.flaw is Flaw.WRONG_DS else zone.name, zone.algorithm)[0]
        line = next(line for line in Path(f"{key_file}.key").read_text().splitlines() if " DNSKEY " in line)
        rdata = dns.rdata.from_text("IN", "DNSKEY", line.partition(" DNSKEY ")[2])
        ds = dns.dnssec.make_ds(dns.name.from_text(zone.origin), rdata, "SHA256").to_text()
        if zone.flaw is Flaw.FOREIGN_DS:
            tag, _, rest = ds.split(" ", 2)
            ds = f"{tag} 200 {rest}"
        return [f"{zone.origin} {TTL} IN DS {ds}"]

    def _key_files(self, name: str, algorithm: str) -> list[str]:
        """
        Make, once, a key-signing and a zone-signing key; tell their files without suffix, the former first.
        """
        made = self._keys.get((name, algorithm))
        if made is None:
            size = ["-b", "2048"] if algorithm.startswith(("RSA", "NSEC3RSA")) else []
            base = [self._keygen, "-q", "-K", str(self._folder), "-a", algorithm, *size]
            origin = "." if name in (".", "other..") else f"{name.removeprefix('other.')}."
            pairs = [_run([*base, *flags, origin], self._folder).strip() for flags in (["-f", "KSK"], [])]
            made = self._keys[name, algorithm] = [str(self._folder / pair) for pair in pairs]
        return made


PERIODS: Final = {Flaw.EXPIRED: ("now-864000", "now-86400"), Flaw.NOT_YET: ("now+86400", "now+864000")}

NAMED: Final = """\
options {{
  directory "{folder}";
  listen-on port {port} {{ {address}; }};
  listen-on-v6 {{ none; }};
  pid-file none;
  session-keyfile none;
  lock-file none;
  recursion no;
  dnssec-validation no;
  empty-zones-enable no;
  notify no;
  check-names primary ignore;
  check-integrity no;
}};
controls {{}};
{zones}
"""

UNBOUND: Final = """\
server:
{interfaces}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  verbosity: 1
  val-log-level: 2
  ede: yes
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  qname-minimisation: no
  aggressive-nsec: no
  module-config: "validator iterator"
  trust-anchor-file: "{anchors}"
  trust-anchor-signaling: no
  root-key-sentinel: no
  local-zone: "test." nodefault
  local-zone: "invalid." nodefault
  local-zone: "onion." nodefault
  local-zone: "home.arpa." nodefault
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{authority}
remote-control:
  control-enable: no
"""


def _depth(zone: Zone) -> int:
    """
    How many labels its name has.
    """
    return len(dns.name.from_text(zone.origin))


def _run(command: Sequence[str], folder: Path) -> str:
    """
    Run a tool of BIND's; what it says is in the error if it fails.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _answers(port: int) -> bool:
    """
    Ask for the root's SOA and take any answer without failure.
    """
    question = struct.pack(">6H", 4711, 0x0110, 1, 0, 0, 0) + b"\0" + struct.pack(">2H", 6, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.3)
        try:
            asking.sendto(question, (LOOPBACK, port))
            answer = asking.recv(4096)
        except OSError:
            return False
    return answer[:2] == question[:2] and answer[3] & 15 == 0


def _address_of_port_53() -> str:
    """
    Pick an address of loopback whose port 53 is free; skip the test where we may not take it.
    """
    for _ in range(50):
        address = f"127.{random.SystemRandom().randrange(1, 255)}.{random.SystemRandom().randrange(256)}.53"
        if is_free(address, STANDARD_PORT):
            return address
    require(False, "port 53 cannot be had")
    return ""


def _tamper(zone: dns.zone.Zone) -> None:
    """
    Change all addresses, and the last octet of the other records that tests care for, behind the signatures' back.
    """
    for name in list(zone.nodes):
        for rdataset in _addressed(zone.nodes[name]):
            changed = dns.rdataset.Rdataset(rdataset.rdclass, rdataset.rdtype, ttl=rdataset.ttl)
            for rdata in rdataset:
                changed.add(_other(rdata))
            zone.replace_rdataset(name, changed)


def _addressed(node: dns.node.Node) -> Iterable[dns.rdataset.Rdataset]:
    """
    Tell which sets of records are to change.
    """
    return [found for found in node.rdatasets if found.rdtype in TAMPERED]


TAMPERED: Final = (
    dns.rdatatype.A,
    dns.rdatatype.AAAA,
    dns.rdatatype.MX,
    dns.rdatatype.TXT,
    dns.rdatatype.TLSA,
)


def _other(rdata: dns.rdata.Rdata) -> dns.rdata.Rdata:
    """
    Make a record that means nearly the same: an MX of another preference, an address beside it, another text.
    """
    wire = rdata.to_digestable()
    match rdata.rdtype:
        case dns.rdatatype.MX:
            wire = wire[:1] + bytes([wire[1] ^ 1]) + wire[2:]
        case dns.rdatatype.TXT:
            wire += b"\0"
        case _:
            wire = wire[:-1] + bytes([wire[-1] ^ 1])
    return dns.rdata.from_wire(rdata.rdclass, rdata.rdtype, wire, 0, len(wire))


def _unsign(zone: dns.zone.Zone, name: dns.name.Name, covers: dns.rdatatype.RdataType) -> None:
    """
    Drop the signatures of one type's records.
    """
    with contextlib.suppress(KeyError):
        zone.delete_rdataset(name, dns.rdatatype.RRSIG, covers)
