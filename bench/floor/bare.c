//go:build ignore

// The bare server in C: what this host allows a WebSocket server that does nothing
// but its system calls. It accepts, upgrades, subscribes, takes triggers over HTTP
// without checking them, and writes each event to each subscriber with one write(2).
//
//   bare --threads N --packed --channel NAME --payload BYTES
//
// It writes {"port":N} to standard output, then broadcasts each publication it reads
// from standard input, one JSON object a line (Publication in server.go), and ends
// with its input, after a line with what it could not do (Counts in remote.go).
//
// Ownership: each thread has its own listening socket on the shared port, its own
// epoll instance and its own connections and subscriptions. conns is indexed by
// descriptor and an entry belongs to the thread that accepted it. Threads meet in the
// channel table, under one lock, and in the mailboxes.
//
// It serves the generator only: it understands the one form of JSON the generator
// writes, and closes a connection that sends anything else.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MAX_THREADS = 64,
	MAX_CONNS = 1 << 22,         // descriptors of the process
	MAX_SUBSCRIPTIONS = 1 << 22, // of a thread
	MAX_CHANNELS = 1 << 20,      // ever named
	MAX_CHANNEL_BYTES = 200,
	MAX_REQUEST_BYTES = 1 << 20, // head and body, or a WebSocket frame
	MAX_HEAD_BYTES = 16 << 10,
	MAX_UNSENT_BYTES = 16 << 20, // of a connection that does not read
	MAX_MAIL = 1 << 16,         // publications waiting for a thread
	MAX_JOINED_BYTES = 256 << 10,
	BUCKETS = 1 << 18, // of the channel table
	TURN_EVENTS = 1024,
};

// Large tables are virtual: a page costs memory once it is touched.

__attribute__((noreturn)) static void fail(const char *what) {
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *allocate(size_t count, size_t size) {
	void *p = calloc(count, size);
	if (!p) fail("allocate");
	return p;
}

// A text that ends nowhere in particular.
struct span {
	char *at;
	size_t length;
};

struct buffer {
	char *bytes;
	size_t length, capacity;
};

static void append(struct buffer *b, const void *bytes, size_t length) {
	if (b->length + length > b->capacity) {
		b->capacity = (b->length + length) * 2;
		if (!(b->bytes = realloc(b->bytes, b->capacity))) fail("allocate");
	}
	if (length) memcpy(b->bytes + b->length, bytes, length);
	b->length += length;
}

__attribute__((format(printf, 2, 3))) static void appendf(struct buffer *b, const char *format, ...) {
	char text[2048]; // longer than any text below: names are bounded
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	append(b, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

// RFC 6455 section 5.2: a whole text message, not masked.
static void append_frame(struct buffer *b, const char *payload, size_t length) {
	unsigned char head[10] = {0x81};
	size_t n = 2;
	if (length < 126) {
		head[1] = (unsigned char)length;
	} else {
		size_t bytes = length < 1 << 16 ? 2 : 8;
		head[1] = bytes == 2 ? 126 : 127;
		for (size_t i = 0; i < bytes; i++) head[2 + i] = (unsigned char)((uint64_t)length >> 8 * (bytes - 1 - i));
		n += bytes;
	}
	append(b, head, n);
	append(b, payload, length);
}

// ---- the accept value of a handshake

static void sha1_block(uint32_t state[5], const unsigned char *block) {
	uint32_t w[80], v[5];
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 80; i++) {
		uint32_t x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
		w[i] = x << 1 | x >> 31;
	}
	memcpy(v, state, sizeof v);
	for (int i = 0; i < 80; i++) {
		uint32_t f, k;
		if (i < 20) f = (v[1] & v[2]) | (~v[1] & v[3]), k = 0x5A827999;
		else if (i < 40) f = v[1] ^ v[2] ^ v[3], k = 0x6ED9EBA1;
		else if (i < 60) f = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]), k = 0x8F1BBCDC;
		else f = v[1] ^ v[2] ^ v[3], k = 0xCA62C1D6;
		uint32_t next = (v[0] << 5 | v[0] >> 27) + f + v[4] + k + w[i];
		v[4] = v[3], v[3] = v[2], v[2] = v[1] << 30 | v[1] >> 2, v[1] = v[0], v[0] = next;
	}
	for (int i = 0; i < 5; i++) state[i] += v[i];
}

