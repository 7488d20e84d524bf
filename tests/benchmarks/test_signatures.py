"""
The parts of the benchmark driver that have to do with signatures.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import dkim  # type: ignore[import-untyped]  # it has no annotations
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import load, loopback, mtas, runs, signatures, table
from benchmarks.runs import Run
from empath.config.load import load_config
from empath.config.values import Surroundings
from empath.sign.signer import Signer

SURROUNDINGS = Surroundings(Path("/"), {}, lambda: "mx.test", str)


def run(mta: str, rate: float, cpu: float) -> Run:
    return Run(mta, rate + 10, rate, cpu, 64 * table.MIB, 32 * table.MIB, "control group")


def in_thread(call: Callable[[], None]) -> Deferred[None]:
    call()
    return succeed(None)


class SignatureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def test_names_tell_who_signs(self) -> None:
        told = [signatures.key_of(mta) for mta in ("empath", "empath+six", "empath+rsa2048", "postfix+ed25519")]
        self.assertEqual(told, ["", "", "rsa2048", "ed25519"])

    def test_empath_is_given_the_key_of_the_load(self) -> None:
        for name in signatures.KEYS:
            more = signatures.settings(signatures.EMPATH, self.folder, name)
            command = mtas.prepare_empath(self.folder, 2525, 2526, False, False, more)
            dkim = load_config(Path(command[-1]), SURROUNDINGS).delivery.dkim
            self.assertEqual([(key.domain, key.selector) for key in dkim.keys], [("source.bench.test", name)])
            self.assertTrue(Signer(dkim, Clock(), in_thread).active)

    def test_only_a_signature_by_the_key_verifies(self) -> None:
        content = b"From: sender@source.bench.test\r\n\r\nX\r\n"
        for name in signatures.KEYS:
            signatures.settings(signatures.EMPATH, self.folder, name)
            key, record = (self.folder / f"{name}.pem").read_bytes(), signatures.record(self.folder, name)
            kind = signatures.KINDS[name].encode()
            if kind == b"ed25519":
                loaded = load_pem_private_key(key, None)
                assert isinstance(loaded, Ed25519PrivateKey)
                key = base64.b64encode(loaded.private_bytes_raw())
            field = dkim.sign(content, name.encode(), b"source.bench.test", key, signature_algorithm=kind + b"-sha256")
            signatures.settings(signatures.EMPATH, self.folder, name)
            other = signatures.record(self.folder, name)
            self.assertEqual(signatures.refusals([field + content], name, record), [])
            self.assertEqual(len(signatures.refusals([field + content, content], name, other)), 2)

    def test_who_signs_and_verifies_is_measured(self) -> None:
        def proof(mta: str, count: int, folder: Path | None) -> list[str]:
            return ["body hash mismatch"] * 2 if mta == "postfix+ed25519" else []

        asked = ["empath+rsa2048", "postfix+rsa2048", "postfix+ed25519"]
        signing, notes = loopback.proved(asked, None, proof, lambda: True)
        self.assertEqual(signing, asked[:2])
        self.assertEqual(
            notes[1:],
            [
                "- postfix+rsa2048: 50 of 50 messages verify in dkimpy",
                "- postfix+ed25519: 48 of 50 messages verify in dkimpy; left out: body hash mismatch",
            ],
        )
        signing, notes = loopback.proved(asked, None, proof, lambda: False)
        self.assertEqual((signing, len(notes)), (asked[:1], 3))

    def test_an_empath_whose_signatures_do_not_verify_is_not_measured(self) -> None:
        with self.assertRaises(load.LoadFailed):
            loopback.proved(["empath+ed25519"], None, lambda mta, count, folder: ["no"], lambda: True)

    def test_a_counted_run_without_all_its_signatures_fails(self) -> None:
        for mta, some in (("empath", 1), ("empath+rsa2048", 9), ("empath+rsa2048", 0)):
            with self.assertRaises(load.LoadFailed):
                runs.with_totals(run(mta, 1.0, 1.0), load.Load(10), load.Totals(signatures=some))
        told = runs.with_totals(run("empath+rsa2048", 1.0, 1.0), load.Load(10), load.Totals(2, signatures=10))
        self.assertEqual(told.connections, 0.2)
