"""The objects in a team's namespace: plain manifests, and the component that applies them."""

from infra.namespace.objects import manifests as manifests
from infra.namespace.target import Edge as Edge
from infra.namespace.target import Links as Links
from infra.namespace.target import Placement as Placement
from infra.namespace.target import SecretKey as SecretKey
from infra.namespace.target import Target as Target
from infra.namespace.target import Volume as Volume
