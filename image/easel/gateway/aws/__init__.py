"""AWS for the gateway: calls in threads, refusals in words, the team's bucket and its configuration.

boto3 is imported by the first call: a laptop opens its door without.
"""

from easel.gateway.aws.bucket import Bucket
from easel.gateway.aws.bucket_object import BucketObject
from easel.gateway.aws.calls import Aws, AwsError
from easel.gateway.aws.config_mirror import ConfigMirror
