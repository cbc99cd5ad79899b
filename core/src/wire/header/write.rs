//! Writes a header directly from the envelope into the bundle.

use std::time::Duration;

use super::{
    super::{
        affinity::Affinity,
        envelope::{Credit, Dispatch, Envelope, KeyFreed, Priority, Reply, Request, StreamCredit},
        ids::CallNumber,
        limits::{FAILURE_MESSAGE_BYTES_MAX, FAILURE_TYPE_BYTES_MAX, NAME_BYTES_MAX},
        status::Failure,
    },
    extensions, handler_time,
    head::{major, write_head},
    keys, timings,
};

/// Appends the header of `envelope` to `out`, in deterministic encoding.
///
/// Texts that exceed their limits are cut at a character boundary. Extensions that a receiver would reject are omitted: they are
/// optional, and the call must not fail because of them.
pub(in super::super) fn write(envelope: &Envelope, out: &mut Vec<u8>) {
    let mut pairs = Pairs::open(out);
    pairs.number(keys::KIND, envelope.kind().number().into());
    match envelope {
        Envelope::Hello(_) | Envelope::Challenge(_) | Envelope::Proof(_) | Envelope::Welcome(_) => {}
        Envelope::Register(_) | Envelope::Drain => {}
        Envelope::Request(request) => write_request(request, &mut pairs),
        Envelope::Dispatch(dispatch) => write_dispatch(dispatch, &mut pairs),
        Envelope::Started(number) | Envelope::Handback(number) => pairs.number(keys::NUMBER, number.0),
        Envelope::Reply(reply) => write_reply(reply, &mut pairs),
        Envelope::Credit(credit) => {
            pairs.credit(credit);
            pairs.number_unless_zero(keys::OFFER, credit.offer.into());
        }
        Envelope::KeyFreed(KeyFreed { offer, key }) => {
            pairs.number(keys::CREDIT_CALLS, 1);
            pairs.number_unless_zero(keys::OFFER, (*offer).into());
            pairs.text(keys::KEY, key.as_str());
        }
        Envelope::StreamCredit(StreamCredit { number, credit }) => {
            pairs.number(keys::NUMBER, *number);
            pairs.credit(&Credit { calls: credit.items, bytes: credit.bytes, offer: 0 });
        }
        Envelope::Items(items) => {
            pairs.number(keys::NUMBER, items.number);
            pairs.number(keys::SEQUENCE, items.sequence);
            if let Some(dropped) = items.latest {
                pairs.number(keys::LATEST, dropped);
            }
            if items.batch.items() != 1 {
                pairs.number(keys::ITEMS, items.batch.items().into());
            }
        }
        Envelope::End(end) => {
            pairs.number(keys::NUMBER, end.number);
            pairs.number(keys::SEQUENCE, end.items);
        }
        Envelope::Progress(number, _) => pairs.number(keys::NUMBER, *number),
        Envelope::Cancel(cancel) => pairs.number_and_done(cancel.number, cancel.done_below),
        Envelope::Goodbye(None) => {}
        Envelope::Goodbye(Some(failure)) => write_failure(failure, false, &mut pairs),
        Envelope::Ping(ping) => pairs.number_and_done(ping.number, ping.done_below),
        Envelope::Pong(number) => pairs.number(keys::NUMBER, *number),
    }
    pairs.close();
}

fn write_request(request: &Request, pairs: &mut Pairs<'_>) {
    pairs.number(keys::NUMBER, request.number.0);
    pairs.text(keys::METHOD, request.method.as_str());
    pairs.milliseconds(keys::TIMEOUT_MS, request.timeout);
    if let Some(effect) = request.effect {
        pairs.number(keys::EFFECT, effect.number().into());
    }
    pairs.number_unless_zero(keys::FLAGS, request.flags.bits().into());
    pairs.number_unless_zero(keys::DONE_BELOW, request.done_below.0);
    if request.priority != Priority::default() {
        pairs.number(keys::PRIORITY, request.priority.number().into());
    }
    if let Some(key) = &request.key {
        pairs.text(keys::KEY, key.as_str());
    }
    pairs.number_unless_zero(keys::STREAMS, request.streams.bits().into());
    pairs.extensions(&request.extensions);
}

fn write_dispatch(dispatch: &Dispatch, pairs: &mut Pairs<'_>) {
    pairs.number(keys::NUMBER, dispatch.number.0);
    pairs.text(keys::METHOD, dispatch.method.as_str());
    pairs.milliseconds(keys::TIMEOUT_MS, dispatch.timeout);
    pairs.number(keys::ATTEMPT, dispatch.attempt.into());
    pairs.number(keys::CALLER, dispatch.call.caller.into());
    pairs.number(keys::CALL, dispatch.call.number.0);
    if let Some(Affinity { key, fence }) = dispatch.affinity.as_deref() {
        pairs.number(keys::FENCE, *fence);
        pairs.text(keys::KEY, key.as_str());
    }
    pairs.number_unless_zero(keys::STREAMS, dispatch.streams.bits().into());
    if let Some(name) = &dispatch.caller_name {
        pairs.text(keys::CALLER_NAME, name);
    }
    pairs.extensions(&dispatch.extensions);
}

