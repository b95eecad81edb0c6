"""What the program registers for a team on Kubernetes: order, ends, and nothing of AWS."""

import hashlib
import json
from pathlib import Path

import pytest

import infra.keda
from infra.keda import NoChart
from tests.infra.graph import SECRET, Graph, Node, run
from tests.infra.namespace.teams import TEAMS, Team, graph_of, objects_of, registered

REAL_CHART = infra.keda.chart


@pytest.fixture(params=TEAMS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def graph(name: str) -> Graph:
    return graph_of(name)


def object_(graph: Graph, kind: str, name: str) -> Node:
    """The registered object of this kind and name."""
    found = [node for node in registered(graph) if node.short == kind]
    (one,) = [node for node in found if node.inputs["metadata"]["name"] == name]
    return one


def test_all_manifests_are_registered_and_nothing_of_aws(name: str, graph: Graph) -> None:
    """As they are, but for what Pulumi waits for; under the tokens that its provider has."""
    wanted = {(each["kind"], each["metadata"]["name"]) for each in objects_of(TEAMS[name])}
    assert {(node.short, node.inputs["metadata"]["name"]) for node in registered(graph)} == wanted
    assert not [node.type for node in graph.nodes if node.type.startswith("aws:")]
    tokens = {node.type for node in registered(graph) if node.inputs["apiVersion"] == "v1"}
    assert all(token.startswith("kubernetes:core/v1:") for token in tokens)


def test_everything_waits_for_the_namespace_and_custom_resources_for_what_they_scale(graph: Graph) -> None:
    """An object in no namespace is refused; a ScaledObject without its Deployment is not ready."""
    (home,) = [node for node in registered(graph) if node.short == "Namespace"]
    for node in registered(graph):
        if node is not home:
            assert home.urn in node.depends, node.name
        if node.short == "ScaledObject":
            names = {
                object_(graph, "Deployment", each).urn
                for each in ("gateway", node.inputs["metadata"]["name"])
            }
            assert names <= node.depends


def test_the_namespace_waits_for_keda_where_it_is_installed() -> None:
    """Its definitions come by the chart; one that is there already is nobody's to wait for."""
    graph = graph_of("several")
    chart = graph.component("Chart")
    (home,) = [node for node in registered(graph) if node.short == "Namespace"]
    assert graph.component("Keda").urn in home.depends or chart.urn in home.depends
    assert not [node for node in graph_of("one").nodes if node.short in ("Chart", "Keda")]


def test_keda_may_ask_often_enough_for_thousands_of_endpoints() -> None:
    """With its own twenty requests a second it takes up one endpoint a second, or fewer."""
    (chart,) = [node for node in graph_of("several").nodes if node.short == "Chart"]
    told = chart.inputs["values"]
    assert int(told["extraArgs"]["keda"]["kube-api-qps"]) >= 200
    assert {one["name"]: one["value"] for one in told["env"]} == dict(infra.keda.OPERATOR_ENVIRONMENT)


def test_kedas_tests_and_its_chart_are_of_one_version() -> None:
    """What is tried in a cluster is what the program installs."""
    modules = Path(__file__).parents[2] / "cluster" / "tools" / "keda" / "go.mod"
    assert f"github.com/kedacore/keda/v2 v{infra.keda.VERSION} " in modules.read_text()


def test_what_holds_pictures_outlives_the_stack(graph: Graph) -> None:
    """Claims and the namespace around them stay, and an `up` afterwards takes them back; all else goes."""
    adopting = next(n for n in graph.nodes if n.short == "kubernetes" and n.name.endswith("-adopting"))
    for node in registered(graph):
        kept = node.short in ("PersistentVolumeClaim", "Namespace")
        assert node.retained is kept, node.name
        assert (adopting.urn in node.provider) is kept, node.name
    assert adopting.inputs["upsertExistingObjects"] == "true"
    first = next(n for n in graph.nodes if n.short == "kubernetes" and n is not adopting)
    assert "upsertExistingObjects" not in first.inputs


def test_an_endpoint_begins_with_its_least_and_is_then_kedas(name: str, graph: Graph) -> None:
    """Without a number the API begins with one, on a GPU that nobody asked for."""
    for endpoint, spec in TEAMS[name].spec.endpoints.items():
        node = object_(graph, "Deployment", f"studio-{endpoint}")
        assert node.inputs["spec"]["replicas"] == spec.replicas.min
        assert node.ignored == ("spec.replicas",)
    gateway = object_(graph, "Deployment", "gateway")
    assert (gateway.inputs["spec"]["replicas"], gateway.ignored) == (2, ())


def test_what_is_waited_for_is_said_by_conditions(graph: Graph) -> None:
    """The gateway is; an endpoint that may sleep never."""
    for node in registered(graph):
        told = node.inputs["metadata"].get("annotations", {})
        if node.short == "Deployment":
            gateway = node.inputs["metadata"]["name"] == "gateway"
            wanted = (
                {"pulumi.com/waitFor": "condition=Available"} if gateway else {"pulumi.com/skipAwait": "true"}
            )
            assert told == wanted, node.name
        if node.short == "PersistentVolumeClaim":
            assert told == {"pulumi.com/skipAwait": "true", "pulumi.com/patchForce": "true"}
        if node.short == "ScaledObject":
            assert told["pulumi.com/waitFor"] == "condition=Ready"


def test_links_are_secret_and_only_their_hashes_are_told(name: str, graph: Graph) -> None:
    """The token is in no object; the gateway gets what it can check one by."""
    links = {each: graph.outputs["endpoints"][each]["link"] for each in TEAMS[name].endpoints}
    links["console"] = graph.outputs["console"]["link"]
    tokens = {each: link.split("token=")[1] for each, link in links.items()}
    written = json.dumps([node.inputs for node in registered(graph)])
    assert not [each for each, token in tokens.items() if token in written]
    assert len(set(tokens.values())) == len(tokens)
    assert SECRET in graph.secret_outputs


def test_another_kubeconfig_of_the_same_cluster_replaces_nothing(graph: Graph) -> None:
    """A colleague's file is elsewhere and has other credentials; the context says which cluster it is."""
    for provider in (node for node in graph.nodes if node.type == "pulumi:providers:kubernetes"):
        assert provider.inputs["context"] == provider.inputs["clusterIdentifier"] == "art-cluster"
        # Else changed data replaces a ConfigMap, which is gone for a moment, and its endpoint with it.
        assert provider.inputs["enableConfigMapMutable"] == provider.inputs["enableSecretMutable"] == "true"


def test_one_more_endpoint_touches_nothing_of_another() -> None:
    """Only what lists them all: hosts of the edge, the quota."""

    def inputs(*names: str) -> dict[str, object]:
        team = Team({name: {"shape": "gpu.t4"} for name in names}, {}, {})
        # Each run makes tokens of its own, and so hashes.
        objects = [node for node in registered(run(team.config, "art")) if node.short != "ConfigMap"]
        return {node.urn: node.inputs for node in objects}

    before, after = inputs("studio"), inputs("another", "studio")
    changed = {urn.rpartition("::")[2] for urn, told in before.items() if after.get(urn) != told}
    assert changed == {"easel-art-ingress-gateway", "easel-art-resourcequota-team"}


def test_an_image_by_a_tag_is_warned_of() -> None:
    """It can be moved; a digest cannot."""
    team = TEAMS["one"]
    tagged = {
        **team.config,
        "easel:team": {**team.config["easel:team"], "image": "r.example.com/e:{target}-1"},
    }
    assert sum("is a tag, which can be moved" in line for line in run(tagged, "art").said) == 2
    assert not [line for line in graph_of("one").said if "tag" in line]


def test_the_chart_is_the_one_that_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file under its name is fetched anew, and what then comes is refused if it is none either."""
    content = b"a chart"
    monkeypatch.setattr(infra.keda, "SHA256", "0" * 64)
    (tmp_path / f"keda-{infra.keda.VERSION}.tgz").write_bytes(content)

    class Answer:
        def __init__(self) -> None:
            self.content = content

        def raise_for_status(self) -> "Answer":
            return self

    monkeypatch.setattr(infra.keda.httpx, "get", lambda *_, **__: Answer())
    with pytest.raises(NoChart, match="is not the chart that this easel was made with"):
        REAL_CHART(tmp_path)
    monkeypatch.setattr(infra.keda, "SHA256", hashlib.sha256(content).hexdigest())
    assert REAL_CHART(tmp_path / "new").read_bytes() == content


def test_a_chart_that_cannot_be_fetched_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy: where to put the file, or how to do without."""

    def refused(*_: object, **__: object) -> None:
        raise infra.keda.httpx.ConnectError("no route")

    monkeypatch.setattr(infra.keda.httpx, "get", refused)
    with pytest.raises(NoChart, match=r"could not be fetched .* no route\. Put the file at .* keda: there"):
        REAL_CHART(tmp_path)
