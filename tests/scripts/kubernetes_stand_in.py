"""A stand-in for a cluster's API, as far as `easel doctor` asks it. The client is Kubernetes' own."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: mine, context: {{cluster: c, user: u}}}}]
current-context: mine
"""
MANY = "nfs.csi.k8s.io"


def everything() -> dict[str, Any]:
    """A cluster that has all that a stack takes: what it answers, by path."""
    return {
        "/version/": {"major": "1", "minor": "33+", "gitVersion": "v1.33.2"} | dict.fromkeys(
            ("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "platform"), "x"
        ),
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": {"spec": {}, "status": {"allowed": True}},
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scaledobjects.keda.sh": {
            "metadata": {"name": "scaledobjects.keda.sh", "managedFields": [{"manager": "helm"}]},
            "spec": {
                "group": "keda.sh", "scope": "Namespaced", "versions": [],
                "names": {"kind": "ScaledObject", "plural": "scaledobjects"},
            },
        },
        "/apis/storage.k8s.io/v1/storageclasses": {"items": [storage_class("nfs", MANY)]},
        "/api/v1/nodes": {"items": [node("a", {"nvidia.com/gpu": "1"})]},
        "/apis/networking.k8s.io/v1/ingressclasses/traefik": {"metadata": {"name": "traefik"}},
    }  # fmt: skip


def storage_class(name: str, provisioner: str, default: bool = False) -> dict[str, Any]:
    """A storage class."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner}


def claim(*modes: str) -> dict[str, Any]:
    """A claim with these access modes."""
    return {"metadata": {"name": "x"}, "spec": {"accessModes": list(modes)}}


def node(
    name: str, gpus: dict[str, str], labels: dict[str, str] | None = None, taints: Any = ()
) -> dict[str, Any]:
    """A node."""
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": {"cpu": "8", **gpus}},
    }


class ClusterStandIn(ThreadingHTTPServer):
    """Answers from `has`; what is not there is 404, what is a number is that status."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.has = everything()
        self.asked: list[tuple[str, str]] = []
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def kubeconfig(self, folder: Path) -> Path:
        """The file that a client finds it by."""
        file = folder / "kubeconfig"
        file.write_text(KUBECONFIG.format(port=self.server_port))
        return file


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        assert isinstance(self.server, ClusterStandIn)
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = self.server.has.get(path, 404)
        status, body = (found, {"code": found}) if isinstance(found, int) else (200, found)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        """Nothing."""