// append_accept appends base64(SHA-1(key + GUID)). The two have 24 + 36 bytes, which
// with their padding fill two blocks.
//
// RFC 6455 section 1.3.
static void append_accept(struct buffer *b, const char key[24]) {
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
	unsigned char blocks[128] = {0}, sum[21] = {0};
	char text[28];
	memcpy(blocks, key, 24);
	memcpy(blocks + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
	blocks[60] = 0x80;
	blocks[126] = 60 * 8 >> 8, blocks[127] = 60 * 8 & 0xFF;
	sha1_block(state, blocks);
	sha1_block(state, blocks + 64);
	for (int i = 0; i < 20; i++) sum[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
	for (int i = 0; i < 7; i++) {
		uint32_t group = (uint32_t)sum[3 * i] << 16 | (uint32_t)sum[3 * i + 1] << 8 | sum[3 * i + 2];
		for (int j = 0; j < 4; j++) text[4 * i + j] = digits[group >> (18 - 6 * j) & 63];
	}
	text[27] = '=';
	append(b, text, sizeof text);
}

// ---- state

enum stage { FREE, HTTP, WEBSOCKET, CLOSING };

// What a connection needs when bytes come or go in pieces.
struct partial {
	struct buffer in, out;
	size_t sent; // of out
};

struct conn {
	struct partial *partial; // nearly always NULL
	uint32_t subscriptions;  // the first of its own
	enum stage stage;
};

// One connection on one channel, in the lists of both; 0 ends a list.
struct subscription {
	uint32_t conn;
	uint32_t next, previous; // of the channel, on this thread
	uint32_t next_of_conn;
	uint32_t channel;
};

struct channel {
	char *name;
	uint32_t length, hash;
	uint32_t next;    // in the bucket
	uint64_t threads; // one bit each: has a subscriber
};

// Frames for one channel, shared by the threads that write them.
struct publication {
	atomic_int references;
	uint32_t channel;
	size_t length;
	char bytes[];
};

struct mail {
	struct publication *publication;
	uint32_t next; // waiting for the same channel, index + 1
};

struct thread {
	int number, epoll, listener, bell;
	char *buffer; // MAX_REQUEST_BYTES
	struct buffer joined, text, answer;

	struct subscription *subscriptions;
	uint32_t used, unused; // slots ever used; the first of the free ones
	uint32_t *heads;       // by channel: its first subscription
	uint32_t *last_mail;   // by channel, in run_mail only: index + 1
	int closing[TURN_EVENTS + 1]; // dropped in this turn
	int closings;

	pthread_mutex_t lock; // for the two below
	struct mail *mailbox;
	uint32_t mails;
	struct mail *taken;
};

static struct conn *conns;
static struct thread threads[MAX_THREADS];
static int thread_count = 1;
static bool packing; // join what waits for a channel into one write

static pthread_mutex_t channels_lock = PTHREAD_MUTEX_INITIALIZER;
static struct channel *channels; // from 1
static uint32_t channel_count;
static uint32_t *buckets;

static atomic_ulong short_writes, dropped, refused;

// ---- channels and subscriptions

// find_channel returns the number of a channel, 0 for one nobody named, which it adds
// if asked. Called with channels_lock held.
static uint32_t find_channel(struct span name, bool add) {
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < name.length; i++) hash = (hash ^ (unsigned char)name.at[i]) * 16777619u;
	uint32_t *bucket = &buckets[hash % BUCKETS];
	for (uint32_t i = *bucket; i; i = channels[i].next)
		if (channels[i].hash == hash && channels[i].length == name.length && !memcmp(channels[i].name, name.at, name.length)) return i;
	if (!add || channel_count + 1 >= MAX_CHANNELS) return 0;
	struct channel *c = &channels[++channel_count];
	c->name = allocate(name.length + 1, 1);
	memcpy(c->name, name.at, name.length);
	c->length = (uint32_t)name.length, c->hash = hash, c->next = *bucket;
	return *bucket = channel_count;
}

// show_interest says in the table whether a thread has a subscriber of a channel.
static void show_interest(struct thread *t, uint32_t channel, bool interested) {
	pthread_mutex_lock(&channels_lock);
	uint64_t bit = (uint64_t)1 << t->number;
	channels[channel].threads = interested ? channels[channel].threads | bit : channels[channel].threads & ~bit;
	pthread_mutex_unlock(&channels_lock);
}

static bool subscribe(struct thread *t, int fd, struct span name) {
	pthread_mutex_lock(&channels_lock);
	uint32_t channel = find_channel(name, true);
	pthread_mutex_unlock(&channels_lock);
	if (!channel) return false;
	for (uint32_t i = conns[fd].subscriptions; i; i = t->subscriptions[i].next_of_conn)
		if (t->subscriptions[i].channel == channel) return true;
	uint32_t i = t->unused;
	if (i) t->unused = t->subscriptions[i].next;
	else if (t->used + 1 < MAX_SUBSCRIPTIONS) i = ++t->used;
	else return false;
	uint32_t head = t->heads[channel];
	t->subscriptions[i] = (struct subscription){.conn = (uint32_t)fd, .channel = channel, .next = head, .next_of_conn = conns[fd].subscriptions};
	if (head) t->subscriptions[head].previous = i;
	else show_interest(t, channel, true);
	t->heads[channel] = conns[fd].subscriptions = i;
	return true;
}

static void unsubscribe_all(struct thread *t, int fd) {
	for (uint32_t i = conns[fd].subscriptions, next; i; i = next) {
		struct subscription *s = &t->subscriptions[i];
		next = s->next_of_conn;
		if (s->next) t->subscriptions[s->next].previous = s->previous;
		if (s->previous) t->subscriptions[s->previous].next = s->next;
		else if (!(t->heads[s->channel] = s->next)) show_interest(t, s->channel, false);
		s->next = t->unused, t->unused = i;
	}
	conns[fd].subscriptions = 0;
}

// ---- connections

static void close_dropped(struct thread *t) {
	while (t->closings) {
		int fd = t->closing[--t->closings];
		conns[fd] = (struct conn){.stage = FREE};
		close(fd); // from here on another thread may own the number
	}
}

// drop ends a connection. Its descriptor stays until the end of the turn, so that no
// event of this turn meets another connection under the same number.
static void drop(struct thread *t, int fd) {
	struct conn *c = &conns[fd];
	if (c->stage == CLOSING) return;
	unsubscribe_all(t, fd);
	if (c->partial) free(c->partial->in.bytes), free(c->partial->out.bytes), free(c->partial);
	c->partial = NULL;
	c->stage = CLOSING;
	t->closing[t->closings++] = fd;
}

static int watch(struct thread *t, int operation, int fd, uint32_t events) {
	struct epoll_event e = {.events = events, .data.fd = fd};
	return epoll_ctl(t->epoll, operation, fd, &e);
}

static struct partial *partial(struct conn *c) {
	if (!c->partial) c->partial = allocate(1, sizeof *c->partial);
	return c->partial;
}

// send_bytes writes to a connection. What the socket does not take is kept and goes
// out before anything else: a frame is never torn.
static void send_bytes(struct thread *t, int fd, const char *bytes, size_t length) {
	struct conn *c = &conns[fd];
	if (c->stage == CLOSING) return;
	bool waiting = c->partial && c->partial->out.length;
	if (!waiting) {
		ssize_t n = write(fd, bytes, length);
		if (n == (ssize_t)length) return;
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			drop(t, fd);
			return;
		}
		atomic_fetch_add(&short_writes, 1);
		if (n > 0) bytes += n, length -= (size_t)n;
	}
	struct partial *p = partial(c);
	if (p->out.length - p->sent + length > MAX_UNSENT_BYTES) {
		atomic_fetch_add(&dropped, 1);
		drop(t, fd);
		return;
	}
	append(&p->out, bytes, length);
	if (!waiting && watch(t, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT | EPOLLET)) drop(t, fd);
}

