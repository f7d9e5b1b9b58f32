"""A Ray cluster of this machine for tests: a head that runs nothing and two nodes of a core each, all on 127.0.0.1."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# Before Ray is imported: it takes the address of the network card for 127.0.0.1 otherwise, and tells its makers of its use.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
pytest.importorskip("ray", reason="Ray is not installed: pip install 'mgbench[ray]'")

NODE: dict[str, Any] = {"node_ip_address": "127.0.0.1", "include_dashboard": False, "num_gpus": 0}


class Nodes:
    """A cluster, and its nodes that do the work."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.address: str = cluster.address
        self.working: list[Any] = []
        self.complete()

    def complete(self) -> None:
        while len(self.working) < 2:
            self.working.append(self.cluster.add_node(num_cpus=1, **NODE))

    def lose_one(self) -> None:
        """At once, as when its plug is pulled."""
        self.cluster.remove_node(self.working.pop(), allow_graceful=False)


@contextmanager
def cluster() -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
    try:
        yield Nodes(started)
    finally:
        started.shutdown()
