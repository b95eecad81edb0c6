"""The console: pages for people, and the operator API that the pages and the `easel` command call.

Who asks is what the console's door vouched for (`guard`); nothing here lets anybody in.
"""

from easel.gateway.console.endpoints import Endpoints
from easel.gateway.console.guard import ConsoleGuard
from easel.gateway.console.metrics import MetricsApi
from easel.gateway.console.operator_api import CONSOLE_HEADER, USER, OperatorApi
from easel.gateway.console.pages import ConsolePages
