"""Lets Kazoo's own tests run on a server that another process starts and stops.

A plugin of pytest. In place of the cluster that kazoo.testing would start it puts one server, which its owner stops and
starts when a test asks for it. Of every test it writes a line of JSON: its name, what became of it, why, and how long it
took.

Environment: KAZOO_SERVER is host:port of the server. KAZOO_CONTROL is the URL of its owner: a POST to URL/stop, URL/start
or URL/reset returns when it is done. KAZOO_RESULTS is the file to write. KAZOO_SHARD is i/n: of n processes that
share the tests, this is number i, from 0.
"""
import atexit
import json
import os
import urllib.request

import kazoo.testing.harness as harness

server_address = os.environ["KAZOO_SERVER"]
control = os.environ["KAZOO_CONTROL"]
results = open(os.environ["KAZOO_RESULTS"], "a", buffering=1)


class Server:
    """What kazoo.testing.common.ManagedZooKeeper is to the tests."""

    def __init__(self):
        self.running = True
        self.address = server_address
        self.host, port = server_address.rsplit(":", 1)
        self.client_port = int(port)

    def _order(self, what):
        with urllib.request.urlopen(urllib.request.Request(control + "/" + what, method="POST"), timeout=60) as answer:
            answer.read()

    def run(self):
        if not self.running:
            self._order("start")
            self.running = True

    def stop(self):
        if self.running:
            self._order("stop")
            self.running = False

    def reset(self):
        self.stop()
        self._order("reset")

    destroy = stop


class Cluster(list):
    """What kazoo.testing.common.ZookeeperCluster is to the tests."""

    def start(self):
        for server in self:
            server.run()

    def stop(self):
        for server in self:
            server.stop()

    def reset(self):
        for server in self:
            server.reset()

    terminate = stop


cluster = Cluster([Server()])
harness.get_global_cluster = lambda: cluster
# The next process finds the server up, however the last test left it.
atexit.register(cluster.start)

# Seconds that classes of tests take which take long; those of others are nearly nothing.
SECONDS = {
    "TestLegacySASLDigestAuthentication": 32,
    "TestSASLDigestAuthentication": 32,
    "TestClient": 23,
    "KazooPartitionerTests": 20,
    "KazooChildrenWatcherTests": 15,
    "TestGeventClient": 11,
    "TestEventletClient": 11,
    "TestEventletLock": 8,
    "KazooLockTests": 7,
    "KazooTreeCacheTests": 5,
    "TestEventletSemaphore": 5,
    "TestSemaphore": 4,
    "TestConnection": 4,
}


def pytest_collection_modifyitems(config, items):
    """Keeps the shard's tests: class by class, the longest first, to the shard that has least to do."""
    mine, n = (int(x) for x in os.environ.get("KAZOO_SHARD", "0/1").split("/"))
    counts = {}
    for item in items:
        counts[group(item)] = counts.get(group(item), 0) + 1
    load = [0.0] * n
    shard = {}
    cost = {g: SECONDS.get(g[1], 0.05 * count) for g, count in counts.items()}
    for g in sorted(counts, key=lambda g: (-cost[g], g)):
        shard[g] = load.index(min(load))
        load[shard[g]] += cost[g]
    config.hook.pytest_deselected(items=[item for item in items if shard[group(item)] != mine])
    items[:] = [item for item in items if shard[group(item)] == mine]


def group(item):
    return item.nodeid.split("::")[0], item.cls.__name__ if item.cls else ""


outcomes = {}
names = {}  # of tests, without the folder, by what pytest calls them, which depends on how they were selected


def pytest_itemcollected(item):
    names[item.nodeid] = os.path.basename(item.path) + "::" + item.nodeid.split("::", 1)[1]


def pytest_collectreport(report):
    """A module that does not run counts as one test."""
    if report.outcome != "passed":
        write(report.nodeid, report.outcome, reason(report), 0)


def pytest_runtest_logreport(report):
    """A test passes if its preparation, itself and its clean-up do."""
    outcome, why, seconds = outcomes.get(report.nodeid, ("passed", "", 0))
    if report.outcome != "passed" and outcome != "failed":
        outcome, why = report.outcome, reason(report)
    outcomes[report.nodeid] = outcome, why, seconds + report.duration
    if report.when == "teardown":
        write(report.nodeid, *outcomes.pop(report.nodeid))


def reason(report):
    text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    lines = [line for line in text.splitlines() if line.startswith("E ")] or text.splitlines() or [""]
    return lines[0].lstrip("E ").strip()


def write(test, outcome, why, seconds):
    name = names.get(test, test)
    results.write(json.dumps({"test": name, "outcome": outcome, "reason": why, "seconds": round(seconds, 3)}) + "\n")
