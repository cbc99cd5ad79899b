//! Every limit of the wire and of the machines' defaults, each with its reason, in one place.

use std::time::Duration;

/// Protocol versions this build speaks, first and last.
pub const VERSION_MIN: u32 = 1;
/// See [`VERSION_MIN`].
pub const VERSION_MAX: u32 = 1;

/// Envelopes in one bundle. Measured: caps of 16 to 64 are near best; more only delays the first one.
pub const BUNDLE_ENVELOPES_MAX: usize = 64;
/// Bytes in one bundle, so that one read buffer holds it.
pub const BUNDLE_BYTES_MAX: usize = 64 * 1024;
/// A body above this travels alone, in a frame of its own, and is not copied.
pub const BODY_INLINE_BYTES_MAX: usize = 16 * 1024;
/// A header: small enough to sit in a bundle many times, large enough for an error's message and trace context.
pub const HEADER_BYTES_MAX: usize = 4 * 1024;
/// Keys in one header: known ones and extensions.
pub const HEADER_KEYS_MAX: usize = 64;
/// All extension keys (64 and above) of one header, which the broker copies from hop to hop.
pub const EXTENSION_BYTES_MAX: usize = 1024;
/// How many of them one header may have: fewer than all its keys, so that the broker's own keys have room beside them.
pub const EXTENSION_KEYS_MAX: usize = 32;
/// A whole message, all frames together, before the gate refuses it. A broker's setting; this is its default.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Frames in one message: a bundle is one frame, a large body makes two.
pub const MESSAGE_FRAMES_MAX: usize = 2;
/// A message before the handshake is done: whoever has not been let in yet costs little.
pub const HANDSHAKE_BYTES_MAX: usize = 4 * 1024;
/// A service's, method's, pool's or argument's name.
pub const NAME_BYTES_MAX: usize = 128;
/// An error's message for people; longer ones are cut at a character.
pub const FAILURE_MESSAGE_BYTES_MAX: usize = 1024;
/// An error's type name.
pub const FAILURE_TYPE_BYTES_MAX: usize = 128;
/// How deep CBOR may nest, in headers and in bodies that the library decodes: a bomb must not exhaust the stack.
pub const DEPTH_MAX: usize = 64;
/// An affinity key: as long as a name. Longer ones would be bodies in disguise, kept for as long as a call waits.
pub const AFFINITY_KEY_BYTES_MAX: usize = 128;
/// Buckets of affinity keys of one service: many against its workers, so that each gets its share; few enough that the memory of
/// which worker has which is small.
pub const AFFINITY_BUCKETS: u16 = 1024;
/// Affinity keys that one worker may register as in use, for all its services: as many as the slots of one.
pub const KEYS_IN_USE_MAX: usize = SLOTS_MAX as usize;
/// Services that one worker may register.
pub const OFFERS_MAX: usize = 256;
/// Methods of one service at one worker.
pub const METHODS_MAX: usize = 1024;
/// The description of one service, as a worker registers it: room for hundreds of methods with their comments.
pub const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Descriptions of one service that a broker keeps, where its workers do not agree: those of an update that is under way, and some.
pub const DESCRIPTIONS_MAX: usize = 4;
/// Slots of one service at one worker.
pub const SLOTS_MAX: u32 = 65_536;

/// Registrations of one worker's connection within [`REGISTRATIONS_WINDOW`]. A worker registers once; one
/// that learns new services as it runs, a few times. Each makes the broker walk the queues of its services.
pub const REGISTRATIONS_MAX: u32 = 16;
/// See [`REGISTRATIONS_MAX`].
pub const REGISTRATIONS_WINDOW: Duration = Duration::from_secs(10);
/// Peers in one answer of `callboard.peers`: the answer stays below 256 KiB.
pub const PEERS_PAGE_MAX: usize = 256;
/// How long a result of `callboard.services`, `callboard.status` or `callboard.why` (of all calls) is returned again. It bounds the cost
/// of a client that calls them in a loop.
pub const ADMIN_RESULT_AGE_MAX: Duration = Duration::from_millis(50);

/// How often a peer lets itself be heard when it has nothing else to say.
pub const HEARTBEAT_DEFAULT: Duration = Duration::from_millis(1_000);
/// The shortest heartbeat a peer may announce: a shorter one would be load, not life.
pub const HEARTBEAT_MIN: Duration = Duration::from_millis(10);
/// The longest heartbeat a peer may announce: a dead peer must be noticed some day.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(600);
/// Intervals without a sound after which a peer is lost.
pub const HEARTBEATS_MISSED_MAX: u32 = 3;
/// Heartbeats for which a lost client's calls live on, waiting for it to come back.
pub const CLIENT_RETURN_HEARTBEATS: u32 = 2;
/// Disconnected clients that may return. The limit keeps a client that connects and leaves with one session after the other from filling
/// the memory. It is above the number of connections of a gate, and a tenant's share ([`TENANT_SHARE`]) is as many as one address may
/// have, so all clients find their calls again after a network failure.
pub const DISCONNECTED_CLIENTS_MAX: usize = 16_384;
/// From connecting to welcome; a peer that takes longer is not let in.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest authkey: 128 bits of chance, where it is chance. A shorter one could be found by trying.
pub const AUTHKEY_BYTES_MIN: usize = 16;
/// The longest authkey: more than any generator writes, and a whole file by mistake is none.
pub const AUTHKEY_BYTES_MAX: usize = 512;
/// Authkeys of one side: the broker tries each on every proof.
pub const AUTHKEYS_MAX: usize = 16;
/// A file of authkeys: room for all of them, with ids, roles and comments.
pub const AUTHKEY_FILE_BYTES_MAX: usize = 64 * 1024;
/// From a wrong proof to the goodbye that says so: who guesses has to wait, and learns nothing from how long.
pub const AUTHKEY_REJECTION_DELAY: Duration = Duration::from_secs(1);