static void on_writable(struct thread *t, int fd) {
	struct partial *p = conns[fd].partial;
	while (p && p->sent < p->out.length) {
		ssize_t n = write(fd, p->out.bytes + p->sent, p->out.length - p->sent);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR) drop(t, fd);
			else if (p->sent > p->out.length / 2) {
				memmove(p->out.bytes, p->out.bytes + p->sent, p->out.length -= p->sent);
				p->sent = 0;
			}
			return;
		}
		p->sent += (size_t)n;
	}
	if (!p || !p->out.length) return;
	p->out.length = p->sent = 0;
	if (watch(t, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET)) drop(t, fd);
}

// ---- publications

static void broadcast(struct thread *t, uint32_t channel, const char *bytes, size_t length) {
	for (uint32_t i = t->heads[channel], next; i; i = next) {
		next = t->subscriptions[i].next; // i may be gone afterwards
		if (t->closings >= TURN_EVENTS) close_dropped(t);
		send_bytes(t, (int)t->subscriptions[i].conn, bytes, length);
	}
}

static void release(struct publication *p) {
	if (atomic_fetch_sub(&p->references, 1) == 1) free(p);
}

// run_mail writes what waits for this thread: publication by publication, or all of
// a channel at a time.
static void run_mail(struct thread *t) {
	pthread_mutex_lock(&t->lock);
	struct mail *mail = t->mailbox;
	uint32_t count = t->mails;
	t->mailbox = t->taken, t->taken = mail, t->mails = 0;
	pthread_mutex_unlock(&t->lock);
	if (!packing || count == 1) {
		for (uint32_t i = 0; i < count; i++) {
			broadcast(t, mail[i].publication->channel, mail[i].publication->bytes, mail[i].publication->length);
			release(mail[i].publication);
		}
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t *last = &t->last_mail[mail[i].publication->channel];
		if (*last) mail[*last - 1].next = i + 1;
		*last = i + 1;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!mail[i].publication) continue; // joined to an earlier one
		uint32_t channel = mail[i].publication->channel;
		for (uint32_t j = i + 1; j; j = mail[j - 1].next) {
			struct publication *p = mail[j - 1].publication;
			if (t->joined.length && t->joined.length + p->length > MAX_JOINED_BYTES) {
				broadcast(t, channel, t->joined.bytes, t->joined.length);
				t->joined.length = 0;
			}
			append(&t->joined, p->bytes, p->length);
			release(p);
			mail[j - 1].publication = NULL;
		}
		broadcast(t, channel, t->joined.bytes, t->joined.length);
		t->joined.length = t->last_mail[channel] = 0;
	}
}

