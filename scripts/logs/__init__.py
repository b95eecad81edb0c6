"""What `easel logs` and `easel up` read: log files here, logs of a gateway elsewhere, the audit log.

`lines` makes a line readable; `tail`, `remote_tail` and `audit_tail` give what was added.
"""
