"""Who was let in or refused, and who changed what: one line each in `logs/audit.jsonl`.

Whoever lets somebody do something says so here; nothing here decides anything.
"""

from easel.gateway.audit.changes import change
from easel.gateway.audit.log import AuditLog
