"""Puts a load on Kazoo, by its asynchronous interface: each callback makes the next call.

It has the flags of the load programs in Go, and prints the same JSON.
"""

import argparse
import json
import math
import platform
import re
import resource
import sys
import threading
import time

import kazoo
from kazoo.client import KazooClient

UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def duration(text):
    """A duration as Go writes it, such as 1m0.5s, in seconds."""
    parts = re.findall(r"([0-9.]+)(ms|us|µs|ns|h|m|s)", text)
    return sum(float(n) * UNITS[unit] for n, unit in parts)


def flags():
    p = argparse.ArgumentParser(allow_abbrev=False)
    p.add_argument("-hosts", default="127.0.0.1:2181")
    p.add_argument("-op", default="get")
    p.add_argument("-mode", default="sync")
    for name, otherwise in [("size", 100), ("names", 100), ("inflight", 1), ("goroutines", 1), ("conns", 1), ("sample", 0)]:
        p.add_argument("-" + name, type=int, default=otherwise)
    p.add_argument("-unique", action="store_true")
    p.add_argument("-json", action="store_true")
    p.add_argument("-duration", type=duration, default=2)
    p.add_argument("-warmup", type=duration, default=0.5)
    f = p.parse_args()
    if f.sample == 0:
        f.sample = 17 if f.size < 10000 and f.op in ("get", "set", "exists", "create") else 1
    return f


class State:
    """What the slots share. One thread, Kazoo's, runs all callbacks of a client."""

    def __init__(self):
        self.running = True
        self.failure = None
        self.lock = threading.Lock()
        self.latencies = []
        self.slots = []
        self.ended = 0  # operations of episodes and of connects

    def ops(self):
        return self.ended + sum(s.ops for s in self.slots)


class Slot:
    """One of the calls in flight: its callback makes the next one."""

    def __init__(self, f, state, client, i):
        self.f, self.state, self.client = f, state, client
        self.n, self.ops, self.since = i % f.sample, 0, 0
        self.idle = threading.Event()
        self.data = b"\0" * f.size
        self.path = "/bench/get-%d" % f.size
        if f.op == "children":
            self.path = "/bench/children-%d" % f.names
        elif f.op == "create":
            self.path = "/bench/create/n-"
        self.call = getattr(self, f.op)

    def get(self):
        return self.client.get_async(self.path)

    def set(self):
        return self.client.set_async(self.path, self.data)

    def exists(self):
        return self.client.exists_async(self.path)

    def create(self):
        return self.client.create_async(self.path, self.data, sequence=self.f.unique)

    def children(self):
        return self.client.get_children_async(self.path)

    def multi(self):
        t = self.client.transaction()
        for i in range(self.f.names):
            t.create("/bench/create/m-%04d" % i, self.data, sequence=self.f.unique)
        return t.commit_async()

    def submit(self):
        self.n += 1
        self.since = 0
        if self.n >= self.f.sample:
            self.n = 0
            self.since = time.perf_counter_ns()
        self.call().rawlink(self.done)

    def done(self, result):
        error = result.exception
        if error is None:
            value = result.value
            if self.f.op == "get" and len(value[0]) != self.f.size:
                error = "%d bytes" % len(value[0])
            elif self.f.op == "children" and len(value) != self.f.names:
                error = "%d names" % len(value)
            elif self.f.op == "multi" and any(isinstance(v, Exception) for v in value):
                error = value
        if error is not None:
            self.state.failure = "%s: %r" % (self.f.op, error)
            self.state.running = False
        else:
            self.ops += 1
            if self.since:
                self.state.latencies.append(time.perf_counter_ns() - self.since)
        if self.state.running:
            self.submit()
        else:
            self.idle.set()


def mark(state):
    u = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": u.ru_utime + u.ru_stime, "ops": state.ops(), "at": time.perf_counter()}


def quantile(values, q):
    return values[max(math.ceil(q * len(values)), 1) - 1] / 1e3


