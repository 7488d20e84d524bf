"""
The command that makes lines of the password file.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from typing import BinaryIO, TextIO

import attrs

from empath.auth.hashes import Kind, make
from empath.smtp.sasl_server_steps import clear_password, prepared_login


@attrs.frozen(slots=True)
class Terminal:
    """
    Where the command reads and writes: `ask` prompts for a password without echo, `piped` is standard input where that
    is no terminal, else None.
    """

    ask: Callable[[str], str]
    piped: BinaryIO | None
    out: TextIO
    err: TextIO


def run(arguments: list[str], terminal: Terminal, chance: random.Random) -> int:
    """
    Make a verifier, or with NAME a whole line, of a password that is read twice from the terminal or once, its first
    line, from standard input; gives the exit code. `chance` must be cryptographic.
    """
    options = _parser().parse_args(arguments)
    try:
        line = make_line(options.name, Kind(options.scheme), terminal, chance)
    except ValueError as error:
        print(f"empath.auth: {error}", file=terminal.err)
        return 1
    print(line, file=terminal.out)
    return 0


def make_line(name: str | None, kind: Kind, terminal: Terminal, chance: random.Random) -> str:
    """
    Read the password and make the line, or the verifier alone without a name; ValueError for one that cannot be.
    """
    prefix = f"{_name(name)}:" if name is not None else ""
    return prefix + make(kind, clear_password(_password(terminal)), chance)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m empath.auth", description="Lines for the file that [auth] users names.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("hash", help="make a verifier of a password")
    command.add_argument(
        "--scheme", choices=[kind.value for kind in Kind], default=Kind.ARGON2.value, help="default: %(default)s"
    )
    command.add_argument("name", metavar="NAME", nargs="?", help="the login; without it the verifier alone is printed")
    return parser


def _name(given: str) -> str:
    """
    Check a login name, as the file will have it.
    """
    name = prepared_login(given.encode())
    if ":" in name or name.startswith("#") or name != name.strip():
        raise ValueError('a login in the file has no ":", no "#" in front and no space around it')
    return name


def _password(terminal: Terminal) -> bytes:
    """
    Read the password; ValueError where two readings differ.
    """
    if terminal.piped is not None:
        return terminal.piped.readline().removesuffix(b"\n").removesuffix(b"\r")
    first, second = terminal.ask("Password: "), terminal.ask("Again: ")
    if first != second:
        raise ValueError("the passwords differ")
    return first.encode()
