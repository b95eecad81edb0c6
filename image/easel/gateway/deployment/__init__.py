"""Where the gateway runs, this machine, AWS or a cluster: where configuration, tokens and secret are, what a
replica is.

The one room that knows all that differs; everything else is told by it.
"""

from easel.gateway.deployment.deployment import Deployment, aws_deployment, kubernetes_deployment
from easel.gateway.deployment.inner import Inner
from easel.gateway.deployment.local import LocalDeployment
