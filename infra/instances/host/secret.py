"""`secret.py ARN [FIELD]`: a secret of AWS Secrets Manager, whole or one field of its JSON. Python 3.9.

Printed as it is, without a newline of our own: a key that ends in one keeps it, a password gets none.
"""

from __future__ import annotations

import json
import subprocess
import sys


def main(arn: str, field: str | None = None) -> None:
    """Ends with a sentence on stderr that holds nothing of the secret."""
    words = ["aws", "secretsmanager", "get-secret-value", "--secret-id", arn, "--output", "json"]
    answer = subprocess.run(words, capture_output=True, check=False)
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip().splitlines() or ["aws said nothing"]
        sys.exit(f"cannot read the secret {arn}: {said[-1]}")
    text = json.loads(answer.stdout).get("SecretString")
    if not isinstance(text, str):
        sys.exit(f"the secret {arn} is binary: store it as text")
    if field is not None:
        try:
            text = str(json.loads(text)[field])
        except (ValueError, TypeError, KeyError):
            sys.exit(f"the secret {arn} is not JSON with {field}")
    sys.stdout.buffer.write(text.encode())


main(*sys.argv[1:])
