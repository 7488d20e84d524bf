"""
Signs the zones of `tests.e2e.dns_lab` by BIND's tools.
"""

from __future__ import annotations

import subprocess
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Final

import dns.dnssec
import dns.name
import dns.rdata
import dns.zone

from tests.e2e.dns_zones import TTL, Flaw, Signing, Zone, tamper_all
from tests.e2e.processes import require_program

NAME_SERVER: Final = "ns.lab."  # of every zone; its address lies in the root
PERIODS: Final = {Flaw.EXPIRED: ("now-864000", "now-86400"), Flaw.NOT_YET: ("now+86400", "now+864000")}


class Signer:
    """
    Writes zones into `folder`, ready to be served; keys are made once.
    """

    def __init__(self, folder: Path) -> None:
        self._signer = require_program("dnssec-signzone")
        self._keygen = require_program("dnssec-keygen")
        self._folder = folder
        self._keys: dict[tuple[str, str], list[str]] = {}
        self._serial = 0

    def write(self, zones: Iterable[Zone]) -> list[str]:
        """
        Write them all, the deepest first, each with the DS records of its children; tells the root's.
        """
        self._serial += 1
        vouched: dict[str, list[str]] = {}
        everything = {zone.name: zone for zone in zones}
        for zone in sorted(everything.values(), key=_depth, reverse=True):
            children = [child.name for child in everything.values() if _parent(child, everything) == zone.name]
            self._write(zone, children, vouched)
            vouched[zone.name] = self.vouch(zone)
        return vouched["."]

    def _write(self, zone: Zone, children: Sequence[str], vouched: dict[str, list[str]]) -> None:
        lines = [
            f"$ORIGIN {zone.origin}",
            f"$TTL {TTL}",
            f"@ SOA {NAME_SERVER} hostmaster.lab. {self._serial} 3600 600 86400 {TTL}",
            f"@ NS {NAME_SERVER}",
            *(f"{child}. NS {NAME_SERVER}" for child in children),
            *(record for child in children for record in vouched[child]),
            *zone.records,
        ]
        plain, served = self._folder / f"{zone.stem}.plain", self._folder / f"{zone.stem}.zone"
        plain.write_text("\n".join(lines) + "\n")
        if zone.signed:
            self._sign(zone, plain, served)
        else:
            served.write_text(plain.read_text())
        changes = [*zone.after, *([tamper_all] if zone.flaw is Flaw.TAMPERED else [])]
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

    def vouch(self, zone: Zone) -> list[str]:
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


def _parent(zone: Zone, zones: Container[str]) -> str:
    """
    Tell the closest zone around one, "" for the root.
    """
    if zone.name == ".":
        return ""
    labels = zone.name.split(".")
    around = (".".join(labels[cut:]) for cut in range(1, len(labels)))
    return next((name for name in around if name in zones), ".")


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