/// Calls that a client may have open at the broker: its first credit.
pub const CREDIT_CALLS: u32 = 4_096;
/// Bytes of bodies that a client may have open at the broker.
pub const CREDIT_BYTES: u64 = 64 * 1024 * 1024;
/// Calls that may wait in one service's queue at the broker.
pub const QUEUE_CALLS_MAX: usize = 65_536;
/// Bytes of bodies that may wait in one service's queue at the broker.
pub const QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Calls that may wait at the broker in all: four full queues. Whoever waits without a time-out outlives its connection and that
/// connection's credit, so credit alone bounds nothing. A call costs some 1.5 KiB beside its body, its extensions among them.
pub const WAITING_CALLS_MAX: usize = 4 * QUEUE_CALLS_MAX;
/// Bytes of bodies that may wait at the broker in all.
pub const WAITING_BYTES_MAX: usize = 4 * QUEUE_BYTES_MAX;
/// The share of one tenant (the sessions of one key, or of one address) in the backlog of all: one part in so many. With the defaults it
/// is the size of one queue, so a tenant is bounded as a service is, and the others have room beside it.
pub const TENANT_SHARE: usize = 4;
/// Outcomes of one session that the broker remembers until they are acknowledged.
pub const SESSION_OUTCOMES_MAX: usize = 8_192;
/// Bytes of those outcomes.
pub const SESSION_OUTCOME_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of bodies that a worker may have been sent and not read yet: a quarter of what the gate holds for a peer before it takes it for
/// one that does not read. One more call, as large as calls may be, fits behind it, with all their headers.
pub const WORKER_UNREAD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What remembering an outcome costs beside its bytes.
pub const OUTCOME_OVERHEAD_BYTES: usize = 256;
/// Bytes of the outcomes that the broker remembers for all sessions together. A session may be gone for twenty minutes before it is
/// forgotten, and there may be any number of them.
pub const TOTAL_OUTCOME_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Calls that wait in a client for credit or a connection.
pub const CLIENT_QUEUE_CALLS_MAX: usize = 16_384;
/// Attempts of one call in all, where its effect allows more than one.
pub const ATTEMPTS_MAX: u32 = 3;
/// Calls of a service that may be sent again after the loss of a worker, in a hundred of its calls: a error must not be fed by its
/// own consequences.
pub const RETRY_BUDGET_PERCENT: u32 = 10;
/// Retries of a service in a second that it has in any case, however rarely it is called.
pub const RETRIES_PER_SECOND_MIN: u32 = 10;
/// Retries of a service at once, saved up while there were none: what a lost worker with many slots had.
pub const RETRY_BURST: u32 = 1_000;
/// How long a worker may take to stop a handler that ran past its hard limit, before it counts as unresponsive.
pub const UNRESPONSIVE_AFTER: Duration = Duration::from_secs(2);
/// Dead letters that the broker keeps: calls that their workers were lost with until nobody may try again. The oldest go first.
pub const DEAD_LETTERS_MAX: usize = 1_000;
/// Bytes of the arguments of dead letters.
pub const DEAD_LETTER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Open calls that `callboard.why` tells of at once.
pub const WHY_CALLS_MAX: usize = 100;
/// How long an offer that handed a call back without being asked to gets no other call: long compared with a round trip, so that broker
/// and worker do not spin, and short compared with a caller's timeout.
pub const HANDBACK_PAUSE: Duration = Duration::from_millis(50);
/// How long a service that no worker serves any more is waited for.
pub const SERVICE_GRACE: Duration = Duration::from_secs(10);
/// How long a young broker waits for workers to come back before it says that no worker serves a service.
pub const STARTUP_GRACE: Duration = Duration::from_secs(2);
/// How long a broker that is told to stop lets running calls finish.
pub const BROKER_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a worker that is told to end lets running calls finish.
pub const WORKER_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// A call's time-out where the caller names none.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Slots of a service of async functions.
pub const SLOTS_ASYNC_DEFAULT: u32 = 64;
/// Slots of a service of blocking functions: one at a time unless its author says more.
pub const SLOTS_BLOCKING_DEFAULT: u32 = 1;
/// How long a handler runs before its worker says `started`: most calls are over by then and cost no envelope for it, and of one
/// that is not, a caller whose time is up learns that it had begun.
pub const STARTED_DELAY: Duration = Duration::from_millis(20);
/// How long a worker that has said goodbye waits for the broker's: a broker that lives answers within a turn or two.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// The step from which pauses between attempts to connect double, up to a heartbeat; each is a fifth of its step to all of it. A
/// broker that was only restarted is found again at once, and one that is gone is not hammered.
pub const RECONNECT_BACKOFF_MIN: Duration = Duration::from_millis(50);
/// How long past an open call's deadline its client waits, at most, for the broker's own word on it, which knows more: whether
/// it was started, and where. A tenth of the time-out, where that is less.
pub const EXPIRY_GRACE_MAX: Duration = Duration::from_millis(100);
/// Items of one direction of a stream that may be on their way or unread: its largest window. Enough to keep a reader busy while its
/// credit travels, and few enough that a handler that produces faster than its reader reads is held back soon.
pub const STREAM_ITEMS: u32 = 64;
/// Bytes of those items. It bounds what broker and reader hold of each stream whose reader does not read.
pub const STREAM_BYTES: u64 = 256 * 1024;
/// Bytes of one item.
pub const ITEM_BYTES_MAX: u64 = STREAM_BYTES / 2;
/// Between two words of one handler on its progress: more often nobody can see.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of such a word: two numbers and a sentence.
pub const PROGRESS_BYTES_MAX: usize = FAILURE_MESSAGE_BYTES_MAX + 32;
/// Envelopes that a driver handles in one turn before it flushes and yields.
pub const TURN_ENVELOPES_MAX: usize = 256;
/// Bytes that a driver handles in one turn before it flushes and yields.
pub const TURN_BYTES_MAX: usize = 256 * 1024;

