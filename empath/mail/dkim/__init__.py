"""
DKIM signatures (RFC 6376, RFC 8463), but for keys: what is signed, in which form, and how the field is written.
"""
