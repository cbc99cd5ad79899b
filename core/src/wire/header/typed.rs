//! Converts the numbers and offsets of a header to a typed envelope.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    super::{
        affinity::{Affinity, AffinityKey},
        envelope::{
            Cancel, Credit, Dispatch, Effect, End, Envelope, Items, KeyFreed, Ping, Priority, Reply, Request,
            RequestFlags, StreamCredit,
        },
        extensions::Extensions,
        ids::{CallId, CallNumber, DispatchNumber},
        item_batch::ItemBatch,
        kind::Kind,
        limits::{BATCH_ITEMS_MAX, FAILURE_MESSAGE_BYTES_MAX, FAILURE_TYPE_BYTES_MAX, NAME_BYTES_MAX},
        method::MethodName,
        status::{Code, Executed, Failure, Timings},
        streams::{ItemCredit, Streams},
    },
    error::{EnvelopeError, EnvelopeErrorReason},
    handler_time, keys,
    read::Header,
    recipient::Recipient,
    timings,
};

impl Header {
    /// Returns the envelope of this header, which was read from `frame`, and `body`. Texts are slices of `frame`.
    ///
    /// # Errors
    /// [`EnvelopeError`] if the value of a key is invalid, or if a kind without a body has one.
    pub(in super::super) fn envelope(
        &mut self,
        frame: &Bytes,
        body: Bytes,
        recipient: Recipient,
    ) -> Result<Envelope, EnvelopeError> {
        let mut read = self.read_envelope(frame, body, recipient);
        if let Err(error) = &mut read {
            (error.kind, error.number) = (self.number(keys::KIND), self.number(keys::NUMBER));
        }
        read
    }

    fn read_envelope(&mut self, frame: &Bytes, body: Bytes, recipient: Recipient) -> Result<Envelope, EnvelopeError> {
        if !body.is_empty() && !self.has_body() {
            return Err(EnvelopeErrorReason::Malformed("an envelope of this kind must have an empty body").into());
        }
        Ok(match self.kind {
            Kind::Hello => Envelope::Hello(body),
            Kind::Challenge => Envelope::Challenge(body),
            Kind::Proof => Envelope::Proof(body),
            Kind::Welcome => Envelope::Welcome(body),
            Kind::Register => Envelope::Register(body),
            Kind::Request if recipient == Recipient::Broker => return self.request(frame, body),
            Kind::Request => return self.dispatch(frame, body),
            Kind::Started => Envelope::Started(DispatchNumber(self.required(keys::NUMBER)?)),
            Kind::Reply => return self.reply(frame, body),
            Kind::Item => Envelope::Items(Items {
                number: self.required(keys::NUMBER)?,
                sequence: self.required(keys::SEQUENCE)?,
                latest: self.number(keys::LATEST),
                batch: ItemBatch::new(self.items()?, body),
            }),
            Kind::End => {
                Envelope::End(End { number: self.required(keys::NUMBER)?, items: self.required(keys::SEQUENCE)? })
            }
            Kind::Credit => self.any_credit(frame, recipient)?,
            Kind::Progress => Envelope::Progress(self.required(keys::NUMBER)?, body),
            Kind::Cancel => {
                Envelope::Cancel(Cancel { number: self.required(keys::NUMBER)?, done_below: self.done_below() })
            }
            Kind::Handback => Envelope::Handback(DispatchNumber(self.required(keys::NUMBER)?)),
            Kind::Drain => Envelope::Drain,
            Kind::Goodbye => Envelope::Goodbye(self.failure(frame, body)?.err()),
            Kind::Ping => Envelope::Ping(Ping { number: self.required(keys::NUMBER)?, done_below: self.done_below() }),
            Kind::Pong => Envelope::Pong(self.required(keys::NUMBER)?),
            Kind::Accepted => return Err(EnvelopeErrorReason::UnknownKind(self.kind.number().into()).into()),
        })
    }

    fn has_body(&self) -> bool {
        match self.kind {
            Kind::Goodbye => self.seen.contains(keys::CODE),
            Kind::Hello | Kind::Challenge | Kind::Proof | Kind::Welcome | Kind::Register => true,
            Kind::Request | Kind::Reply | Kind::Item | Kind::Progress => true,
            _ => false,
        }
    }

    fn request(&mut self, frame: &Bytes, body: Bytes) -> Result<Envelope, EnvelopeError> {
        let (flags, streams) = (self.flags()?, self.streams()?);
        if flags.cast && streams != Streams::NONE {
            return Err(invalid(keys::STREAMS, "is not allowed in a cast, which has no reply").into());
        }
        Ok(Envelope::Request(Request {
            number: CallNumber(self.required(keys::NUMBER)?),
            method: self.method(frame)?,
            timeout: self.milliseconds(keys::TIMEOUT_MS),
            effect: self.effect()?,
            priority: self.priority()?,
            flags,
            key: self.key(frame)?.map(Box::new),
            streams,
            done_below: self.done_below().unwrap_or_default(),
            extensions: self.extensions(frame),
            body,
        }))
    }

