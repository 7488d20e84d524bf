"""
Mail to be signed, as people and programs write it; and those who verify it: OpenDKIM and dkimpy.
"""

from __future__ import annotations

import base64
import random
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dkim  # type: ignore[import-untyped]  # it has no annotations
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.e2e.corpus import all_messages
from tests.e2e.processes import require_program

DOMAIN = "signed.test"
AUTHOR = f"From: Somebody <somebody@{DOMAIN}>\r\n".encode()
FORMS = ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")
BATCH = 100  # messages that OpenDKIM is asked about at a time
_ODD = re.compile(rb"^[!-9;-~]+:(?! [^ \t\r])", re.MULTILINE)
_AUTHORS = re.compile(rb"^(?:from|sender)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
_WORDS = ("lorem ipsum,", "dolor  sit", "amet;", "", "consectetur\telit", "From here", "=", "%s", "{x}", "<b>", ".")
_FOREIGN = ("Grüße aus Köln", "日本語のメール", "Ελληνικά", "naïve café", "Привет")


def mail(number: int) -> bytes:
    """
    Write the message of a number: always the same one.
    """
    chance = random.Random(number)
    fields = [AUTHOR, *(field for field in _fields(chance, number) if chance.random() < 0.8)]
    if chance.random() < 0.2:
        fields += [
            chance.choice([b"Subject:\r\n", b"Subject: \t odd  \t blanks  \r\n", b"Cc: \r\n <r@example.test>\r\n"])
        ]
    chance.shuffle(fields)
    return b"".join(fields) + b"\r\n" + _body(chance)


def of_the_corpus() -> dict[str, bytes]:
    """
    Give the messages of the corpus that have a header block, with an author of ours.
    """
    found = {}
    for name, content in all_messages().items():
        header, empty, body = content.partition(b"\r\n\r\n")
        if empty and not content.startswith(b"\r\n") and b"\r" not in body.replace(b"\r\n", b""):
            found[name] = AUTHOR + _AUTHORS.sub(b"", header + b"\r\n") + b"\r\n" + body
    return found


def _fields(chance: random.Random, number: int) -> list[bytes]:
    foreign = chance.choice(_FOREIGN).encode()
    encoded = b"=?utf-8?b?" + base64.b64encode(foreign) + b"?="
    references = b"\r\n\t".join(b"<%d.%d@example.test>" % (number, nth) for nth in range(chance.randrange(1, 9)))
    return [
        b"SUBJECT: " + chance.choice([encoded, foreign, b"a\r\n very\r\n  folded\r\n\t \tone "]) + b"\r\n",
        b"To: a@example.test,\r\n\tb@example.test (a comment)\r\n",
        b'Cc: "Quoted; \\" one" <c@example.test>\r\n',
        b"Date: Sat, 21 Nov 2026 23:%02d:00 +0000\r\n" % (number % 60),
        b"Message-ID: <%d@signed.test>\r\n" % number,
        b"References: " + references + b"\r\n",
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
        b"List-Unsubscribe: <https://example.test/u?a=1&b=2>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        b"X-Long: " + b"x" * chance.randrange(1000) + b"\r\n",
        b"Received: from a (b [192.0.2.1]) by c; Sat, 21 Nov 2026 22:00:00 +0000\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=other.test; s=o; h=from; bh=; b=\r\n",
        b"Reply-To: R <r@example.test>\r\n",
    ]


def _body(chance: random.Random) -> bytes:
    kind = chance.randrange(12)
    lines = [" ".join(chance.choices(_WORDS, k=chance.randrange(12))).encode() for _ in range(chance.randrange(60))]
    if kind == 0:
        return b""
    if kind == 1:
        return b"\r\n" * chance.randrange(1, 40)
    if kind == 2:
        return b" \t \r\n" * chance.randrange(1, 9)
    if kind == 3:
        return b"h" * chance.randrange(1000, 100_000) + b"\r\n"
    if kind == 4:
        lines = [line + chance.choice([b" ", b"\t", b"  \t ", b""]) for line in lines]
    if kind == 5:
        lines += [chance.choice(_FOREIGN).encode() for _ in range(9)]
    if kind == 6:
        lines += [b"." * nth for nth in range(9)]
    if kind == 7:
        return base64.encodebytes(chance.randbytes(chance.randrange(1, 300_000))).replace(b"\n", b"\r\n")
    if kind == 8:
        part = b"--b\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n"
        lines = [b"preamble", *([part] * 3), b"--b--", b"", b""]
    if kind == 9:
        lines += [b""] * chance.randrange(1, 9)
    return b"".join(line + b"\r\n" for line in lines)


class KeyFiles:
    """
    An RSA and an Ed25519 key of the domain, in files, and their records.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        rsa, ed25519 = generate_private_key(65537, 2048), Ed25519PrivateKey.generate()
        for name, key in (("rsa", rsa), ("ed", ed25519)):
            text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (folder / f"{name}.pem").write_bytes(text)
        public = rsa.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.records = {
            f"rsa._domainkey.{DOMAIN}": b"v=DKIM1; k=rsa; p=" + base64.b64encode(public),
            f"ed._domainkey.{DOMAIN}": b"v=DKIM1; k=ed25519; p="
            + base64.b64encode(ed25519.public_key().public_bytes_raw()),
        }

    def settings(self, form: str = "relaxed/relaxed", names: tuple[str, ...] = ("rsa", "ed")) -> dict[str, Any]:
        """
        Give what has empath sign with them.
        """
        keys = [
            {"domain": DOMAIN, "selector": name, "private_key": str(self._folder / f"{name}.pem")} for name in names
        ]
        return {"delivery": {"dkim": {"keys": keys, "canonicalization": form}}}

    def dkimpy_refuses(self, content: bytes) -> list[str]:
        """
        Tell which of the two signatures on top dkimpy does not verify.
        """
        refused = []
        for index, name in enumerate(("rsa", "ed")):
            try:
                verified = dkim.DKIM(content).verify(index, dnsfunc=self._record)
            except dkim.DKIMException as trouble:
                refused.append(f"{name}: {trouble}")
            else:
                refused += [] if verified else [name]
        return refused

    def opendkim_verifies(self, folder: Path, messages: Mapping[str, bytes]) -> set[str]:
        """
        Tell which messages OpenDKIM verifies, by the one signature that each has.
        """
        program = require_program("opendkim")
        folder.mkdir()
        records = b"".join(name.encode() + b" " + text + b"\n" for name, text in self.records.items())
        (folder / "records").write_bytes(records)
        (folder / "conf").write_text(f"Mode v\nDomain x\nTestDNSData file:{folder}/records\nSyslog no\n")
        files = {str(folder / f"{number}.eml"): name for number, name in enumerate(messages)}
        for file, name in files.items():
            Path(file).write_bytes(messages[name])
        told = ""
        for begin in range(0, len(files), BATCH):
            command = [program, "-x", str(folder / "conf"), "-v", "-t", ",".join(list(files)[begin : begin + BATCH])]
            told += subprocess.run(command, capture_output=True, check=False, text=True).stdout
        good = re.findall(r"^opendkim: (\S+): verification \(.*\) succeeded$", told, re.MULTILINE)
        return {files[file] for file in good}

    def _record(self, name: bytes, **_: object) -> bytes | None:
        return self.records.get(name.decode().rstrip("."))


def opendkim_reads(content: bytes, form: str) -> bool:
    """
    Whether OpenDKIM reads the header block from a file as it stands: it puts one space behind each colon, which matters
    in the simple form.
    """
    return form.startswith("relaxed/") or _ODD.search(content.partition(b"\r\n\r\n")[0]) is None


def alone(content: bytes, name: str) -> bytes:
    """
    Give a message with only one of our signatures: OpenDKIM tells of the first one it likes.
    """
    fields = re.findall(rb"DKIM-Signature:[^\n]*\n(?:[ \t][^\n]*\n)*", content)
    for field in fields:
        ours = f"d={DOMAIN};".encode() in field
        if b"d=other.test;" in field or (ours and f"s={name};".encode() not in field):
            content = content.replace(field, b"", 1)
    return content
