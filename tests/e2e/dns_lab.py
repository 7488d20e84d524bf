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

import random
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.e2e.dns_signing import NAME_SERVER, Signer
from tests.e2e.dns_zones import Flaw, Signing, Zone
from tests.e2e.ports import free_port, is_free
from tests.e2e.processes import Program, require, require_program

__all__ = ["DnsLab", "Flaw", "Signing", "Zone"]

LOOPBACK: Final = "127.0.0.1"
STANDARD_PORT: Final = 53

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


class DnsLab:
    """
    The servers and their zones, all below `folder`. Call `stop` at the end.

    Keys stay the same with every `serve`. With `standard_port` the resolver answers on port 53 of an address
    of loopback, too (root only): the test is skipped where that cannot be.
    """

    def __init__(self, folder: Path, standard_port: bool = False) -> None:
        self._named = require_program("named")
        self._unbound = require_program("unbound")
        self._folder = folder / "dns"
        self._folder.mkdir(parents=True)
        self._folder.chmod(0o755)
        self._programs: list[Program] = []
        self._signer = Signer(self._folder)
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
        vouched = self._signer.write(self.zones.values())
        self.anchors.write_text("\n".join(vouched) + "\n")
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