    fn dispatch(&mut self, frame: &Bytes, body: Bytes) -> Result<Envelope, EnvelopeError> {
        let call = CallId { caller: self.below_2_32(keys::CALLER)?, number: CallNumber(self.required(keys::CALL)?) };
        Ok(Envelope::Dispatch(Dispatch {
            number: DispatchNumber(self.required(keys::NUMBER)?),
            method: self.method(frame)?,
            timeout: self.milliseconds(keys::TIMEOUT_MS),
            attempt: self.below_2_32(keys::ATTEMPT)?,
            call,
            caller_name: self.caller_name(frame)?.map(Arc::new),
            affinity: self.affinity(frame)?.map(Box::new),
            streams: self.streams()?,
            extensions: self.extensions(frame),
            body,
        }))
    }

    fn reply(&self, frame: &Bytes, body: Bytes) -> Result<Envelope, EnvelopeError> {
        // Credit of 0 means the same as no credit.
        let credit = Some(self.credit()?).filter(|credit| *credit != Credit::default());
        let mut outcome = self.failure(frame, body)?;
        let pairs = &frame[self.extensions.clone()];
        let (timings, handler_time) = match &outcome {
            Err(_) => (timings::read(pairs), None),
            Ok(_) => (None, handler_time::read(pairs)),
        };
        let is_own = timings.is_some() || handler_time.is_some();
        if let (Err(failure), Some(timings)) = (&mut outcome, timings) {
            failure.timings = timings;
        }
        Ok(Envelope::Reply(Reply {
            number: self.required(keys::NUMBER)?,
            outcome,
            credit,
            handler_time,
            extensions: if is_own { Extensions::NONE } else { self.extensions(frame) },
        }))
    }

    /// Returns an envelope of the kind `credit`: credit for calls or slots; with a key, the end of a call of that key;
    /// with a number, credit for the items of that call.
    fn any_credit(&self, frame: &Bytes, recipient: Recipient) -> Result<Envelope, EnvelopeErrorReason> {
        let Some(number) = self.number(keys::NUMBER) else {
            if recipient == Recipient::Broker && self.seen.contains(keys::CREDIT_BYTES) {
                return Err(EnvelopeErrorReason::MisplacedKey(keys::CREDIT_BYTES.into()));
            }
            return self.slots(frame);
        };
        if let Some(key) = [keys::OFFER, keys::KEY].into_iter().find(|&key| self.seen.contains(key)) {
            return Err(EnvelopeErrorReason::MisplacedKey(key.into()));
        }
        let Credit { calls, bytes, .. } = self.credit()?;
        Ok(Envelope::StreamCredit(StreamCredit { number, credit: ItemCredit { items: calls, bytes } }))
    }

    fn slots(&self, frame: &Bytes) -> Result<Envelope, EnvelopeErrorReason> {
        let credit = self.credit()?;
        match self.key(frame)? {
            None => Ok(Envelope::Credit(credit)),
            Some(key) if credit.calls == 1 => Ok(Envelope::KeyFreed(KeyFreed { offer: credit.offer, key })),
            Some(_) => Err(invalid(keys::CREDIT_CALLS, "must be 1 together with an affinity key")),
        }
    }

    fn credit(&self) -> Result<Credit, EnvelopeErrorReason> {
        Ok(Credit {
            calls: self.below_2_32(keys::CREDIT_CALLS)?,
            bytes: self.number(keys::CREDIT_BYTES).unwrap_or(0),
            offer: self.below_2_32(keys::OFFER)?,
        })
    }

    /// Returns the body if the header has no code, otherwise the failure with the body as its details.
    fn failure(&self, frame: &Bytes, body: Bytes) -> Result<Result<Bytes, Box<Failure>>, EnvelopeErrorReason> {
        let Some(code) = self.number(keys::CODE) else { return Ok(Ok(body)) };
        if code == 0 {
            return Err(invalid(keys::CODE, "must be omitted for OK"));
        }
        Ok(Err(Box::new(Failure {
            code: Code::from_number(code),
            executed: self.executed()?,
            type_name: self.text_of(keys::TYPE, FAILURE_TYPE_BYTES_MAX, frame)?,
            message: self.text_of(keys::MESSAGE, FAILURE_MESSAGE_BYTES_MAX, frame)?,
            details: body,
            attempt: self.below_2_32(keys::ATTEMPT)?,
            worker: self.text_of(keys::WORKER, NAME_BYTES_MAX, frame)?,
            retry_after: self.milliseconds(keys::RETRY_AFTER_MS),
            timings: Timings::default(),
            call: None,
        })))
    }

    fn key(&self, frame: &Bytes) -> Result<Option<AffinityKey>, EnvelopeErrorReason> {
        let Some(place) = self.text(keys::KEY) else { return Ok(None) };
        let text = slice_text(keys::KEY, frame.slice(place))?;
        AffinityKey::parse(&*text).map(Some).map_err(|_| invalid(keys::KEY, "must have 1 to 128 bytes"))
    }

