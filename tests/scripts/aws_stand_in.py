"""What `easel doctor` asks and moto does not have."""

import json
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from moto.core import DEFAULT_ACCOUNT_ID


class StandIn(BaseHTTPRequestHandler):
    """Service Quotas, the account's plan, AWS's public parameters, and a resolver."""

    quotas: ClassVar[dict[str, float]] = {}
    unlisted: ClassVar[set[str]] = set()
    newest: ClassVar = {"gateway": "ami-0aaaaaaaaaaaaaaaa", "gpu": "ami-0bbbbbbbbbbbbbbbb"}
    servers: ClassVar[list[str]] = []
    points: ClassVar[list[dict[str, Any]] | None] = None
    """AWS Backup's recovery points; None: the vault is not there."""
    plan: ClassVar[dict[str, object] | None] = None
    versions: ClassVar[dict[str, str]] = {}
    """Of EKS's Kubernetes, each with its support."""
    clusters: ClassVar[list[str]] = []
    drivers: ClassVar[list[str]] = []
    denied = False

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        if type(self).denied:
            return self._say(400, {"__type": "AccessDeniedException", "message": "not for you"})
        if operation == "GetParameter":
            kind = "gpu" if "deeplearning" in asked["Name"] else "gateway"
            return self._say(200, {"Parameter": {"Name": asked["Name"], "Value": self.newest[kind]}})
        if operation == "GetAccountPlanState":
            if self.plan is None:
                return self._say(400, {"__type": "ResourceNotFoundException", "message": "no plan"})
            return self._say(200, {"accountId": DEFAULT_ACCOUNT_ID, **self.plan})
        code = asked["QuotaCode"]
        if operation == "GetServiceQuota" and code in self.unlisted:
            return self._say(400, {"__type": "NoSuchResourceException", "message": "no"})
        return self._say(200, {"Quota": {"QuotaCode": code, "Value": self.quotas.get(code, 1152.0)}})

    def do_GET(self) -> None:
        if self.path.startswith("/backup-vaults/"):
            if self.points is None:
                self.send_response(400)
                self.send_header("x-amzn-ErrorType", "ResourceNotFoundException")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
                return None
            return self._say(200, {"RecoveryPoints": self.points})
        if self.path.startswith("/cluster-versions"):
            told = [{"clusterVersion": one, "versionStatus": how} for one, how in self.versions.items()]
            return self._say(200, {"clusterVersions": told})
        if self.path.startswith("/addons"):
            told = [{"addonVersion": one} for one in self.drivers]
            return self._say(200, {"addons": [{"addonVersions": told}]})
        if self.path.startswith("/clusters"):
            return self._say(200, {"clusters": self.clusters})
        name = parse_qs(urlsplit(self.path).query)["name"][0]
        answers = [{"name": name, "type": 2, "data": f"{one}."} for one in self.servers]
        return self._say(200, {"Status": 0, "Answer": [*answers, {"type": 46, "data": "signature"}]})

    def _say(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
