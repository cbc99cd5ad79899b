//! All limits of the wire, and the defaults of the machines, each with its reason.

use std::time::Duration;

/// The first protocol version that this build supports.
pub const VERSION_MIN: u32 = 2;
/// The last protocol version that this build supports.
pub const VERSION_MAX: u32 = 2;

/// Envelopes in one bundle. In measurements, limits of 16 to 64 were near the best. Higher ones only delay the first envelope.
pub const BUNDLE_ENVELOPES_MAX: usize = 64;
/// Bytes of one bundle. A bundle fits into one read buffer.
pub const BUNDLE_BYTES_MAX: usize = 64 * 1024;
/// The largest body within a bundle. A larger one is sent in a frame of its own, without a copy.
pub const BODY_INLINE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a header: few enough for many headers in a bundle, and enough for an error message and a trace context.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;
/// Keys in one header, including extensions.
pub const HEADER_KEYS_MAX: usize = 64;
/// Bytes of all extensions (keys from 64 on) of one header, which the broker copies from hop to hop.
pub const EXTENSION_BYTES_MAX: usize = 1024;
/// Extensions of one header: fewer than all its keys, so that there is room for the broker's keys.
pub const EXTENSION_KEYS_MAX: usize = 32;
/// The default of the broker's setting for the bytes of a message, in all frames. The gate rejects larger messages.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Frames in one message: a bundle is one frame, a large body makes two.
pub const MESSAGE_FRAMES_MAX: usize = 2;
/// Bytes of a message before the end of the handshake, so that an unauthenticated peer costs little memory.
pub const HANDSHAKE_BYTES_MAX: usize = 4 * 1024;
/// Messages and ZMTP commands of a peer before its welcome: READY, hello and proof, and heartbeats of ZMTP twice a second for as long as
/// the handshake may take. Without this limit a peer without a key could keep the broker busy with commands.
pub const HANDSHAKE_ITEMS_MAX: usize = 16;
/// Bytes of the name of a service, method, pool or argument.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes of an error message. A longer one is cut at a character boundary.
pub const FAILURE_MESSAGE_BYTES_MAX: usize = 1024;
/// Bytes of the type name of an error.
pub const FAILURE_TYPE_BYTES_MAX: usize = 128;
/// The maximum nesting depth of CBOR, in headers and in bodies that the library decodes. It keeps input from exhausting the stack.
pub const DEPTH_MAX: usize = 64;
/// Bytes of an affinity key: as many as of a name. The broker keeps the key for as long as the call waits, so it must be small.
pub const AFFINITY_KEY_BYTES_MAX: usize = 128;
/// Buckets of affinity keys of one service. They are many compared with its workers, so that each worker gets an equal share, and few
/// enough to keep the table of their workers small.
pub const AFFINITY_BUCKETS: u16 = 1024;
/// Affinity keys that one worker may register as in use, for all its services: as many as the slots of one service.
pub const KEYS_IN_USE_MAX: usize = SLOTS_MAX as usize;
/// Services that one worker may register.
pub const OFFERS_MAX: usize = 256;
/// Methods of one service at one worker.
pub const METHODS_MAX: usize = 1024;
/// Bytes of the description of one service in a registration: enough for hundreds of methods with comments.
pub const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Descriptions of one service that a broker keeps if its workers differ: those of an update in progress, and some spare ones.
pub const DESCRIPTIONS_MAX: usize = 4;
/// Bytes that the broker keeps of one worker's registration: names, arguments, descriptions, and what belongs to each. That is room for
/// some ten thousand methods, or for sixty of the largest descriptions.
pub const REGISTRATION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that the broker keeps of the registrations of all workers. Workers with the same services share most of them: a worker with a
/// hundred methods that others have, too, takes some 6 KiB. They are kept until [`SERVICE_GRACE`] after the last of the workers has left.
pub const REGISTRATIONS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Methods, of all services, with counters and histograms of their own, of some 700 bytes each. The calls of further methods are counted
/// together. Each method is some 70 lines in the text of the metrics, so that the largest text has some 7 MB.
pub const METRICS_METHODS_MAX: usize = 1_000;
/// Services with gauges of their own in the metrics.
pub const METRICS_SERVICES_MAX: usize = 1_000;
/// Slots of one service at one worker.
pub const SLOTS_MAX: u32 = 65_536;

