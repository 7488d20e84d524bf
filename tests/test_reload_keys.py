"""
Every key of the schema, changed while the service runs: it is in force as after a start, or is told with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, get_type_hints

import attrs
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.config.convert import key_of
from empath.config.load import parse_config
from empath.config.rules import Section, shape_of
from empath.config.schema import Config
from empath.interfaces import IAuthenticator
from empath.service import EmpathService, build
from empath.smtp.scram import ScramVerifier
from tests.config.fakes import machine
from tests.reachable import reachable
from tests.receive.certificates import write_pair

EVERY_KEY: Final = Path(__file__).with_name("every_key.toml")
EXCLUDED: Final = (
    '[delivery]\nsource_address = "192.0.2.9"',
    '[auth]\nauthenticator = "tests.test_reload_keys:Nobody"',
    '[delivery.dns]\ndnssec = "validate"\ndnssec_enforce = true\ntrust_anchor = "anchors"',
    '[delivery.dns]\nservers = ["192.0.2.1"]\ndnssec = "trust-ad"\ntrust_remote_ad = true',
)
RESTART: Final = {
    "hostname": 'hostname = "other.example"',
    "control_socket": 'control_socket = "/run/other"',
    "spool.backend": '[spool]\nbackend = "memory"',
    "spool.path": '[spool]\npath = "/other"',
    "delivery.max_cleanup_attempts": "[delivery]\nmax_cleanup_attempts = 9",
    "audit.enabled": "[audit]\nenabled = false",
    "audit.path": '[audit]\npath = "/other"',
}
ANCHORS: Final = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
OWN_STATE: Final = (  # what is bound, runs, or was heard in another order
    ".clock",
    ".configuration",
    ".events._listeners",
    ".metrics.modules",
    ".modules",
    ".pages",
    ".queue._due",
    ".queue.scan._timer",
    ".reception._gates",
)
OWN_ENDS: Final = ("._loop.interval", "._recent._secret")  # of what does not run yet; by chance


@implementer(IAuthenticator)
class Nobody:
    """
    An authenticator that lets nobody in.
    """

    def mechanisms(self) -> Collection[str]:
        return ("PLAIN",)

    async def check_password(self, login: str, password: str) -> str | None:
        return None

    async def check_token(self, login: str, token: str) -> str | None:
        return None

    async def scram_verifier(self, login: str) -> ScramVerifier:
        raise NotImplementedError


def keys_of(cls: type, prefix: str = "") -> Iterator[str]:
    """
    Tell the path of every key, arrays and tables of the operator's names as a whole.
    """
    kinds = get_type_hints(cls)
    for field in attrs.fields(cls):
        path = f"{prefix}{key_of(field.name)}"
        shape = shape_of(cls, field.name, kinds[field.name])
        if isinstance(shape, Section):
            yield from keys_of(shape.cls, f"{path}.")
        else:
            yield path


class EveryKeyTests(SynchronousTestCase):
    """
    A service that was given another configuration, beside one that was built from it.
    """

    def setUp(self) -> None:
        self.folder = Path(os.path.abspath(self.mktemp()))
        self.folder.mkdir()
        pair = write_pair(self.folder, "mx", trustme.CA(), "mx.example.org")
        Path(pair.certificate).rename(self.folder / "mx.crt")
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "dkim.key").write_bytes(pem)
        for name, text in {"words": "", "senders": "ann: ann@ours.example\n", "anchors": ANCHORS}.items():
            (self.folder / name).write_text(text)

    def read(self, text: str) -> Config:
        return parse_config(text, "empath.toml", machine(str(self.folder)))

    def service(self, text: str) -> EmpathService:
        """
        Make one whose ports are bound.
        """
        service = build(self.read(text), MemoryReactorClock())
        service.reception.bind()
        service.pages.bind()
        service.resolver.start()
        return service

    def changed(self, before: str, after: str) -> set[str]:
        """
        Change from one to the other, which makes the service what one is that was built so; tells the keys.
        """
        service, fresh = self.service(before), self.service(after)
        outcome = service.reconfigure(self.read(after))
        self.assertEqual(outcome.restart, {})
        found, built = reachable(service), reachable(fresh)
        places = {place for place in found.keys() | built.keys() if found.get(place) != built.get(place)}
        self.assertEqual([each for each in sorted(places) if not _is_own(each)], [])
        return set(outcome.changed)

    def test_is_in_force_or_told(self) -> None:
        """
        There is no key that neither a reload nor the list of those that wait for a restart knows.
        """
        changed = self.changed("", EVERY_KEY.read_text()).union(*(self.changed("", text) for text in EXCLUDED))
        unknown = [
            key for key in keys_of(Config) if key not in RESTART and not any(_is_of(each, key) for each in changed)
        ]
        self.assertEqual(unknown, [])

    def test_and_back(self) -> None:
        """
        Nothing of it remains.
        """
        for text in (EVERY_KEY.read_text(), *EXCLUDED):
            self.changed(text, "")

    def test_what_waits_is_told_with_its_reason(self) -> None:
        """
        And nothing else of it happens.
        """
        for key, text in RESTART.items():
            service = self.service("")
            before = reachable(service)
            outcome = service.reconfigure(self.read(text))
            self.assertEqual((outcome.changed, [*outcome.restart][:1]), ((), [key]))
            self.assertTrue(outcome.restart[key])
            after = reachable(service)
            self.assertEqual([p for p in after if before.get(p) != after[p] and not _is_own(p)], [])


def _is_own(place: str) -> bool:
    return place.startswith(OWN_STATE) or place.endswith(OWN_ENDS)


def _is_of(changed: str, key: str) -> bool:
    return changed == key or changed.startswith((f"{key}.", f"{key}["))
