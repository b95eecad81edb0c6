"""Children that end with the gateway, whatever ends it, and the ports of this machine.

What a studio is told of its gateway is named here, for all that start one.
"""

from easel.gateway.process.ports import check_ports, find_port, is_free
from easel.gateway.process.process import (
    AUDIENCE_VARIABLE,
    KEYS_VARIABLE,
    OPEN_VARIABLE,
    Process,
    exit_words,
    inherited,
    last_lines,
    rotate,
)
