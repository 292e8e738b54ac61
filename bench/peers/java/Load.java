import com.sun.management.OperatingSystemMXBean;
import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

/**
 * Puts a load on the Java client of ZooKeeper, by its asynchronous interface: each callback makes the next call. It has
 * the flags of the load programs in Go, and prints the same JSON.
 */
public final class Load {
    static final Map<String, String> flags = new HashMap<>();
    static final AtomicLong ops = new AtomicLong();
    static final AtomicLong inFlight = new AtomicLong();
    static final AtomicReference<String> failure = new AtomicReference<>();
    static volatile boolean running = true;
    static Histogram histogram = new Histogram();
    static String op;
    static int size, names, depth, sample;
    static boolean unique;
    static byte[] data;

    /** Latencies with 128 buckets for each power of two. */
    static final class Histogram {
        final AtomicLongArray counts = new AtomicLongArray(57 * 128);

        void record(long nanos) {
            counts.incrementAndGet(bucket(Math.max(nanos, 0)));
        }

        static int bucket(long v) {
            if (v < 128) {
                return (int) v;
            }
            int shift = 64 - Long.numberOfLeadingZeros(v) - 8;
            return ((shift + 1) << 7) + (int) (v >>> shift) - 128;
        }

        static long high(int i) {
            if (i < 128) {
                return i;
            }
            int shift = (i >> 7) - 1;
            return (((long) (i & 127) + 128) << shift) + (1L << shift) - 1;
        }

        Double quantile(double q) {
            long total = 0;
            for (int i = 0; i < counts.length(); i++) {
                total += counts.get(i);
            }
            long rank = Math.max((long) Math.ceil(q * total), 1);
            for (int i = 0; i < counts.length(); i++) {
                rank -= counts.get(i);
                if (rank <= 0) {
                    return high(i) / 1e3;
                }
            }
            return null;
        }
    }

    /** The state of the process at one end of the measured time. */
    static final class Mark {
        final long cpu = ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
        final long calls = figure("/proc/self/io", "syscr") + figure("/proc/self/io", "syscw");
        final long allocated = allocated();
        final long done = ops.get();
        final long at = System.nanoTime();

        static long allocated() {
            ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long sum = 0;
            for (long bytes : threads.getThreadAllocatedBytes(threads.getAllThreadIds())) {
                sum += Math.max(bytes, 0);
            }
            return sum;
        }
    }

