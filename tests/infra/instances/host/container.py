"""What `docker start` runs in the machine: something that answers as its image is ordered to, or does not.

Orders: `phases` (what `/easel/load` says, call by call), `serves` (paths that answer 200), `silent` (does not
listen), `says` (its last words) and `exits` (a code, at once). The gateway's image writes `run/gateway.json`.
"""

import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

orders = json.loads(sys.argv[1])


def end(code: int) -> None:
    Path("/var/lib/docker/exit").write_text(str(code))
    os._exit(code)


phases = list(orders.get("phases", ["ready"]))


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"{}"
        known = self.path in orders.get("serves", ["/internal/ping", "/easel/load", "/api/status"])
        if self.path == "/easel/load":
            phase = phases.pop(0) if len(phases) > 1 else phases[0]
            body = json.dumps({"phase": phase.split()[0], "detail": phase.partition(" ")[2]}).encode()
        if self.path == "/api/status":
            known = self.headers["Authorization"] == "Bearer operator"
            # For how many more questions somebody draws.
            draws = Path("/world/draws")
            left = int(draws.read_text()) if draws.exists() else 0
            if left:
                draws.write_text(str(left - 1))
            studio = {"name": "studio", "running": min(left, 1), "queued": 0, "waiting": 0}
            body = json.dumps({"endpoints": [studio]}).encode()
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: end(0))
    print(orders.get("says", "hello"), flush=True)
    if "exits" in orders:
        end(orders["exits"])
    if not orders.get("silent"):
        if orders["published"]:
            address, port, _ = orders["published"]
            server = ThreadingHTTPServer((address, int(port)), Answers)
        else:
            server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
            file = Path("/data/easel/run/gateway.json")
            file.parent.mkdir(exist_ok=True)
            file.write_text(
                json.dumps({"url": f"http://127.0.0.1:{server.server_port}", "token": "operator"})
            )
            caddy = socket.create_server(("127.0.0.1", 443))
            caddy.listen()
        Thread(target=server.serve_forever, daemon=True).start()
    while True:
        time.sleep(60)


main()
