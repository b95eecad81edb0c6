"""Partitions: ARNs, and the names of registries that a host gives the account's password to."""

import re
import subprocess
from collections.abc import Iterator

import botocore.loaders

from infra.partitions import PARTITIONS, partition_of
from infra.references import Reference
from infra.regions import REGIONS
from scripts.settings import ROOT
from tests.infra.test_image import NOT_ECR

ACCOUNT = "1" * 12


def test_the_partitions_are_those_that_the_library_knows() -> None:
    """Their names, their regions' and what hosts end in; names of a customer's own have `on.` for `api.`."""
    known = botocore.loaders.Loader().load_data("partitions")["partitions"]
    ours = {one.id: one for one in PARTITIONS}
    assert ours.keys() == {each["id"] for each in known}
    for each in known:
        mine, says = ours[each["id"]], each["outputs"]
        assert mine.domain == says["dnsSuffix"]
        assert mine.dual_stack == re.sub("^api", "on", says["dualStackDnsSuffix"])
        regions = {name for name in REGIONS if re.match(each["regionRegex"], name)}
        assert regions
        assert {partition_of(name).id for name in regions} == {mine.id}


def registries() -> Iterator[tuple[str, str]]:
    """Names of a private registry, as "Amazon ECR endpoints and quotas" lists them, with their region."""
    for region in sorted(REGIONS):
        place = partition_of(region)
        for fips in ("", "-fips"):
            yield f"{ACCOUNT}.dkr.ecr{fips}.{region}.{place.domain}", region
            yield f"{ACCOUNT}.dkr-ecr{fips}.{region}.{place.dual_stack}", region


def test_the_policy_names_the_repository_of_each_of_its_registrys_names() -> None:
    """Dual-stack and FIPS are other doors to the same repository."""
    for host, region in registries():
        place = Reference(f"{host}/team/comfy", None, None).ecr
        assert place, host
        assert place.arn == f"arn:{partition_of(region).id}:ecr:{region}:{ACCOUNT}:repository/team/comfy"


def logged_in(*hosts: str) -> list[str]:
    """What a host's step says to aws and docker for an image of each of these registries, in the real text's
    `log_in` under bash."""
    text = (ROOT / "infra" / "instances" / "host" / "image.sh").read_text()
    (login,) = re.findall(r"^ecr=.*?^}$", text, re.M | re.S)
    stand_ins = 'setting() { :; }; aws() { echo "aws $*" >&2; }; docker() { echo "docker $*" >&2; }'
    steps = f'set -eu; {stand_ins}\n{login}\nfor host in "$@"; do image=$host/team/comfy:1; log_in; done'
    done = subprocess.run(["bash", "-c", steps, "-", *hosts], capture_output=True, text=True, check=True)
    return sorted(done.stderr.splitlines())


def test_a_host_logs_in_to_each_of_these_names_in_its_region() -> None:
    """A name it does not know is pulled from without a password, and refused."""
    known = dict(registries())
    said = logged_in(*known)
    assert [line for line in said if line.startswith("aws")] == sorted(
        f"aws ecr get-login-password --region {region}" for region in known.values()
    )
    assert [line for line in said if line.startswith("docker")] == sorted(
        f"docker login --username AWS --password-stdin {host}" for host in known
    )


def test_the_accounts_password_goes_to_no_other_name() -> None:
    """One that only looks like ECR would get what opens the account's. The public gallery asks none."""
    assert logged_in(*NOT_ECR) == []
