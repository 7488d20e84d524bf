"""
The words of SMTP, whole lines among them, for inputs that get further than the first syntax error.
"""

from __future__ import annotations

from typing import Final

CLIENT_LINES: Final = (
    b"EHLO client.example.net\r\n",
    b"HELO [192.0.2.1]\r\n",
    b"MAIL FROM:<a@example.net>\r\n",
    b"MAIL FROM:<> SIZE=100 BODY=8BITMIME\r\n",
    b'mail from: <@a.example,@b.example:"a b"@example.net>\r\n',
    b"RCPT TO:<b@example.org>\r\n",
    b"RCPT TO:<Postmaster>\r\n",
    b"RCPT TO:<forbidden@example.org>\r\n",
    b"RCPT TO:<busy@example.org>\r\n",
    b"RCPT TO:<spam@example.org>\r\n",
    b"DATA\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"Received: from x\r\n",
    b"Subject: x\r\n\r\n",
    b"..\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"VRFY bob\r\n",
    b"HELP\r\n",
    b"STARTTLS\r\n",
    b"BDAT 10 LAST\r\n",
    b"GET / HTTP/1.1\r\n",
    b"x" * 520 + b"\r\n",
)
WORDS: Final = (
    b"EHLO ", b"HELO ", b"MAIL FROM:", b"RCPT TO:", b"DATA", b" SIZE=", b" BODY=7BIT", b" BODY=8BITMIME",
    b" BODY=BINARYMIME", b" RET=HDRS", b" ENVID=x+2B", b" NOTIFY=NEVER", b" ORCPT=rfc822;b", b"<", b">", b"<>", b"@",
    b'"', b"\\", b'"a\\"b"', b"[IPv6:::1]", b"[192.0.2.1]", b"@a,@b:", b"a" * 65, b"\xc3\xbc", b"\xff", b"\x00",
    b"x" * 1000, b"x" * 2100, b"a." * 130,
)  # fmt: skip
SERVER_LINES: Final = (
    b"220 mx.example.org ESMTP\r\n",
    b"250-mx.example.org\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
    b"250-mx.example.org\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE\r\n",
    b"250 2.1.0 Ok\r\n",
    b"250 2.1.5 Ok\r\n",
    b"354 go on\r\n",
    b"334 VXNlcm5hbWU6\r\n",
    b"235 2.7.0 welcome\r\n",
    b"221 2.0.0 Bye\r\n",
    b"421 4.3.2 closing\r\n",
    b"450-4.2.0 grey\r\n450 4.2.0 listed\r\n",
    b"451 4.3.0 later\r\n",
    b"452 4.5.3 too many\r\n",
    b"501 5.5.4 what\r\n",
    b"535 5.7.8 no\r\n",
    b"550 5.1.1 unknown\r\n",
    b"554 no\r\n",
    b"250-",
    b"250 ",
    b"999 x\r\n",
    b"250\n",
    b"550 " + b"x" * 3000 + b"\r\n",
    b"250-x\r\n" * 130,
)
SMTP: Final = (*CLIENT_LINES, *WORDS)
REPLIES: Final = (*SERVER_LINES, b"\x1e", b"\x1e", b"\x00", b"\xff", b"4.7.0 ", b"5.1.1", b"-", b" ")
