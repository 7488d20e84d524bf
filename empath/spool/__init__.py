"""
Durable storage of messages and of the state of their deliveries.

`sqlite` is the real one, `memory` forgets everything with the process; both keep the promises of `ISpool`.
"""
