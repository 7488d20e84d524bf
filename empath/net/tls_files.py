"""
Certificates and private keys as they stand in files.

Fatal to whoever asked, as TlsUnusable: a file that is missing, unreadable or no PEM, a key of another certificate, a
key under a password. Ignored: dates; who uses a certificate says whether it is expired.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from empath.config.schema import KeyPair
from empath.errors import EmpathError

LARGEST: Final = 1024 * 1024  # bytes; a bundle of all public CAs has a quarter of it

Stamp = tuple[int, int, int, int, int]


class TlsUnusable(EmpathError):
    """
    TLS cannot be had with these files; `key` is the configuration's key of the one that is to blame. `denied`: what is
    missing is a right, which whoever starts empath may have.
    """

    def __init__(self, key: str, path: str, reason: str, denied: bool = False) -> None:
        super().__init__(f'{key}: found "{path}": {reason}')
        self.key, self.reason, self.denied = key, reason, denied


@attrs.frozen(slots=True)
class Identity:
    """
    A certificate with its chain, the server's own first, and its private key; `names` are the DNS names of its subject
    alternative names in lower case, wildcards among them (RFC 6125 §6.4).
    """

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes = attrs.field(repr=False)
    names: tuple[str, ...]

    @property
    def expires(self) -> float:
        """
        When the certificate ends, in seconds since the epoch.
        """
        return self.chain[0].not_valid_after_utc.timestamp()


def stamp(path: str) -> Stamp | None:
    """
    Tell what changes when a file does, its permissions among it; None where there is no such file.
    """
    try:
        return _stamp(os.stat(path))
    except OSError:
        return None


class PemFiles:
    """
    The files of one listener as they were last read: one that has not changed since is not read again, so that a key
    which only root can read keeps serving when only its certificate is renewed.
    """

    def __init__(self) -> None:
        self._read: dict[str, tuple[Stamp, bytes]] = {}

    def identity(self, pair: KeyPair, where: str) -> Identity:
        """
        Read a certificate and its key; `where` stands before the key in errors, such as "certificates[0].".
        """
        cert_key, private_key = f"{where}certificate", f"{where}private_key"
        chain = _certificates(self.text(cert_key, pair.certificate), cert_key, pair.certificate)
        key = private_key_in(self.text(private_key, pair.private_key), private_key, pair.private_key)
        if _public_of(key) != _public(chain[0]):
            reason = f'not the key of the first certificate in "{pair.certificate}"'
            raise TlsUnusable(private_key, pair.private_key, reason)
        return Identity(chain, key, tuple(_names(chain[0])))

    def authorities(self, path: str) -> tuple[x509.Certificate, ...]:
        """
        Read the certificates that client certificates are verified against.
        """
        return _certificates(self.text("client_ca", path), "client_ca", path)

    def keep(self, paths: Collection[str]) -> None:
        """
        Forget all other files.
        """
        self._read = {path: read for path, read in self._read.items() if path in paths}

    def text(self, key: str, path: str) -> bytes:
        """
        Give what is in a file, reading it only if it has changed.
        """
        known = self._read.get(path)
        if known is not None and known[0] == stamp(path):
            return known[1]
        try:
            found = self._read[path] = _read(path)
        except PermissionError as trouble:
            reason = f"{trouble.strerror} for user id {os.geteuid()}, as which empath runs now"
            raise TlsUnusable(key, path, reason, denied=True) from trouble
        except OSError as trouble:
            raise TlsUnusable(key, path, trouble.strerror or str(trouble)) from trouble
        return found[1]


def _read(path: str) -> tuple[Stamp, bytes]:
    """
    Read a file with its stamp; OSError unless it is a regular file of a sensible size.
    """
    with open(path, "rb", opener=_unblocked) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("not a regular file")
        if status.st_size > LARGEST:
            raise OSError(f"larger than {LARGEST} bytes")
        return _stamp(status), file.read()


def _unblocked(path: str, flags: int) -> int:
    """
    Open without waiting, as a pipe that nobody writes to would make us.
    """
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _certificates(text: bytes, key: str, path: str) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(text))
    except ValueError as trouble:
        raise TlsUnusable(key, path, "no certificates in PEM that can be read") from trouble


def private_key_in(text: bytes, key: str, path: str) -> PrivateKeyTypes:
    """
    Read a private key in PEM, PKCS#1 or PKCS#8; TlsUnusable, with the configuration's `key`, if there is none.
    """
    try:
        return load_pem_private_key(text, None)
    except TypeError as trouble:  # so cryptography says that it wants a password
        raise TlsUnusable(key, path, "protected by a password, which nobody is there to type") from trouble
    except Exception as trouble:  # ValueError, UnsupportedAlgorithm, and what the bindings may raise for bad numbers
        raise TlsUnusable(key, path, "no private key in PEM that can be read") from trouble


def _public_of(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # a kind of key that cryptography does not know: it cannot be that of our private key
        return b""


def _names(certificate: x509.Certificate) -> Iterable[str]:
    """
    Tell the DNS names that a certificate is for.
    """
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
    return (name.lower() for name in alternative.value.get_values_for_type(x509.DNSName))
