"""The instance metadata service at 169.254.169.254, version 2: nothing without a token that a PUT gave."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "metadata-token"


class Metadata(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        asked = "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
        self.answer(200 if self.path == "/latest/api/token" and asked else 400, TOKEN)

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self.answer(401, "")
            return
        # Read at each question: a notice comes while the machine runs.
        known = json.loads(Path(sys.argv[1]).read_text())
        path = self.path.removeprefix("/latest/meta-data/")
        self.answer(200, known[path]) if path in known else self.answer(404, "")

    def answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *words: object) -> None:
        pass


server = ThreadingHTTPServer(("169.254.169.254", 80), Metadata)
print("listening", flush=True)
server.serve_forever()
