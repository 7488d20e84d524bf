"""
`empathctl auth hash`: lines for the file that [auth] users names. Asks no MTA.
"""

from __future__ import annotations

from typing import Final

import click

from empath.ctl.errors import CtlError
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb

SCHEMES: Final = ("argon2", "bcrypt", "sha512-crypt", "scram")


@verb(
    """
    empathctl auth hash someone >> /etc/empath/users
    empathctl auth hash --scheme scram someone < password-file
    """
)
@click.argument("name", required=False)
@click.option("--scheme", type=click.Choice(SCHEMES), default="argon2", help="How it is kept. [argon2]")
def make_hash(tool: Tool, name: str | None, scheme: str) -> None:
    """
    Make a verifier of a password, or with NAME a whole line for the file of users.

    The password is asked for twice on a terminal, and else the first line of standard input.
    """
    import getpass
    import random

    from empath.auth.command import Terminal, make_line
    from empath.auth.hashes import Kind

    typed = tool.around.typed
    terminal = Terminal(getpass.getpass, None if typed.isatty() else typed.buffer, tool.around.out, tool.around.err)
    try:
        line = make_line(name, Kind(scheme), terminal, random.SystemRandom())
    except ValueError as error:
        raise CtlError(str(error)) from error
    if tool.json:
        tool.write_json({"line": line})
    else:
        print(line, file=tool.around.out)