/// Registrations on one connection of a worker within [`REGISTRATIONS_WINDOW`]. A worker registers once, or a few times if it adds
/// services while it runs. Each registration makes the broker scan the queues of its services.
pub const REGISTRATIONS_MAX: u32 = 16;
/// The time in which [`REGISTRATIONS_MAX`] registrations are allowed.
pub const REGISTRATIONS_WINDOW: Duration = Duration::from_secs(10);
/// Peers in one result of `callboard.peers`, which keeps the result below 256 KiB.
pub const PEERS_PAGE_MAX: usize = 256;
/// The maximum age of a cached result of `callboard.services`, `callboard.status` or `callboard.why` (of all calls). It bounds the
/// cost of a client that calls them in a loop.
pub const ADMIN_RESULT_AGE_MAX: Duration = Duration::from_millis(50);

/// The default heartbeat interval: a peer sends something at least this often.
pub const HEARTBEAT_DEFAULT: Duration = Duration::from_millis(1_000);
/// The shortest heartbeat interval that a peer may announce. A shorter one would only be load.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(10);
/// The longest heartbeat interval that a peer may announce, so that a dead peer is detected in bounded time.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(600);
/// The number of heartbeat intervals without activity after which a peer is lost.
pub const HEARTBEATS_MISSED_MAX: u32 = 3;
/// The number of heartbeat intervals for which the broker keeps the calls of a lost client, which may reconnect.
pub const CLIENT_RETURN_HEARTBEATS: u32 = 2;
/// Disconnected clients that the broker keeps for a reconnect. The limit bounds the memory that a client can use with one session after
/// another. It is above the number of connections of a gate, and a tenant's share ([`TENANT_SHARE`]) is as many as one address may
/// have. So all clients recover their calls after a network failure.
pub const DISCONNECTED_CLIENTS_MAX: usize = 16_384;
/// The timeout of the whole handshake, from the connection to the welcome.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The minimum bytes of an authkey: 128 bits, if it is random. A shorter one could be found by brute force.
pub const AUTHKEY_BYTES_MIN: usize = 16;
/// The maximum bytes of an authkey: more than any generator writes, and less than a file that was passed by mistake.
pub const AUTHKEY_BYTES_MAX: usize = 512;
/// Authkeys of one side. The broker tries all of them on each proof.
pub const AUTHKEYS_MAX: usize = 16;
/// Peers that a broker knows. A reload compares all of them with each connection.
pub const PEERS_MAX: usize = 1_024;
/// Authkeys and public keys of one peer, of each kind. Two are enough to rotate a key.
pub const PEER_KEYS_MAX: usize = 4;
/// Authkeys of all peers. The broker tries all of them on each proof, which anyone may send; public keys are looked up.
pub const PEER_AUTHKEYS_MAX: usize = 256;
/// Rules of one peer, of each kind. The broker compares them with each call of the peer.
pub const PEER_RULES_MAX: usize = 256;
/// Bytes of a file of peers: enough for all of them, with a few rules each.
pub const PEERS_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a file of authkeys: enough for all of them, with ids, roles and comments.
pub const AUTHKEY_FILE_BYTES_MAX: usize = 64 * 1024;
/// The delay from an invalid proof to the goodbye. It slows down guessing, and its constant length reveals nothing.
pub const AUTHKEY_REJECTION_DELAY: Duration = Duration::from_secs(1);

