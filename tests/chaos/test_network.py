"""A network that swallows, resets, delays and slices between the whole pipe and its broker: slower, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support import toxics
from support.cluster import cluster
from support.comparing import all_is_well
from support.injection import Injection
from support.pipe import PROGRAMME, Pipe, completion, until, whole_pipe
from support.sending import Sender
from support.toxics import Proxy, Toxiproxy

pytestmark = [toxics.needs_toxiproxy, pytest.mark.timeout(900)]


@dataclass
class Net:
    """A pipe whose every process reaches its broker through a proxy."""

    pipe: Pipe
    proxy: Proxy
    direct: str


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    folder = tmp_path_factory.mktemp("network")
    with cluster(folder / "kafka") as made, pytest.MonkeyPatch.context() as patch:
        [node] = made.nodes
        toxiproxy = Toxiproxy()
        try:
            proxy = toxiproxy.proxy("broker", node.advertised, node.side)
            patch.setenv("CREDSTREAM_BOOTSTRAP_SERVERS", f"127.0.0.1:{proxy.port}")
            with whole_pipe(folder / "pipe", node.address) as pipe:
                yield Net(pipe, proxy, node.address)
        finally:
            toxiproxy.stop()


def spoilt_for(net: Net, seconds: float) -> None:
    """Tend the processes for a while, as the supervisor does."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        net.pipe.supervisor.tend()
        time.sleep(0.2)


def well_again(net: Net, sender: Sender, fault: Injection) -> None:
    """Measure until something new is accepted and decided; then everything must be as if nothing had happened."""
    with fault.recovering():
        before = len(sender.accepted)
        for _ in until("the gateway to accept again", 90):
            net.pipe.supervisor.tend()
            if len(sender.accepted) > before:
                break
        net.pipe.supervisor.wait_until_ready()
    sender.stop()
    assert sender.accepted
    all_is_well(net.pipe, sender.accepted)


@pytest.mark.fault("B5")
@pytest.mark.long
def test_a_network_that_swallows_everything_loses_and_doubles_nothing(net: Net, fault: Injection) -> None:
    with Sender(net.pipe, "swallowed") as sender:
        spoilt_for(net, 3)
        with net.proxy.toxic("timeout", timeout=0):
            spoilt_for(net, 25)
            assert sender.answers[503]
            fault.fire("black hole")
        well_again(net, sender, fault)


@pytest.mark.fault("B6")
def test_connections_that_are_reset_all_the_time_lose_and_double_nothing(net: Net, fault: Injection) -> None:
    with Sender(net.pipe, "reset") as sender:
        for _ in range(15):
            net.proxy.reset(1, 0.7)
            net.pipe.supervisor.tend()
            fault.fire("reset of all connections")
        well_again(net, sender, fault)


@pytest.mark.fault("B7")
@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "attributes"),
    [("latency", {"latency": 250, "jitter": 50}), ("slicer", {"average_size": 7, "size_variation": 3, "delay": 1})],
    ids=["500 ms there and back", "slices of 7 bytes"],
)
def test_a_slow_network_makes_the_pipe_slower_and_nothing_else(
    net: Net, fault: Injection, kind: str, attributes: dict[str, int]
) -> None:
    with Sender(net.pipe, kind) as sender, net.proxy.toxic(kind, **attributes):
        spoilt_for(net, 20)
        assert sender.accepted
        fault.fire(f"{kind} for 20 s")
    with Sender(net.pipe, f"{kind}-after") as sender:
        well_again(net, sender, fault)


@pytest.mark.fault("B4")
@pytest.mark.long
def test_while_the_broker_is_away_nothing_is_accepted_and_afterwards_nothing_is_missing(
    net: Net, fault: Injection
) -> None:
    with Sender(net.pipe, "away") as sender:
        spoilt_for(net, 3)
        with net.proxy.away():
            time.sleep(11)  # what was on its way is given up
            before = len(sender.accepted)
            spoilt_for(net, 180)
            with net.pipe.http() as http:
                answer = http.post("/v1/completions", json=completion("away"))
            assert (answer.status_code, len(sender.accepted)) == (503, before)
            assert int(answer.headers["Retry-After"]) > 0
            fault.fire("three minutes without a broker")
        well_again(net, sender, fault)


@pytest.mark.fault("B8")
def test_a_gateway_that_is_cut_off_refuses_to_send_and_still_serves_and_verifies(
    net: Net, fault: Injection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = net.pipe
    monkeypatch.setenv("CREDSTREAM_BOOTSTRAP_SERVERS", net.direct)
    for child in pipe.supervisor.children:
        if child.name != "gateway" and child.process:
            child.process.terminate()
            child.process.wait(60)
    pipe.supervisor.wait_until_ready()
    pipe.send([completion("cut")])
    [credential] = [o["credential_id"] for o in pipe.fate("cut-0")[0]["outcomes"] if o["verdict"] == "granted"]
    with pipe.http() as http:
        for _ in until("the credential to be shown"):
            if http.get(f"/credentials/{credential}").is_success:
                break
        with net.proxy.away():
            fault.fire("gateway cut off")
            for _ in until("the gateway to say that it is not ready", 60):
                if http.get("/readyz").status_code == 503:
                    break
            assert http.post("/v1/completions", json=completion("cut-off")).status_code == 503
            assert http.get(f"/credentials/{credential}").is_success
            assert http.get("/verify").is_success
            assert http.get(f"/programmes/{PROGRAMME}/did.json").is_success
            assert http.get("/livez").is_success
        with fault.recovering():
            for _ in until("the gateway to accept again"):
                if http.post("/v1/completions", json=completion("cut-off")).is_success:
                    break
    all_is_well(pipe, ["cut-0", "cut-off-0"])
