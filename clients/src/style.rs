//! Which streams a stub's method has, told by a type: so its call has the endings that fit, and no others.

use std::marker::PhantomData;

use serde::Serialize;

/// One request, one reply.
#[derive(Debug)]
pub struct Unary(());

/// The handler sends items.
#[derive(Debug)]
pub struct ServerStreaming(());

/// The caller sends items, each of them an `I`.
#[derive(Debug)]
pub struct ClientStreaming<I>(PhantomData<fn(I)>);

/// Both send items, the caller each of them an `I`.
#[derive(Debug)]
pub struct BidiStreaming<I>(PhantomData<fn(I)>);

/// One of the four.
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
