"""
The DKIM-Signature field (RFC 6376 §3.5): its tags, its lines, and what of it is signed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal

import attrs

from empath.mail.dkim.body import Canonical, RelaxedBody, SimpleBody
from empath.mail.dkim.fields import Field, Selection

Form = Literal["simple", "relaxed"]
Algorithm = Literal["rsa-sha256", "ed25519-sha256"]

_NAME: Final = b"dkim-signature"
_WIDTH: Final = 76
_USUAL: Final = 100  # names in h=; more are written anew each time
_FOLD: Final = "\r\n\t"
_EMPTY_LINE: Final = b"\r\n"


@attrs.frozen(slots=True)
class Signatory:
    """
    By whom a message is signed, and in which form.
    """

    domain: str
    selector: str
    algorithm: Algorithm
    header_form: Form = "relaxed"
    body_form: Form = "relaxed"

    @property
    def tags(self) -> str:
        """
        The tags that are the same in each signature.
        """
        form = f"{self.header_form}/{self.body_form}"
        return f"v=1; a={self.algorithm}; c={form};{_FOLD}d={self.domain}; s={self.selector}"


@attrs.frozen(slots=True)
class Draft:
    """
    A signature field that lacks only the signature; `digest` is the SHA-256 of what is signed.
    """

    text: bytes
    digest: bytes

    def signed(self, signature: bytes) -> bytes:
        """
        Give the whole field, its line end included.
        """
        value = b64encode(signature).decode()
        first = _WIDTH - len(" b=")
        lines = [value[:first], *(value[at : at + _WIDTH] for at in range(first, len(value), _WIDTH))]
        return self.text + _FOLD.join(lines).encode() + _EMPTY_LINE


def body_of(form: Form) -> Canonical:
    """
    Give what takes a body in a form; it begins behind the empty line.
    """
    return RelaxedBody() if form == "relaxed" else SimpleBody()


def body_digest(body: bytes, form: Form) -> bytes:
    """
    Tell the hash of a whole body that begins with the empty line, as `Message.body` does.
    """
    canonical = body_of(form)
    canonical.update(body.removeprefix(_EMPTY_LINE))
    return canonical.digest()


def draft(signatory: Signatory, selection: Selection, body: bytes, now: int, expires: int | None = None) -> Draft:
    """
    Write the field up to the signature; `body` is its hash, times are in seconds since the epoch.
    """
    times = f"t={now}" if expires is None else f"t={now}; x={expires}"
    text = (
        f"DKIM-Signature: {signatory.tags};{_FOLD}{times}; bh={b64encode(body).decode()};"
        f"{_FOLD}{_listed_again(selection.names)};{_FOLD}b="
    ).encode()
    relaxed = signatory.header_form == "relaxed"
    signed = sha256(b"".join([field.relaxed if relaxed else field.raw for field in selection.fields]))
    own = Field(_NAME, text)
    signed.update(own.relaxed.removesuffix(_EMPTY_LINE) if relaxed else text)
    return Draft(text, signed.digest())


def _listed_again(names: tuple[str, ...]) -> str:
    """
    Give h=, which is the same for most mail of a site.
    """
    return _known_list(names) if len(names) <= _USUAL else _listed(names)


def _listed(names: Iterable[str]) -> str:
    """
    Write h=, in lines that are no longer than they need to be.
    """
    lines = ["h="]
    for name in names:
        word = name if lines == ["h="] else f":{name}"
        if len(lines[-1]) + len(word) > _WIDTH and lines[-1] != "h=":
            lines.append(word)
        else:
            lines[-1] += word
    return _FOLD.join(lines)


@lru_cache(maxsize=64)
def _known_list(names: tuple[str, ...]) -> str:
    return _listed(names)


def signatories(fields: Iterable[Field]) -> set[tuple[str, str]]:
    """
    Tell the domain and the selector, both in lower case, of each signature that a message bears.
    """
    found = set()
    for field in fields:
        if field.name == _NAME:
            tags = dict(_tags(field.value.decode("ascii", "replace")))
            found.add((tags.get("d", "").lower(), tags.get("s", "").lower()))
    return found


def _tags(value: str) -> Iterable[tuple[str, str]]:
    for tag in value.split(";"):
        name, _, text = tag.partition("=")
        yield name.strip(), text.strip()
