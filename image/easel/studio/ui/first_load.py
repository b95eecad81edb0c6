"""What the first place needs, in one file.

A browser asks for each module by itself: forty small files are forty requests, and the later ones wait for
the earlier. So the modules that `app.js` reaches by static imports are put into it, each in a function of its
own, in the order in which a browser would run them. Their addresses go on working: what is loaded later (a
place, a mode) imports them, and gets the same objects and no second store.

This is no parser of JavaScript. The page's own modules keep to a form that the expressions below know, and
what they do not know is refused when the studio starts: see `_rewritten`. `vendor/` stays as it came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from posixpath import dirname, join, normpath, relpath

_IMPORT = re.compile(r'^import\s+(?:([^"]+?)\s+from\s+)?"(\.{1,2}/[^"]+)";[ \t]*\n', re.MULTILINE)
_LATER = re.compile(r'\bimport\("(\.{1,2}/[^"]+)"\)')
_NAMED = re.compile(r"^export ((?:async )?function\*?|class|const|let) (\w+)", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)
_LEFT = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_VENDOR = "vendor/"


class UnknownForm(Exception):
    """A module of the page says something in a form that is not known here."""


def in_one_file(entry: str, modules: Mapping[str, str]) -> dict[str, str]:
    """`modules` by their paths: all that `entry` needs is in `entry`, and what points there is in its place.

    Raises UnknownForm, also for modules that import each other in a circle.
    """
    order = _order(entry, modules)
    foreign = sorted({one for module in order for one in _needs(module, modules) if one.startswith(_VENDOR)})
    parts = [f'import * as {_name(one)} from "./{one}";\n' for one in foreign]
    found: dict[str, str] = {}
    for module in order:
        text, exported = _rewritten(module, modules[module])
        given = ", ".join(f"{name}: $default" if name == "default" else name for name in exported)
        parts.append(
            f"// {module}\nconst {_name(module)} = (() => {{\n{text}\nreturn {{ {given} }};\n}})();\n"
        )
        found[module] = _pointer(module, entry, exported)
    parts.append(f"export {{ {', '.join(_name(module) for module in order)} }};\n")
    return {**modules, **found, entry: "\n".join(parts)}


def _needs(module: str, modules: Mapping[str, str]) -> list[str]:
    return [normpath(join(dirname(module), path)) for _, path in _IMPORT.findall(modules[module])]


def _order(entry: str, modules: Mapping[str, str]) -> list[str]:
    """What `entry` needs and itself, each behind what it needs."""
    order: list[str] = []
    above: list[str] = []

    def visit(module: str) -> None:
        if module in above:
            raise UnknownForm(f"a circle of imports: {' → '.join([*above[above.index(module) :], module])}")
        if module in order or module.startswith(_VENDOR):
            return
        above.append(module)
        for needed in _needs(module, modules):
            visit(needed)
        above.pop()
        order.append(module)

    visit(entry)
    return order


def _name(module: str) -> str:
    return "$" + re.sub(r"\W", "_", module.removesuffix(".js"))


def _rewritten(module: str, text: str) -> tuple[str, list[str]]:
    """A module's text as the inside of a function, and what it exports."""

    def imported(found: re.Match[str]) -> str:
        what, path = found[1], found[2]
        source = _name(normpath(join(dirname(module), path)))
        if what is None:
            return ""
        if what.startswith("* as "):
            return f"const {what.removeprefix('* as ')} = {source};\n"
        if re.fullmatch(r"\w+", what):
            return f"const {{ default: {what} }} = {source};\n"
        return f"const {re.sub(r' as ', ': ', what)} = {source};\n"

    exported = [name for _, name in _NAMED.findall(text)] + ["default"] * bool(_DEFAULT.search(text))
    text = _NAMED.sub(r"\1 \2", _DEFAULT.sub("const $default = ", _IMPORT.sub(imported, text)))
    text = _LATER.sub(lambda found: f'import("./{normpath(join(dirname(module), found[1]))}")', text)
    text = text.replace("import.meta.url", f'new URL("{module}", import.meta.url).href')
    if left := _LEFT.search(text):
        raise UnknownForm(f"{module}: {left[0]}")
    return text, exported


def _pointer(module: str, entry: str, exported: list[str]) -> str:
    """What stands at a module's own address: the objects that it has in `entry`."""
    source, name = relpath(entry, dirname(module) or "."), _name(module)
    source = source if source.startswith(".") else f"./{source}"
    named = ", ".join(one for one in exported if one != "default")
    lines = [f'import {{ {name} }} from "{source}";']
    lines += [f"export const {{ {named} }} = {name};"] if named else []
    lines += [f"export default {name}.default;"] if "default" in exported else []
    return "\n".join(lines) + "\n"
