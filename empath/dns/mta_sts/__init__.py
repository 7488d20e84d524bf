"""
MTA-STS (RFC 8461): fetching the policies of domains, and keeping them.
"""
