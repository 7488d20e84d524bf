"""
Reports about TLS.
"""
