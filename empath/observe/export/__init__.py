"""
What leaves for OpenTelemetry collectors: spans, metrics and log records, over OTLP.
"""
