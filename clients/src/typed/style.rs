//! The streaming styles of a stub's methods, as types. A style selects the endings that its calls have.

use std::marker::PhantomData;

use serde::Serialize;

/// One request and one reply.
#[derive(Debug)]
pub struct Unary(());

/// Server streaming: the handler sends items.
#[derive(Debug)]
pub struct ServerStreaming(());

/// Client streaming: the caller sends items of type `I`.
#[derive(Debug)]
pub struct ClientStreaming<I>(PhantomData<fn(I)>);

/// Bidirectional streaming: both sides send items; those of the caller are of type `I`.
#[derive(Debug)]
pub struct BidiStreaming<I>(PhantomData<fn(I)>);

/// A streaming style: one of the four types of this module.
pub trait Style: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Unary {}
impl Style for Unary {}
impl sealed::Sealed for ServerStreaming {}
impl Style for ServerStreaming {}
impl<I: Serialize> sealed::Sealed for ClientStreaming<I> {}
impl<I: Serialize> Style for ClientStreaming<I> {}
impl<I: Serialize> sealed::Sealed for BidiStreaming<I> {}
impl<I: Serialize> Style for BidiStreaming<I> {}
