#!/usr/bin/python3 -IS
"""What the host's steps find on PATH in place of aws, docker and the rest. One program under many names.

It lives in the machine's root: `/world` holds what is true outside (objects, secrets, images of the registry)
and `/world/calls` what was asked. `/world/orders.json` maps the beginning of a command line to how it fails.
"""

import json
import os
import sys
import time
from pathlib import Path

WORLD = Path("/world")
DOCKER = Path("/var/lib/docker")


def main() -> None:
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    line = " ".join([name, *words])
    typed = sys.stdin.read() if "--password-stdin" in words else ""
    record = {"line": line, "words": [name, *words], "typed": typed}
    if name == "docker" and words[:1] in (["create"], ["run"]):
        record["environment"] = environment(words)
    with (WORLD / "calls").open("a") as calls:
        calls.write(json.dumps(record) + "\n")
    for beginning, order in read("orders.json").items():
        if line.startswith(beginning):
            print(order["says"], file=sys.stderr)
            sys.exit(order.get("code", 1))
    tool = {"mount.efs": "efs"}.get(name, name)
    globals()[tool](*words)


def read(name):
    file = WORLD / name
    return json.loads(file.read_text()) if file.exists() else {}


def option(words, name):
    return words[words.index(name) + 1]


def die(words):
    sys.exit(print(words, file=sys.stderr) or 1)


# --- AWS's command line ---


def aws(*words):
    service, action, *rest = words
    {
        "s3 cp": copy,
        "ec2 create-tags": tag,
        "autoscaling complete-lifecycle-action": complete,
        "autoscaling record-lifecycle-action-heartbeat": lambda _: None,
        "secretsmanager get-secret-value": secret,
        "ecr get-login-password": lambda _: print("registry-password"),
        "logs create-log-stream": lambda _: None,
        "logs put-log-events": events,
    }[f"{service} {action}"](rest)


def object_at(address):
    return WORLD / "s3" / address.removeprefix("s3://")


def copy(words):
    source, target = [word for word in words if not word.startswith("--")]
    if not object_at(source).is_file():
        die("fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden")
    Path(target).write_bytes(object_at(source).read_bytes())


def tag(words):
    tags = json.loads(option(words, "--tags"))
    told = read("tags.json")
    told.setdefault("history", []).append({each["Key"]: each["Value"] for each in tags})
    (WORLD / "tags.json").write_text(json.dumps(told))


def complete(words):
    waiting = WORLD / "hook-waits"
    if not waiting.exists():
        die(
            "\nAn error occurred (ValidationError) when calling the CompleteLifecycleAction operation: "
            "No active Lifecycle Action found with instance ID i-0123456789abcdef0"
        )
    waiting.unlink()


def secret(words):
    name = option(words, "--secret-id")
    if name not in read("secrets.json"):
        die("\nAn error occurred (AccessDeniedException) when calling the GetSecretValue operation: no")
    print(json.dumps({"SecretString": read("secrets.json")[name]}, indent=4))


def events(words):
    batch = Path(option(words, "--log-events").removeprefix("file://")).read_text() + "\n"
    stream = option(words, "--log-stream-name").replace("/", "-")
    for name in ("shipped", f"shipped.{stream}"):
        with (WORLD / name).open("a") as out:
            out.write(batch)


# --- docker ---


def environment(words):
    """What the container would get, by docker's own rules for files of variables."""
    found = {}
    for place, word in enumerate(words):
        if word == "--env":
            name, equals, value = words[place + 1].partition("=")
            found[name] = value if equals else os.environ[name]
        if word == "--env-file":
            for line in Path(words[place + 1]).read_text().split("\n"):
                if line.lstrip() and not line.lstrip().startswith("#"):
                    name, _, value = line.partition("=")
                    found[name.lstrip()] = value
    return found


def docker(*words):
    DOCKER.mkdir(exist_ok=True)
    action = words[0]
    if words[:2] == ("image", "inspect"):
        sys.exit(0 if words[2] in images() else "Error: No such image")
    if words[:2] == ("image", "prune"):
        used = [json.loads(container().read_text())["image"]] if container().exists() else []
        (DOCKER / "images").write_text(json.dumps([image for image in images() if image in used]))
        return
    {
        "login": lambda: None,
        "pull": lambda: pull(words[-1]),
        "create": lambda: create(words),
        "run": lambda: starter(words),
        "start": start,
        "wait": lambda: wait(),
        "stop": stop,
        "rm": remove,
        "logs": lambda: logs(words),
        "inspect": lambda: inspect(words[2]),
    }[action]()


def container():
    return DOCKER / "container.json"


def images():
    return json.loads((DOCKER / "images").read_text()) if (DOCKER / "images").exists() else []


def pull(image):
    if image not in read("registry.json"):
        die(f"Error response from daemon: manifest for {image} not found: manifest unknown")
    (DOCKER / "images").write_text(json.dumps([*images(), image]))


def image_in(words):
    return next((word for word in words if word in images()), None) or die("Error: No such image")


