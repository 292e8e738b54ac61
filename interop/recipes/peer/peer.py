"""Drives Kazoo for the tests of package recipes: one JSON object per line comes in, one goes out for each.

{"id": 1, "op": "connect", "object": "c1", "args": {"hosts": "127.0.0.1:2181"}}  ->  {"id": 1, "value": 72057594037927936}
{"id": 2, "op": "make", "object": "o1", "args": {"client": "c1", "kind": "Lock", "path": "/lock"}}
{"id": 3, "op": "acquire", "object": "o1", "args": {"timeout_ms": 5000}}

Each request has a thread of its own, so one that waits holds up nobody. Bytes are in base64.
"""
import base64
import datetime
import json
import logging
import os
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.recipe.lock import Lock

logging.basicConfig(stream=sys.stderr, level=logging.ERROR)

out = threading.Lock()
clients = {}
objects = {}


def seconds(args):
    return args["timeout_ms"] / 1000 if "timeout_ms" in args else None


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def decode(text):
    return base64.b64decode(text)


class RenamedLock(Lock):
    """A lock of a program that has given it Curator's ending."""
    _NODE_NAME = "-lock-"
    _EXCLUDE_NAMES = ["__lock__", "-lock-"]


class Locks:
    """Lock, ReadLock, WriteLock and Semaphore."""

    def __init__(self, lock):
        self.lock = lock

    def acquire(self, args):
        try:
            return self.lock.acquire(blocking=args.get("blocking", True), timeout=seconds(args))
        except LockTimeout:
            return False

    def release(self, args):
        return self.lock.release()

    def cancel(self, args):
        self.lock.cancel()

    def contenders(self, args):
        return self.lock.contenders()

    def holders(self, args):
        return self.lock.lease_holders()


class Election:
    """One who leads until it resigns."""

    def __init__(self, election):
        self.election = election
        self.elected = threading.Event()
        self.over = threading.Event()
        self.thread = None

    def lead(self, args):
        """Takes part, and returns when elected."""
        def func():
            self.elected.set()
            self.over.wait()
        if self.thread is None:
            self.thread = threading.Thread(target=self.election.run, args=(func,), daemon=True)
            self.thread.start()
        return self.elected.wait(seconds(args))

    def resign(self, args):
        self.over.set()
        self.thread.join(seconds(args))

    def contenders(self, args):
        return self.election.contenders()


class Barrier:
    def __init__(self, barrier):
        self.barrier = barrier

    def create(self, args):
        self.barrier.create()

    def remove(self, args):
        return self.barrier.remove()

    def wait(self, args):
        return self.barrier.wait(seconds(args))


class DoubleBarrier:
    def __init__(self, barrier):
        self.barrier = barrier

    def enter(self, args):
        self.barrier.enter()
        return self.barrier.participating

    def leave(self, args):
        self.barrier.leave()
        return not self.barrier.participating


class Counter:
    def __init__(self, counter):
        self.counter = counter

    def add(self, args):
        self.counter += self.counter.default_type(args["delta"])

    def value(self, args):
        return self.counter.value


class Queue:
    def __init__(self, queue):
        self.queue = queue

    def put(self, args):
        self.queue.put(decode(args["value"]), args.get("priority", 100))

    def get(self, args):
        return encode(self.queue.get())

    def len(self, args):
        return len(self.queue)


class LockingQueue(Queue):
    def put_all(self, args):
        self.queue.put_all([decode(v) for v in args["values"]], args.get("priority", 100))

    def get(self, args):
        return encode(self.queue.get(seconds(args)))

    def consume(self, args):
        return self.queue.consume()

    def release(self, args):
        return self.queue.release()

    def holds_lock(self, args):
        return self.queue.holds_lock()


class Party:
    def __init__(self, party):
        self.party = party

    def join(self, args):
        self.party.join()

    def leave(self, args):
        return self.party.leave()

    def members(self, args):
        return sorted(self.party)

    def len(self, args):
        return len(self.party)


class Partitioner:
    def __init__(self, partitioner):
        self.partitioner = partitioner

    def acquire(self, args):
        """Goes through the states until the set is divided among so many members, and returns its part."""
        deadline = datetime.datetime.now() + datetime.timedelta(seconds=seconds(args))
        p = self.partitioner
        while datetime.datetime.now() < deadline:
            if p.failed:
                raise RuntimeError("failed")
            if p.release:
                p.release_set()
            elif p.acquired:
                items = sorted(p)
                if len(items) == args["items"]:
                    return items
                p.state_change_event.clear()
                p.state_change_event.wait(1)
            else:
                p.wait_for_acquire(1)
        return sorted(p) if p.acquired else None

    def finish(self, args):
        self.partitioner.finish()


def lease(client, path, args):
    """Whether a lease was obtained."""
    duration = datetime.timedelta(seconds=args["seconds"])
    if "count" in args:
        return bool(client.MultiNonBlockingLease(args["count"], path, duration, args["identifier"]))
    return bool(client.NonBlockingLease(path, duration, args["identifier"]))


KINDS = {
    "Lock": lambda c, p, a: Locks(c.Lock(p, a.get("identifier"), a.get("patterns", ()))),
    "RenamedLock": lambda c, p, a: Locks(RenamedLock(c, p, a.get("identifier"))),
    "ReadLock": lambda c, p, a: Locks(c.ReadLock(p, a.get("identifier"))),
    "WriteLock": lambda c, p, a: Locks(c.WriteLock(p, a.get("identifier"))),
    "Semaphore": lambda c, p, a: Locks(c.Semaphore(p, a.get("identifier"), a["leases"])),
    "Election": lambda c, p, a: Election(c.Election(p, a.get("identifier"))),
    "Barrier": lambda c, p, a: Barrier(c.Barrier(p)),
    "DoubleBarrier": lambda c, p, a: DoubleBarrier(c.DoubleBarrier(p, a["members"], a.get("identifier"))),
    "Counter": lambda c, p, a: Counter(c.Counter(p)),
    "FloatCounter": lambda c, p, a: Counter(c.Counter(p, default=0.0)),
    "CuratorCounter": lambda c, p, a: Counter(c.Counter(p, support_curator=True)),
    "Queue": lambda c, p, a: Queue(c.Queue(p)),
    "LockingQueue": lambda c, p, a: LockingQueue(c.LockingQueue(p)),
    "Party": lambda c, p, a: Party(c.Party(p, a["identifier"])),
    "ShallowParty": lambda c, p, a: Party(c.ShallowParty(p, a["identifier"])),
    "SetPartitioner": lambda c, p, a: Partitioner(c.SetPartitioner(
        p, set(a["set"]), identifier=a["identifier"], time_boundary=a["boundary_ms"] / 1000)),
}


def handle(op, name, args):
    if op == "connect":
        client = KazooClient(hosts=args["hosts"], timeout=10)
        client.start(timeout=20)
        clients[name] = client
        return client.client_id[0]
    if op == "disconnect":
        client = clients.pop(name)
        client.stop()
        client.close()
        return None
    if op == "lease":
        return lease(clients[name], args["path"], args)
    if op == "make":
        objects[name] = KINDS[args["kind"]](clients[args["client"]], args["path"], args)
        return None
    return getattr(objects[name], op)(args)


def serve(request):
    reply = {"id": request["id"]}
    try:
        reply["value"] = handle(request["op"], request.get("object"), request.get("args") or {})
    except CancelledError:
        reply["error"] = "cancelled"
    except Exception as e:
        reply["error"] = "%s: %s" % (type(e).__name__, e)
    with out:
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


for line in sys.stdin:
    threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()
os._exit(0)
