"""The program under Pulumi's real engine: stack files as they are, state in a folder, a stand-in for AWS."""

import re
from collections.abc import Iterator

import pytest

from infra.bake.archive import content_hash
from tests.infra.bake.cloud import Cloud
from tests.infra.engine.pulumi import Engine, told
from tests.infra.graph import SUFFIX

pytestmark = pytest.mark.timeout(900)  # the first of them brings a whole stack up

TOKEN = re.compile(r"easel_[\w-]{43}")
KEPT = re.compile(r"(FileSystem|FileSystemPolicy|BackupPolicy|Volume) easel-\w+-(files|gateway-data)")


def begun(pulumi: Engine, builder: Cloud, stack: str, template: str, *words: str) -> None:
    """A team's stack as docs/how-to/deploy-on-aws.md begins one."""
    pulumi.easel("new", stack, "--template", template, *words)
    pulumi.did("stack", "init", stack)
    builder.client("s3").create_bucket(Bucket=f"easel-{stack}-bake{SUFFIX}")


@pytest.fixture(scope="module")
def art(pulumi: Engine, builder: Cloud) -> str:
    """A stack of two endpoints that is up: `studio`, `batch`."""
    begun(pulumi, builder, "art", "busy")
    pulumi.did("up", "--yes", "--skip-preview", "--stack", "art")
    return "art"


@pytest.fixture
def file_kept(pulumi: Engine, art: str) -> Iterator[None]:
    """What a test writes into the stack file is taken back."""
    before = pulumi.file(art).read_text()
    yield
    pulumi.file(art).write_text(before)


@pytest.mark.parametrize("template", ["studio", "busy", "container"])
def test_every_template_can_be_previewed(pulumi: Engine, builder: Cloud, template: str) -> None:
    """The preview says what it costs and whether quotas allow it, hides the links, and makes nothing."""
    stack, before = f"try-{template}", pulumi.resources()
    begun(pulumi, builder, stack, template)
    said = pulumi.did("preview", "--stack", stack)
    assert "What it costs:" in said
    assert re.search(r"\d+ of 64 vCPUs of on-demand G and VT instances at most \(L-DB2E81BA\)", said)
    links = re.findall(r"^ +link *: (.*)$", said, re.MULTILINE)
    assert len(links) >= 2, "of the console and of each endpoint"
    assert set(links) == {"[secret]"}
    assert "Traceback" not in said
    assert pulumi.resources() == before


@pytest.mark.slow
def test_a_second_up_changes_nothing(pulumi: Engine, art: str) -> None:
    """Also with everything asked for again: no resource of ours is other than it was registered."""
    pulumi.did("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes", "--stack", art)


@pytest.mark.slow
def test_preview_and_refresh_write_nothing(pulumi: Engine, builder: Cloud, art: str) -> None:
    """Neither through pulumi-aws nor by the bake's own calls: who may only read can run both."""
    before = pulumi.contents()
    builder.writes.clear()
    pulumi.did("preview", "--stack", art)
    pulumi.did("refresh", "--yes", "--skip-preview", "--stack", art)
    assert builder.writes == []
    assert pulumi.contents() == before


@pytest.mark.slow
def test_links_are_secret_in_state_and_output(pulumi: Engine, art: str) -> None:
    """The first tokens open the door: state, its history and its backups hold them encrypted."""
    hidden, shown = pulumi.outputs(art), pulumi.outputs(art, "--show-secrets")
    assert hidden["endpoints"]["studio"]["link"] == hidden["console"]["link"] == "[secret]"
    found = TOKEN.search(shown["endpoints"]["studio"]["link"])
    assert found
    assert shown["endpoints"]["studio"]["link"] == f"https://studio.art.example.com/?token={found[0]}"
    files = [file for file in pulumi.state.rglob("*") if file.is_file()]
    assert any(file.name == "art.json" and file.stat().st_size > 10_000 for file in files)
    for file in files:
        assert not TOKEN.search(file.read_text()), f"{file} has a token in it"
    for file in pulumi.there.iterdir():
        assert not TOKEN.search(file.read_text()), f"AWS is told a token: {file.name}"


@pytest.mark.slow
def test_outputs_say_where_and_how_much(pulumi: Engine, art: str) -> None:
    """An endpoint's address, shape, replicas, dollars an hour; the team's console, floor, storage, steps."""
    found = pulumi.outputs(art)
    studio = found["endpoints"]["studio"]
    assert studio["url"] == "https://studio.art.example.com"
    assert (studio["shape"], studio["replicas"]) == ("gpu.l40s", {"min": 0, "max": 4})
    assert 0 < studio["dollars_per_hour"]["asleep"] <= studio["dollars_per_hour"]["min"]
    assert studio["dollars_per_hour"]["max"] > 4
    assert found["console"]["url"] == "https://console.art.example.com"
    assert found["floor_per_month"] > 10
    assert all(found["storage"].values())
    assert found["next"]