def create(words):
    if container().exists():
        die('Error response from daemon: Conflict. The container name "/easel" is already in use')
    image = image_in(words)
    published = option(words, "--publish").split(":") if "--publish" in words else None
    container().write_text(json.dumps({"image": image, "published": published, "status": "created"}))
    print("0123abcd")


def starter(words):
    image_in(words)
    (Path("/mnt/easel/models") / "starter.safetensors").touch()


def start():
    import subprocess  # each costs a start of Python, and these are many

    state = json.loads(container().read_text())
    behaviour = read("registry.json")[state["image"]]
    words = [sys.executable, "-I", "/world/container.py", json.dumps({**behaviour, **state})]
    with (DOCKER / "log").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    now = {"status": "running", "pid": process.pid, "started": time.time()}
    container().write_text(json.dumps({**state, **now}))
    print("easel")


def logs(words):
    """All that was said; with `--timestamps` each line after its time, a millisecond after the one before."""
    file = DOCKER / "log"
    if "--timestamps" not in words:
        print(file.read_text() if file.exists() else "", end="")
        return
    if not container().exists():
        die("Error response from daemon: No such container: easel")
    since, told, over = option(words, "--since"), 0, False
    while not over:
        over = ended() is not None
        state = json.loads(container().read_text()) if container().exists() else {}
        lines = file.read_text().split("\n")[:-1] if file.exists() and "started" in state else []
        for number, line in enumerate(lines[told:], told):
            whole, part = divmod(int(state["started"] * 1000) + number, 1000)
            stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{part:03}000000Z"
            if stamp >= since:
                print(stamp, line, flush=True)
        told = len(lines)
        time.sleep(0.1)


def ended():
    """The exit code, once the process is gone."""
    state = json.loads(container().read_text())
    try:
        if (
            state["status"] == "running"
            and "Z" not in Path(f"/proc/{state['pid']}/stat").read_text().split()[2]
        ):
            return None
    except FileNotFoundError:
        pass
    file = DOCKER / "exit"
    return int(file.read_text()) if file.exists() else 137


def wait():
    while (code := ended()) is None:
        time.sleep(0.02)
    print(code)


def stop():
    if not container().exists() or ended() is not None:
        return
    os.kill(json.loads(container().read_text())["pid"], 15)
    wait()


def remove():
    if not container().exists():
        die("Error response from daemon: No such container: easel")
    if ended() is None:
        os.kill(json.loads(container().read_text())["pid"], 9)
    container().unlink()
    (DOCKER / "exit").unlink(missing_ok=True)


def inspect(form):
    if not container().exists():
        die("Error: No such object: easel")
    state = json.loads(container().read_text())
    code = ended() if state["status"] == "running" else None
    status = "exited" if code is not None else state["status"]
    killed = "true" if code == 137 else "false"
    for field, value in {
        "{{.State.Status}}": status,
        "{{.State.Running}}": str(status == "running").lower(),
        "{{.State.ExitCode}}": str(code or 0),
        "{{.State.OOMKilled}}": killed,
        "{{.State.Error}}": "",
        "{{.Config.Image}}": state["image"],
    }.items():
        form = form.replace(field, value)
    assert "{{" not in form, form
    print(form)


# --- the rest ---


def efs(*words):
    """`mount.efs SYSTEM:/ FOLDER -o OPTIONS`, as mount(8) calls it: here the folder of an access point."""
    point = next(each for each in option(words, "-o").split(",") if each.startswith("accesspoint="))
    folder = WORLD / "efs" / point.partition("=")[2]
    if not folder.is_dir():
        die("mount.nfs4: access denied by server while mounting 127.0.0.1:/")
    os.execv("/usr/bin/mount", ["mount", "--bind", str(folder), words[1]])


def sleep(seconds):
    if seconds == "infinity":
        os.execv("/usr/bin/sleep", ["sleep", "infinity"])
    clock = WORLD / "clock"
    # Time flies: what waits for minutes is seen to give up.
    clock.write_text(str(float(clock.read_text() if clock.exists() else 0) + 150 * float(seconds)))
    # But not so fast that a container could not be made between two looks on a busy machine.
    time.sleep(min(0.3, 0.1 * float(seconds)))


def date(form):
    clock = WORLD / "clock"
    assert form == "+%s"
    print(int(time.time() + float(clock.read_text() if clock.exists() else 0)))


def dnf(*words):
    if words[-1] == "docker":
        Path("/stand-ins/docker").symlink_to("stand_in.py")
    if "upgrade" in words and "--releasever=latest" in words and (WORLD / "kernel").exists():
        marker = Path("/run/smart-restart/reboot-hint-marker")
        marker.parent.mkdir(exist_ok=True)
        marker.write_text("kernel\n")


def sysctl(*words):
    pass


def systemctl(*words):
    if words[0] == "is-active":
        units = read("active.json") or ["docker", "easel-gateway", "easel-replica"]
        sys.exit(0 if words[-1] in units else 3)


def journalctl(*words):
    print((WORLD / "journal").read_text(), end="", flush=True)
    time.sleep(60)


main()