fn write_reply(reply: &Reply, pairs: &mut Pairs<'_>) {
    pairs.number(keys::NUMBER, reply.number);
    if let Err(failure) = &reply.outcome {
        write_failure(failure, true, pairs);
    }
    if let Some(credit) = &reply.credit {
        pairs.credit(credit);
    }
    match &reply.outcome {
        // They are optional, so they are omitted if the worker has set extensions.
        Err(failure) if reply.extensions.is_empty() => pairs.extensions(&timings::pair(&failure.timings)),
        Ok(_) if reply.extensions.is_empty() => {
            if let Some(span) = reply.handler_time {
                pairs.number(handler_time::KEY, handler_time::to_micros(span));
            }
        }
        _ => pairs.extensions(&reply.extensions),
    }
}

/// Writes the keys of a failure. A goodbye is about a connection, not about a call, so it has no attempt and no worker.
fn write_failure(failure: &Failure, with_attempt: bool, pairs: &mut Pairs<'_>) {
    pairs.number(keys::CODE, failure.code.number().into());
    pairs.number(keys::EXECUTED, failure.executed.number().into());
    pairs.text_unless_empty(keys::TYPE, &failure.type_name, FAILURE_TYPE_BYTES_MAX);
    pairs.text_unless_empty(keys::MESSAGE, &failure.message, FAILURE_MESSAGE_BYTES_MAX);
    if with_attempt {
        pairs.number_unless_zero(keys::ATTEMPT, failure.attempt.into());
        pairs.text_unless_empty(keys::WORKER, &failure.worker, NAME_BYTES_MAX);
    }
    pairs.milliseconds(keys::RETRY_AFTER_MS, failure.retry_after);
}

/// A map that is being written. The caller must write the keys in ascending order.
struct Pairs<'a> {
    out: &'a mut Vec<u8>,
    /// The offset of the first byte of the map. It contains the count, so it is written last.
    start: usize,
    count: u64,
}

impl<'a> Pairs<'a> {
    fn open(out: &'a mut Vec<u8>) -> Pairs<'a> {
        let start = out.len();
        out.push(major::MAP << 5);
        Pairs { out, start, count: 0 }
    }

    fn close(self) {
        match self.count as u8 {
            count @ 0..=23 => self.out[self.start] |= count,
            // Only with extensions: the count needs a byte of its own.
            count => {
                self.out[self.start] |= 24;
                self.out.insert(self.start + 1, count);
            }
        }
    }

    #[inline]
    fn number(&mut self, key: u8, value: u64) {
        self.count += 1;
        // Keys are constants where this is inlined, so most of the branches are removed.
        write_head(self.out, major::UNSIGNED, key.into());
        write_head(self.out, major::UNSIGNED, value);
    }

    fn number_unless_zero(&mut self, key: u8, value: u64) {
        if value != 0 {
            self.number(key, value);
        }
    }

    fn number_and_done(&mut self, number: u64, done_below: Option<CallNumber>) {
        self.number(keys::NUMBER, number);
        if let Some(number) = done_below {
            self.number(keys::DONE_BELOW, number.0);
        }
    }

    /// Writes a duration in milliseconds, rounded up, so that a remaining time is never written as zero.
    fn milliseconds(&mut self, key: u8, span: Option<Duration>) {
        let Some(span) = span else { return };
        let rest = u64::from(span.subsec_nanos().div_ceil(1_000_000));
        self.number(key, span.as_secs().saturating_mul(1_000).saturating_add(rest));
    }

    #[inline]
    fn text(&mut self, key: u8, text: &str) {
        self.count += 1;
        write_head(self.out, major::UNSIGNED, key.into());
        write_head(self.out, major::TEXT, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn text_unless_empty(&mut self, key: u8, text: &str, bytes_max: usize) {
        if !text.is_empty() {
            self.text(key, &text[..text.floor_char_boundary(bytes_max)]);
        }
    }

    fn credit(&mut self, credit: &Credit) {
        self.number_unless_zero(keys::CREDIT_CALLS, credit.calls.into());
        self.number_unless_zero(keys::CREDIT_BYTES, credit.bytes);
    }

    fn extensions(&mut self, pairs: &[u8]) {
        if pairs.is_empty() {
            return;
        }
        match extensions::count(pairs) {
            Ok(count) => {
                self.count += count;
                self.out.extend_from_slice(pairs);
            }
            Err(error) => debug_assert!(false, "extensions that are not allowed in a header: {}", error.0),
        }
    }
}
