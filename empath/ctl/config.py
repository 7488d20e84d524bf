"""
The verbs about the configuration. `check`, `schema` and `diff` of two files ask no MTA.
"""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from empath.control.terms.config import ConfigDiff, DiffConfig, Difference, GetConfig, ShownConfig
from empath.ctl.errors import CtlError, Usage
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb
from empath.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from empath.config.schema import Config


class Unusable(CtlError):
    """
    A configuration file has problems.
    """

    kind = "bad-configuration"


@attrs.frozen
class Checked:
    """
    A file that can be used.
    """

    path: str
    usable: bool = True


@verb(
    """
    empathctl config check /etc/empath/empath.toml
    empathctl config check new.toml && mv new.toml empath.toml
    """
)
@click.argument("file")
def check(tool: Tool, file: str) -> None:
    """
    Tell whether a configuration file can be used, and all that is wrong with it.

    Needs no running MTA. Run it as the user that empath runs as: what that one may not read is a problem, too.
    """
    path = tool.around.folder / file
    _load(tool, path)
    if tool.json:
        tool.write_json(Checked(str(path)))
    else:
        tool.say(f"{path} can be used.")


def _load(tool: Tool, path: Path) -> Config:
    """
    Read a file as the MTA would.
    """
    from twisted.internet.endpoints import serverFromString

    from empath.config.load import load_config
    from empath.config.values import Surroundings

    parse = partial(serverFromString, None)  # whatever reactor it is, the text means the same
    around = Surroundings(tool.around.folder, tool.around.environment, socket.getfqdn, parse)
    try:
        return load_config(path, around)
    except ConfigError as error:
        raise Unusable(*error.problems) from error


@verb(
    """
    empathctl config show
    empathctl config show > as-it-is.toml
    empathctl config show --json
    """
)
def show(tool: Tool) -> None:
    """
    Show the configuration that is in force, with all defaults, and what was set by hand instead.

    It is TOML; secrets are masked.
    """
    tool.answer(GetConfig(), written)


def written(answer: ShownConfig) -> RenderableType:
    """
    Write it as TOML; what overrides it, and where it is from, is a comment.
    """
    from rich.console import Group

    from empath.config.written import toml_text
    from empath.ctl.colours import plain

    pieces: list[RenderableType] = [plain(f"# {answer.path}", "dim")]
    for each in answer.overrides:
        pieces.append(plain(f"# set by hand: {each.kind} {each.name} = {each.value}".replace("  ", " "), "yellow"))
    text = toml_text(answer.values).rstrip("\n")
    return Group(*pieces, plain(""), *(plain(line) for line in text.split("\n")))


@verb(
    """
    empathctl config diff /etc/empath/empath.toml
    empathctl config diff old.toml new.toml
    """
)
@click.argument("files", nargs=-1, required=True, metavar="FILE | OLD NEW")
def diff(tool: Tool, files: tuple[str, ...]) -> None:
    """
    Compare a file with the configuration of the running MTA, or two files.

    Tells by key what a reload would use at once, and what only a restart applies. Two files need no running MTA.
    """
    paths = [tool.around.folder / file for file in files]
    match paths:
        case [new]:
            answer = tool.ask(DiffConfig(str(new.absolute()), _text(new)))
        case [old, new]:
            answer = _compared(tool, old, new)
        case _:
            raise Usage("compare one file with the running MTA, or two with one another")
    if answer.problems:
        raise Unusable(*answer.problems)
    tool.show(answer, compared)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as trouble:
        raise Unusable(f"{path}: cannot be read: {trouble.strerror}") from trouble
    except UnicodeDecodeError as trouble:
        raise Unusable(f"{path}: not UTF-8 at byte {trouble.start}; allowed: TOML in UTF-8") from trouble


def _compared(tool: Tool, old: Path, new: Path) -> ConfigDiff:
    """
    Compare two files.
    """
    from empath.config.hot import waiting, within
    from empath.config.written import changed

    before, after = _load(tool, old), _load(tool, new)
    waits = waiting(before, after)
    return ConfigDiff(
        tuple(
            Difference(change.key, change.old, change.new, bool(within(change.key, waits)))
            for change in changed(before, after)
        )
    )


def compared(answer: ConfigDiff) -> RenderableType:
    """
    List what is different.
    """
    from rich.text import Text

    from empath.ctl.tables import table

    if not answer.differences:
        return "Nothing is different."
    rows = [
        (
            each.key,
            each.old or "-",
            each.new or "-",
            Text("restart", "yellow") if each.restart else Text("reload", "green"),
        )
        for each in answer.differences
    ]
    return table(("key", "old", "new", "applied by"), rows)
