"""The gateway: who may pass, whether, and where to; the console; waking and sleeping.

Run it with `python -m easel.gateway --home DIR`. Here is the hall: the assembly and the server, and what
every room knows (config, home, errors, events, logs, pages). Each room says in its `__init__` what it is for
and what others may use; docs/architecture.md has the map.
"""
