"""Children that end with the gateway, whatever ends it, and the ports of this machine.

It knows nothing of what it starts.
"""

from easel.gateway.process.ports import check_ports, find_port, is_free
from easel.gateway.process.process import Process, exit_words, inherited, last_lines, rotate
