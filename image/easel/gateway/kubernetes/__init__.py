"""The API of a Kubernetes cluster as the gateway needs it: objects followed by watches, texts in Secrets and
ConfigMaps, configuration from ConfigMaps, a Lease. Refusals in words.

Others take what is named here. The client library is imported by the first call.
"""

from easel.gateway.kubernetes.api import KubernetesApi, Object
from easel.gateway.kubernetes.configmap_ledger import ConfigMapLedger
from easel.gateway.kubernetes.configmap_mirror import ConfigMapMirror, files_of
from easel.gateway.kubernetes.errors import KubernetesError
from easel.gateway.kubernetes.lease import Lease
from easel.gateway.kubernetes.reflector import Reflector
from easel.gateway.kubernetes.secret_object import SecretObject
