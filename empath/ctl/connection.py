"""
Where the MTA's control socket is, and which token opens it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from empath.ctl.errors import Usage

SOCKET_VARIABLE: Final = "EMPATH_CONTROL_SOCKET"
TOKEN_VARIABLE: Final = "EMPATH_CONTROL_TOKEN"
CONFIG_VARIABLE: Final = "EMPATH_CONFIG"
LOCAL_CONFIG: Final = "empath.toml"
SYSTEM_CONFIG: Final = Path("/etc/empath/empath.toml")
LOCAL_SOCKET: Final = Path(".empath/control.sock")
SYSTEM_SOCKET: Final = Path("/run/empath/control.sock")


@attrs.frozen
class Found:
    """
    The path of a socket, and who says so.
    """

    path: Path
    origin: str


def find_socket(given: str | None, environment: Mapping[str, str], folder: Path) -> Found:
    """
    Tell where the socket is: what was `given`, else what the environment names, else what the configuration says that
    the MTA would find from `folder`, else the one below ./.empath if there is one, else the system's.
    """
    if given is not None:
        return Found(folder / given, "--socket")
    if named := environment.get(SOCKET_VARIABLE):
        return Found(folder / named, f"${SOCKET_VARIABLE}")
    if (config := _configuration(environment, folder)) is not None and (found := _configured(config)) is not None:
        return found
    if os.path.exists(folder / LOCAL_SOCKET):
        return Found(folder / LOCAL_SOCKET, "it is in this folder")
    return Found(SYSTEM_SOCKET, "the usual place")


def _configuration(environment: Mapping[str, str], folder: Path) -> Path | None:
    """
    Find the file that the MTA would read, by `empath.config.load.find_config`'s order.
    """
    if named := environment.get(CONFIG_VARIABLE):
        return folder / named
    usual = (folder / LOCAL_CONFIG, SYSTEM_CONFIG)
    return next((path for path in usual if os.path.exists(path)), None)  # Path.exists raises where we may not look


def _configured(config: Path) -> Found | None:
    """
    Read `control_socket` alone: None for a file that we may not read, or which is no TOML (the MTA has the old one).
    """
    import tomllib

    try:
        path = tomllib.loads(config.read_text("utf-8")).get("control_socket", str(SYSTEM_SOCKET))
    except (OSError, ValueError, RecursionError):
        return None
    if path == "":
        raise Usage(f"{config} turns the control socket off: set control_socket in it, or name a socket by --socket")
    return Found(config.absolute().parent / str(path), str(config))


def read_token(file: str | None, environment: Mapping[str, str]) -> str | None:
    """
    Read the token from the file that was named, else from the environment; None without any.
    """
    if file is None:
        return environment.get(TOKEN_VARIABLE) or None
    try:
        text = Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as trouble:
        why = trouble.strerror if isinstance(trouble, OSError) else "no text in UTF-8"
        raise Usage(f"the token file {file} cannot be read: {why}") from trouble
    if not text:
        raise Usage(f"the token file {file} is empty")
    return text