    static long figure(String file, String key) {
        try {
            for (String line : Files.readAllLines(Path.of(file))) {
                if (line.startsWith(key + ":")) {
                    return Long.parseLong(line.substring(key.length() + 1).replace("kB", "").trim());
                }
            }
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        return 0;
    }

    static String flag(String name, String otherwise) {
        return flags.getOrDefault(name, otherwise);
    }

    static int number(String name, int otherwise) {
        return Integer.parseInt(flag(name, Integer.toString(otherwise)));
    }

    /** Reads a duration as Go writes it, such as 1m0.5s. */
    static long nanos(String text) {
        double sum = 0;
        var m = java.util.regex.Pattern.compile("([0-9.]+)(ms|us|µs|ns|h|m|s)").matcher(text);
        var units = Map.of("h", 3600e9, "m", 60e9, "s", 1e9, "ms", 1e6, "us", 1e3, "µs", 1e3, "ns", 1.0);
        while (m.find()) {
            sum += Double.parseDouble(m.group(1)) * units.get(m.group(2));
        }
        return (long) sum;
    }

    public static void main(String[] args) throws Exception {
        for (int i = 0; i < args.length; i++) {
            String name = args[i].replaceFirst("^--?", "");
            if (name.equals("json") || name.equals("unique")) {
                flags.put(name, "true");
            } else {
                flags.put(name, args[++i]);
            }
        }
        op = flag("op", "get");
        size = number("size", 100);
        names = number("names", 100);
        depth = Math.max(number("inflight", 1), number("goroutines", 1));
        unique = flags.containsKey("unique");
        data = new byte[size];
        boolean small = size < 10_000 && List.of("get", "set", "exists", "create").contains(op);
        sample = number("sample", 0);
        if (sample == 0) {
            sample = small ? 17 : 1;
        }
        switch (op) {
            case "get", "set", "exists", "create", "children", "multi" -> stream();
            case "connect" -> connects();
            case "watch" -> episodes(Load::watches);
            case "reconnect" -> episodes(Load::reconnect);
            default -> System.exit(3);
        }
    }

    static ZooKeeper connect() throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(flag("hosts", "127.0.0.1:2181"), 30_000, e -> {
            if (e.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        if (!connected.await(10, TimeUnit.SECONDS)) {
            throw new Exception("no session within 10 seconds");
        }
        return zk;
    }

    static String path() {
        return switch (op) {
            case "children" -> "/bench/children-" + names;
            case "create" -> "/bench/create/n-";
            default -> "/bench/get-" + size;
        };
    }

    static String watched(int i) {
        return String.format("/bench/watched/w%07d-0", i);
    }

    /** One of the calls in flight: its callback makes the next one. */
    static final class Slot {
        final ZooKeeper zk;
        final String path = path();
        final CreateMode mode = unique ? CreateMode.PERSISTENT_SEQUENTIAL : CreateMode.PERSISTENT;
        final String[] paths;
        long since;
        int n;

        Slot(ZooKeeper zk, int i) {
            this.zk = zk;
            n = i % sample;
            paths = new String[op.equals("multi") ? names : 0];
            for (int k = 0; k < paths.length; k++) {
                paths[k] = String.format("/bench/create/m-%04d", k);
            }
        }

        void submit() {
            since = 0;
            if (++n >= sample) {
                n = 0;
                since = System.nanoTime();
            }
            switch (op) {
                case "get" -> zk.getData(path, false, (rc, p, c, got, stat) ->
                    done(rc == 0 && got.length != size ? -1 : rc), null);
                case "set" -> zk.setData(path, data, -1, (rc, p, c, stat) -> done(rc), null);
                case "exists" -> zk.exists(path, false, (rc, p, c, stat) -> done(rc), null);
                case "create" -> zk.create(path, data, ZooDefs.Ids.OPEN_ACL_UNSAFE, mode, (rc, p, c, name) -> done(rc), null);
                case "children" -> zk.getChildren(path, false, (rc, p, c, got) ->
                    done(rc == 0 && got.size() != names ? -1 : rc), null);
                default -> {
                    List<Op> all = new ArrayList<>(names);
                    for (String p : paths) {
                        all.add(Op.create(p, data, ZooDefs.Ids.OPEN_ACL_UNSAFE, mode));
                    }
                    zk.multi(all, (rc, p, c, results) -> done(rc), null);
                }
            }
        }

        void done(int rc) {
            if (rc != 0) {
                failure.compareAndSet(null, op + ": " + KeeperException.Code.get(rc));
                running = false;
            } else {
                ops.incrementAndGet();
                if (since != 0) {
                    histogram.record(System.nanoTime() - since);
                }
            }
            if (running) {
                submit();
            } else {
                inFlight.decrementAndGet();
            }
        }
    }

    static void stream() throws Exception {
        List<ZooKeeper> clients = new ArrayList<>();
        for (int i = 0; i < number("conns", 1); i++) {
            clients.add(connect());
        }
        for (ZooKeeper zk : clients) {
            for (int i = 0; i < depth; i++) {
                inFlight.incrementAndGet();
                new Slot(zk, i).submit();
            }
        }
        pause(nanos(flag("warmup", "500ms")));
        histogram = new Histogram();
        Mark before = new Mark();
        pause(nanos(flag("duration", "2s")));
        while (ops.get() == before.done) {
            pause(10_000_000);
        }
        Mark after = new Mark();
        Histogram measured = histogram;
        running = false;
        for (long end = System.nanoTime() + 10_000_000_000L; inFlight.get() > 0 && System.nanoTime() < end; ) {
            Thread.sleep(1);
        }
        check();
        report(before, after, (after.at - before.at) / 1e9, measured, Map.of());
        for (ZooKeeper zk : clients) {
            zk.close();
        }
    }

    static void pause(long nanos) throws Exception {
        TimeUnit.NANOSECONDS.sleep(nanos);
        check();
    }

    static void check() {
        if (failure.get() != null) {
            System.err.println("load-java: " + failure.get());
            System.exit(1);
        }
    }

    static void connects() throws Exception {
        List<Thread> callers = new ArrayList<>();
        for (int i = 0; i < depth; i++) {
            Thread t = new Thread(() -> {
                try {
                    while (running) {
                        long begin = System.nanoTime();
                        connect().close();
                        histogram.record(System.nanoTime() - begin);
                        ops.incrementAndGet();
                    }
                } catch (Exception e) {
                    failure.compareAndSet(null, e.toString());
                }
            });
            callers.add(t);
            t.start();
        }
        pause(nanos(flag("warmup", "500ms")));
        histogram = new Histogram();
        Mark before = new Mark();
        pause(nanos(flag("duration", "2s")));
        while (ops.get() == before.done) {
            pause(10_000_000);
        }
        Mark after = new Mark();
        running = false;
        for (Thread t : callers) {
            t.join();
        }
        check();
        report(before, after, (after.at - before.at) / 1e9, histogram, Map.of());
    }

    /** One turn of a load that is no steady stream. */
    interface Episode {
        /** Returns the nanoseconds that count, adds parts of it in milliseconds to extra, and counts its operations. */
        long run(ZooKeeper zk, boolean first, Map<String, Double> extra) throws Exception;
    }

    static void episodes(Episode episode) throws Exception {
        ZooKeeper zk = connect();
        Map<String, Double> extra = new LinkedHashMap<>();
        long end = System.nanoTime() + nanos(flag("warmup", "500ms"));
        boolean first = true;
        do {
            episode.run(zk, first, extra);
            first = false;
        } while (System.nanoTime() < end);
        extra.clear();
        histogram = new Histogram();
        Mark before = new Mark();
        end = System.nanoTime() + nanos(flag("duration", "2s"));
        long busy = 0;
        int n = 0;
        do {
            long took = episode.run(zk, false, extra);
            histogram.record(took);
            busy += took;
            n++;
        } while (System.nanoTime() < end);
        Mark after = new Mark();
        for (var e : extra.entrySet()) {
            e.setValue(e.getValue() / n);
        }
        extra.put("episodes", (double) n);
        report(before, after, busy / 1e9, histogram, extra);
        zk.close();
    }

    /** Sets data watches, all reads in flight together, and returns what counts down with each event. */
    static CountDownLatch watch(ZooKeeper zk) throws Exception {
        CountDownLatch set = new CountDownLatch(names), fired = new CountDownLatch(names);
        for (int i = 0; i < names; i++) {
            zk.getData(watched(i), e -> {
                if (e.getType() == Watcher.Event.EventType.NodeDataChanged) {
                    fired.countDown();
                }
            }, (rc, p, c, got, stat) -> {
                if (rc != 0) {
                    failure.compareAndSet(null, "watch: " + KeeperException.Code.get(rc));
                }
                set.countDown();
            }, null);
        }
        set.await();
        check();
        return fired;
    }

    static long watches(ZooKeeper zk, boolean first, Map<String, Double> extra) throws Exception {
        long begin = System.nanoTime();
        CountDownLatch fired = watch(zk);
        long fire = System.nanoTime();
        zk.setData("/canned/fire", null, -1, (rc, p, c, stat) -> { }, null);
        fired.await();
        ops.addAndGet(names);
        extra.merge("set_ms", (fire - begin) / 1e6, Double::sum);
        return System.nanoTime() - fire;
    }

    static long reconnect(ZooKeeper zk, boolean first, Map<String, Double> extra) throws Exception {
        if (first) {
            watch(zk);
        }
        long begin = System.nanoTime();
        zk.setData("/canned/cut", null, -1);
        while (System.nanoTime() - begin < 60_000_000_000L) {
            try {
                String[] words = new String(zk.getData("/canned/report", false, null)).split(" ");
                if (Long.parseLong(words[2]) >= names) {
                    long connected = Long.parseLong(words[0]), registered = Long.parseLong(words[1]);
                    extra.merge("connected_ms", connected / 1e6, Double::sum);
                    extra.merge("registered_ms", registered / 1e6, Double::sum);
                    extra.merge("usable_ms", (System.nanoTime() - begin) / 1e6, Double::sum);
                    ops.incrementAndGet();
                    return connected + registered;
                }
            } catch (KeeperException.ConnectionLossException e) {
                // not back yet
            }
            Thread.sleep(1);
        }
        throw new Exception("the watches were not registered again within a minute");
    }

    static void report(Mark before, Mark after, double seconds, Histogram h, Map<String, Double> extra) {
        long n = after.done - before.done;
        if (n == 0) {
            System.err.println("load-java: nothing ended within the measured time");
            System.exit(1);
        }
        StringBuilder more = new StringBuilder();
        for (var e : extra.entrySet()) {
            more.append(more.length() > 0 ? "," : "").append(String.format(Locale.ROOT, "\"%s\":%.6f", e.getKey(), e.getValue()));
        }
        System.out.printf(Locale.ROOT,
            "{\"client\":\"java\",\"version\":\"%s\",\"runtime\":\"java %s\",\"op\":\"%s\",\"mode\":\"asynchronous\",\"size\":%d,"
            + "\"names\":%d,\"inflight\":%d,\"goroutines\":%d,\"conns\":%d,\"seconds\":%.6f,\"ops\":%d,\"total\":%d,"
            + "\"ops_per_second\":%.3f,\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"cpu_us_per_op\":%.4f,"
            + "%s\"io_calls_per_op\":%.4f,\"peak_rss_bytes\":%d,\"extra\":{%s}}%n",
            org.apache.zookeeper.Version.getVersion(), System.getProperty("java.version"), op, size, names,
            number("inflight", 1), number("goroutines", 1), number("conns", 1), seconds, n, ops.get(), n / seconds,
            h.quantile(0.5), h.quantile(0.99), h.quantile(0.999), (after.cpu - before.cpu) / 1e3 / n,
            // The bytes of threads that have ended are unknown.
            op.equals("connect") ? "" : String.format(Locale.ROOT, "\"alloc_bytes_per_op\":%.1f,",
                (double) (after.allocated - before.allocated) / n),
            (double) (after.calls - before.calls) / n,
            figure("/proc/self/status", "VmHWM") * 1024, more);
    }
}
