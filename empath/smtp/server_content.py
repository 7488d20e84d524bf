"""
How a server session takes content in: after DATA (RFC 5321 §4.1.1.4) or in the chunks of BDAT (RFC 3030).
"""

from __future__ import annotations

from typing import Final

from empath.errors import CommandRefused
from empath.mail.reply import Reply
from empath.smtp.chunks import IncomingChunks, read_chunk_size
from empath.smtp.command import NOT_OFFERED, check_bare
from empath.smtp.events import ChunkEnded, DataBegun, Ending, Event, Verb
from empath.smtp.extension import Extension, Standing
from empath.smtp.incoming import IncomingContent
from empath.smtp.server_base import SessionBase
from empath.smtp.server_rules import ServerRules
from empath.smtp.server_states import BAD_CHUNK, NEXT, State, out_of_order

_DATA_BEGUN: Final = DataBegun()
BULK: Final = 1024  # octets: a smaller chunk brings so little forward that it counts as a command
_BINARY_NEEDS_BDAT: Final = Reply.of("503 5.5.1 BODY=BINARYMIME needs BDAT")  # RFC 3030 §3


class ContentSession(SessionBase):
    """
    The part of a session that takes content.

    A chunk has `_size` octets, of which `_left` are still to come. One that is refused is read and dropped; the reply
    `_owed` for it is said then, since the client may not look for replies before it has sent all (RFC 3030 §2). `_own`
    tells whether it is a refusal of our own, which is told of.
    """

    __slots__ = ("_binary", "_chunks", "_content", "_last", "_left", "_owed", "_own", "_size")

    def __init__(self, rules: ServerRules, normalize: bool, standing: Standing) -> None:
        super().__init__(rules, normalize, standing)
        self._content: IncomingContent | None = None
        self._chunks: IncomingChunks | None = None
        self._binary = False
        self._last = False
        self._size = self._left = 0
        self._owed: Reply | None = None
        self._own = False

    def accept_content(self, queue_id: str) -> None:
        """
        Answer ContentEnded: the message is ours, under this queue id. In LMTP each recipient gets the reply.
        """
        if self._settle() is Verb.BDAT:
            self._commands -= 1
        self._drop_content()
        self._messages += 1
        self._errors = 0
        self.state = State.GREETED
        queued = b"%s%s\r\n" % (self._rules.queued, queue_id.encode())
        self._out.append(queued * self._recipients if self._rules.kind == "lmtp" else queued)

    def close(self, reply: Reply | None = None) -> None:
        """
        End the session, with a last reply or in silence.
        """
        super().close(reply)
        self._drop_content()

    def _data(self, verb: Verb, argument: str) -> Event:
        check_bare(argument)
        if self._binary:
            raise CommandRefused(_BINARY_NEEDS_BDAT)
        self._pending = verb
        return _DATA_BEGUN

    def _begin_content(self) -> None:
        self._content = IncomingContent(self.normalize)
        self._source = ContentSession._read_content

    def _read_content(self) -> bool:
        """
        Turn what has come of the content into events; tell whether there was anything.
        """
        content = self._content
        received = self._lines.take()
        if content is None or not received:
            return False
        self._events += content.receive(received)
        if content.ended:
            self._lines.append(content.rest)
            self._source = None
            self._pending = Verb.DATA
        if self.tap is not None:
            self.tap.content(len(received) - len(content.rest))
        return True

    def _bdat(self, verb: Verb, argument: str) -> Event | None:
        """
        Begin a chunk, in any state: one that has no place is read, too.
        """
        try:
            self._size, self._last = read_chunk_size(argument)
        except ValueError:  # where the next command begins cannot be known
            return self._end(BAD_CHUNK, Ending.ERRORS)
        self._left = self._size
        if Extension.CHUNKING not in self._rules.extensions:
            return self._misplaced_chunk(NOT_OFFERED)
        if (self.state, verb) not in NEXT:
            return self._misplaced_chunk(out_of_order(self.state, verb))
        if self.state is State.CHUNKS:
            self.state = NEXT[self.state, verb]
            self._source = ContentSession._read_chunk
            return None
        self._pending = verb
        return DataBegun(self._binary)

    def _accept_bdat(self) -> None:
        """
        Do what DataBegun asked for, or answer ChunkEnded.
        """
        if self._chunks is None:
            self._chunks = IncomingChunks(self.normalize, self._binary)
            self._source = ContentSession._read_chunk
            self.state = NEXT[self.state, Verb.BDAT]
            return
        if self._size >= BULK:
            self._commands -= 1
        self._out.append(self._rules.encode(Reply(250, "2.0.0", (f"Ok: {self._size} octets",))))
        self.state = State.CHUNKS

    def _read_chunk(self) -> bool:
        """
        Turn what has come of the chunk into events; tell whether there was anything, or nothing more to wait for.
        """
        chunks = self._chunks
        received = self._lines.take_some(self._left)
        if chunks is None or (self._left and not received):
            return False
        self._left -= len(received)
        if self.tap is not None:
            self.tap.content(len(received))
        self._events += chunks.receive(received)
        if not self._left:
            if self._last:
                self._events += chunks.finish()
            else:
                self._events.append(ChunkEnded(self._size))
            self._source = None
            self._pending = Verb.BDAT
        return True

    def _refuse_content(self, verb: Verb, reply: Reply) -> None:
        """
        Refuse a content, or a chunk of it, and so end the transaction: chunks that follow have no place any more.
        """
        self._drop_content()
        self.state = State.GREETED
        if verb is Verb.BDAT and self._left:
            self._drop_chunk(reply, own=False)
        else:
            self._say_refused(reply, verb is Verb.DATA or self._last)

    def _say_refused(self, reply: Reply, whole: bool) -> None:
        """
        Say a refusal; of a whole content in LMTP once for each recipient (RFC 2033 §4.2). Only a 5yz is an error.
        """
        encoded = self._rules.encode(reply)
        self._out.append(encoded * self._recipients if whole and self._rules.kind == "lmtp" else encoded)
        if not reply.transient:
            self._count_error()

    def _misplaced_chunk(self, reply: Reply) -> Event | None:
        if not self._left:
            return self._fail(Verb.BDAT.value, reply)
        self._drop_chunk(reply, own=True)
        return None

    def _drop_chunk(self, reply: Reply, own: bool) -> None:
        self._owed, self._own = reply, own
        self._source = ContentSession._pass_over

    def _pass_over(self) -> bool:
        """
        Drop what has come of a chunk that is not taken; tell whether that was the rest of it.
        """
        passed = len(self._lines.take_some(self._left))
        self._left -= passed
        reply = self._owed
        if self.tap is not None:
            self.tap.content(passed)
        if self._left or reply is None:
            return False
        self._owed = self._source = None
        if self._own:
            self._events.insert(0, self._fail(Verb.BDAT.value, reply))
        else:
            self._say_refused(reply, self._last)
        return True

    def _drop_content(self) -> None:
        self._content = self._chunks = self._source = None