// post puts p into a mailbox. A full one refuses it. The caller's own mailbox needs
// no bell: it is emptied at the end of the turn.
static bool post(struct thread *t, struct publication *p, bool own) {
	pthread_mutex_lock(&t->lock);
	bool fits = t->mails < MAX_MAIL, first = t->mails == 0;
	if (fits) t->mailbox[t->mails++] = (struct mail){.publication = p};
	pthread_mutex_unlock(&t->lock);
	if (!fits) {
		atomic_fetch_add(&refused, 1);
		release(p);
	} else if (first && !own) {
		(void)!write(t->bell, &(uint64_t){1}, sizeof(uint64_t));
	}
	return fits;
}

// publish hands frames to the threads that have subscribers of the channel. Without
// any it does nothing.
static bool publish(struct thread *own, uint32_t channel, uint64_t interested, const struct buffer *frames) {
	if (!interested) return true;
	struct publication *p = malloc(sizeof *p + frames->length);
	if (!p) fail("allocate");
	atomic_init(&p->references, __builtin_popcountll(interested));
	p->channel = channel, p->length = frames->length;
	memcpy(p->bytes, frames->bytes, frames->length);
	bool taken = true;
	for (int i = 0; i < thread_count; i++)
		if (interested >> i & 1) taken &= post(&threads[i], p, &threads[i] == own);
	return taken;
}

static uint64_t interest(struct span name, uint32_t *channel) {
	pthread_mutex_lock(&channels_lock);
	*channel = find_channel(name, false);
	uint64_t interested = *channel ? channels[*channel].threads : 0;
	pthread_mutex_unlock(&channels_lock);
	return interested;
}

// Reverb: key order event, data, channel.
static void append_event(struct buffer *frames, struct buffer *text, struct span name, struct span data, struct span channel) {
	text->length = 0;
	append(text, "{\"event\":\"", 10);
	append(text, name.at, name.length);
	append(text, "\",\"data\":\"", 10);
	append(text, data.at, data.length);
	append(text, "\",\"channel\":\"", 13);
	append(text, channel.at, channel.length);
	append(text, "\"}", 2);
	append_frame(frames, text->bytes, text->length);
}

