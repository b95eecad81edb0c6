"""The gateway process with --bucket: from objects in S3 to a picture's request at a woken instance."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from easel.assertion import Verifier, parsed
from tests.gateway.conftest import IMAGE, until
from tests.gateway.replicas.aws.region import REGION, Region
from tests.models.serving import model_bytes
from tests.ports import free_port

pytestmark = pytest.mark.anyio
TOKEN = "easel_" + "t" * 43
LORA = model_bytes(200_000, key="lora_unet_x.lora_up.weight")


def start(root: Path, bucket: str, region: Region) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "easel.gateway", "--home", str(root), "--bucket", bucket, "--region", REGION],
        env={**os.environ, "PYTHONPATH": str(IMAGE), "AWS_ENDPOINT_URL": region.url},
        stderr=subprocess.PIPE,
    )  # fmt: skip


async def test_from_the_bucket_to_a_woken_instance(
    build: Callable[..., Any], region: Region, tmp_path: Path
) -> None:
    """The first token opens by its hash; models come from S3 before drawing wakes an instance, which answers;
    and what a next gateway needs is in the bucket."""
    stage = await build()
    await stage.backend.close()
    s3, bucket = region.client("s3"), f"easel-{stage.group}"
    s3.create_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=f"{bucket}-models")
    s3.put_object(Bucket=f"{bucket}-models", Key="loras/style.safetensors", Body=LORA)
    ports = {"console": free_port(), "studio": free_port()}
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    endpoint = {
        "name": "studio", "port": ports["studio"], "replicas": {"min": 0, "max": 1}, "link": {"hash": digest},
        "instances": {"group": stage.group, "log_group": stage.hosts.log_group, "price": 1.2, "warm": 0},
        "container": {"port": stage.hosts.port, "load": "requests", "health": "/internal/ping"},
        "models": [f"s3://{bucket}-models/loras/style.safetensors"],
    }  # fmt: skip
    team = {
        "team": "art", "runs_on": "instances", "region": REGION, "endpoints": ["studio"],
        "console": {"port": ports["console"]}, "budget": {"monthly": 500, "stop": True},
    }  # fmt: skip
    for name, content in (("team", team), ("studio", endpoint)):
        s3.put_object(Bucket=bucket, Key=f"config/{name}.json", Body=json.dumps(content).encode())
    root = tmp_path / "home"
    process = start(root, bucket, region)
    try:
        until(lambda: (root / "run" / "gateway.json").exists() or process.poll() is not None, 60)
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        with httpx.Client(
            base_url=f"http://127.0.0.1:{ports['studio']}", timeout=60, trust_env=False
        ) as caller:
            assert caller.get("/sdapi/v1/progress").status_code == 401
            answer = caller.post(
                "/sdapi/v1/txt2img", json={}, headers={"Authorization": f"Bearer {TOKEN}"}
            )  # held until the instance is there
            assert answer.status_code == 200, answer.text
            seen = dict(answer.json()["headers"])
            assert seen["x-easel-user"] == "link"
            assert not {"authorization", "x-easel-pass", "x-easel-upstream"} & seen.keys()
            # What a host of Easel's own studio would verify it by, without a secret.
            keys = s3.get_object(Bucket=bucket, Key="run/keys.json")["Body"].read().decode()
            assert '"d"' not in keys
            assert Verifier(lambda: parsed(keys), "studio").user([seen["x-easel-assertion"]]) == "link"
        assert region.desired(stage.group) == 1
        assert (root / "models" / "Lora" / "style.safetensors").read_bytes() == LORA
        assert list((root / "models" / ".easel").rglob("style.safetensors.json")), (
            "with a record of where from"
        )
        gateway = json.loads((root / "run" / "gateway.json").read_text())
        operator = {"Authorization": f"Bearer {gateway['token']}"}

        def idle() -> bool:
            status = httpx.get(gateway["url"] + "/api/status", headers=operator, trust_env=False).json()
            assert status["endpoints"][0]["models"]["phase"] == "whole"
            return bool(status["endpoints"][0]["running"] == 0 and status["endpoints"][0]["state"] == "ready")

        # Caddy's log line ended the request: nothing is counted as open any more.
        until(idle, 30)
        stored = s3.get_object(Bucket=bucket, Key="run/tokens.json")["Body"].read().decode()
        assert digest in stored
        assert TOKEN not in stored
        assert len(s3.get_object(Bucket=bucket, Key="run/secret")["Body"].read()) > 40
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if process.stderr:
            process.stderr.close()
    assert process.returncode == 0
    # The gateway's end ends no instance.
    assert region.desired(stage.group) == 1
    assert stage.hosts.alive() == 1
    spent = s3.list_objects_v2(Bucket=bucket, Prefix="run/spent/")["Contents"]
    assert len(spent) == 1


def test_a_bucket_needs_a_region(tmp_path: Path) -> None:
    """Told before anything is asked."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "easel.gateway", "--home", str(tmp_path), "--bucket", "b"],
        env={**environment, "PYTHONPATH": str(IMAGE)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--bucket needs --region" in done.stderr
