"""What only the cluster reaches: health, the scale signal, the gateway's metrics, and the other gateways.

Never on the public listener. Everything here looks; nothing wakes or changes anything.
"""

from easel.gateway.inner.app import inner_app
from easel.gateway.inner.peer_exchange import PeerExchange
