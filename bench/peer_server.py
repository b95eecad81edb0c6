"""Another server: `python peer_server.py CHECKPOINT PORT`, in an environment that has
stable-diffusion-cpp-python and nothing of Easel.

One picture at a time behind a lock, which is how servers of the kind serve. POST / takes a request with
A1111's names and is answered by a PNG as base64, and how many seconds after its arrival its first step ended.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stable_diffusion_cpp import StableDiffusion


class OneAtATime:
    """A checkpoint that draws for whoever has the lock."""

    def __init__(self, checkpoint: str) -> None:
        threads = int(os.environ.get("EASEL_BENCH_PEER_THREADS") or os.cpu_count() or 1)
        self._model = StableDiffusion(model_path=checkpoint, n_threads=threads, verbose=False)
        self._lock = threading.Lock()

    def draw(self, body: dict[str, Any]) -> dict[str, Any]:
        """A picture of a request, with `first_step`."""
        arrived, first = time.perf_counter(), []
        with self._lock:
            (image,) = self._model.generate_image(
                prompt=body["prompt"],
                negative_prompt=body["negative_prompt"],
                width=body["width"],
                height=body["height"],
                sample_steps=body["steps"],
                cfg_scale=body["cfg_scale"],
                seed=body["seed"],
                sample_method="euler",
                progress_callback=lambda *_: first.append(time.perf_counter() - arrived),
            )
        out = io.BytesIO()
        image.save(out, "PNG")
        return {"image": base64.b64encode(out.getvalue()).decode(), "first_step": first[0]}


def main(checkpoint: str, port: int) -> None:
    """Load, then serve."""
    model = OneAtATime(checkpoint)

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps(model.draw(body)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Answering).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