// ---- requests

// string_after returns the JSON string, still escaped, that follows a key in text, and
// moves text behind it. Its at is NULL when there is none.
static struct span string_after(struct span *text, const char *key) {
	char *end = text->at + text->length;
	char *at = memmem(text->at, text->length, key, strlen(key));
	if (!at) return (struct span){0};
	at += strlen(key);
	for (char *p = at; p < end; p++) {
		if (*p == '\\') p++;
		else if (*p == '"') {
			*text = (struct span){p + 1, (size_t)(end - p - 1)};
			return (struct span){at, (size_t)(p - at)};
		}
	}
	return (struct span){0};
}

// on_trigger publishes the event, or the events, of a body and returns the status.
static int on_trigger(struct thread *t, struct span body) {
	int events = 0;
	for (struct span name; (name = string_after(&body, "\"name\":\"")).at; events++) {
		struct span of = string_after(&body, "\"channel\":\""), data = string_after(&body, "\"data\":\"");
		if (!of.at || !data.at) return 400;
		uint32_t channel;
		uint64_t interested = interest(of, &channel);
		if (!interested) continue;
		t->answer.length = 0;
		append_event(&t->answer, &t->text, name, data, of);
		if (!publish(t, channel, interested, &t->answer)) return 503;
	}
	return events ? 200 : 400;
}

static struct span header(struct span head, const char *name) {
	size_t length = strlen(name);
	for (char *line = head.at, *end = head.at + head.length, *stop; line < end; line = stop + 1) {
		if (!(stop = memchr(line, '\n', (size_t)(end - line)))) break;
		if ((size_t)(stop - line) <= length || line[length] != ':' || strncasecmp(line, name, length)) continue;
		char *from = line + length + 1, *to = stop;
		while (from < to && (*from == ' ' || *from == '\t')) from++;
		while (to > from && (to[-1] == '\r' || to[-1] == ' ')) to--;
		return (struct span){from, (size_t)(to - from)};
	}
	return (struct span){0};
}

