"""A broker's folder belongs to one broker at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from credstream.local.broker import BrokerError, start


def test_a_pid_left_by_a_broker_long_gone_is_never_blamed(tmp_path: Path) -> None:
    from credstream.local.broker import _exclusive

    (tmp_path / "lock").write_text("1")
    with _exclusive(tmp_path), pytest.raises(BrokerError, match=rf"already \(pid {os.getpid()}\).*broker\.log"):
        start(tmp_path)


@pytest.mark.fault("D2")
def test_a_folder_that_cannot_be_made_is_told_with_the_logs_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BrokerError, match=r"Not a directory.*broker\.log"):
        start(tmp_path / "file" / "kafka")
