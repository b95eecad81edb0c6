"""A real control plane on loopback: what decides in a cluster, without the machines it decides about.

etcd, kube-apiserver, kube-controller-manager, kube-scheduler, KEDA's operator and metrics adapter, and kwok,
which keeps nodes alive that no machine stands behind. Periods are shortened where waiting proves nothing.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import yaml

from infra.keda import OPERATOR_ARGUMENTS, OPERATOR_ENVIRONMENT
from tests.cluster.api import Api, ApiRefusalError, UnknownKindError
from tests.cluster.authority import Authority
from tests.cluster.daemon import Daemon
from tests.cluster.ports import cluster_port
from tests.cluster.programs import definitions, program

# What keeps kwok away from a node, as if its machine had gone: the label that it looks for is taken off.
ALIVE = {"easel.test/alive": "true"}
# Seconds without a sign of life after which a node is NotReady; 50 in a real cluster. Not less: these
# programs share the machine with every test.
NODE_GRACE = 12
# Seconds that pods stay bound to a node that is NotReady; 300 in a real cluster.
EVICTION = 2
_KEDA = "keda"
# What no module has: EKS Auto Mode's NodeClass and IngressClassParams, written down from AWS's documentation.
DEFINED_HERE = Path(__file__).with_name("definitions")
_METRICS = "v1beta1.external.metrics.k8s.io"
# The endpoint controllers are left out: the API lets no loopback address be an endpoint, where pods are here.
_CONTROLLERS = "*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"


class ControlPlane:
    """Starts everything, tells the way in, stops everything."""

    def __init__(self, root: Path, http_proxy: str) -> None:
        self.root = root
        self.logs = root / "logs"
        self.logs.mkdir(parents=True)
        self.daemons: dict[str, Daemon] = {}
        self.authority = Authority(root / "certificates")
        self._keda_address = f"127.0.0.1:{cluster_port()}"
        self._adapter_port = cluster_port()
        # By which programs of the cluster find its Services.
        self._http_proxy = http_proxy
        # Where the API asks for the logs of pods.
        self.kubelet_port = cluster_port()

    def start(self) -> ControlPlane:
        """Everything up to the metrics adapter answers."""
        self._start_api()
        self._start_controllers()
        self._define()
        self.start_keda()
        self._serve_metrics()
        return self

    def stop(self) -> None:
        """The last started first, so that none writes of what it misses."""
        for daemon in reversed(list(self.daemons.values())):
            daemon.stop(patience=2.0)

    def _start(self, name: str, *arguments: str | Path, environment: dict[str, str] | None = None) -> None:
        # etcd 3.4, which Debian 12 has, cannot tell how far a watch is: lists by watching end in errors again
        # and again there, and informers stand still for seconds.
        environment = {"KUBE_FEATURE_WatchListClient": "false", **(environment or {})}
        self.daemons[name] = Daemon([program(name), *arguments], self.logs / f"{name}.log", environment)

    def _start_api(self) -> None:
        client, peer = (f"http://127.0.0.1:{cluster_port()}" for _ in range(2))
        self._start(
            "etcd",
            f"--data-dir={self.root / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        )
        self._until("etcd", lambda: httpx.get(f"{client}/health", trust_env=False).is_success)
        token, port = secrets.token_hex(16), cluster_port()
        tokens = self.root / "tokens.csv"
        tokens.write_text(f'{token},admin,admin,"system:masters"\n')
        certificate, key = self.authority.issue("kube-apiserver", "kubernetes.default.svc")
        proxy, proxy_key = self.authority.issue("front-proxy")
        self.signing_public, self.signing = self.authority.key_pair("service-accounts")
        self._start(
            "kube-apiserver",
            f"--etcd-servers={client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.signing_public}",
            f"--service-account-signing-key-file={self.signing}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--requestheader-client-ca-file={self.authority.certificate}",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={proxy}",
            f"--proxy-client-key-file={proxy_key}",
            f"--default-not-ready-toleration-seconds={EVICTION}",
            f"--default-unreachable-toleration-seconds={EVICTION}",
            "--kubelet-preferred-address-types=InternalIP",
            "--feature-gates=WatchList=false",
            "--profiling=false",
        )
        self.api = Api(f"https://127.0.0.1:{port}", self.authority.certificate, token)
        self._until("kube-apiserver", lambda: self.api.request("GET", "/readyz")["text"] == "ok")
        self.kubeconfig = self.api.kubeconfig(self.root / "kubeconfig")

    def _start_controllers(self) -> None:
        common = [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"]
        self._start(
            "kube-controller-manager",
            *common,
            f"--secure-port={cluster_port()}",
            f"--cert-dir={self.root / 'controller-manager'}",
            f"--service-account-private-key-file={self.signing}",
            f"--root-ca-file={self.authority.certificate}",
            f"--controllers={_CONTROLLERS}",
            "--horizontal-pod-autoscaler-sync-period=1s",
            "--node-monitor-period=1s",
            f"--node-monitor-grace-period={NODE_GRACE}s",
            # A handful of nodes is a small cluster, where evictions stop when half of it is gone.
            "--large-cluster-size-threshold=0",
            "--secondary-node-eviction-rate=10",
            "--node-eviction-rate=10",
        )
        self._start(
            "kube-scheduler",
            *common,
            f"--secure-port={cluster_port()}",
            f"--cert-dir={self.root / 'scheduler'}",
        )
        label, value = next(iter(ALIVE.items()))
        self._start(
            "kwok",
            f"--kubeconfig={self.kubeconfig}",
            f"--manage-nodes-with-label-selector={label}={value}",
            "--node-ip=127.0.0.1",
            f"--node-port={self.kubelet_port}",
            "--node-lease-duration-seconds=8",
            f"--server-address=127.0.0.1:{cluster_port()}",
            f"--config={definitions('kwok') / 'node-initialize.yaml'}",
        )
        # Without it no pod may be made in a namespace.
        self._until(
            "kube-controller-manager", lambda: self.api.get("v1", "ServiceAccount", "default", "default")
        )

    def _define(self) -> None:
        """Kinds that Kubernetes doesn't have by itself."""
        folders = (definitions("keda"), definitions("karpenter"), definitions("gateway-api"), DEFINED_HERE)
        for path in sorted(path for folder in folders for path in folder.glob("*.yaml")):
            for item in filter(None, yaml.safe_load_all(path.read_text())):
                # Stored versions are the API's to say, and one file has an empty status.
                item.pop("status", None)
                self.api.apply(item)
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _KEDA}})
        self._until("kube-apiserver", lambda: self.api.list("keda.sh/v1alpha1", "ScaledObject") == [])

    def start_keda(self) -> None:
        """Operator and adapter; after `stop_keda` too."""
        folder = self.root / "keda"
        if not folder.exists():
            certificate, key = self.authority.issue("keda-operator")
            folder.mkdir()
            for source, name in (
                (certificate, "tls.crt"),
                (key, "tls.key"),
                (self.authority.certificate, "ca.crt"),
            ):
                (folder / name).write_bytes(source.read_bytes())
        environment = {
            "KUBECONFIG": str(self.kubeconfig),
            "KEDA_CLUSTER_OBJECT_NAMESPACE": _KEDA,
            "POD_NAMESPACE": _KEDA,
            "POD_NAME": "keda",
            "WATCH_NAMESPACE": "",
            "HTTP_PROXY": self._http_proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            **OPERATOR_ENVIRONMENT,
        }
        self._start(
            "operator",
            f"--cert-dir={folder}",
            "--leader-elect=false",
            f"--metrics-bind-address=127.0.0.1:{cluster_port()}",
            f"--health-probe-bind-address=127.0.0.1:{cluster_port()}",
            f"--metrics-service-bind-address={self._keda_address}",
            # As the program has the chart start it.
            *(f"--{name}={value}" for name, value in OPERATOR_ARGUMENTS.items()),
            environment=environment,
        )
        self._start(
            "adapter",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._adapter_port}",
            f"--cert-dir={folder}",
            f"--tls-cert-file={folder / 'tls.crt'}",
            f"--tls-private-key-file={folder / 'tls.key'}",
            f"--port={cluster_port()}",
            f"--metrics-service-address={self._keda_address}",
            *(
                f"--{part}-kubeconfig={self.kubeconfig}"
                for part in ("lister", "authentication", "authorization")
            ),
            environment=environment,
        )

    def stop_keda(self) -> None:
        """As if its pods were gone."""
        for name in ("adapter", "operator"):
            self.daemons.pop(name).stop()

    def _serve_metrics(self) -> None:
        """The adapter becomes a part of the API, by which autoscalers read what KEDA measures.

        A Service of a name outside, as the addresses behind a Service may not be loopback's.
        """
        service = {"externalName": "localhost", "type": "ExternalName"}
        meta = {"name": "keda-metrics-apiserver", "namespace": _KEDA}
        self.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service})
        self.api.create(
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": _METRICS},
                "spec": {
                    "group": "external.metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "insecureSkipTLSVerify": True,
                    "service": {**meta, "port": self._adapter_port},
                },
            }
        )
        self._until("adapter", self.serves_metrics, 60)

    def serves_metrics(self) -> bool:
        """Whether autoscalers can read what KEDA measures."""
        found = self.api.get("apiregistration.k8s.io/v1", "APIService", _METRICS)
        conditions = found.get("status", {}).get("conditions", [])
        return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)

    def _until(self, name: str, true: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if true():
                    return
            except (httpx.TransportError, ApiRefusalError, UnknownKindError):
                pass
            daemon = self.daemons[name]
            assert daemon.running, f"{name} ended: {daemon.said()}"
            assert time.monotonic() < deadline, f"{name} not within {seconds} s: {daemon.said()}"
            time.sleep(0.2)
