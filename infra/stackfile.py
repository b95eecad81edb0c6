"""Reading a team's stack file.

    spec = load_stack(Path("stacks/Pulumi.art.yaml"))

Whatever the file holds, the answer is a `Spec` or a `SpecError` that names every fault in it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from infra import kubernetes_rules, open_secrets, rules
from infra.cluster.rules import own_platform_faults
from infra.faults import SpecError, SpecFault, Where, fault, nearest, shown
from infra.names import endpoint_name, team_name
from infra.regions import region_faults
from infra.spec import EndpointSpec, Spec, TeamSpec

_LARGEST = 1_000_000
_MOST_VALUES = 100_000
_MOST_BITS = 64
_PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

S = TypeVar("S", bound=BaseModel)


def load_stack(path: Path, shown_as: str | None = None) -> Spec:
    """Read and check a stack file. Raises SpecError."""
    source = shown_as or str(path)
    config, lines = _parse(path, source)
    name = re.sub(r"^Pulumi\.", "", path.name.removesuffix(path.suffix))
    return read_spec(name, config, source, lines)


def read_spec(
    name: str, config: Mapping[Any, Any], source: str, lines: dict[Where, int] | None = None
) -> Spec:
    """Check a stack's configuration, as read from its file or as Pulumi gives it. Raises SpecError."""
    faults = [*_name_fault(name, team_name, ())]
    for key in config:
        if str(key).startswith("easel:") and key not in ("easel:team", "easel:endpoints"):
            near = nearest(str(key), ("easel:team", "easel:endpoints"))
            faults.append(
                SpecFault((str(key),), f"is not a key{near or '.'} There are easel:team and easel:endpoints")
            )

    team, faulty = _section(TeamSpec, config.get("easel:team", {}), rules.TEAM, faults)
    faults += _certain(rules.team_faults(team), faulty)
    faults += _certain(own_platform_faults(name, team, rules.TEAM), faulty)
    if team.runs_on not in ("local", "kubernetes"):
        faults += region_faults(config)
    endpoints = _endpoints(config.get("easel:endpoints"), team, faulty, faults)
    faults += _certain(kubernetes_rules.claim_faults(team, endpoints), faulty)
    faults = _of_pulumis_secrets(config, faults)
    if faults:
        raise SpecError(source, faults, lines)
    return Spec(name=name, team=team, endpoints=endpoints)


def _of_pulumis_secrets(config: Mapping[Any, Any], faults: list[SpecFault]) -> list[SpecFault]:
    """The faults, with those of Pulumi's secrets in the place of what else is said of the same values."""
    ours = {key: value for key, value in config.items() if str(key).startswith("easel:")}
    found = list(open_secrets.of_pulumi(ours, ()))
    places = [one.where for one in found]
    return [*found, *(one for one in faults if not any(one.where[: len(at)] == at for at in places))]


def _endpoints(
    found: Any, team: TeamSpec, team_faulty: set[str], faults: list[SpecFault]
) -> dict[str, EndpointSpec]:
    if found is None:
        problem = "is missing: name at least one endpoint, or {} for a platform that others share"
        faults.append(SpecFault(rules.ENDPOINTS, problem))
        return {}
    if not isinstance(found, Mapping):
        faults.append(SpecFault(rules.ENDPOINTS, f"{shown(found)} must be a mapping of names to endpoints"))
        return {}
    if not found and team.runs_on == "local":
        faults.append(SpecFault(rules.ENDPOINTS, "is empty: there is nothing to run on this machine"))
    endpoints: dict[str, EndpointSpec] = {}
    for key, value in found.items():
        name = str(key)
        where = (*rules.ENDPOINTS, name)
        faults += _name_fault(key, endpoint_name, where)
        endpoints[name], faulty = _section(EndpointSpec, value, where, faults)
        faults += _certain(rules.endpoint_faults(name, endpoints[name], team), faulty | team_faulty)
    return endpoints


