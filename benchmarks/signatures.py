"""
DKIM signatures by the MTAs that are compared: empath by its own keys, Postfix with OpenDKIM as milter of its smtpd.

Both sign in the relaxed forms with the key of the domain in From; otherwise empath has its defaults, and OpenDKIM those
of Debian. dkimpy (with PyNaCl for Ed25519) says whether what arrived is signed. "empath+rsa2048" is an MTA that signs,
"empath" one that does not.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks import accounting
from benchmarks.load import LoadFailed

DOMAIN = "source.bench.test"
KEYS = {"rsa2048": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ed25519": ["ED25519"]}
KINDS = {"rsa2048": "rsa", "ed25519": "ed25519"}
START_PATIENCE = 10.0

EMPATH = """\
[[delivery.dkim.keys]]
domain = "{domain}"
selector = "{name}"
private_key = "{folder}/{name}.pem"
"""

POSTFIX = """\
smtpd_milters = unix:{folder}/opendkim.sock
milter_default_action = tempfail
"""

OPENDKIM = """\
Mode s
Background no
Domain {domain}
Selector {name}
RequireSafeKeys no
KeyFile {folder}/{name}.pem
SignatureAlgorithm {kind}-sha256
Canonicalization relaxed/relaxed
OversignHeaders From
UMask 000
Socket local:{folder}/opendkim.sock
"""


def key_of(mta: str) -> str:
    """
    Tell by which key an MTA signs; "" if it does not.
    """
    name = mta.partition("+")[2]
    return name if name in KEYS else ""


def available() -> bool:
    """
    Tell whether OpenDKIM is installed.
    """
    return shutil.which("opendkim") is not None


def settings(form: str, folder: Path, name: str) -> str:
    """
    Make the key of a name in a folder; gives the lines of `form` that sign with it.
    """
    made = ["-out", str(folder / f"{name}.pem"), "-algorithm", *KEYS[name]]
    subprocess.run(["openssl", "genpkey", *made], capture_output=True, check=True)
    return form.format(folder=folder, domain=DOMAIN, name=name, kind=KINDS[name])


def start_opendkim(folder: Path, account: accounting.Account, name: str) -> subprocess.Popen[bytes]:
    """
    Run OpenDKIM with the key of a name, once it is made, in an account; SystemExit if it does not run.
    """
    file, log = folder / "opendkim.conf", folder / "opendkim.log"
    file.write_text(OPENDKIM.format(folder=folder, domain=DOMAIN, name=name, kind=KINDS[name]))
    process = accounting.launch(["opendkim", "-x", str(file)], account, log, folder)
    deadline = time.monotonic() + START_PATIENCE
    while not (folder / "opendkim.sock").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            accounting.end(process, account)
            raise SystemExit(f"OpenDKIM did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
    return process


def record(folder: Path, name: str) -> bytes:
    """
    Give what the DNS would say about the key in a folder.
    """
    command = ["openssl", "pkey", "-in", str(folder / f"{name}.pem"), "-pubout", "-outform", "DER"]
    public = subprocess.run(command, capture_output=True, check=True).stdout
    public = public[-32:] if name == "ed25519" else public
    return f"v=DKIM1; k={KINDS[name]}; p=".encode() + base64.b64encode(public)


def refusals(contents: list[bytes], name: str, record_of_key: bytes) -> list[str]:
    """
    Tell why messages are not verified by the record of the key that should have signed them, one reason for each.
    """
    try:
        import dkim  # type: ignore[import-untyped]  # it has no annotations
    except ImportError as trouble:
        raise LoadFailed("dkimpy is not installed (pip install dkimpy pynacl)") from trouble
    asked = f"{name}._domainkey.{DOMAIN}."
    found = []
    for content in contents:
        try:
            verified = dkim.DKIM(content).verify(dnsfunc=lambda at, timeout=5: {asked: record_of_key}.get(_text(at)))
        except dkim.DKIMException as trouble:
            found.append(str(trouble))
        else:
            found += [] if verified else ["no signature that verifies"]
    return found


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
