"""The modules that a page needs before it shows anything, as one file; those that come later, bound to it.

Native modules are what the page is written in and what a reader finds. Sent as they are, a first visit would
ask for forty-five files in four rounds. So the server puts those together that `app.js` needs: each is a
function that returns what it exports, in the order in which they need each other. What is loaded later takes
the same modules out of that file, so that there is one store and one of everything.

Only the forms of `import` and `export` that the page is written with are understood; any other raises
`NotUnderstood` when the studio is tested, not when somebody visits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from posixpath import dirname, join, normpath, relpath

BUNDLE = "first.js"
VENDOR = "vendor/"
"""Below this, files are others' and stay as they are."""
_IMPORT = re.compile(
    r'^import\s+(?:(?P<names>\{[^}]*\}|\*\s+as\s+\w+|\w+)\s+from\s+)?"(?P<address>\.[^"]+)";[^\S\n]*$',
    re.MULTILINE,
)
_EXPORT = re.compile(
    r"^export\s+(?:(?P<default>default)\s+"
    r"|(?P<kind>const|class|function\*?|async function\*?)\s+(?P<name>\w+))",
    re.MULTILINE,
)
_RENAMED, _RENAMING = re.compile(r"(\w+)\s+as\s+(\w+)"), r"\1: \2"
_DYNAMIC = re.compile(r'\bimport\(\s*"(\.[^"]+)"\s*\)')
_LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class NotUnderstood(ValueError):
    """A module is written in a way that cannot be put into one file; the message quotes the line."""


def bundled(modules: Mapping[str, str], entry: str) -> tuple[str, list[str]]:
    """One file of `entry` and all that it imports, and the names of those modules, each behind what it needs.

    `modules` are the sources by their paths. Raises NotUnderstood, also for modules that need each other.
    """
    order: list[str] = []
    _visit(entry, modules, order, [])
    own = [name for name in order if not name.startswith(VENDOR)]
    vendors = [name for name in order if name.startswith(VENDOR)]
    parts = [f'import * as {_id(name, order)} from "./{name}";' for name in vendors]
    parts += [_wrapped(name, modules[name], order) for name in own]
    listed = ", ".join(f'"{name}": {_id(name, order)}' for name in own)
    return "\n".join((*parts, f"export const $modules = {{ {listed} }};", "")), own


def linked(name: str, source: str, taken: list[str]) -> str:
    """A module that is loaded later, its imports of `taken` modules bound to those of the bundle."""
    root = relpath(BUNDLE, dirname(name) or ".")
    head = f'import {{ $modules }} from "{root if root.startswith(".") else f"./{root}"}"; '

    def bound(found: re.Match[str]) -> str:
        nonlocal head
        needed = _target(name, found["address"])
        if needed not in taken:
            return found[0]
        begin, head = head, ""
        return begin + _binding(found["names"], f'$modules["{needed}"]')

    return _IMPORT.sub(bound, source)


def _visit(name: str, modules: Mapping[str, str], order: list[str], above: list[str]) -> None:
    if name in above:
        raise NotUnderstood(f"modules need each other: {' → '.join([*above[above.index(name) :], name])}")
    if name in order:
        return
    if name not in modules:
        raise NotUnderstood(f"{above[-1] if above else 'the page'} imports {name}, which is not there")
    for found in () if name.startswith(VENDOR) else _IMPORT.finditer(modules[name]):
        _visit(_target(name, found["address"]), modules, order, [*above, name])
    order.append(name)


def _wrapped(name: str, source: str, order: list[str]) -> str:
    exports: list[str] = []

    def private(found: re.Match[str]) -> str:
        if found["default"]:
            exports.append("default: $default")
            return "const $default = "
        exports.append(found["name"])
        return f"{found['kind']} {found['name']}"

    text = _IMPORT.sub(lambda m: _binding(m["names"], _id(_target(name, m["address"]), order)), source)
    text = _EXPORT.sub(private, text)
    if left := _LEFT.search(text):
        raise NotUnderstood(f"{name}: {left[0]!r}")
    text = _DYNAMIC.sub(lambda m: f'import("./{_target(name, m[1])}")', text)
    text = text.replace("import.meta.url", f'new URL("{name}", import.meta.url).href')
    return (
        f"// {name}\nconst {_id(name, order)} = (() => {{\n{text}\nreturn {{ {', '.join(exports)} }};\n}})();"
    )


def _binding(names: str | None, module: str) -> str:
    """What an import declares, taken from the object of a module's exports."""
    if names is None:
        return ""
    if names.startswith("*"):
        return f"const {names.split()[-1]} = {module};"
    if names.startswith("{"):
        return f"const {_RENAMED.sub(_RENAMING, names)} = {module};"
    return f"const {{ default: {names} }} = {module};"


def _id(name: str, order: list[str]) -> str:
    return f"${order.index(name)}"


def _target(name: str, address: str) -> str:
    return normpath(join(dirname(name), address))
