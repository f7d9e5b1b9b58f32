"""Engine for Ray: a running cluster, or one started on this machine for the run."""

import contextlib
import importlib.util
import logging
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mgbench.engines.devices import cuda_slots
from mgbench.engines.ray.cluster import ActorResources, ClusterRun
from mgbench.errors import UserError
from mgbench.hookspecs import hookimpl
from mgbench.interfaces.engine import Engine, Leases
from mgbench.machine import cores
from mgbench.results.wording import counted

# Seconds after which an address counts as dead: Ray itself tries for many minutes.
PATIENCE = 20.0
_ASKED = re.compile(r"auto|cuda|cpu(:(?P<number>[1-9]\d*))?")
_TRY = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False); ray.shutdown()"
_OF_OURS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Otherwise Ray sends the working folder to every node.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # Silences a deprecation warning of Ray about actors without a GPU.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Ray:
    """On a Ray cluster: an actor for each trial, on any node with enough free CPUs or GPUs.

    `address` is the cluster's, host:port, or "auto" for the cluster that this machine belongs to; without it, a cluster
    is started on this machine for the run. Each node checks whether it sees the results folder by its path, and then
    writes into it; with `shared=false` none checks, and all results return through Ray.
    """

    address: str = ""
    shared: bool = True

    def open(self, leases: Leases) -> ClusterRun:
        if not importlib.util.find_spec("ray"):
            raise UserError("the engine 'ray' needs a package that is not installed: pip install 'mgbench[ray]'")
        os.environ.update(_OF_OURS)
        if self.address:
            connection = contextlib.ExitStack()
            ray = connection.enter_context(_connected(self.address))
            resources = actor_resources(leases, [node["Resources"] for node in ray.nodes() if node["Alive"]])
            return ClusterRun(_open(ray, connection), resources, leases, self.shared)
        here = {"CPU": _cores(leases.devices), "GPU": len(cuda_slots())}
        return ClusterRun(_started(here), actor_resources(leases, [here]), leases, self.shared)


def actor_resources(leases: Leases, nodes: Sequence[Mapping[str, float]]) -> ActorResources:
    """The resources that each trial requests of a cluster whose nodes have these.

    Raises:
        UserError: if Ray cannot assign such devices, or no node has enough of them.
    """
    asked = _ASKED.fullmatch(leases.devices.strip())
    if not asked:
        raise UserError(
            f"cannot run on {leases.devices!r}: which devices of the cluster a trial gets is for Ray to say; take auto, cuda, "
            "cpu, or cpu:4 for at most four of its cores at once"
        )
    most = {kind: max((node.get(kind, 0) for node in nodes), default=0) for kind in ("CPU", "GPU")}
    kind = "GPU" if asked[0].startswith("cuda") or (asked[0].startswith("auto") and most["GPU"]) else "CPU"
    if most[kind] < leases.each:
        raise UserError(
            f"each trial takes {counted(leases.each, kind)} of one node, and the largest node of the cluster "
            f"has {most[kind]:g}; start another node, or change --devices or --devices-per-trial"
        )
    at_once = int(asked["number"]) // leases.each if asked["number"] else math.inf
    if at_once < 1:
        raise UserError(f"--devices {asked[0]} is too few for --devices-per-trial {leases.each}; name more")
    return ActorResources(kind, leases.each, at_once)


def _cores(devices: str) -> int:
    """The number of cores asked for, which may exceed those of the machine, as on the local engine."""
    asked = _ASKED.fullmatch(devices.strip())
    return int(asked["number"]) if asked and asked["number"] else cores()


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    import ray

    if ray.is_initialized():
        # Connected by the surrounding program, which closes it.
        yield ray
        return
    _check(address)
    with _as_sentences(f"cannot join the Ray cluster at {address!r}"), _own_signals():
        ray.init(address=address, **_QUIET)
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _open(ray: ModuleType, connection: contextlib.ExitStack) -> Iterator[Any]:
    with connection:
        yield ray


@contextlib.contextmanager
def _started(here: Mapping[str, int]) -> Iterator[Any]:
    """A cluster of this machine alone, bound to the loopback address."""
    # Otherwise Ray replaces 127.0.0.1 by an address that other machines reach.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    import ray

    with _as_sentences("Ray does not start on this machine"), _own_signals():
        ray.init(
            address="local",
            num_cpus=here["CPU"],
            num_gpus=here["GPU"],
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **_QUIET,
        )
    try:
        yield ray
    finally:
        ray.shutdown()


def _check(address: str) -> None:
    """Try to connect in a separate process, because `ray.init` without a cluster blocks for many minutes.

    Raises:
        UserError: if no cluster answers.
    """
    if "://" in address:
        raise UserError(
            f"cannot join {address!r}: run the command on a machine of the cluster (where --address auto finds it), or submit it "
            "there as a job; see docs/guides/clusters.md"
        )
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", _TRY, address], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if tried.returncode == 0:
            return
        why = _last_line(tried.stderr)
    except subprocess.TimeoutExpired as late:
        why = f"nothing within {PATIENCE:g} s; {_last_line(late.stderr or '')}"
    if "uthentication" in why:
        why += "; a cluster that asks for a token is joined with RAY_AUTH_MODE=token"
    raise UserError(
        f"no Ray cluster answers at {address!r} ({why}); start one with `ray start --head`, or leave the address out, and one is "
        "started on this machine for the run"
    )


def _last_line(said: str | bytes) -> str:
    text = said if isinstance(said, str) else said.decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    # Log lines of Ray begin with a time and a source location.
    return re.sub(r"^\[.*?\] \S+: ", "", lines[-1]) if lines else "no message"


@contextlib.contextmanager
def _as_sentences(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{what}: {' '.join(str(error).split())}") from None


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Restore the SIGTERM handler that Ray replaces: Ray's exits before checkpoints are written."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


@hookimpl
def mgbench_engines() -> dict[str, type[Engine]]:
    return {"ray": Ray}
