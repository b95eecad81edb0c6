"""The launch template of an endpoint: what each of its instances starts from."""

import base64
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.instances import user_data
from infra.instances.boot_images import BootImage

THROUGHPUT = 500
"""MiB/s of an instance's disk. gp3's 125 would take a minute for a 7 GB checkpoint; this is $15 a month more
for a disk that stands all month, and 3,000 IOPS, which cost nothing, carry up to 750."""

IOPS = 3000


@dataclass(frozen=True)
class TemplateArgs:
    """What a launch template is made from."""

    boot: BootImage
    region: str
    instance_type: str
    disk: int
    """GiB."""
    profile_arn: pulumi.Input[str]
    security_group_ids: list[pulumi.Output[str]]
    bucket: pulumi.Input[str]
    log_group: pulumi.Input[str]
    team: str
    endpoint: str
    tags: dict[str, str]


def launch_template(name: str, args: TemplateArgs, opts: pulumi.ResourceOptions) -> aws.ec2.LaunchTemplate:
    """A template without a key pair: who must look inside takes an SSM session."""
    told = pulumi.Output.all(args.bucket, args.log_group).apply(
        lambda found: base64.b64encode(
            user_data.replica(
                user_data.ReplicaFacts(args.region, args.team, args.endpoint, found[0], found[1])
            ).encode()
        ).decode()
    )
    return aws.ec2.LaunchTemplate(
        name,
        description=f"Instances of endpoint {args.endpoint} of team {args.team}",
        image_id=args.boot.image_id,
        instance_type=args.instance_type,
        iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(arn=args.profile_arn),
        user_data=told,
        update_default_version=True,
        ebs_optimized="true",
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            # The host only: a container on a bridge is two hops away, and so has no role.
            http_put_response_hop_limit=1,
        ),
        network_interfaces=[
            aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                device_index=0,
                # There is no NAT gateway: it is the way out, and the security group the way that is not in.
                associate_public_ip_address="true",
                delete_on_termination="true",
                security_groups=args.security_group_ids,
            )
        ],
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=args.boot.device,
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type="gp3",
                    volume_size=args.disk,
                    iops=IOPS,
                    throughput=THROUGHPUT,
                    encrypted="true",
                    delete_on_termination="true",
                ),
            )
        ],
        # A group gives its tags to its instances, but not to their disks and network interfaces.
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=args.tags)
            for kind in ("instance", "volume", "network-interface")
        ],
        tags=args.tags,
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=args.boot.ignored("imageId"))
        ),
    )
