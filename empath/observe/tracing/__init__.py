"""
One trace a message: what is made of life events, for OpenTelemetry.
"""
