"""
A milter client: mail filters such as rspamd and OpenDKIM judge and change mail, over TCP or UNIX sockets.
"""

from empath.modules.builtin.milter.module import Milter

__all__ = ("Milter",)