/// Calls that a client may have open at the broker: its initial credit.
pub const CREDIT_CALLS: u32 = 4_096;
/// Bytes of bodies that a client may have open at the broker.
pub const CREDIT_BYTES: u64 = 64 * 1024 * 1024;
/// Calls that may wait in one service's queue at the broker.
pub const QUEUE_CALLS_MAX: usize = 65_536;
/// Bytes of bodies that may wait in one service's queue at the broker.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Calls that may wait at the broker in all: four full queues. Credit alone does not bound them, because a cast without a timeout
/// outlives its connection and the credit of that connection. A call costs about 1.5 KiB besides its body, including its extensions.
pub const WAITING_CALLS_MAX: usize = 4 * QUEUE_CALLS_MAX;
/// Bytes of bodies that may wait at the broker in all.
pub const WAITING_BYTES_MAX: usize = 4 * QUEUE_BYTES_MAX;
/// The divisor of the share of one tenant (the sessions of one key or address) in the whole backlog. With the defaults, a share is the
/// size of one queue. So one tenant is bounded as one service is, and leaves room for the others.
pub const TENANT_SHARE: usize = 4;
/// Outcomes of one session that the broker keeps until they are acknowledged.
pub const SESSION_OUTCOMES_MAX: usize = 8_192;
/// Bytes of the outcomes of one session that the broker keeps.
pub const SESSION_OUTCOME_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of bodies in flight to a worker: sent and not read yet. It is a quarter of what the gate buffers before it disconnects a peer
/// that does not read. One more call of the maximum size still fits, with all headers.
pub const WORKER_UNREAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The expected handler time of the calls that go to one worker in a turn although others are free: about the cost of waking another.
pub const BATCH_TIME: Duration = Duration::from_micros(200);
/// The memory of a kept outcome besides its body, in bytes.
pub const OUTCOME_OVERHEAD_BYTES: usize = 256;
/// Bytes of the outcomes that the broker keeps for all sessions together. Sessions are kept for up to twenty minutes after a
/// disconnect, and their number alone does not bound the bytes.
pub const TOTAL_OUTCOME_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Calls that may wait in a client for credit or a connection.
pub const CLIENT_QUEUE_CALLS_MAX: usize = 16_384;
/// Attempts of one call in all, if its effect allows more than one.
pub const ATTEMPTS_MAX: u32 = 3;
/// The retry budget of a service, in percent of its calls: the calls that may be retried after the loss of a worker. It prevents retry
/// storms.
pub const RETRY_BUDGET_PERCENT: u32 = 10;
/// Retries of a service per second that are always allowed, even if the service is rarely called.
pub const RETRIES_PER_SECOND_MIN: u32 = 10;
/// Retries of a service at once, which accumulate while there are none: enough for the calls of a lost worker with many slots.
pub const RETRY_BURST: u32 = 1_000;
/// The time in which a worker must stop a handler that exceeded its hard limit. After it, the worker counts as unresponsive.
pub const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(2);
/// Dead letters that the broker keeps: calls whose workers were lost, without further attempts. The oldest are evicted first.
pub const DEAD_LETTERS_MAX: usize = 1_000;
/// Bytes of the arguments of dead letters.
pub const DEAD_LETTER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Open calls in one result of `callboard.why`.
pub const WHY_CALLS_MAX: usize = 100;
/// The pause of an offer after its worker handed back a call that the broker did not ask for. It is long compared with a round trip, so
/// that broker and worker do not loop, and short compared with a caller's timeout.
pub const HANDBACK_PAUSE: Duration = Duration::from_millis(50);
/// The time for which calls wait for a service whose last worker has disconnected.
pub const SERVICE_GRACE: Duration = Duration::from_secs(10);
/// The time after its start in which a broker waits for workers to reconnect, before it reports that no worker serves a service.
pub const STARTUP_GRACE: Duration = Duration::from_secs(2);
/// The time that running calls have to finish when a broker stops.
pub const BROKER_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that running calls have to finish when a worker stops.
pub const WORKER_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of a call if the caller sets none.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// The default number of slots of a service of async functions.
pub const SLOTS_ASYNC_DEFAULT: u32 = 64;
/// The default number of slots of a service of blocking functions: one call at a time.
pub const SLOTS_BLOCKING_DEFAULT: u32 = 1;
/// The default prefetch of a service of blocking functions without `once` methods. More was not reliably faster.
pub const PREFETCH_BLOCKING_DEFAULT: u32 = 8;
/// The time that a handler runs before its worker sends `started`. Most calls end earlier and save this envelope. For the others, the
/// caller learns at a timeout that the handler had started.
pub const STARTED_DELAY: Duration = Duration::from_millis(20);
/// The time that a worker waits for the broker's goodbye after its own. A live broker responds within a turn or two.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// The first step of the backoff between attempts to connect. Steps double up to a heartbeat interval, and each delay is a random part
/// of its step, at least a fifth. So a peer finds a restarted broker quickly, and does not flood a host whose broker is down.
pub const RECONNECT_BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The maximum time that a client waits after the deadline of an open call for the broker's outcome: that outcome
/// states whether and where the call was started. It is a tenth of the timeout if that is less.
pub const EXPIRY_GRACE_MAX: Duration = Duration::from_millis(100);
/// The largest window of one direction of a stream: items in flight or unread. Half of them take longer to produce and read than
/// their credit takes to return, so neither side waits for the other. They are few enough that backpressure reaches a fast writer soon.
pub const STREAM_ITEMS: u32 = 1_024;
/// Bytes of the items in the largest window. It bounds what broker and reader buffer for a stream that is not read.
pub const STREAM_BYTES: u64 = 256 * 1024;
/// Bytes of one item of a stream, and of all items in one envelope.
pub const ITEM_BYTES_MAX: u64 = STREAM_BYTES / 2;
/// Items in one envelope. At most half a window, so that the reader has items to read while its credit is in flight.
pub const BATCH_ITEMS_MAX: u32 = STREAM_ITEMS / 2;
/// Bytes after which our writers begin another envelope. It stays in a bundle with others. A larger item travels alone.
pub const BATCH_BYTES: usize = BODY_INLINE_BYTES_MAX;
/// The minimum interval between two progress reports of one handler. Users cannot see more frequent ones.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of a progress report: two numbers and a sentence.
pub const PROGRESS_BYTES_MAX: usize = FAILURE_MESSAGE_BYTES_MAX + 32;
/// Services with limits of operators, and workers that operators have paused, in one broker.
pub const OPERATOR_LIMITS_MAX: usize = 1_024;
/// Envelopes that a driver handles in one turn before it flushes and yields.
pub const TURN_ENVELOPES_MAX: usize = 256;
/// Bytes that a driver handles in one turn before it flushes and yields.
pub const TURN_BYTES_MAX: usize = 256 * 1024;

