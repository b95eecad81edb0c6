"""The spec of a team: the one definition of every field, its tooltip and its limits.

A stack is a team. Its file, `stacks/Pulumi.<team>.yaml`, holds `easel:team` and `easel:endpoints`;
`infra.stackfile.load_stack` reads it, `easel schema` turns these classes into the schema editors use, and the
reference in docs/ is written from the same texts. What must hold between fields is in `infra.rules`.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from infra.kubernetes_spec import KubernetesSpec
from infra.limits_spec import LimitsSpec
from infra.names import (
    AbsolutePath,
    AcmeDirectory,
    Checkpoint,
    Domain,
    Email,
    Health,
    KubernetesVersion,
    MachineImage,
    ModelAddress,
    Origin,
    Pem,
    PolicyArn,
    PrincipalArn,
    SecretPlace,
    VariableName,
    VolumeId,
    Zone,
    endpoint_name,
    team_name,
)
from infra.quantities import Lasts, Weighs
from infra.references import TeamImage
from infra.section import Section
from infra.shapes import SHAPES

RunsOn = Literal["local", "instances", "cluster", "kubernetes"]
ShapeName = Literal["cpu.small", "gpu.t4", "gpu.l4", "gpu.a10", "gpu.l40s", "gpu.a100-40gb", "gpu.h100"]

Wake = Annotated[int, Lasts("1s", "1h")]
Request = Annotated[int, Lasts("1s", "1d")]
Idle = Annotated[int, Lasts("1s", "30d")]
Retention = Annotated[int, Lasts("1d", "520w")]
Disk = Annotated[int, Weighs("30GB", "16TB")]
Quota = Annotated[int, Weighs("100MB", "1000TB")]


class MembersSpec(Section):
    """Single sign-on for people (OpenID Connect)."""

    issuer: str = Field(
        pattern=r"^https://[^\s?#@]+$",
        description="Address of the identity provider, such as https://accounts.google.com.",
    )
    client_id: str = Field(min_length=1, description="The client that the identity provider knows easel by.")
    client_secret: SecretPlace | None = Field(
        default=None,
        description="The client's secret: an ARN of AWS Secrets Manager, on Kubernetes <secret>/<key>, here "
        "EASEL_OIDC_CLIENT_SECRET.",
    )
    domains: list[Domain] = Field(
        min_length=1, description="Mail domains whose people are members; everyone else is turned away."
    )
    verified_by: Literal["email_verified", "xms_edov"] = Field(
        default="email_verified",
        description="The claim that an address is its owner's: email_verified, or xms_edov of a Microsoft "
        "Entra tenant.",
    )


class AcmeSpec(Section):
    """Who gives the certificates."""

    directory: AcmeDirectory = Field(
        description="The ACME directory, such as https://ca.example.com/acme/acme/directory."
    )
    root: Pem | None = Field(
        default=None,
        description="The certificate that the directory itself is trusted by, as PEM; for an authority that "
        "machines do not know.",
    )


class BudgetSpec(Section):
    """What the team means to spend."""

    monthly: int = Field(ge=1, le=1_000_000, description="Dollars a month at which the alarm rings.")
    notify: Email = Field(description="The mail address that the alarm goes to.")
    stop: bool = Field(
        default=False,
        description="A fuse: once awake hours times price pass the budget, nothing wakes until next month.",
    )


class NetworkSpec(Section):
    """Where on the network the team lives."""

    vpc: str | None = Field(
        default=None,
        pattern=r"^vpc-[0-9a-f]{8,17}$",
        description="Id of an existing VPC to live in; without it the team gets its own.",
    )


class TeamStorage(Section):
    """The file system that models and pictures are kept on."""

    existing: str | None = Field(
        default=None,
        pattern=r"^fs-[0-9a-f]{8,17}$",
        description="Id of an EFS file system to adopt, such as one that an earlier stack left behind.",
    )
    gateway: VolumeId | None = Field(
        default=None,
        description="Id of the gateway's data volume to take back, such as one that an earlier stack left "
        "behind.",
    )
    quota: Quota | None = Field(
        default=None,
        description="What the team's models may take, such as 500GB; uploads and downloads beyond it are "
        "refused.",
    )


class MachineImages(Section):
    """The machine images of instances. Without them, AWS's newest is taken once and then kept."""

    gateway: MachineImage | None = Field(
        default=None, description="Of the gateway and of shapes without a GPU: an Amazon Linux 2023."
    )
    gpu: MachineImage | None = Field(
        default=None, description="Of shapes with a GPU: AWS's deep learning base image on Amazon Linux 2023."
    )


