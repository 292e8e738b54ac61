import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.leader.Participant;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.locks.Revoker;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceInstanceBuilder;
import org.apache.curator.x.discovery.ServiceType;
import org.apache.curator.x.discovery.UriSpec;
import org.apache.curator.x.discovery.details.JsonInstanceSerializer;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.recipes.leader.LeaderElectionSupport;
import org.apache.zookeeper.recipes.lock.LockListener;
import org.apache.zookeeper.recipes.lock.WriteLock;

/** Drives Curator and ZooKeeper's own recipes for the tests of package recipes, in the same way as peer.py drives Kazoo. */
public class Peer {
    interface Recipe {
        Object call(String op, JsonNode args) throws Exception;

        /** Whether an operation must run where the others of the object do: Curator's locks belong to threads. */
        default boolean bound(String op) {
            return false;
        }
    }

    static final ObjectMapper json = new ObjectMapper();
    static final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    static final Map<String, CuratorFramework> clients = new ConcurrentHashMap<>();
    static final Map<String, Recipe> recipes = new ConcurrentHashMap<>();
    static final Map<String, ExecutorService> threads = new ConcurrentHashMap<>();
    static final ExecutorService pool = Executors.newCachedThreadPool();

    public static void main(String[] args) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            JsonNode request = json.readTree(line);
            String op = request.get("op").asText();
            String object = request.path("object").asText();
            Recipe recipe = recipes.get(object);
            ExecutorService where = recipe != null && recipe.bound(op) ? threads.get(object) : pool;
            where.execute(() -> serve(request, op, object, recipe));
        }
        Runtime.getRuntime().halt(0);
    }

    static void serve(JsonNode request, String op, String object, Recipe recipe) {
        ObjectNode reply = json.createObjectNode();
        reply.set("id", request.get("id"));
        try {
            reply.set("value", json.valueToTree(handle(op, object, recipe, request.path("args"))));
        } catch (Throwable e) {
            reply.put("error", e.toString());
        }
        synchronized (out) {
            out.print(reply + "\n");
            out.flush();
        }
    }

    static Object handle(String op, String object, Recipe recipe, JsonNode args) throws Exception {
        switch (op) {
            case "connect": {
                CuratorFramework client = CuratorFrameworkFactory.builder().connectString(args.get("hosts").asText())
                        .sessionTimeoutMs(10_000).retryPolicy(new ExponentialBackoffRetry(100, 5)).build();
                client.start();
                if (!client.blockUntilConnected(20, TimeUnit.SECONDS)) {
                    throw new IllegalStateException("no connection");
                }
                clients.put(object, client);
                return client.getZookeeperClient().getZooKeeper().getSessionId();
            }
            case "disconnect":
                clients.remove(object).close();
                return null;
            case "revoke":
                Revoker.attemptRevoke(clients.get(object), args.get("path").asText());
                return null;
            case "make":
                threads.put(object, Executors.newSingleThreadExecutor());
                recipes.put(object, make(clients.get(args.get("client").asText()), args.get("kind").asText(), args.path("path").asText(), args));
                return null;
        }
        if (recipe == null) {
            throw new IllegalArgumentException("no object " + object);
        }
        return recipe.call(op, args);
    }

    static Recipe make(CuratorFramework client, String kind, String path, JsonNode args) throws Exception {
        switch (kind) {
            case "InterProcessMutex":
                return new Mutex(new InterProcessMutex(client, path));
            case "InterProcessSemaphoreMutex":
                return new Locks(new InterProcessSemaphoreMutex(client, path));
            case "InterProcessMultiLock":
                return new Locks(new InterProcessMultiLock(client, strings(args.get("paths"))));
            case "InterProcessReadWriteLock":
                return new ReadWrite(new InterProcessReadWriteLock(client, path));
            case "InterProcessSemaphoreV2":
                if (args.has("size_path")) {
                    SharedCount size = new SharedCount(client, args.get("size_path").asText(), args.get("leases").asInt());
                    size.start();
                    return new Semaphore(new InterProcessSemaphoreV2(client, path, size));
                }
                return new Semaphore(new InterProcessSemaphoreV2(client, path, args.get("leases").asInt()));
            case "LeaderLatch":
                return new Latch(client, path, args);
            case "LeaderSelector":
                return new Selector(client, path, args);
            case "DistributedBarrier":
                return new Barrier(new DistributedBarrier(client, path));
            case "DistributedDoubleBarrier":
                return new DoubleBarrier(new DistributedDoubleBarrier(client, path, args.get("members").asInt()));
            case "SharedCount":
                return new Count(new SharedCount(client, path, args.path("seed").asInt(0)));
            case "SharedValue":
                return new Value(new SharedValue(client, path, bytes(args.get("seed"))));
            case "DistributedAtomicInteger":
                return new AtomicInt(new DistributedAtomicInteger(client, path, new RetryNTimes(5, 10)));
            case "DistributedAtomicLong":
                return new AtomicLong(new DistributedAtomicLong(client, path, new RetryNTimes(5, 10)));
            case "SimpleDistributedQueue":
                return new SimpleQueue(new SimpleDistributedQueue(client, path));
            case "DistributedQueue":
            case "DistributedPriorityQueue":
            case "DistributedDelayQueue":
            case "DistributedIdQueue":
                return new Queue(client, kind, path, args);
            case "GroupMember":
                return new Member(new GroupMember(client, path, args.get("identifier").asText(), bytes(args.get("data"))));
            case "PersistentNode":
                return new Node(new PersistentNode(client, CreateMode.EPHEMERAL, args.path("protection").asBoolean(), path, bytes(args.get("data"))));
            case "ServiceDiscovery":
                return new Discovery(ServiceDiscoveryBuilder.builder(Object.class).client(client).basePath(path)
                        // By default it does not write whether an instance is enabled.
                        .serializer(new JsonInstanceSerializer<>(Object.class, !args.path("enabled_field").asBoolean())).build());
            case "WriteLock":
                return new ZooKeeperLock(client.getZookeeperClient().getZooKeeper(), path);
            case "ZooKeeperQueue":
                return new ZooKeeperQueue(new org.apache.zookeeper.recipes.queue.DistributedQueue(
                        client.getZookeeperClient().getZooKeeper(), path, ZooDefs.Ids.OPEN_ACL_UNSAFE));
            case "LeaderElectionSupport":
                return new ZooKeeperElection(client.getZookeeperClient().getZooKeeper(), path, args.get("identifier").asText());
        }
        throw new IllegalArgumentException("unknown kind " + kind);
    }

    static class Locks implements Recipe {
        private final InterProcessLock lock;

        Locks(InterProcessLock lock) {
            this.lock = lock;
        }

        public boolean bound(String op) {
            return op.equals("acquire") || op.equals("release");
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "acquire":
                    return lock.acquire(millis(args), TimeUnit.MILLISECONDS);
                case "release":
                    lock.release();
                    return true;
            }
            throw unknown(op);
        }
    }

    static class Mutex extends Locks {
        private final InterProcessMutex mutex;
        private final CountDownLatch revoked = new CountDownLatch(1);

        Mutex(InterProcessMutex mutex) {
            super(mutex);
            this.mutex = mutex;
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "revocable": // from the next acquire on
                    mutex.makeRevocable(m -> revoked.countDown());
                    return null;
                case "revoked":
                    return revoked.await(millis(args), TimeUnit.MILLISECONDS);
                case "participants":
                    return mutex.getParticipantNodes();
            }
            return super.call(op, args);
        }
    }

    static class ReadWrite implements Recipe {
        private final InterProcessReadWriteLock lock;

        ReadWrite(InterProcessReadWriteLock lock) {
            this.lock = lock;
        }

        public boolean bound(String op) {
            return true;
        }

        public Object call(String op, JsonNode args) throws Exception {
            InterProcessMutex side = args.path("mode").asText().equals("read") ? lock.readLock() : lock.writeLock();
            switch (op) {
                case "acquire":
                    return side.acquire(millis(args), TimeUnit.MILLISECONDS);
                case "release":
                    side.release();
                    return true;
                case "participants":
                    return side.getParticipantNodes();
            }
            throw unknown(op);
        }
    }

    static class Semaphore implements Recipe {
        private final InterProcessSemaphoreV2 semaphore;
        private final Deque<Lease> leases = new ArrayDeque<>();

        Semaphore(InterProcessSemaphoreV2 semaphore) {
            this.semaphore = semaphore;
        }

        public boolean bound(String op) {
            return !op.equals("participants");
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "acquire": {
                    Lease lease = semaphore.acquire(millis(args), TimeUnit.MILLISECONDS);
                    if (lease != null) {
                        leases.push(lease);
                    }
                    return lease != null;
                }
                case "release":
                    semaphore.returnLease(leases.pop());
                    return true;
                case "participants":
                    return semaphore.getParticipantNodes();
            }
            throw unknown(op);
        }
    }

    static class Latch implements Recipe {
        private final LeaderLatch latch;

        Latch(CuratorFramework client, String path, JsonNode args) throws Exception {
            latch = new LeaderLatch(client, path, args.path("identifier").asText());
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "lead":
                    if (latch.getState() == LeaderLatch.State.LATENT) {
                        latch.start();
                    }
                    return latch.await(millis(args), TimeUnit.MILLISECONDS);
                case "resign":
                    latch.close();
                    return null;
                case "leading":
                    return latch.hasLeadership();
                case "leader":
                    return latch.getLeader().getId();
                case "contenders":
                    return ids(latch.getParticipants());
            }
            throw unknown(op);
        }
    }

    static class Selector implements Recipe {
        private final LeaderSelector selector;
        private final CountDownLatch elected = new CountDownLatch(1);
        private final CountDownLatch over = new CountDownLatch(1);
        private final CountDownLatch ended = new CountDownLatch(1);
        private boolean started;

        Selector(CuratorFramework client, String path, JsonNode args) {
            selector = new LeaderSelector(client, path, new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) throws Exception {
                    elected.countDown();
                    over.await();
                    ended.countDown();
                }
            });
            selector.setId(args.path("identifier").asText());
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "lead":
                    synchronized (this) {
                        if (!started) {
                            selector.start();
                            started = true;
                        }
                    }
                    return elected.await(millis(args), TimeUnit.MILLISECONDS);
                case "resign":
                    // Nothing is closed: that would interrupt the thread that deletes the znode.
                    over.countDown();
                    ended.await();
                    return null;
                case "leading":
                    return selector.hasLeadership();
                case "leader":
                    return selector.getLeader().getId();
                case "contenders":
                    return ids(selector.getParticipants());
            }
            throw unknown(op);
        }
    }

    static class Barrier implements Recipe {
        private final DistributedBarrier barrier;

        Barrier(DistributedBarrier barrier) {
            this.barrier = barrier;
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "create":
                    barrier.setBarrier();
                    return null;
                case "remove":
                    barrier.removeBarrier();
                    return null;
                case "wait":
                    return barrier.waitOnBarrier(millis(args), TimeUnit.MILLISECONDS);
            }
            throw unknown(op);
        }
    }

    static class DoubleBarrier implements Recipe {
        private final DistributedDoubleBarrier barrier;

        DoubleBarrier(DistributedDoubleBarrier barrier) {
            this.barrier = barrier;
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "enter":
                    return barrier.enter(millis(args), TimeUnit.MILLISECONDS);
                case "leave":
                    return barrier.leave(millis(args), TimeUnit.MILLISECONDS);
            }
            throw unknown(op);
        }
    }

    static class Count implements Recipe {
        private final SharedCount count;

        Count(SharedCount count) throws Exception {
            this.count = count;
            count.start();
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "value":
                    return count.getCount();
                case "set":
                    count.setCount(args.get("value").asInt());
                    return null;
                case "add": {
                    while (!count.trySetCount(count.getVersionedValue(), count.getCount() + args.get("delta").asInt())) {
                        Thread.onSpinWait();
                    }
                    return null;
                }
                case "close":
                    count.close();
                    return null;
            }
            throw unknown(op);
        }
    }

    static class Value implements Recipe {
        private final SharedValue value;

        Value(SharedValue value) throws Exception {
            this.value = value;
            value.start();
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "value":
                    return value.getValue();
                case "set":
                    return value.trySetValue(value.getVersionedValue(), bytes(args.get("value")));
                case "close":
                    value.close();
                    return null;
            }
            throw unknown(op);
        }
    }

    static class AtomicInt implements Recipe {
        private final DistributedAtomicInteger atomic;

        AtomicInt(DistributedAtomicInteger atomic) {
            this.atomic = atomic;
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "value":
                    return checked(atomic.get());
                case "add":
                    return applied(() -> atomic.add(args.get("delta").asInt()));
            }
            throw unknown(op);
        }
    }

    static class AtomicLong implements Recipe {
        private final DistributedAtomicLong atomic;

        AtomicLong(DistributedAtomicLong atomic) {
            this.atomic = atomic;
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "value":
                    return checked(atomic.get());
                case "add":
                    return applied(() -> atomic.add(args.get("delta").asLong()));
            }
            throw unknown(op);
        }
    }

    static <T> T checked(AtomicValue<T> value) {
        if (!value.succeeded()) {
            throw new IllegalStateException("not applied");
        }
        return value.postValue();
    }

    /** Repeats a change until nobody else was faster. */
    static <T> T applied(Callable<AtomicValue<T>> change) throws Exception {
        for (;;) {
            AtomicValue<T> value = change.call();
            if (value.succeeded()) {
                return value.postValue();
            }
        }
    }

    static class SimpleQueue implements Recipe {
        private final SimpleDistributedQueue queue;

        SimpleQueue(SimpleDistributedQueue queue) {
            this.queue = queue;
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "put":
                    return queue.offer(bytes(args.get("value")));
                case "peek":
                    return queue.peek();
                case "get":
                    return queue.poll(millis(args), TimeUnit.MILLISECONDS);
            }
            throw unknown(op);
        }
    }

    static class ZooKeeperQueue implements Recipe {
        private final org.apache.zookeeper.recipes.queue.DistributedQueue queue;

        ZooKeeperQueue(org.apache.zookeeper.recipes.queue.DistributedQueue queue) {
            this.queue = queue;
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "put":
                    return queue.offer(bytes(args.get("value")));
                case "get":
                    return queue.take();
            }
            throw unknown(op);
        }
    }

    /** The queues with a consumer. With "consume" what arrives is taken by "get", else it only puts. */
    static class Queue implements Recipe {
        private final LinkedBlockingQueue<byte[]> taken = new LinkedBlockingQueue<>();
        private final DistributedQueue<byte[]> plain;
        private final DistributedPriorityQueue<byte[]> priority;
        private final DistributedDelayQueue<byte[]> delay;
        private final DistributedIdQueue<byte[]> id;

        Queue(CuratorFramework client, String kind, String path, JsonNode args) throws Exception {
            QueueConsumer<byte[]> consumer = !args.path("consume").asBoolean() ? null : new QueueConsumer<>() {
                @Override
                public void consumeMessage(byte[] message) {
                    taken.add(message);
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {}
            };
            QueueBuilder<byte[]> builder = QueueBuilder.builder(client, consumer, new QueueSerializer<>() {
                @Override
                public byte[] serialize(byte[] item) {
                    return item;
                }

                @Override
                public byte[] deserialize(byte[] bytes) {
                    return bytes;
                }
            }, path).putInBackground(false);
            if (args.has("lock_path")) {
                builder = builder.lockPath(args.get("lock_path").asText());
            }
            plain = kind.equals("DistributedQueue") ? builder.buildQueue() : null;
            priority = kind.equals("DistributedPriorityQueue") ? builder.buildPriorityQueue(0) : null;
            delay = kind.equals("DistributedDelayQueue") ? builder.buildDelayQueue() : null;
            id = kind.equals("DistributedIdQueue") ? builder.buildIdQueue() : null;
            if (plain != null) {
                plain.start();
            } else if (priority != null) {
                priority.start();
            } else if (delay != null) {
                delay.start();
            } else {
                id.start();
            }
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "put":
                    if (plain != null) {
                        plain.put(bytes(args.get("value")));
                    } else if (priority != null) {
                        priority.put(bytes(args.get("value")), args.get("priority").asInt());
                    } else if (delay != null) {
                        delay.put(bytes(args.get("value")), System.currentTimeMillis() + args.get("delay_ms").asLong());
                    } else {
                        id.put(bytes(args.get("value")), args.get("identifier").asText());
                    }
                    return null;
                case "put_all": {
                    var values = args.get("values").elements();
                    plain.putMulti(() -> values.hasNext() ? bytes(values.next()) : null);
                    return null;
                }
                case "remove":
                    return id.remove(args.get("identifier").asText());
                case "get":
                    return taken.poll(millis(args), TimeUnit.MILLISECONDS);
                case "close":
                    if (plain != null) {
                        plain.close();
                    } else if (priority != null) {
                        priority.close();
                    } else if (delay != null) {
                        delay.close();
                    } else {
                        id.close();
                    }
                    return null;
            }
            throw unknown(op);
        }
    }

    static class Member implements Recipe {
        private final GroupMember member;

        Member(GroupMember member) {
            this.member = member;
            member.start();
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "members":
                    return new TreeMap<>(member.getCurrentMembers());
                case "set":
                    for (;;) {
                        try {
                            member.setThisData(bytes(args.get("data")));
                            return null;
                        } catch (IllegalStateException e) {
                            // Curator refuses until it has heard of its own create.
                            Thread.sleep(5);
                        }
                    }
                case "close":
                    member.close();
                    return null;
            }
            throw unknown(op);
        }
    }

    static class Node implements Recipe {
        private final PersistentNode node;

        Node(PersistentNode node) throws Exception {
            this.node = node;
            node.start();
            if (!node.waitForInitialCreate(20, TimeUnit.SECONDS)) {
                throw new IllegalStateException("not created");
            }
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "path":
                    return node.getActualPath();
                case "close":
                    node.close();
                    return null;
            }
            throw unknown(op);
        }
    }

    static class Discovery implements Recipe {
        private final ServiceDiscovery<Object> discovery;
        private final Map<String, ServiceInstance<Object>> registered = new ConcurrentHashMap<>();

        Discovery(ServiceDiscovery<Object> discovery) throws Exception {
            this.discovery = discovery;
            discovery.start();
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "register": {
                    ServiceInstanceBuilder<Object> b = ServiceInstance.<Object>builder().name(args.get("name").asText())
                            .id(args.get("identifier").asText()).address(args.get("address").asText()).enabled(args.path("enabled").asBoolean(true));
                    if (args.has("port")) {
                        b.port(args.get("port").asInt());
                    }
                    if (args.has("ssl_port")) {
                        b.sslPort(args.get("ssl_port").asInt());
                    }
                    if (args.has("uri")) {
                        b.uriSpec(new UriSpec(args.get("uri").asText()));
                    }
                    if (args.has("type")) {
                        b.serviceType(ServiceType.valueOf(args.get("type").asText()));
                    }
                    if (args.has("payload")) {
                        JsonNode payload = args.get("payload");
                        b.payload(payload.isTextual() ? payload.asText() : json.convertValue(payload, TreeMap.class));
                    }
                    ServiceInstance<Object> instance = b.build();
                    discovery.registerService(instance);
                    registered.put(instance.getId(), instance);
                    return null;
                }
                case "unregister":
                    discovery.unregisterService(registered.remove(args.get("identifier").asText()));
                    return null;
                case "names":
                    return discovery.queryForNames().stream().sorted().toList();
                case "instances": {
                    List<Object> all = new ArrayList<>();
                    for (ServiceInstance<Object> i : discovery.queryForInstances(args.get("name").asText())) {
                        ObjectNode o = json.createObjectNode();
                        o.put("name", i.getName());
                        o.put("id", i.getId());
                        o.put("address", i.getAddress());
                        o.put("port", i.getPort());
                        o.put("ssl_port", i.getSslPort());
                        o.put("registered", i.getRegistrationTimeUTC());
                        o.put("type", i.getServiceType().toString());
                        o.put("enabled", i.isEnabled());
                        o.put("uri", i.getUriSpec() == null ? null : i.buildUriSpec());
                        o.set("payload", json.valueToTree(i.getPayload()));
                        all.add(o);
                    }
                    return all;
                }
                case "close":
                    discovery.close();
                    return null;
            }
            throw unknown(op);
        }
    }

    static class ZooKeeperLock implements Recipe {
        private final WriteLock lock;
        private final CountDownLatch acquired = new CountDownLatch(1);

        ZooKeeperLock(ZooKeeper zk, String path) {
            lock = new WriteLock(zk, path, null, new LockListener() {
                @Override
                public void lockAcquired() {
                    acquired.countDown();
                }

                @Override
                public void lockReleased() {}
            });
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "acquire":
                    lock.lock();
                    return acquired.await(millis(args), TimeUnit.MILLISECONDS);
                case "release":
                    lock.unlock();
                    return true;
            }
            throw unknown(op);
        }
    }

    static class ZooKeeperElection implements Recipe {
        private final LeaderElectionSupport election = new LeaderElectionSupport();
        private final CountDownLatch elected = new CountDownLatch(1);
        private volatile boolean failed;
        private boolean started;

        ZooKeeperElection(ZooKeeper zk, String path, String identifier) {
            election.setZooKeeper(zk);
            election.setRootNodeName(path);
            election.setHostName(identifier);
            election.addListener(e -> {
                if (e == LeaderElectionSupport.EventType.FAILED) {
                    failed = true;
                    elected.countDown();
                } else if (e == LeaderElectionSupport.EventType.ELECTED_COMPLETE) {
                    elected.countDown();
                }
            });
        }

        public Object call(String op, JsonNode args) throws Exception {
            switch (op) {
                case "lead":
                    synchronized (this) {
                        if (!started) {
                            election.start();
                            started = true;
                        }
                    }
                    if (elected.await(millis(args), TimeUnit.MILLISECONDS) && failed) {
                        throw new IllegalStateException("failed");
                    }
                    return elected.getCount() == 0;
                case "resign":
                    election.stop();
                    return null;
                case "leader":
                    return election.getLeaderHostName();
            }
            throw unknown(op);
        }
    }

    static long millis(JsonNode args) {
        return args.path("timeout_ms").asLong(600_000);
    }

    static byte[] bytes(JsonNode text) {
        return Base64.getDecoder().decode(text == null ? "" : text.asText());
    }

    static List<String> strings(JsonNode list) {
        List<String> all = new ArrayList<>();
        list.forEach(n -> all.add(n.asText()));
        return all;
    }

    static List<String> ids(Collection<Participant> participants) {
        return participants.stream().map(Participant::getId).toList();
    }

    static RuntimeException unknown(String op) {
        return new IllegalArgumentException("unknown operation " + op);
    }
}