/// How long a client waits beyond its time-out for the answers to a broadcast that there are: they come in one message, which may be
/// large.
pub const BROADCAST_GRACE: Duration = Duration::from_secs(1);
/// What each worker's answer to a broadcast takes of a message, beside its result or what its handler failed with: its worker's name,
/// keys, numbers, and a short sentence in the place of an answer that has no room, or never came.
pub const BROADCAST_REPLY_OVERHEAD_BYTES: usize = 256;
/// Bytes that the answers of all open broadcasts may hold at the broker; an answer beyond that is a failure, and so is a further
/// broadcast.
pub const BROADCAST_BYTES_MAX: usize = 256 << 20;

const _: () = assert!(BODY_INLINE_BYTES_MAX + HEADER_BYTES_MAX <= BUNDLE_BYTES_MAX, "what is copied fits in a bundle");
const _: () = assert!(BUNDLE_BYTES_MAX < MESSAGE_BYTES_MAX, "a bundle is an ordinary message");
const _: () = assert!(
    CREDIT_BYTES >= 2 * MESSAGE_BYTES_MAX as u64,
    "credit is granted at half its window, and half must hold the largest message, or its sender waits for ever"
);
const _: () = assert!(CREDIT_CALLS >= 2, "half the window must hold a call");
const _: () =
    assert!(STREAM_ITEMS >= 2 && 2 * ITEM_BYTES_MAX <= STREAM_BYTES, "half a stream's window must hold an item");
const _: () = assert!(
    SESSION_OUTCOMES_MAX >= CREDIT_CALLS as usize,
    "a client that loses its connection with all its credit in use finds every outcome again"
);
const _: () = assert!(
    TOTAL_OUTCOME_BYTES_MAX >= 2 * SESSION_OUTCOME_BYTES_MAX,
    "one session alone does not push out what is remembered for the others"
);
const _: () = assert!(
    WAITING_BYTES_MAX / TENANT_SHARE >= MESSAGE_BYTES_MAX && QUEUE_BYTES_MAX >= MESSAGE_BYTES_MAX,
    "the largest call may wait"
);
const _: () =
    assert!(EXTENSION_KEYS_MAX + 31 <= HEADER_KEYS_MAX, "extensions fit beside every key below 64 that has a name");
const _: () = assert!(
    AUTHKEY_REJECTION_DELAY.as_millis() < HANDSHAKE_TIMEOUT.as_millis(),
    "who gave a wrong proof early in its handshake is told so, and not that it took too long"
);
const _: () = assert!(
    AUTHKEYS_MAX * (AUTHKEY_BYTES_MAX + 2 * NAME_BYTES_MAX) < AUTHKEY_FILE_BYTES_MAX,
    "a file holds as many keys as there may be"
);
const _: () = assert!(HEADER_BYTES_MAX <= u16::MAX as usize, "a text's place in its header is kept in 16 bits");
const _: () = assert!(NAME_BYTES_MAX < 256, "a name's last dot is kept in a byte");
const _: () = assert!(
    EXTENSION_BYTES_MAX
        + FAILURE_MESSAGE_BYTES_MAX
        + FAILURE_TYPE_BYTES_MAX
        + 2 * NAME_BYTES_MAX
        + AFFINITY_KEY_BYTES_MAX
        + 256
        < HEADER_BYTES_MAX,
    "a header of ours always fits"
);