class ClusterSpec(Section):
    """The cluster of a team that runs on one of its own."""

    admins: list[PrincipalArn] = Field(
        default=[],
        max_length=50,
        description="Who may do everything in the cluster: ARNs of IAM roles and users, among them whoever "
        "runs pulumi; without it that one alone.",
    )
    private: bool = Field(
        default=False,
        description="The cluster's API answers within its VPC only; whoever runs pulumi must be there.",
    )
    version: KubernetesVersion | None = Field(
        default=None,
        description="The cluster's Kubernetes, such as 1.36; without it the one that this easel knows.",
    )


class IamSpec(Section):
    """What the account asks of the stack's roles."""

    permissions_boundary: PolicyArn | None = Field(
        default=None,
        description="ARN of the policy that no role of the stack may do more than; every role carries it.",
    )


class TeamSpec(Section):
    """The team: where its endpoints run and who may use them."""

    runs_on: RunsOn = Field(
        default="instances",
        description=(
            "Where replicas run: on this machine (local), on EC2 instances, in a cluster of the team's own, "
            "or in any Kubernetes."
        ),
    )
    domain: Domain | None = Field(
        default=None, description="Endpoints answer at <name>.<domain>, the console at console.<domain>."
    )
    members: MembersSpec | None = Field(
        default=None, description="Single sign-on; without it people enter by link."
    )
    acme: AcmeSpec | None = Field(
        default=None,
        description="An authority of your own for certificates; without it Let's Encrypt and ZeroSSL.",
    )
    budget: BudgetSpec | None = Field(
        default=None, description="The alarm on what the team spends, and its fuse."
    )
    platform: str = Field(
        default="own",
        pattern=r"^[A-Za-z0-9._/-]{1,200}$",
        description="With cluster: own, or the name of the stack whose cluster this team shares.",
    )
    cluster: ClusterSpec = Field(default=ClusterSpec(), description="With cluster: the team's own cluster.")
    kubernetes: KubernetesSpec = Field(
        default=KubernetesSpec(), description="With runs_on: kubernetes: the one that is there already."
    )
    network: NetworkSpec = Field(default=NetworkSpec(), description="Where on the network the team lives.")
    iam: IamSpec = Field(default=IamSpec(), description="What the account asks of the stack's roles.")
    storage: TeamStorage = Field(default=TeamStorage(), description="The file system of models and pictures.")
    zone: Zone = Field(
        default="find",
        description="The domain's hosted zone: find it, create it (and delegate to it), or its id.",
    )
    machine_images: MachineImages = Field(
        default=MachineImages(),
        description="What instances start from; pinned, so that nothing moves by itself.",
    )
    image: TeamImage = Field(
        default="build",
        pattern=r"^\S{1,800}$",
        description=(
            "build bakes the images in the team's account; else given ones: repository:{target}-1.0, or "
            "studio=<reference>,gateway=<reference>."
        ),
    )


class ReplicasSpec(Section):
    """How many replicas there may be."""

    min: int = Field(
        default=0, ge=0, le=100, description="Replicas that always run; 0 lets the endpoint sleep."
    )
    max: int = Field(
        default=1, ge=1, le=100, description="Replicas at most; the limit of what the endpoint costs."
    )


class TimeoutsSpec(Section):
    """How long the door waits."""

    wake: Wake = Field(
        default=15 * 60, description="How long a request is held while the first replica wakes, then 503."
    )
    request: Request = Field(default=3600, description="How long one request may take.")


class Storage(Section):
    """What an endpoint keeps."""

    outputs: bool = Field(
        default=True, description="Keep every picture that is drawn; without it they go after a day."
    )
    retention: Retention | None = Field(
        default=None,
        description="How long pictures without a star are kept, such as 90d; without it, for ever.",
    )
    disk: Disk = Field(
        default=100 * 10**9, description="The disk of a replica: image, models in use, scratch."
    )


class Mount(Section):
    """A folder of the team's storage inside an own container."""

    source: Literal["models", "outputs"] = Field(
        description="The store of models or the endpoint's pictures."
    )
    path: AbsolutePath = Field(description="Where the container sees it.")
    read_only: bool = Field(default=False, description="The container may read but not write.")