// on_request answers one request at the start of in and returns its length, or 0 when
// it is incomplete.
static size_t on_request(struct thread *t, int fd, struct span in) {
	char *end = memmem(in.at, in.length, "\r\n\r\n", 4);
	if (!end) {
		if (in.length > MAX_HEAD_BYTES) drop(t, fd);
		return 0;
	}
	struct span head = {in.at, (size_t)(end - in.at) + 4};
	t->answer.length = 0;
	if (!strncmp(in.at, "GET ", 4)) {
		struct span key = header(head, "Sec-WebSocket-Key");
		if (key.length != 24) {
			drop(t, fd);
			return 0;
		}
		static const char established[] = "{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":\\\"1.1\\\",\\\"activity_timeout\\\":30}\"}";
		appendf(&t->answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
		append_accept(&t->answer, key.at);
		append(&t->answer, "\r\n\r\n", 4);
		append_frame(&t->answer, established, sizeof established - 1);
		conns[fd].stage = WEBSOCKET;
		send_bytes(t, fd, t->answer.bytes, t->answer.length);
		return head.length;
	}
	struct span field = header(head, "Content-Length");
	size_t length = 0;
	for (size_t i = 0; i < field.length; i++) {
		if (field.at[i] < '0' || field.at[i] > '9' || length > MAX_REQUEST_BYTES) field.length = 0;
		else length = length * 10 + (size_t)(field.at[i] - '0');
	}
	if (strncmp(in.at, "POST ", 5) || !field.length || head.length + length > MAX_REQUEST_BYTES) {
		drop(t, fd);
		return 0;
	}
	if (in.length < head.length + length) return 0;
	int status = on_trigger(t, (struct span){in.at + head.length, length});
	t->answer.length = 0;
	appendf(&t->answer, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", status, status == 200 ? "OK" : "Refused");
	send_bytes(t, fd, t->answer.bytes, t->answer.length);
	return head.length + length;
}

static void on_message(struct thread *t, int fd, struct span message) {
	struct span channel = {0};
	if (memmem(message.at, message.length, "\"pusher:subscribe\"", 18)) channel = string_after(&message, "\"channel\":\"");
	if (!channel.at) return; // a pong, say
	if (channel.length > MAX_CHANNEL_BYTES || !subscribe(t, fd, channel)) {
		drop(t, fd);
		return;
	}
	t->text.length = t->answer.length = 0;
	appendf(&t->text, "{\"event\":\"pusher_internal:subscription_succeeded\",\"data\":\"{}\",\"channel\":\"%.*s\"}", (int)channel.length, channel.at);
	append_frame(&t->answer, t->text.bytes, t->text.length);
	send_bytes(t, fd, t->answer.bytes, t->answer.length);
}

// on_frame handles one frame at the start of in and returns its length, or 0 when it
// is incomplete.
//
// RFC 6455 section 5.1: a client masks its frames.
static size_t on_frame(struct thread *t, int fd, struct span in) {
	unsigned char *b = (unsigned char *)in.at;
	if (in.length < 2) return 0;
	size_t head = 2, length = b[1] & 0x7F;
	if (length > 125) {
		size_t bytes = length == 126 ? 2 : 8;
		if (in.length < (head += bytes)) return 0;
		uint64_t wide = 0;
		for (size_t i = 0; i < bytes; i++) wide = wide << 8 | b[2 + i];
		length = wide < MAX_REQUEST_BYTES ? (size_t)wide : MAX_REQUEST_BYTES;
	}
	if (!(b[1] & 0x80) || (b[0] & 0x0F) == 8 || length > MAX_REQUEST_BYTES - 14) {
		drop(t, fd);
		return 0;
	}
	if (in.length < head + 4 + length) return 0;
	unsigned char *mask = b + head, *payload = mask + 4;
	for (size_t i = 0; i < length; i++) payload[i] ^= mask[i & 3];
	if ((b[0] & 0x0F) == 1) on_message(t, fd, (struct span){(char *)payload, length});
	return head + 4 + length;
}

// on_readable takes all that has arrived: the edge is reported once. A read that
// leaves room has emptied the socket.
static void on_readable(struct thread *t, int fd) {
	struct conn *c = &conns[fd];
	for (bool more = true; more && c->stage != CLOSING;) {
		size_t kept = 0;
		if (c->partial && c->partial->in.length) {
			kept = c->partial->in.length;
			memcpy(t->buffer, c->partial->in.bytes, kept);
			c->partial->in.length = 0;
		}
		size_t room = MAX_REQUEST_BYTES - kept;
		ssize_t n = read(fd, t->buffer + kept, room);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			drop(t, fd);
			return;
		}
		more = n == (ssize_t)room || (n < 0 && errno == EINTR);
		struct span in = {t->buffer, kept + (n > 0 ? (size_t)n : 0)};
		while (in.length && c->stage != CLOSING) {
			size_t used = c->stage == HTTP ? on_request(t, fd, in) : on_frame(t, fd, in);
			if (!used) break;
			in.at += used, in.length -= used;
		}
		if (!in.length || c->stage == CLOSING) continue;
		if (in.length >= MAX_REQUEST_BYTES) drop(t, fd);
		else append(&partial(c)->in, in.at, in.length);
	}
}

static void on_connect(struct thread *t) {
	for (;;) {
		int fd = accept4(t->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
		if (fd < 0) return; // none left; without descriptors the generator's timeout tells
		if (fd < MAX_CONNS) conns[fd] = (struct conn){.stage = HTTP};
		if (fd >= MAX_CONNS || watch(t, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET)) close(fd);
	}
}

// ---- threads

__attribute__((noreturn)) static void *run(void *argument) {
	struct thread *t = argument;
	struct epoll_event events[TURN_EVENTS];
	for (;;) {
		int n = epoll_wait(t->epoll, events, TURN_EVENTS, -1);
		if (n < 0 && errno != EINTR) fail("wait for events");
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == t->listener) on_connect(t);
			else if (fd != t->bell) { // the bell only ends the wait: each ring is an edge
				if (events[i].events & EPOLLOUT) on_writable(t, fd);
				if (events[i].events & ~(uint32_t)EPOLLOUT) on_readable(t, fd);
			}
		}
		run_mail(t);
		close_dropped(t);
	}
}

static int listen_on(int port) {
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) || // inherited by what it accepts
	    bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, SOMAXCONN))
		fail("listen");
	return fd;
}

