"""
Who may send as whom: the reverse-paths that belong to a login (RFC 6409 §6.1).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from empath.mail.address import Address, canonical_domain
from empath.mail.reply import Reply
from empath.policy.entries import entries
from empath.policy.mailbox import local_key, read_mailbox
from empath.policy.verdict import Action, Verdict

NOT_OWNED: Final = Verdict(Action.REFUSE, Reply.of("553 5.7.1 sender address not owned by the login"), "senders")


@attrs.frozen(slots=True)
class Owned:
    """
    What one login may send as: mailboxes as (`local_key`, domain), and whole domains.
    """

    mailboxes: frozenset[tuple[str, str]]
    domains: frozenset[str]


@attrs.frozen(slots=True)
class Senders:
    """
    The file that [auth] senders names; make it with `read_senders`. A login that it does not list may send as anyone.
    """

    logins: Mapping[str, Owned] = MappingProxyType({})

    def allows(self, login: str, reverse_path: Address | None) -> bool:
        """
        Tell whether a login may send with a reverse-path; the null one (None) is anybody's, for reports.
        """
        owned = self.logins.get(_login_key(login))
        if owned is None or reverse_path is None or reverse_path.domain in owned.domains:
            return True
        return (local_key(reverse_path.local), reverse_path.domain) in owned.mailboxes

    def judge(self, login: str, reverse_path: Address | None) -> Verdict | None:
        """
        Decide on MAIL of a session that logged in; None: it may.
        """
        return None if self.allows(login, reverse_path) else NOT_OWNED


ANYONE: Final = Senders()


def read_senders(text: str) -> Senders:
    """
    Read "login: address @domain …" lines; "#" begins a comment, and several lines of one login add up.

    Case counts neither in logins nor in addresses. ValueError lists every line that is wrong.
    """
    mailboxes: dict[str, set[tuple[str, str]]] = {}
    domains: dict[str, set[str]] = {}
    problems: list[str] = []
    for number, entry in entries(text):
        try:
            login, owned = _read_line(entry)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
            continue
        mailboxes.setdefault(login, set()).update(owned.mailboxes)
        domains.setdefault(login, set()).update(owned.domains)
    if problems:
        raise ValueError("\n".join(problems))
    return Senders({login: Owned(frozenset(found), frozenset(domains[login])) for login, found in mailboxes.items()})


def _read_line(entry: str) -> tuple[str, Owned]:
    """
    Read one line, which is not empty.
    """
    login, colon, listed = entry.partition(":")
    if not colon or not login.strip():
        raise ValueError("no login: address …")
    words = listed.split()
    if not words:
        raise ValueError("no address after the login")
    return _login_key(login.strip()), Owned(
        frozenset(read_mailbox(word) for word in words if not word.startswith("@")),
        frozenset(canonical_domain(word[1:]) for word in words if word.startswith("@")),
    )


def _login_key(login: str) -> str:
    """
    Give what all ways to write a login have in common: who logs in has its name prepared much like this.
    """
    return login.lower() if login.isascii() else unicodedata.normalize("NFKC", login).lower()
