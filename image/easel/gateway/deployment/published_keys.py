"""What signs, in a Secret; its public keys, in a ConfigMap that studios mount."""

from __future__ import annotations

from easel.gateway.errors import unwritable
from easel.gateway.kubernetes import KubernetesApi, KubernetesError, SecretObject

KEYS = "easel-keys"


class ClusterSecret(SecretObject):
    """The Secret `easel-secret`; the public keys are the ConfigMap `easel-keys`."""

    # Kubelets bring a changed ConfigMap into pods within one to two minutes.
    lead = 300.0
    secret = "easel-secret"  # noqa: S105 - the name of an object

    def __init__(self, api: KubernetesApi) -> None:
        super().__init__(api, self.secret, "secret.json")
        # The resourceVersion that was read or written last.
        self.seen = ""

    def read(self) -> tuple[bytes, str]:
        """The secrets' text and its resourceVersion. Raises GatewayError."""
        content, self.seen = super().read()
        return content, self.seen

    def publish(self, keys: str) -> None:
        """Write the ConfigMap `easel-keys`: what another gateway writes follows from the same secrets. Raises
        GatewayError."""
        path = self._api.path("configmaps", KEYS)
        try:
            self._api.wait_for(self._api.patch(path, {"data": {"keys.json": keys}}))
        except (KubernetesError, TimeoutError) as error:
            raise unwritable(f"ConfigMap {KEYS}", error) from None
