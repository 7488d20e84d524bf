"""
What the text of a Twisted server endpoint tells about it.
"""

from __future__ import annotations

import ipaddress


def parts_of(endpoint: str, *names: str) -> tuple[str, dict[str, str]]:
    """
    Split an endpoint string of Twisted's into its kind and its arguments; those without a name have `names`, in order.
    """
    kind, *arguments = (each.replace("\0", ":") for each in endpoint.replace("\\:", "\0").split(":"))
    found = dict(each.split("=", 1) for each in arguments if "=" in each)
    return kind, {**dict(zip(names, (each for each in arguments if "=" not in each), strict=False)), **found}


def port_of(endpoint: str) -> int | None:
    """
    Tell the port of an endpoint; None where it has none, or not before it is bound.
    """
    kind, arguments = parts_of(endpoint, "port")
    port = arguments.get("port", "")
    return int(port) if kind in ("tcp", "tcp6") and port.isdecimal() else None


def is_local(endpoint: str) -> bool:
    """
    Tell whether only this machine can reach an endpoint, as far as its text says so.
    """
    kind, arguments = parts_of(endpoint, "port", "interface")
    if kind == "unix":
        return True
    if kind not in ("tcp", "tcp6"):
        return False
    interface = arguments.get("interface", "")
    try:
        return ipaddress.ip_address(interface).is_loopback
    except ValueError:
        return interface == "localhost"
