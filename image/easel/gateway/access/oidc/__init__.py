"""Single sign-on by OpenID Connect: sends people to the team's provider, and says which member came back.

Nothing else speaks to the provider. What needs its protocol's libraries is imported by the first sign-in.
"""

from easel.gateway.access.oidc.client_secret import ClientSecret
from easel.gateway.access.oidc.login import NO_ANSWER, Login
from easel.gateway.access.oidc.membership import is_member
