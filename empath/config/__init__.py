"""
What the operator wrote: the schema, read from TOML.
"""