def report(f, state, before, after, seconds, latencies, extra):
    n = after["ops"] - before["ops"]
    if n == 0:
        sys.exit("load-kazoo: nothing ended within the measured time")
    r = {
        "client": "kazoo", "version": kazoo.__version__, "runtime": "python " + platform.python_version(),
        "op": f.op, "mode": "asynchronous", "size": f.size, "names": f.names, "inflight": f.inflight,
        "goroutines": f.goroutines, "conns": f.conns, "seconds": seconds, "ops": n, "total": state.ops(),
        "ops_per_second": n / seconds, "cpu_us_per_op": (after["cpu"] - before["cpu"]) * 1e6 / n,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    latencies = sorted(latencies)
    if latencies:
        r.update(p50_us=quantile(latencies, 0.5), p99_us=quantile(latencies, 0.99), p999_us=quantile(latencies, 0.999))
    if extra:
        r["extra"] = extra
    print(json.dumps(r))


def connect(f):
    client = KazooClient(hosts=f.hosts, timeout=30)
    client.start(timeout=10)
    return client


def disconnect(client):
    client.stop()
    client.close()


def pause(state, seconds):
    time.sleep(seconds)
    check(state)


def check(state):
    if state.failure:
        sys.exit("load-kazoo: " + state.failure)


def window(f, state):
    """Measures between two marks while the load goes on."""
    pause(state, f.warmup)
    first = len(state.latencies)
    before = mark(state)
    pause(state, f.duration)
    while state.ops() == before["ops"]:
        pause(state, 0.01)
    after = mark(state)
    return before, after, state.latencies[first:]


def stream(f):
    state = State()
    clients = [connect(f) for _ in range(f.conns)]
    depth = max(f.inflight, f.goroutines)
    state.slots = [Slot(f, state, client, i) for client in clients for i in range(depth)]
    for slot in state.slots:
        slot.submit()
    before, after, latencies = window(f, state)
    state.running = False
    for slot in state.slots:
        slot.idle.wait(10)
    check(state)
    report(f, state, before, after, after["at"] - before["at"], latencies, None)
    for client in clients:
        disconnect(client)


def connects(f):
    state = State()

    def work():
        try:
            while state.running:
                begin = time.perf_counter_ns()
                disconnect(connect(f))
                with state.lock:
                    state.latencies.append(time.perf_counter_ns() - begin)
                    state.ended += 1
        except Exception as e:
            state.failure = repr(e)

    callers = [threading.Thread(target=work) for _ in range(max(f.inflight, f.goroutines))]
    for t in callers:
        t.start()
    before, after, latencies = window(f, state)
    state.running = False
    for t in callers:
        t.join()
    check(state)
    report(f, state, before, after, after["at"] - before["at"], latencies, None)


def watches(f):
    state = State()
    client = connect(f)

    def episode():
        begin = time.perf_counter()
        left = [f.names]
        fired = threading.Event()

        def event(e):
            left[0] -= 1
            if left[0] == 0:
                fired.set()

        flight = [client.get_async("/bench/watched/w%07d-0" % i, watch=event) for i in range(f.names)]
        for result in flight:
            result.get()
        fire = time.perf_counter()
        client.set_async("/canned/fire", b"")
        fired.wait(60)
        if left[0] > 0:
            sys.exit("load-kazoo: %d events are missing" % left[0])
        state.ended += f.names
        return time.perf_counter() - fire, fire - begin

    end = time.perf_counter() + f.warmup
    episode()
    while time.perf_counter() < end:
        episode()
    before, busy, setting, latencies = mark(state), 0, 0, []
    end = time.perf_counter() + f.duration
    while not latencies or time.perf_counter() < end:
        took, setup = episode()
        busy += took
        setting += setup
        latencies.append(took * 1e9)
    after = mark(state)
    extra = {"episodes": len(latencies), "set_ms": setting * 1e3 / len(latencies)}
    report(f, state, before, after, busy, latencies, extra)
    disconnect(client)


def main():
    f = flags()
    if f.op in ("get", "set", "exists", "create", "children", "multi"):
        stream(f)
    elif f.op == "connect":
        connects(f)
    elif f.op == "watch":
        watches(f)
    else:
        sys.exit(3)  # it does not register watches again by itself


main()
