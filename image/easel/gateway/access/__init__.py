"""Who asks, and by what right: links, tokens, sessions, passes. It knows no replicas and speaks to nobody.

Others take what is named here; `oidc` is the room of those who sign in at the team's identity provider.
"""

from easel.gateway.access.access import Access
from easel.gateway.access.bucket_records import ENDED_KEY, TOKENS_KEY, BucketSecret, ended_of, tokens_of
from easel.gateway.access.cookies import cookie_name, cookie_values, set_cookie
from easel.gateway.access.ended_sessions import End, EndedSessions
from easel.gateway.access.first_links import FirstLinks
from easel.gateway.access.identity import (
    Caller,
    Entrance,
    Identity,
    Question,
    Refusal,
    without_token,
)
from easel.gateway.access.keyring import OVERLAP, Keyring, SecretFile, SecretStore
from easel.gateway.access.operator import OPERATOR, Operator
from easel.gateway.access.operator_passes import LASTS, OperatorPasses
from easel.gateway.access.rate_limit import network
from easel.gateway.access.request import ForwardedRequest, Kind, address_of, forbidden, local_path, normal
from easel.gateway.access.right import ANONYMOUS, MEMBER_MAX_AGE, Right
from easel.gateway.access.rights import Rights
from easel.gateway.access.serializer import SkewedSerializer
from easel.gateway.access.tokens import PATTERN, Token, Tokens, token_file
