"""
DNSSEC validation from a trust anchor downwards (RFC 4033 to 4035, 5155, 6840, 9276).
"""
