"""`setting.py FILE a.b.c [DEFAULT]`: one value of a JSON file, a list as one item a line. Python 3.9."""

import json
import sys
from typing import Any


def main() -> None:
    """Print the value; without value and default, exit 1 with a sentence."""
    file, path = sys.argv[1:3]
    with open(file, encoding="utf-8") as text:
        value: Any = json.load(text)
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or value == "":
        if len(sys.argv) < 4:
            sys.exit(f"the configuration does not say {path}")
        value = sys.argv[3]
    print(*value if isinstance(value, list) else [value], sep="\n")


main()