class ImageSpec(Section):
    """An own container in the place of easel's studio."""

    ref: str = Field(pattern=r"^\S{1,500}$", description="The container image, best with its digest.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="The port that the container listens on."
    )
    command: list[str] | None = Field(
        default=None, description="What to run in place of the image's own command."
    )
    health: Health = Field(
        default="/",
        description="The path that answers 2xx or 3xx once the container is ready, or none: its port opens.",
    )
    user: int | None = Field(default=None, ge=0, le=65534, description="The user id to run as.")
    registry: SecretPlace | None = Field(
        default=None,
        description="Login of a private registry: the ARN of a secret with username and password; on "
        "Kubernetes a Secret to pull by.",
    )
    mounts: list[Mount] = Field(
        default=[], max_length=20, description="Folders of the team's storage inside."
    )
    load: Literal["requests", "a1111"] = Field(
        default="requests",
        description="What counts as work: requests through the door, or what A1111's progress route reports.",
    )


class EndpointSpec(Section):
    """One endpoint: a studio with its own address."""

    shape: ShapeName = Field(description="What a replica runs on: one GPU of this kind.")
    replicas: ReplicasSpec = Field(default=ReplicasSpec(), description="How many replicas there may be.")
    warm: int = Field(
        default=0,
        ge=0,
        le=20,
        description="Stopped instances kept ready, so that waking is a start and not an installation.",
    )
    idle: Idle = Field(
        default=15 * 60, description="With nothing drawn and nothing waiting for this long, it sleeps."
    )
    public: bool = Field(default=False, description="Let anyone draw without a token.")
    cors: list[Origin] = Field(
        default=[],
        max_length=50,
        description="Web pages of other origins that may call the API, each as https://app.example.com; they "
        "need a token as everyone does.",
    )
    models: list[ModelAddress] = Field(
        default=[],
        max_length=200,
        description="Models to fetch: hf://, civitai://, s3://, https:// or file:.",
    )
    checkpoint: Checkpoint | None = Field(
        default=None,
        description="The checkpoint of requests that name none, as a.safetensors; without it the one that "
        "served last, else the starter.",
    )
    capacity: Literal["on-demand", "spot", "spot-first"] = Field(
        default="on-demand", description="How instances are bought; spot is cheaper and may be taken away."
    )
    concurrency: int = Field(
        default=8, ge=1, le=1000, description="Pictures that one replica has at once before another starts."
    )
    exact: bool = Field(
        default=False,
        description="The same bits of a picture whoever draws beside it; slower with many people. "
        "A request may ask for it too.",
    )
    precision: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        default="auto",
        description="The numbers that are drawn in; auto is half precision on a GPU and single on a CPU.",
    )
    compile: bool = Field(
        default=False,
        description="Compile a model's blocks; the first pictures wait for it. For GPUs: on a CPU it gains "
        "nothing and needs g++.",
    )
    cuda_graphs: bool = Field(
        default=False,
        description="Record a model's small calls as CUDA graphs: the GPU waits less for the processor. No "
        "GPU has run it yet.",
    )
    limits: LimitsSpec = Field(
        default=LimitsSpec(), description="What one person may ask for and have waiting."
    )
    timeouts: TimeoutsSpec = Field(default=TimeoutsSpec(), description="How long the door waits.")
    storage: Storage = Field(default=Storage(), description="What the endpoint keeps.")
    env: dict[VariableName, str] = Field(
        default={}, max_length=100, description="Environment variables of the replica; not for secrets."
    )
    open_env: list[VariableName] = Field(
        default=[],
        max_length=100,
        description="Variables of env whose names sound like a secret's and whose values are none.",
    )
    secrets: dict[VariableName, str] = Field(
        default={},
        max_length=100,
        description="Environment variables whose values AWS Secrets Manager keeps, by name or ARN; on "
        "Kubernetes <secret>/<key>.",
    )
    image: ImageSpec | None = Field(
        default=None, description="An own container in the place of easel's studio."
    )


class Spec(Section):
    """A team's whole spec: what one stack file says."""

    name: Annotated[str, AfterValidator(team_name)]
    team: TeamSpec
    endpoints: dict[Annotated[str, AfterValidator(endpoint_name)], EndpointSpec]


assert set(ShapeName.__args__) == set(SHAPES), "the shapes' names are written twice and must agree"  # type: ignore[attr-defined]  # noqa: S101
