/* Puts a load on the C client of ZooKeeper, by its asynchronous interface: each completion makes the next call. It has
 * the flags of the load programs in Go, and prints the same JSON. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>
#include <zookeeper/zookeeper_version.h>

static const char *hosts = "127.0.0.1:2181", *op = "get", *mode = "sync";
static int size = 100, names = 100, inflight = 1, goroutines = 1, conns = 1, sample = 0, unique = 0, depth;
static int64_t duration = 2000000000, warmup = 500000000;
static char *data;

static atomic_int running = 1, outstanding, failure;
static atomic_long ops;

/* Latencies with 128 buckets for each power of two. */
#define BUCKETS (57 * 128)
static atomic_ulong histogram[BUCKETS];

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void record(int64_t nanos) {
	uint64_t v = nanos < 0 ? 0 : (uint64_t)nanos;
	int i = (int)v;
	if (v >= 128) {
		int shift = 64 - __builtin_clzll(v) - 8;
		i = ((shift + 1) << 7) + (int)(v >> shift) - 128;
	}
	atomic_fetch_add(&histogram[i], 1);
}

static double quantile(double q) {
	uint64_t total = 0, rank;
	for (int i = 0; i < BUCKETS; i++) total += histogram[i];
	rank = (uint64_t)(q * (double)total);
	if ((double)rank < q * (double)total || rank == 0) rank++;
	for (int i = 0; i < BUCKETS; i++) {
		uint64_t n = histogram[i];
		if (n >= rank) {
			int shift = (i >> 7) - 1;
			if (i < 128) return i / 1e3;
			return ((((uint64_t)(i & 127) + 128) << shift) + (1ULL << shift) - 1) / 1e3;
		}
		rank -= n;
	}
	return 0;
}

static void forget(void) {
	for (int i = 0; i < BUCKETS; i++) atomic_store(&histogram[i], 0);
}

static void die(const char *what, int rc) {
	fprintf(stderr, "load-c: %s: %s\n", what, zerror(rc));
	exit(1);
}

/* The state of the process at one end of the measured time. */
struct mark {
	int64_t at, cpu;
	long ops;
};

static struct mark take(void) {
	struct rusage u;
	struct mark m;
	getrusage(RUSAGE_SELF, &u);
	m.cpu = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
	m.ops = atomic_load(&ops);
	m.at = now();
	return m;
}

static void doze(int64_t nanos) {
	struct timespec t = {nanos / 1000000000, nanos % 1000000000};
	while (nanosleep(&t, &t) == -1 && errno == EINTR) {
	}
	if (failure) die(op, failure);
}

/* Reads a duration as Go writes it, such as 1m0.5s. */
static int64_t nanos(const char *text) {
	double sum = 0;
	while (*text) {
		char *end;
		double n = strtod(text, &end);
		if (end == text) {
			fprintf(stderr, "load-c: no duration: %s\n", text);
			exit(2);
		}
		if (!strncmp(end, "ms", 2)) sum += n * 1e6, end += 2;
		else if (!strncmp(end, "us", 2)) sum += n * 1e3, end += 2;
		else if (!strncmp(end, "\xc2\xb5s", 3)) sum += n * 1e3, end += 3;
		else if (!strncmp(end, "ns", 2)) sum += n, end += 2;
		else if (*end == 'h') sum += n * 3600e9, end++;
		else if (*end == 'm') sum += n * 60e9, end++;
		else if (*end == 's') sum += n * 1e9, end++;
		else exit(2);
		text = end;
	}
	return (int64_t)sum;
}

/* Sessions. */

struct session {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int connected;
};

