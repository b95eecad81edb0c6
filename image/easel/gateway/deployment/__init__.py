"""Where the gateway runs, this machine or AWS: where configuration, tokens and secret are, what a replica is.

The one room that knows all that differs; everything else is told by it.
"""

from easel.gateway.deployment.deployment import Deployment, aws_deployment
from easel.gateway.deployment.local import LocalDeployment
