"""How commands speak to a gateway and its endpoints, here or elsewhere.

`target` says which gateway, `transport` is the way to it, `operator_api` asks it; `endpoint` asks one
endpoint, `upload` and `download` carry files.
"""