    /// Reads the name of the peer that made the call.
    fn caller_name(&self, frame: &Bytes) -> Result<Option<ByteString>, EnvelopeErrorReason> {
        let name = self.text_of(keys::CALLER_NAME, NAME_BYTES_MAX, frame)?;
        Ok(Some(name).filter(|name| !name.is_empty()))
    }

    /// Reads a key and its fencing token, which come together.
    fn affinity(&self, frame: &Bytes) -> Result<Option<Affinity>, EnvelopeErrorReason> {
        match (self.key(frame)?, self.number(keys::FENCE)) {
            (None, None) => Ok(None),
            (Some(key), Some(fence)) => Ok(Some(Affinity { key, fence })),
            (Some(_), None) => Err(EnvelopeErrorReason::MissingKey(keys::FENCE.into())),
            (None, Some(_)) => Err(EnvelopeErrorReason::MissingKey(keys::KEY.into())),
        }
    }

    /// Reads the method. Most envelopes of a bundle call the same one, so the last one is kept.
    fn method(&mut self, frame: &Bytes) -> Result<MethodName, EnvelopeErrorReason> {
        let place = self.text(keys::METHOD).ok_or(EnvelopeErrorReason::MissingKey(keys::METHOD.into()))?;
        let text = &frame[place];
        if let Some(last) = &self.method
            && last.as_str().as_bytes() == text
        {
            return Ok(last.clone());
        }
        let text = str::from_utf8(text).map_err(|_| invalid(keys::METHOD, "must be UTF-8"))?;
        let method = MethodName::parse(text)?;
        self.method = Some(method.clone());
        Ok(method)
    }

    fn effect(&self) -> Result<Option<Effect>, EnvelopeErrorReason> {
        let Some(number) = self.number(keys::EFFECT) else { return Ok(None) };
        Effect::from_number(number).map(Some).ok_or(invalid(keys::EFFECT, "must be 0, 1 or 2"))
    }

    fn priority(&self) -> Result<Priority, EnvelopeErrorReason> {
        let Some(number) = self.number(keys::PRIORITY) else { return Ok(Priority::default()) };
        Priority::from_number(number).ok_or(invalid(keys::PRIORITY, "must be 0, 1 or 2"))
    }

    fn executed(&self) -> Result<Executed, EnvelopeErrorReason> {
        Executed::from_number(self.required(keys::EXECUTED)?).ok_or(invalid(keys::EXECUTED, "must be 0, 1 or 2"))
    }

    /// Reads the number of items of a batch. 1 if the key is absent.
    fn items(&self) -> Result<u32, EnvelopeErrorReason> {
        match u32::try_from(self.number(keys::ITEMS).unwrap_or(1)) {
            Ok(items @ 1..=BATCH_ITEMS_MAX) => Ok(items),
            _ => Err(invalid(keys::ITEMS, "must be 1 to 512")),
        }
    }

    fn flags(&self) -> Result<RequestFlags, EnvelopeErrorReason> {
        RequestFlags::from_bits(self.number(keys::FLAGS).unwrap_or(0)).map_err(EnvelopeErrorReason::UnknownFlags)
    }

    fn streams(&self) -> Result<Streams, EnvelopeErrorReason> {
        match self.number(keys::STREAMS) {
            None => Ok(Streams::NONE),
            Some(bits) => Streams::from_bits(bits).map_err(EnvelopeErrorReason::UnknownStreams),
        }
    }

    fn done_below(&self) -> Option<CallNumber> {
        self.number(keys::DONE_BELOW).map(CallNumber)
    }

    fn milliseconds(&self, key: u8) -> Option<Duration> {
        self.number(key).map(Duration::from_millis)
    }

    fn extensions(&self, frame: &Bytes) -> Extensions {
        // An empty slice would hold a reference to the frame.
        if self.extensions.is_empty() { Extensions::NONE } else { frame.slice(self.extensions.clone()).into() }
    }

    fn required(&self, key: u8) -> Result<u64, EnvelopeErrorReason> {
        self.number(key).ok_or(EnvelopeErrorReason::MissingKey(key.into()))
    }

    /// Reads a number below 2^32. 0 if the key is absent.
    fn below_2_32(&self, key: u8) -> Result<u32, EnvelopeErrorReason> {
        u32::try_from(self.number(key).unwrap_or(0)).map_err(|_| invalid(key, "must be below 2^32"))
    }

    /// Reads a text of at most `bytes_max` bytes. Empty if the key is absent.
    fn text_of(&self, key: u8, bytes_max: usize, frame: &Bytes) -> Result<ByteString, EnvelopeErrorReason> {
        match self.text(key) {
            None => Ok(ByteString::new()),
            Some(place) if place.len() > bytes_max => Err(invalid(key, "exceeds its limit")),
            Some(place) => slice_text(key, frame.slice(place)),
        }
    }
}

fn slice_text(key: u8, slice: Bytes) -> Result<ByteString, EnvelopeErrorReason> {
    ByteString::try_from(slice).map_err(|_| invalid(key, "must be UTF-8"))
}

fn invalid(key: u8, reason: &'static str) -> EnvelopeErrorReason {
    EnvelopeErrorReason::Value { key: key.into(), reason }
}
