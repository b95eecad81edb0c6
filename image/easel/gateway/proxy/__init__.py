"""Caddy: what it is to do, its Caddyfile, its process, its certificates.

Others say what is served (`Plan`); only here is it known how Caddy is told.
"""

from easel.gateway.proxy.addresses import bind_of, plan_of, ports_of, url_of
from easel.gateway.proxy.caddy import Caddy
from easel.gateway.proxy.caddyfile import caddyfile
from easel.gateway.proxy.certificates import Certificates
from easel.gateway.proxy.plan import Plan, Site
