"""The gateway killed and starved: what it has accepted is decided once, and it serves again by itself."""

from __future__ import annotations

import os
import resource
import signal
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest
from support.comparing import decided_ids
from support.injection import Injection
from support.pipe import Pipe, completion, until
from support.sending import Sender

from schemas.errors import UnavailableError


def pid_of(pipe: Pipe, name: str) -> int:
    [child] = [c for c in pipe.supervisor.children if c.name == name]
    assert child.process is not None
    return child.process.pid


@pytest.mark.fault("P10")
def test_a_gateway_killed_amid_sending_has_accepted_nothing_that_is_not_decided(pipe: Pipe, fault: Injection) -> None:
    with Sender(pipe, "gateway-killed") as sender:
        for _ in range(3):
            before = len(sender.accepted)
            for _ in until("something to be accepted"):
                if len(sender.accepted) > before:
                    break
            os.kill(pid_of(pipe, "gateway"), signal.SIGKILL)
            fault.fire("kill -9 of the gateway")
            with fault.recovering():
                before = len(sender.accepted)
                for _ in until("the gateway to accept again", 60):
                    pipe.supervisor.tend()
                    if len(sender.accepted) > before:
                        break
    for _ in until("every accepted completion to be decided", 120):
        if sender.accepted <= decided_ids(pipe).keys():
            break
    pipe.drain()


@pytest.mark.fault("P11")
def test_a_gateway_without_file_descriptors_refuses_does_not_crash_and_serves_again(
    pipe: Pipe, fault: Injection
) -> None:
    pid, address = pid_of(pipe, "gateway"), urlsplit(pipe.url)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 5, before[1]))  # noqa: PTH208
    try:
        with ExitStack() as connections:
            for _ in range(50):
                connection = connections.enter_context(socket.socket())
                connection.connect((address.hostname, address.port))
            with pytest.raises(httpx.TimeoutException):
                httpx.get(f"{pipe.url}/livez", timeout=3)
            fault.fire("no descriptor left")
        with fault.recovering():
            for _ in until("the gateway to answer"):
                try:
                    if httpx.get(f"{pipe.url}/readyz", timeout=5).is_success:
                        break
                except (httpx.TransportError, UnavailableError):
                    continue
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert pid_of(pipe, "gateway") == pid
    assert all(line.accepted for line in pipe.send([completion("after-descriptors")]))
    pipe.fate("after-descriptors-0")
