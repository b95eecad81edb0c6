"""What Prometheus is told of a studio: counters of the engine and of requests, and how things stand.

No label has what a person typed, named or is called: labels are words of the code and templates of routes
(docs/decisions/0048-metrics-are-the-operators.md).
"""

from easel.studio.metrics.metrics import StudioMetrics
from easel.studio.metrics.middleware import REQUEST_ID, RequestObservation
from easel.studio.metrics.route_label import UNKNOWN, RouteLabels
