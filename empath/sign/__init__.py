"""
DKIM signatures on what leaves: keys, and the signing itself.
"""