@pytest.mark.slow
@pytest.mark.usefixtures("file_kept")
def test_a_clone_makes_its_own_resources_only(pulumi: Engine, art: str) -> None:
    """`easel clone`, then the plan: nothing that is there is touched, not even what the gateway reads."""
    pulumi.easel("clone", "art/studio", "art/portraits", "--shape", "gpu.l4", "--yes")
    plan = pulumi.plan(art)
    assert set(plan) == {"create"}
    assert {name for name in plan["create"] if "art-portraits" not in name} == set()
    assert {"Group easel-art-portraits-replicas", "BucketObjectv2 easel-art-portraits-configuration"} <= plan[
        "create"
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("file_kept")
def test_another_idle_is_one_object(pulumi: Engine, art: str) -> None:
    """What the gateway follows at run time replaces no machine and no template."""
    file = pulumi.file(art)
    text = file.read_text()
    assert "idle: 30m" in text
    file.write_text(text.replace("idle: 30m", "idle: 20m"))
    assert pulumi.plan(art) == {"update": {"BucketObjectv2 easel-art-studio-configuration"}}


@pytest.mark.slow
@pytest.mark.usefixtures("file_kept")
def test_another_shape_and_limit_replace_nothing(pulumi: Engine, art: str) -> None:
    """The endpoint's own group, template and object are updated; replicas that run go on as they are."""
    file = pulumi.file(art)
    text = file.read_text()
    changed = text.replace("shape: gpu.l40s", "shape: gpu.a10", 1).replace("max: 4", "max: 6", 1)
    file.write_text(changed.replace("    studio:\n", "    studio:\n      public: true\n", 1))
    own = ("Group", "LaunchTemplate")
    assert pulumi.plan(art) == {
        "update": {f"{kind} easel-art-studio-replicas" for kind in own}
        | {"BucketObjectv2 easel-art-studio-configuration"}
    }


@pytest.mark.slow
@pytest.mark.usefixtures("file_kept")
def test_another_machine_image_replaces_the_gateway_and_keeps_its_disk_and_address(
    pulumi: Engine, art: str
) -> None:
    """Certificates and tokens are not the machine's: disk, address, bucket and endpoints stay."""
    file, before = pulumi.file(art), pulumi.contents()
    text = file.read_text()
    pin = "    runs_on: instances\n    machine_images: {gateway: ami-0999999999abcdef0}\n"
    file.write_text(text.replace("    runs_on: instances\n", pin, 1))
    touched = {name for names in pulumi.plan(art).values() for name in names}
    own = {"Instance", "VolumeAttachment", "EipAssociation", "MetricAlarm"}
    assert {name.partition(" ")[0] for name in touched} == own
    pulumi.did("up", "--yes", "--skip-preview", "--stack", art)
    after = pulumi.contents()
    assert "ami-0999999999abcdef0" in next(one for name, one in after.items() if "Instance easel-art" in name)
    for kind in ("Volume", "Eip", "BucketObjectv2", "Record", "Group"):
        kept = {name: state for name, state in before.items() if name.startswith(f"{kind} easel-art")}
        assert kept
        assert kept.items() <= after.items()
    file.write_text(text)
    pulumi.did("up", "--yes", "--skip-preview", "--stack", art)


@pytest.mark.slow
@pytest.mark.usefixtures("file_kept")
def test_an_endpoint_goes_alone(pulumi: Engine, art: str) -> None:
    """Removed from the file, it takes only its own resources with it."""
    file = pulumi.file(art)
    text = file.read_text()
    batch = text[text.index("    batch:") : text.index("encryptionsalt")]
    file.write_text(text.replace(batch, ""))
    plan = pulumi.plan(art)
    assert set(plan) == {"delete"}
    assert {name for name in plan["delete"] if "art-batch" not in name} == set()


def test_every_fault_of_a_file_is_told_at_once(pulumi: Engine) -> None:
    """Before anything is registered, a line each, and no traceback."""
    pulumi.easel("new", "wrong")
    pulumi.did("stack", "init", "wrong")
    file = pulumi.file("wrong")
    text = file.read_text().replace("gpu.a10", "gpu.a11").replace("idle: 15m", "idle: soon")
    file.write_text(text.replace("{min: 0, max: 1}", "{min: 3, max: 1}"))
    done = pulumi.run("preview", "--stack", "wrong")
    said = told(done)
    assert done.returncode != 0
    assert "Traceback" not in said
    for place in ("shape", "idle", "replicas"):
        assert re.search(rf"stacks/Pulumi\.wrong\.yaml:.*studio\.{place}", said), said


@pytest.mark.slow
def test_a_secret_of_pulumis_is_refused_by_preview_and_command(pulumi: Engine) -> None:
    """`pulumi config set --secret` is what who knows Pulumi does, and the program would write it openly."""
    pulumi.easel("new", "hidden")
    pulumi.did("stack", "init", "hidden")
    words = ("config", "set", "--secret", "--path", "easel:endpoints.studio.env.TOKEN", "hunter2")
    pulumi.did(*words, "--stack", "hidden")
    done = pulumi.run("preview", "--stack", "hidden")
    assert done.returncode != 0
    assert "easel:endpoints: something in it is a secret of Pulumi's" in told(done)
    assert "hunter2" not in told(done)
    assert "Traceback" not in told(done)


@pytest.mark.slow
def test_a_stack_of_this_machine_is_sent_to_make_up(pulumi: Engine) -> None:
    """`runs_on: local` provisions nothing: the sentence says what to run instead."""
    pulumi.easel("new", "home", "--runs-on", "local")
    pulumi.did("stack", "init", "home")
    done = pulumi.run("up", "--yes", "--stack", "home")
    said = told(done)
    assert done.returncode != 0
    assert "says runs_on: local, which is for one machine: run `make up` with EASEL_STACK=home" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_failed_bake_says_why_and_is_tried_again(pulumi: Engine, builder: Cloud) -> None:
    """In the engine's process for dynamic providers: the reason and the log's last lines, no traceback."""
    begun(pulumi, builder, "baker", "studio")
    if builder.started():  # by the stack of another test, and equal content is built once
        content = content_hash(pulumi.project / "image")
        images = [{"imageTag": f"{target}-{content}"} for target in ("studio", "gateway")]
        builder.client("ecr").batch_delete_image(repositoryName="easel/images", imageIds=images)
    builder.ends = "FAILED"
    done = pulumi.run("up", "--yes", "--skip-preview", "--stack", "baker")
    builder.ends = "SUCCEEDED"
    said = told(done)
    assert done.returncode != 0
    assert "the image build failed: build: exit status 1. The last lines of its log:" in said
    assert builder.lines[-1] in said
    assert 'File "' not in said, "lines of code are no help to who reads a build's log"
    pulumi.did("up", "--yes", "--skip-preview", "--stack", "baker")


@pytest.mark.parametrize("stack", ["local", pytest.param("mine", marks=pytest.mark.slow)])
def test_stack_files_of_one_machine_are_told_so_by_a_preview(pulumi: Engine, stack: str) -> None:
    """The file that the repository comes with, and the template for another: a sentence and no traceback."""
    if stack == "mine":
        pulumi.easel("new", stack, "--template", "local")
    pulumi.did("stack", "init", stack)
    done = pulumi.run("preview", "--stack", stack)
    said = told(done)
    assert done.returncode != 0
    assert f"stacks/Pulumi.{stack}.yaml says runs_on: local, which is for one machine: run `make up`" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_stacks_whole_life(pulumi: Engine, builder: Cloud) -> None:
    """Up, an endpoint more, another idle, an endpoint less, away: what stays is data, named beforehand.

    What is not the endpoint's own stays as it is to the letter, the gateway's machine first of all.
    """
    before = pulumi.resources()
    begun(pulumi, builder, "life", "studio")
    up = ("up", "--yes", "--skip-preview", "--stack", "life")
    pulumi.did(*up)
    first, as_first = pulumi.resources() - before, pulumi.contents()
    assert "Instance easel-life-gateway" in first
    pulumi.easel("clone", "life/studio", "life/more", "--yes")
    pulumi.did(*up)
    assert as_first.items() <= pulumi.contents().items()
    more = pulumi.resources() - before - first
    assert "Group easel-life-more-replicas" in more
    assert {name for name in more if "life-more" not in name} == set()
    file = pulumi.file("life")
    text = file.read_text()
    file.write_text(text.replace("idle: 15m", "idle: 10m", 1))
    as_two = pulumi.contents()
    pulumi.did(*up)
    (changed,) = as_two.items() - pulumi.contents().items()
    assert changed[0].startswith("BucketObjectv2 easel-life-studio-configuration ")
    text = file.read_text()
    more_lines = text[text.index("    more:") : text.index("encryptionsalt")]
    file.write_text(text.replace(more_lines, "").replace("idle: 10m", "idle: 15m"))
    pulumi.did(*up)
    assert pulumi.contents() == as_first, "with the endpoint that came gone, all is as before"
    named = " ".join(pulumi.outputs("life")["kept_by_destroy"])
    pulumi.did("destroy", "--yes", "--skip-preview", "--stack", "life")
    left = pulumi.resources() - before
    assert {name for name in left if not KEPT.fullmatch(name)} == set()
    for noun in ("files", "gateway-data"):
        assert any(noun in name for name in left)
        assert f"easel-life-{noun}" in named, "destroy leaves what was not told of"
    assert '"custom": true' not in pulumi.did("stack", "export", "--stack", "life")