static void prepare(struct thread *t, int number, int port) {
	t->number = number;
	t->listener = listen_on(port);
	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	t->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	t->buffer = allocate(MAX_REQUEST_BYTES, 1);
	t->subscriptions = allocate(MAX_SUBSCRIPTIONS, sizeof *t->subscriptions);
	t->heads = allocate(MAX_CHANNELS, sizeof *t->heads);
	t->last_mail = allocate(MAX_CHANNELS, sizeof *t->last_mail);
	t->mailbox = allocate(MAX_MAIL, sizeof *t->mailbox);
	t->taken = allocate(MAX_MAIL, sizeof *t->taken);
	pthread_mutex_init(&t->lock, NULL);
	if (t->epoll < 0 || t->bell < 0) fail("create descriptors");
	if (watch(t, EPOLL_CTL_ADD, t->listener, EPOLLIN | EPOLLET) || watch(t, EPOLL_CTL_ADD, t->bell, EPOLLIN | EPOLLET)) fail("watch");
}

// ---- the control pipe

static uint64_t number_after(const char *line, const char *key) {
	const char *at = strstr(line, key);
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

// on_line broadcasts one Publication. The data of its events are the generator's
// stamps, as in package wire.
static void on_line(char *line, const char *standard, size_t payload) {
	static struct buffer frames, text, data;
	struct span all = {line, strlen(line)}, of = string_after(&all, "\"channel\":\"");
	if (!of.at) of = (struct span){(char *)standard, strlen(standard)};
	uint32_t channel;
	uint64_t interested = interest(of, &channel);
	uint64_t first = number_after(line, "\"first\":"), events = number_after(line, "\"events\":"), nanos = number_after(line, "\"nanos\":");
	bool packed = strstr(line, "\"packed\":true");
	for (uint64_t i = 0; i < events; i++) {
		data.length = 0;
		appendf(&data, "~rb~%08x~%016llx~", (unsigned)(first + i), (unsigned long long)nanos);
		while (data.length < payload) append(&data, "x", 1);
		append_event(&frames, &text, (struct span){"bench", 5}, (struct span){data.bytes, data.length}, of);
		if (packed && i + 1 < events && frames.length < MAX_JOINED_BYTES) continue;
		publish(NULL, channel, interested, &frames);
		frames.length = 0;
	}
}

int main(int argc, char **argv) {
	const char *standard = "bench";
	size_t payload = 100;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--packed")) packing = true;
		else if (i + 1 == argc) thread_count = 0; // an option without its value
		else if (!strcmp(argv[i], "--threads")) thread_count = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--channel")) standard = argv[++i];
		else if (!strcmp(argv[i], "--payload")) payload = (size_t)atoi(argv[++i]);
		else thread_count = 0;
	}
	if (thread_count < 1 || thread_count > MAX_THREADS || payload > MAX_REQUEST_BYTES || strlen(standard) > MAX_CHANNEL_BYTES) {
		fprintf(stderr, "usage: bare [--threads 1..%d] [--packed] [--channel NAME] [--payload BYTES]\n", MAX_THREADS);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	struct rlimit limit;
	if (!getrlimit(RLIMIT_NOFILE, &limit)) limit.rlim_cur = limit.rlim_max, setrlimit(RLIMIT_NOFILE, &limit);
	conns = allocate(MAX_CONNS, sizeof *conns);
	channels = allocate(MAX_CHANNELS, sizeof *channels);
	buckets = allocate(BUCKETS, sizeof *buckets);
	struct sockaddr_in bound = {0};
	for (int i = 0; i < thread_count; i++) {
		prepare(&threads[i], i, ntohs(bound.sin_port));
		if (getsockname(threads[i].listener, (struct sockaddr *)&bound, &(socklen_t){sizeof bound})) fail("read port");
	}
	for (int i = 0; i < thread_count; i++) {
		pthread_t id;
		if (pthread_create(&id, NULL, run, &threads[i])) fail("start thread");
	}
	printf("{\"port\":%d}\n", ntohs(bound.sin_port));
	fflush(stdout);
	char *line = NULL;
	size_t capacity = 0;
	while (getline(&line, &capacity, stdin) > 0) on_line(line, standard, payload);
	printf("{\"short_writes\":%lu,\"dropped\":%lu,\"refused\":%lu}\n", short_writes, dropped, refused);
	fflush(stdout);
	_exit(0); // the threads still run
}