def _name_fault(name: Any, check: Callable[[str], str], where: Where) -> list[SpecFault]:
    if not isinstance(name, str):
        return [SpecFault(where, f"{shown(name)} must be text (in quotes, if it looks like a number)")]
    try:
        check(name)
    except ValueError as error:
        what = f"{shown(name)} {error}"
        return [SpecFault(where, what if where else f"the stack's name {what}")]
    return []


def _section(model: type[S], value: Any, where: Where, faults: list[SpecFault]) -> tuple[S, set[str]]:
    """A section, and the names of its faulty fields, which hold something harmless instead.

    So the rules between fields still run over the others, and a file's faults are all told at once.
    """
    harmless: dict[str, Any] = {"shape": "cpu.small"} if model is EndpointSpec else {}
    try:
        return model.model_validate(value), set()
    except ValidationError as error:
        details = error.errors(include_url=False)
    faults += [fault(detail, model, where) for detail in details]
    if not isinstance(value, Mapping):
        return model.model_validate(harmless), set(model.model_fields)
    faulty = {str(detail["loc"][0]) for detail in details}
    rest = {key: kept for key, kept in value.items() if key not in faulty}
    return model.model_validate(harmless | rest), faulty


def _certain(found: Iterable[SpecFault], faulty: set[str]) -> list[SpecFault]:
    """The faults that no faulty field has a part in."""
    return [one for one in found if not faulty & (one.involves | {str(part) for part in one.where})]


def _parse(path: Path, source: str) -> tuple[Mapping[Any, Any], dict[Where, int]]:
    """The file's `config`, and the line of every value in it."""

    def wrong(problem: str, line: int | None = None) -> SpecError:
        return SpecError(source, [SpecFault((), problem)], {(): line} if line else {})

    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise wrong("is larger than a megabyte: that is no stack file")
        content, lines = _Values(raw.decode("utf-8")).read()
    except FileNotFoundError:
        near = (
            nearest(path.name, [other.name for other in path.parent.glob("*.yaml")])
            if path.parent.is_dir()
            else ""
        )
        raise wrong(f"there is no such file{near}") from None
    except OSError as error:
        raise wrong(f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise wrong(f"is not text in UTF-8 (byte {error.start})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise wrong(f"is not YAML: {error.problem}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise wrong(f"is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise wrong("is nested too deep") from None
    config = content.get("config") if isinstance(content, Mapping) else None
    if not isinstance(config, Mapping):
        raise wrong("must hold config: with easel:team and easel:endpoints below it")
    return config, {where[1:]: line for where, line in lines.items() if where[:1] == ("config",)}


class _Values:
    """Plain values from YAML, with the line of each. What YAML lets pass in silence is an error here."""

    def __init__(self, text: str) -> None:
        self._loader = yaml.SafeLoader(text)
        self._lines: dict[Where, int] = {}
        self._count = 0

    def read(self) -> tuple[Any, dict[Where, int]]:
        node = self._loader.get_single_node()
        return (None if node is None else self._value(node, ())), self._lines

    def _value(self, node: yaml.Node, where: Where) -> Any:
        # Anchors can make a small file enormous, or put a list into itself.
        self._count += 1
        if self._count > _MOST_VALUES or len(where) > 100:
            raise self._error(node, "it is too large once its anchors are followed")
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN:
            raise self._error(node, f"{shown(node.tag)} is not for stack files")
        self._lines.setdefault(where, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*where, index)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        try:
            value = self._loader.construct_object(node)
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:  # some thousand digits are no text
                raise ValueError(node.value)
            return value
        except ValueError:
            raise self._error(node, f"{shown(node.value)} looks like a number or date and is none") from None

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        own = {id(key) for key, _ in node.value}
        self._loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        keys: set[str] = set()
        for key_node, child in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a name must be plain text")
            key = key_node.value
            # Merged keys (<<) come first and may be written over; a name that is written twice may not.
            if id(key_node) in own:
                if key in keys:
                    raise self._error(key_node, f"{shown(key)} is there twice")
                keys.add(key)
            self._lines[(*where, key)] = key_node.start_mark.line + 1
            values[key] = self._value(child, (*where, key))
        return values

    def _error(self, node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
