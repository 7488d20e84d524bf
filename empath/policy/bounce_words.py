"""
What receivers write when they do not take mail, by the kind of failure that it tells of.

The words are those of `empath.policy.bounce.Category`. Texts are compared in lower case and without addresses. A star
stands for anything between, "~" for a blank at an edge. What comes first counts: the order of the kinds is part of what
they mean.
"""

from __future__ import annotations

from typing import Final

from empath.policy.phrases import Words

_PLAIN: Final[tuple[tuple[str, str], ...]] = (
    ("authentication", "because it is unauthenticated"),
    ("content", "its content presents | not rfc 5322 | not rfc 2822"),
    ("bad-domain", "dns domain*does not exist"),
    ("dns", "dns query failed | host not found, try again | name server reply"),
    ("policy", "blocked by the recipient"),
    ("connection", "connection terminated | session terminated"),
    ("inactive-mailbox", "due to inactivity"),
    ("quota", "user has too many messages | mail file size exceeds"),
    ("spam", "spam or virus | spam/virus | virus or spam"),
    (
        "loop",
        """
        mail loop | routing loop | forwarding loop | mail is looping | too many hops | hop count | loops back |
        too many received | delivery loop | loop detected | message looping |
        loop was found
        """,
    ),
    (
        "rate",
        """
        rate limit | ratelimit | rate-limit | greylist | graylist | grey list | grey-list | throttl |
        too many messages | too many connections | too many concurrent | too many sessions | slow down |
        too many emails | too many mails | too many recipients | too much mail | too fast | unusual rate |
        receiving mail at a rate | receiving mail too quickly | exceeded the maximum number of connections |
        frequency limited | unexpected volume | user complaints - 4.16 | sending quota | sending limit |
        hourly limit | daily limit | per hour | per minute | server busy | concurrent connections |
        exceeded threshold | rp:trl | rp:cel | rp:rcl | rp:qrc | temporarily deferred due to | trop de |
        connection limit | message rate | maximum number of connections | resources temporarily unavailable |
        [tss04] | mail volume | please retry in * seconds | you are not yet authorized | first time sender |
        deferred for * seconds | too many invalid recipients | try again in * minutes
        """,
    ),
    (
        "quota",
        """
        over quota | overquota | over-quota | over the quota | quota exceed | exceeded*quota | quotaexceeded |
        quota limit | quota full | quota is full | mailbox full | mailbox is full | mailbox size limit |
        mailbox has exceeded | inbox is full | inbox full | box is full | user is full | mailfolder is full |
        exceeded storage | out of storage | storage limit | storage allocation | insufficient disk space |
        not enough space in | no space left in mailbox | account is full | boite*pleine | postfach*voll |
        disk quota | mailbox would exceed | maildir over | would be over | mailbox exceeds | mailbox limit |
        not enough storage space for this user | user has too many messages | casilla llena | casella*piena |
        exceeding*quota | does not have enough space | full mailbox | quota usage exceed | over the allowed quota |
        quota violation | space has been used up | not enough storage space in | mailbox exceeded
        """,
    ),
    (
        "message-size",
        """
        message too large | message is too large | message too big | message is too big | message size exceeds |
        message larger than | message exceeds | exceeds size limit | exceeds the size limit | size limit |
        maximum message size | max message size | mailsize limit | mail too big | email size | recipsizelimit |
        fixed maximum size | exceeds the maximum size | message length exceeds | file too big | too long*bytes |
        data size exceeds | maximum allowed size | oversized | maximum size | larger than the current |
        inbound message size | taille limite du message
        """,
    ),
    (
        "spam",
        """
        considered as spam | considered spam | likely unsolicited | appears to be spam | dt:spm | is spam |
        suspicion of spam | spam message rejected | classified as spam | identified as spam | detected as spam |
        looks like spam | marked as spam | spam detected | spam score | high spam | message*spam rejection
        """,
    ),
    ("virus", "virus | malware | infected | trojan | worm found | phishing"),
    (
        "authentication",
        """
        dmarc | dkim | ~spf | spf~ | spf: | (spf | spf) | sender policy framework | unauthenticated email |
        unauthenticated mail | authentication checks | sender authentication | authentication level |
        email authentication | ptr record | dns ptr | no ptr | reverse dns | rdns | reverse hostname |
        reverse lookup | reverse-dns | fcrdns | cannot find your hostname | cannot find your reverse |
        sender address rejected | sender rejected | sender verify failed | sender verification | domain of sender |
        sender domain | sender's domain | sender id | mail from domain | helo*mismatch | valid sender domain |
        invalid sender | envelope sender domain | hostname of your mail server | could not verify sender |
        sender is not verified | from address*not verified | authentication-failed |
        spf.pobox.com | find your hostname
        """,
    ),
    (
        "blocked",
        """
        spamhaus | spamcop | barracudacentral | barracuda reputation | sorbs | surriel | uceprotect | abuseat |
        mailspike | invaluement | senderscore | senderbase | ipcheck.proofpoint | csi.cloudmark | talosintell |
        csi.mimecast | hostkarma | abusix | nixspam | manitu | blacklist | black list | black-list | blocklist |
        block list | block-list | denylist | deny list | blocked using | blocked by | rbl | dnsbl | listed in |
        listed at | listed on | listed by | is listed | reputation | banned | weren't sent. please contact |
        (s3140) | (s3150) | permanently deferred | [ts03] | [ts02] | block for spam | (bl) | [bl2 | is_blocked |
        is blocked | was blocked | been blocked | ip blocked | blocked ip | blocked - see | client host*blocked |
        ip*rejected by | traffic not accepted from this ip | bad outbound sender | access denied, banned | hl:ipb |
        hl:reb | your ip | sending ip | ip address*bad | host rejected | client host rejected |
        access from ip address | connection refused from | not accept*ip | poor sender | untrusted sender |
        blocked mail from | refused to talk to me | [cs01] | [ip01] |
        dynamic ip | bad ip | blocked for abuse | not accept mail from
        """,
    ),
    (
        "spam",
        """
        spam | unsolicited | junk mail | bulk mail | ofr_506 | content filter rejected | rejected by content
        """,
    ),
    (
        "policy",
        """
        reject due to policy | local policy | policy reasons | policy violation | security polic | policy restric |
        administrative prohibition | notauthorized | notinallowedlist | notauthenticatedforgroup |
        rejected by*rule | restricted by | not allowed to send to | only accepts mail from | permission to send |
        sender not allowed | policy rejection | organization's policy | due to policy | transport rules |
        against our | by policy
        """,
    ),
    (
        "tls",
        """
        must issue a starttls | starttls | tls required | require tls | requires tls | encryption required |
        tls is required | use tls | certificate | tls handshake | ssl | cannot use tls | tls negotiation
        """,
    ),
    (
        "relaying",
        """
        relay | rcpthosts | authentication required | authentication is required | auth required | auth first |
        please authenticate | must authenticate | not authenticated | log in | need to authenticate |
        pop before smtp | check your mail before | domain is not hosted here | not hosted here | not a gateway |
        we don't handle mail for | we do not accept mail for | not accepted for this domain | domain not allowed |
        requires authentication
        """,
    ),
    (
        "bad-domain",
        """
        domain does not exist | domain doesn't exist | domain not found | no such domain | unknown domain |
        domain unknown | host unknown | unknown host | host not found | null mx | nullmx | domain is not valid |
        does not accept mail | doesn't accept mail | accepts no mail | invalid domain | domain has expired |
        domain is parked | domain*suspended | name or service not known | non-existent domain | illegal host |
        domain must exist | domain name not found | unrouteable mail domain | unroutable mail domain |
        domain is not reachable
        """,
    ),
    (
        "inactive-mailbox",
        """
        account*disabled | mailbox*disabled | user*disabled | recipient*disabled | address*disabled | inactiv |
        suspended | deactivated | no longer active | no longer valid | account expired |
        account*no longer available | address*no longer available | mailbox*no longer available |
        recipient*no longer available | user*no longer available |
        no longer with | no longer in use | no longer works | no longer accept | account*closed | dormant |
        account*terminated | mailbox*terminated | user*terminated | not been active | account is locked |
        mailbox is locked | mailbox locked | retired |
        account has been blocked | user is blocked | mailbox blocked | mailbox for*is blocked | gesperrt |
        not active | user has moved | has left | abandoned | mailbox temporarily disabled |
        account*on hold | mailbox*on hold | user*on hold |
        mailbox is frozen | temporary locked | archived recipient | suspend the service | archivee
        """,
    ),
    (
        "bad-mailbox",
        """
        user unknown | unknown user | user not known | no such user | no such mailbox | no such recipient |
        no such address | no such person | no such account | no such local | no mailbox | does not exist |
        doesn't exist | not exist | user not found | mailbox not found | recipient not found | account not found |
        address not found | recipientnotfound | recipnotfound | unknown recipient | recipient unknown |
        not found by | invalid recipient | invalid mailbox | invalid address | invalid user | illegal user |
        illegal alias | unknown mailbox | unknown address | address unknown | unknown account | unknown local |
        unknown or illegal | mailbox unavailable | mailbox is unavailable | mailbox not available |
        address unavailable | bad address | unrouteable | unroutable | not our customer | not a known user |
        user doesn't have | nosuchuser | not a valid recipient | not a valid mailbox | not a valid user |
        not a valid address | bad recipient | not a local | not listed in | isn't in my control |
        address rejected: access denied | recipient rejected | no account | undeliverable address | user undefined |
        user*unknown | recipient*unknown | unbekannt | no valid recipients | not a mailbox | addressee unknown |
        mailbox*unknown | dd requested mail action | recipient address rejected: undeliverable | there is no one |
        no one here by | destinataire invalide | name is not recognized | mailbox is invalid |
        recipient verify failed | not handled here | address does not | recipient does not | nonexist | non-exist |
        not known here | sconosciuto | inexist | address not recognized | recipient not recognized |
        badrcptto | validrcptto | utilisateur inconnu | virtual user | recipient notfound | invalid-recipient |
        name is not found
        """,
    ),
    (
        "content",
        """
        attachment | file type | executable | message content | mail content | content rejected | missing header |
        header field | headers | date header | message-id | from header | rfc 5322 | rfc5322 | rfc 2822 | rfc2822 |
        not rfc | malformed | subject line | invalidcontent | bad content | url*rejected | content denied |
        8bit data in header | duplicate header | content-type | invalid characters | mime structure | mime part |
        mime type | broken mime
        """,
    ),
)
_VAGUE: Final[tuple[tuple[str, str], ...]] = (
    (
        "expired",
        """
        message expired | delivery expired | time expired | retry timeout exceeded | retry time not reached |
        long failure period | in the queue too long | in queue too long | giving up
        """,
    ),
    (
        "dns",
        """
        dns | name server | nameserver | lookup fail | servfail | mx record | unable to resolve
        """,
    ),
    (
        "connection",
        """
        timed out | timeout | connection refused | unreachable | no route | broken pipe | lost connection |
        connection reset | shutting down | service unavailable | service not available | local error |
        temporary failure | temporarily unavailable | internal error | system error | insufficient system |
        connection dropped | connection closed | unavailable | out of memory | local problem | i/o error |
        configuration error | config error | mail system full | queue file
        """,
    ),
    (
        "protocol",
        """
        syntax | bad sequence | not implemented | smtputf8 | 8-bit | bare lf | bare newline | helo | bare cr |
        line too long | bare line | parameter | pipelin | synchronization | protocol | command not |
        unrecognized command | unknown command
        """,
    ),
    (
        "policy",
        """
        policy | not allowed | prohibited | not permitted | administrat | restricted | denied | forbidden |
        not authorized | unauthorized | rejected | refused | not accepted | refuse | blocked | security |
        not welcome | go away | reject | decline | unwanted
        """,
    ),
)
_SENDER: Final = (
    *("sender", "helo", "mail from", "outgoing", "originat"),
    *("your account", "your domain", "your host", "your address", "your name", "your server"),
)


def speaks_of_sender(text: str) -> bool:
    """
    Tell whether a text may be about who sends: then who is unknown, or suspended, is not the recipient.
    """
    return any(word in text for word in _SENDER)


def plain_words() -> Words:
    """
    Give what means one thing, whatever code comes with it.
    """
    return Words(_PLAIN)


def vague_words() -> Words:
    """
    Give what counts only where the code says little.
    """
    return Words(_VAGUE)