static void onstate(zhandle_t *zh, int type, int state, const char *path, void *context) {
	struct session *s = context;
	if (type != ZOO_SESSION_EVENT) return;
	pthread_mutex_lock(&s->lock);
	s->connected = state == ZOO_CONNECTED_STATE;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static zhandle_t *open_session(struct session *s) {
	struct timespec limit;
	zhandle_t *zh;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->connected = 0;
	zh = zookeeper_init(hosts, onstate, 30000, NULL, s, 0);
	if (!zh) {
		perror("load-c: zookeeper_init");
		exit(1);
	}
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 10;
	pthread_mutex_lock(&s->lock);
	while (!s->connected)
		if (pthread_cond_timedwait(&s->changed, &s->lock, &limit)) die("connect", ZOPERATIONTIMEOUT);
	pthread_mutex_unlock(&s->lock);
	return zh;
}

/* Streams: slots of calls in flight. */

struct slot {
	zhandle_t *zh;
	int64_t since;
	int n;
	char path[64];
	zoo_op_t *txn;
	zoo_op_result_t *results;
	char (*paths)[32];
};

static void submit(struct slot *s);

static void finished(struct slot *s, int rc) {
	if (rc != ZOK) {
		failure = rc;
		running = 0;
	} else {
		ops++;
		if (s->since) record(now() - s->since);
	}
	if (running) submit(s);
	else outstanding--;
}

static void got(int rc, const char *value, int len, const struct Stat *stat, const void *slot) {
	finished((struct slot *)slot, rc == ZOK && len != size ? ZSYSTEMERROR : rc);
}

static void told(int rc, const struct Stat *stat, const void *slot) { finished((struct slot *)slot, rc); }

static void named(int rc, const char *value, const void *slot) { finished((struct slot *)slot, rc); }

static void listed(int rc, const struct String_vector *all, const void *slot) {
	finished((struct slot *)slot, rc == ZOK && all->count != names ? ZSYSTEMERROR : rc);
}

static void committed(int rc, const void *slot) { finished((struct slot *)slot, rc); }

static void submit(struct slot *s) {
	int rc, flags = unique ? ZOO_SEQUENCE : 0;
	s->since = 0;
	if (++s->n >= sample) {
		s->n = 0;
		s->since = now();
	}
	if (!strcmp(op, "get")) rc = zoo_aget(s->zh, s->path, 0, got, s);
	else if (!strcmp(op, "set")) rc = zoo_aset(s->zh, s->path, data, size, -1, told, s);
	else if (!strcmp(op, "exists")) rc = zoo_aexists(s->zh, s->path, 0, told, s);
	else if (!strcmp(op, "create")) rc = zoo_acreate(s->zh, s->path, data, size, &ZOO_OPEN_ACL_UNSAFE, flags, named, s);
	else if (!strcmp(op, "children")) rc = zoo_aget_children(s->zh, s->path, 0, listed, s);
	else {
		for (int i = 0; i < names; i++)
			zoo_create_op_init(&s->txn[i], s->paths[i], data, size, &ZOO_OPEN_ACL_UNSAFE, flags, NULL, 0);
		rc = zoo_amulti(s->zh, names, s->txn, s->results, committed, s);
	}
	if (rc != ZOK) die(op, rc);
}

static void report(struct mark before, struct mark after, double seconds, const char *extra) {
	struct rusage u;
	long n = after.ops - before.ops;
	if (n == 0) {
		fprintf(stderr, "load-c: nothing ended within the measured time\n");
		exit(1);
	}
	getrusage(RUSAGE_SELF, &u);
	printf("{\"client\":\"c\",\"version\":\"%s\",\"runtime\":\"gcc %s\",\"op\":\"%s\",\"mode\":\"asynchronous\",\"size\":%d,"
	       "\"names\":%d,\"inflight\":%d,\"goroutines\":%d,\"conns\":%d,\"seconds\":%.6f,\"ops\":%ld,\"total\":%ld,"
	       "\"ops_per_second\":%.3f,\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"cpu_us_per_op\":%.4f,"
	       "\"peak_rss_bytes\":%ld,\"extra\":{%s}}\n",
	       ZOO_VERSION, __VERSION__, op, size, names, inflight, goroutines, conns, seconds, n, (long)ops, n / seconds,
	       quantile(0.5), quantile(0.99), quantile(0.999), (double)(after.cpu - before.cpu) / n, u.ru_maxrss * 1024, extra);
}

static void stream(void) {
	struct session *sessions = calloc(conns, sizeof *sessions);
	struct slot *slots = calloc((size_t)conns * depth, sizeof *slots);
	zhandle_t **handles = calloc(conns, sizeof *handles);
	struct mark before, after;
	for (int c = 0; c < conns; c++) handles[c] = open_session(&sessions[c]);
	for (int i = 0; i < conns * depth; i++) {
		struct slot *s = &slots[i];
		s->zh = handles[i / depth];
		s->n = i % sample;
		snprintf(s->path, sizeof s->path, "/bench/get-%d", size);
		if (!strcmp(op, "children")) snprintf(s->path, sizeof s->path, "/bench/children-%d", names);
		if (!strcmp(op, "create")) snprintf(s->path, sizeof s->path, "/bench/create/n-");
		if (!strcmp(op, "multi")) {
			s->txn = calloc(names, sizeof *s->txn);
			s->results = calloc(names, sizeof *s->results);
			s->paths = calloc(names, sizeof *s->paths);
			for (int k = 0; k < names; k++) snprintf(s->paths[k], sizeof s->paths[k], "/bench/create/m-%04d", k);
		}
		outstanding++;
		submit(s);
	}
	doze(warmup);
	forget();
	before = take();
	doze(duration);
	while (ops == before.ops) doze(10000000);
	after = take();
	running = 0;
	for (int i = 0; i < 10000 && outstanding > 0; i++) doze(1000000);
	if (failure) die(op, failure);
	report(before, after, (after.at - before.at) / 1e9, "");
	for (int c = 0; c < conns; c++) zookeeper_close(handles[c]);
}

static void *reconnecting(void *unused) {
	while (running) {
		struct session s;
		int64_t begin = now();
		zookeeper_close(open_session(&s));
		record(now() - begin);
		ops++;
	}
	return unused;
}

static void connects(void) {
	pthread_t *threads = calloc(depth, sizeof *threads);
	struct mark before, after;
	for (int i = 0; i < depth; i++) pthread_create(&threads[i], NULL, reconnecting, NULL);
	doze(warmup);
	forget();
	before = take();
	doze(duration);
	while (ops == before.ops) doze(10000000);
	after = take();
	running = 0;
	for (int i = 0; i < depth; i++) pthread_join(threads[i], NULL);
	report(before, after, (after.at - before.at) / 1e9, "");
}

/* Episodes. Watches and reads are counted down by the client's threads. */

static atomic_int unset, unfired;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t zero = PTHREAD_COND_INITIALIZER;

static void down(atomic_int *n) {
	if (--*n == 0) {
		pthread_mutex_lock(&lock);
		pthread_cond_broadcast(&zero);
		pthread_mutex_unlock(&lock);
	}
}

static void await(atomic_int *n) {
	pthread_mutex_lock(&lock);
	while (*n > 0) pthread_cond_wait(&zero, &lock);
	pthread_mutex_unlock(&lock);
	if (failure) die(op, failure);
}

static void fired(zhandle_t *zh, int type, int state, const char *path, void *context) {
	if (type == ZOO_CHANGED_EVENT) down(&unfired);
}

static void isset(int rc, const char *value, int len, const struct Stat *stat, const void *context) {
	if (rc != ZOK) failure = rc;
	down(&unset);
}

static void ignored(int rc, const struct Stat *stat, const void *context) {
	if (rc != ZOK) failure = rc;
}

static void watch(zhandle_t *zh) {
	unset = unfired = names;
	for (int i = 0; i < names; i++) {
		char path[64];
		snprintf(path, sizeof path, "/bench/watched/w%07d-0", i);
		int rc = zoo_awget(zh, path, fired, NULL, isset, NULL);
		if (rc != ZOK) die("watch", rc);
	}
	await(&unset);
}

static double parts[3]; /* milliseconds: set; or connected, registered, usable */

static int64_t watches(zhandle_t *zh, int first) {
	int64_t begin = now(), fire;
	watch(zh);
	fire = now();
	int rc = zoo_aset(zh, "/canned/fire", "", 0, -1, ignored, NULL);
	if (rc != ZOK) die("fire", rc);
	await(&unfired);
	ops += names;
	parts[0] += (fire - begin) / 1e6;
	return now() - fire;
}

static int64_t reconnect(zhandle_t *zh, int first) {
	if (first) watch(zh);
	int64_t begin = now();
	int rc = zoo_set(zh, "/canned/cut", "", 0, -1);
	if (rc != ZOK) die("cut", rc);
	while (now() - begin < 60000000000LL) {
		char text[128];
		int len = sizeof text - 1;
		long connected, registered, count;
		if (zoo_get(zh, "/canned/report", 0, text, &len, NULL) == ZOK && len > 0) {
			text[len] = 0;
			if (sscanf(text, "%ld %ld %ld", &connected, &registered, &count) == 3 && count >= names) {
				parts[0] += connected / 1e6;
				parts[1] += registered / 1e6;
				parts[2] += (now() - begin) / 1e6;
				ops++;
				return connected + registered;
			}
		}
		doze(1000000);
	}
	die("reconnect", ZOPERATIONTIMEOUT);
	return 0;
}

static void episodes(int64_t (*episode)(zhandle_t *, int)) {
	struct session s;
	zhandle_t *zh = open_session(&s);
	struct mark before, after;
	char extra[256];
	int64_t end = now() + warmup, busy = 0;
	int first = 1, n = 0;
	do {
		episode(zh, first);
		first = 0;
	} while (now() < end);
	memset(parts, 0, sizeof parts);
	forget();
	before = take();
	end = now() + duration;
	do {
		int64_t took = episode(zh, 0);
		record(took);
		busy += took;
		n++;
	} while (now() < end);
	after = take();
	if (!strcmp(op, "watch")) snprintf(extra, sizeof extra, "\"episodes\":%d,\"set_ms\":%.6f", n, parts[0] / n);
	else
		snprintf(extra, sizeof extra, "\"episodes\":%d,\"connected_ms\":%.6f,\"registered_ms\":%.6f,\"usable_ms\":%.6f", n,
		         parts[0] / n, parts[1] / n, parts[2] / n);
	report(before, after, busy / 1e9, extra);
	zookeeper_close(zh);
}

int main(int argc, char **argv) {
	static const struct option options[] = {
	    {"hosts", 1, 0, 'h'}, {"op", 1, 0, 'o'},     {"mode", 1, 0, 'm'},   {"size", 1, 0, 's'},
	    {"names", 1, 0, 'n'}, {"inflight", 1, 0, 'i'}, {"goroutines", 1, 0, 'g'}, {"conns", 1, 0, 'c'},
	    {"sample", 1, 0, 'p'}, {"unique", 0, 0, 'u'}, {"json", 0, 0, 'j'},   {"duration", 1, 0, 'd'},
	    {"warmup", 1, 0, 'w'}, {0, 0, 0, 0},
	};
	for (int c; (c = getopt_long_only(argc, argv, "", options, NULL)) != -1;) switch (c) {
		case 'h': hosts = optarg; break;
		case 'o': op = optarg; break;
		case 'm': mode = optarg; break;
		case 's': size = atoi(optarg); break;
		case 'n': names = atoi(optarg); break;
		case 'i': inflight = atoi(optarg); break;
		case 'g': goroutines = atoi(optarg); break;
		case 'c': conns = atoi(optarg); break;
		case 'p': sample = atoi(optarg); break;
		case 'u': unique = 1; break;
		case 'j': break;
		case 'd': duration = nanos(optarg); break;
		case 'w': warmup = nanos(optarg); break;
		default: return 2;
		}
	int plain = !strcmp(op, "get") || !strcmp(op, "set") || !strcmp(op, "exists") || !strcmp(op, "create");
	if (sample == 0) sample = plain && size < 10000 ? 17 : 1;
	depth = inflight > goroutines ? inflight : goroutines;
	data = calloc(1, size + 1);
	zoo_set_debug_level(0);
	if (plain || !strcmp(op, "children") || !strcmp(op, "multi")) stream();
	else if (!strcmp(op, "connect")) connects();
	else if (!strcmp(op, "watch")) episodes(watches);
	else if (!strcmp(op, "reconnect")) episodes(reconnect);
	else return 3;
	return 0;
}
