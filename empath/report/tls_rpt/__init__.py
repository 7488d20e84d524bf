"""
Reports about TLS to the domains that we send to (RFC 8460).
"""
