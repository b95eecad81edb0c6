"""Images built by buildah, and processes in them as a host runs them: no daemon, no registry.

The base is Debian with its Python, made by debootstrap once and kept (EASEL_TEST_CONTAINERS, else a folder
below .easel). It stands in for the slim Python image, which is the same Debian and the same Python.
"""

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "image"
KEPT = Path(os.environ.get("EASEL_TEST_CONTAINERS") or ROOT / ".easel" / "tests" / "containers")
RELEASE = "bookworm"
BASE = f"localhost/easel-test-base:{RELEASE}-headers"
# The slim image has Python's headers too.
PACKAGES = "python3,python3-pip,python3-venv,libpython3-dev,ca-certificates"
RUN = Path("/tmp", f"easel-buildah-{os.getuid()}")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def require() -> None:
    """Skip where no image can be built."""
    missing = [name for name in ("buildah", "debootstrap", "unshare", "setpriv") if not shutil.which(name)]
    if missing:
        pytest.skip(f"building an image takes {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("building an image without a daemon takes root: mounts and other users' files")


@cache
def driver() -> str:
    """How layers are kept: overlay, where it can be mounted; vfs copies each one whole and works anywhere."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        for name in ("lower", "upper", "work", "merged"):
            Path(folder, name).mkdir()
        layers = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        tried = subprocess.run(
            ["unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o", layers, f"{folder}/merged"],
            capture_output=True,
            check=False,
        )
    return "vfs" if tried.returncode else "overlay"


def kept(tag: str) -> bool:
    """Whether an earlier run has left its layers, so that a build takes seconds and no minutes."""
    images = KEPT / "overlay" / "overlay-images" / "images.json"
    return images.exists() and tag in images.read_text()


def buildah(*arguments: str, timeout: float = 540) -> str:
    """Run buildah on the kept storage; the answer is what it says."""
    root = KEPT / driver()
    where = ["--root", str(root), "--runroot", str(RUN / driver()), "--storage-driver", driver()]
    done = subprocess.run(
        ["buildah", *where, *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout.strip()


@contextmanager
def alone() -> Iterator[None]:
    """Hold the storage. What an earlier run left in it, because it was killed, goes."""
    require()
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        buildah("rm", "--all")
        buildah("rmi", "--prune")
        yield


def base() -> str:
    """The base image; it is made when this machine has none."""
    if not buildah("images", "--quiet", "--filter", f"reference={BASE}"):
        _make_base()
    return BASE


def _make_base() -> None:
    mirror = subprocess.check_output(
        ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", f"Codename: {RELEASE}"],
        text=True,
    ).split()
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, folder, *mirror[:1]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
        for waste in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(Path(folder, waste))
        container = buildah("from", "scratch")
        buildah("copy", "--quiet", container, folder, "/")
        buildah("commit", "--quiet", "--rm", container, BASE)


def build(
    target: str,
    tag: str,
    context: Path = IMAGE,
    timeout: float = 540,
    *,
    kept: bool = False,
    **arguments: str,
) -> str:
    """Build a target of the Dockerfile as `make image` does, with this machine's pip settings as a secret.

    With `kept` its layers stay for the next run, as with `make image`: packages are fetched again when their
    list or what is below them changes. Not where each layer is a copy of all below it.
    """
    layers = str(kept and driver() == "overlay").lower()
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "pip.conf")
        settings.write_text(_pip_settings())
        buildah(
            "bud", "--isolation", "chroot", "--format", "docker", f"--layers={layers}", "--pull-never",
            "--build-arg", f"BASE={base()}", *(f"--build-arg={name}={arguments[name]}" for name in arguments),
            "--secret", f"id=pip,src={settings}", "--secret", f"id=ca,src={AUTHORITIES}",
            "--target", target, "--tag", tag, str(context), timeout=timeout,
        )  # fmt: skip
    return tag


def _pip_settings() -> str:
    """What pip on this machine is told, but for what names places that a container does not have."""
    told = subprocess.check_output(["python3", "-m", "pip", "config", "list"], text=True).splitlines()
    kept = ["[global]", "cert = /run/secrets/ca"]
    for line in told:
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key.replace("-", "_") in ("index_url", "extra_index_url", "trusted_host", "timeout"):
            kept.append(f"{key} = {value.strip(chr(39))}")
    return "\n".join(kept) + "\n"


def settings(image: str) -> dict[str, Any]:
    """What the image says of itself: user, environment, command, health check."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["Docker"]
    return found


@contextmanager
def unpacked(image: str) -> Iterator[Path]:
    """The image's files."""
    container = buildah("from", "--pull-never", image)
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("rm", container)


def start(
    files: Path, image: str, command: Sequence[str], mounts: dict[Path, str], **variables: str
) -> subprocess.Popen[str]:
    """Run a command as a host does: read-only root, /tmp in memory, the image's user, no right beyond it.

    The network is this machine's own, as the gateway's is on its host.
    """
    about = settings(image)["config"]
    # a stage below another names nobody
    user, _, group = (about.get("User") or "1000:1000").partition(":")
    env = dict(each.split("=", 1) for each in about["Env"]) | variables
    inside = shlex.quote(str(files))
    steps = [
        f"mount --bind {inside} {inside}",
        f"mount -o remount,ro,bind {inside}",
        f"mount -t tmpfs -o mode=1777 tmpfs {inside}/tmp",
        f"mount -t proc proc {inside}/proc",
        f"mount --rbind /dev {inside}/dev",
        *(
            f"mount --bind {shlex.quote(str(source))} {inside}{shlex.quote(target)}"
            for source, target in mounts.items()
        ),
    ]
    words = " ".join(shlex.quote(word) for word in command)
    workdir = shlex.quote(about.get("WorkingDir") or "/")
    # exec, so that a signal reaches the container's first process.
    steps.append(
        f"exec chroot {inside} /usr/bin/setpriv --reuid {user} --regid {group or user} --clear-groups "
        f"--no-new-privs --bounding-set=-all sh -c {shlex.quote(f'cd {workdir} && exec {words}')}"
    )
    return subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join(steps)],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
