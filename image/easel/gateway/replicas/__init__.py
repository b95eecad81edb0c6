"""How many replicas an endpoint has, which of them serves a request, and who waits for one.

Others import from here alone. Where replicas run is a room below (`local`, `aws`, `kubernetes`), which sees
no more of this one than they do. Knows no callers and no HTTP routes: who may ask is settled before.
"""

from easel.gateway.replicas.autoscaler import Load, Scaling, allowed, wanted
from easel.gateway.replicas.backend import Autoscaler, Backend, Replica, ReplicaState, Work
from easel.gateway.replicas.container_probe import ContainerProbe
from easel.gateway.replicas.fleet import Fleet, NotNow
from easel.gateway.replicas.log_end import last_words
from easel.gateway.replicas.open_requests import OpenRequests
from easel.gateway.replicas.peers import Assignment, PeerEndpoint, Peers
from easel.gateway.replicas.probe import Probe, Report, Vouch
from easel.gateway.replicas.scale_signal import ScaleSignal
from easel.gateway.replicas.sizing import BY_HAND
from easel.gateway.replicas.spending import Ledger, Spending, month_of
from easel.gateway.replicas.status import ReplicaStatus
from easel.gateway.replicas.timeouts import ReplicaTimeouts
from easel.gateway.replicas.wake_state import WakeState