/// The time that a client waits after the timeout of a broadcast for the replies that the broker has. They arrive in one message,
/// which may be large.
pub const BROADCAST_GRACE: Duration = Duration::from_secs(1);
/// Bytes of one worker's reply in the result of a broadcast, besides its result or failure: the worker's name, keys, numbers, and a
/// short message in place of a reply that is missing or does not fit.
pub const BROADCAST_REPLY_OVERHEAD_BYTES: usize = 256;
/// Bytes of the replies to all open broadcasts that the broker buffers. Beyond it, a reply becomes a failure, and a further broadcast is
/// rejected.
pub const BROADCAST_BYTES_MAX: usize = 256 << 20;

const _: () = assert!(
    BODY_INLINE_BYTES_MAX + HEADER_BYTES_MAX <= BUNDLE_BYTES_MAX,
    "an inline body and its header fit into a bundle"
);
const _: () = assert!(
    16 * REGISTRATION_BYTES_MAX <= REGISTRATIONS_BYTES_MAX,
    "a few workers with the largest registrations leave room for others"
);
const _: () =
    assert!(DESCRIPTION_BYTES_MAX < REGISTRATION_BYTES_MAX, "a service with the largest description can be registered");
const _: () = assert!(BUNDLE_BYTES_MAX < MESSAGE_BYTES_MAX, "a bundle is an ordinary message");
const _: () = assert!(
    CREDIT_BYTES >= 2 * MESSAGE_BYTES_MAX as u64,
    "credit is granted at half its window, and half must hold the largest message, or its sender waits forever"
);
const _: () = assert!(CREDIT_CALLS >= 2, "half the window must hold a call");
const _: () =
    assert!(STREAM_ITEMS >= 2 && 2 * ITEM_BYTES_MAX <= STREAM_BYTES, "half a stream's window must hold an item");
const _: () =
    assert!(BATCH_BYTES as u64 <= ITEM_BYTES_MAX, "several items in one envelope have at most the bytes of one");
const _: () = assert!(
    SESSION_OUTCOMES_MAX >= CREDIT_CALLS as usize,
    "a client that loses its connection with all credit in use recovers every outcome"
);
const _: () = assert!(
    TOTAL_OUTCOME_BYTES_MAX >= 2 * SESSION_OUTCOME_BYTES_MAX,
    "one session alone does not evict the outcomes of the others"
);
const _: () = assert!(
    WAITING_BYTES_MAX / TENANT_SHARE >= MESSAGE_BYTES_MAX && QUEUE_BYTES_MAX >= MESSAGE_BYTES_MAX,
    "the largest call fits into a queue and into a tenant's share"
);
const _: () = assert!(
    EXTENSION_KEYS_MAX + 31 <= HEADER_KEYS_MAX,
    "a header has room for all extensions and all named keys below 64"
);
const _: () = assert!(
    AUTHKEY_REJECTION_DELAY.as_millis() < HANDSHAKE_TIMEOUT.as_millis(),
    "a peer with an invalid proof receives that reason, and not that the handshake timed out"
);
const _: () = assert!(
    AUTHKEYS_MAX * (AUTHKEY_BYTES_MAX + 2 * NAME_BYTES_MAX) < AUTHKEY_FILE_BYTES_MAX,
    "a file has room for the maximum number of keys"
);
const _: () = assert!(HEADER_BYTES_MAX <= u16::MAX as usize, "the offset of a text in its header is stored in 16 bits");
const _: () = assert!(NAME_BYTES_MAX < 256, "the index of the last dot of a name is stored in a byte");
const _: () = assert!(
    EXTENSION_BYTES_MAX
        + FAILURE_MESSAGE_BYTES_MAX
        + FAILURE_TYPE_BYTES_MAX
        + 2 * NAME_BYTES_MAX
        + AFFINITY_KEY_BYTES_MAX
        + 256
        < HEADER_BYTES_MAX,
    "a header that the library writes always fits"
);
