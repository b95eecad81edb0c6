"""stable-diffusion-api, the TypeScript client of A1111's API, from npm and in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.studio.api.clients_table import rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node"),
]
# Its own sharp compiles a library or fetches one from elsewhere; this one brings it as packages.
PACKAGE = {
    "private": True,
    "dependencies": {"stable-diffusion-api": "0.0.7"},
    "overrides": {"sharp": "0.34.4"},
}
PROGRAM = """
const { StableDiffusionApi } = require("stable-diffusion-api");
const sharp = require("sharp");
const [host, port] = process.argv.slice(2);
const api = new StableDiffusionApi({ host, port: Number(port), timeout: 120000 });
const picture = () => sharp({ create: { width: 64, height: 64, channels: 3, background: "#2040c0" } }).png();
const small = { prompt: "a red circle", steps: 2, width: 64, height: 64 };
const calls = {
  txt2img: () => api.txt2img(small),
  img2img: () => api.img2img({ ...small, init_images: [picture()] }),
  extraSingle: () => api.extraSingle({ image: picture(), upscaler_1: "Lanczos" }),
  extraBatch: () => api.extraBatch({ images: [picture()], name_list: ["a"], upscaler_1: "Lanczos" }),
  pngInfo: () => api.pngInfo(picture()),
  interrogate: () => api.interrogate(picture(), "clip"),
  setOptions: () => api.setOptions({ send_seed: true }),
  setModel: () => api.setModel("easel-starter"),
  "ControlNet.getModels": () => api.ControlNet.getModels(),
  "ControlNet.getModules": () => api.ControlNet.getModules(),
};
for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(api)))
  if (!["constructor", "setAuth"].includes(name) && !calls[name]) calls[name] = () => api[name]();
(async () => {
  const found = {};
  for (const [name, call] of Object.entries(calls))
    try {
      const answer = await call();
      const drawn = ["txt2img", "img2img"].includes(name);
      if (drawn && (await answer.image.metadata()).width !== 64) throw new Error("no picture");
      found[name] = "";
    } catch (e) {
      found[name] = String(e.response?.status ?? e);
    }
  console.log(JSON.stringify(found));
})();
"""


def test_every_call(running, interrogator_files, tmp_path: Path) -> None:
    """Each call does what docs/reference/clients.md says: it answers, or fails."""
    (tmp_path / "package.json").write_text(json.dumps(PACKAGE))
    (tmp_path / "program.js").write_text(PROGRAM)
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(install, cwd=tmp_path, check=True, timeout=300)
    address = urlsplit(running.url)
    ran = subprocess.run(
        ["node", "program.js", str(address.hostname), str(address.port)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = json.loads(ran.stdout.splitlines()[-1])
    said = rows()["stable-diffusion-api"]
    assert set(said) == set(found)
    wrong = {name: fault for name, fault in found.items() if said[name].startswith("yes") != (fault == "")}
    assert wrong == {}
