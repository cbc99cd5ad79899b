//! Which streams a stub's method has, told by a type: so its call has the endings that fit, and no others.

use std::marker::PhantomData;

use serde::Serialize;

/// One request, one reply.
#[derive(Debug)]
pub struct Unary(());

/// The handler sends items.
#[derive(Debug)]
pub struct Server(());

/// The caller sends items, each of them an `I`.
#[derive(Debug)]
pub struct Client<I>(PhantomData<fn(I)>);

/// Both send items, the caller each of them an `I`.
#[derive(Debug)]
pub struct Both<I>(PhantomData<fn(I)>);

/// One of the four.
pub trait Style: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Unary {}
impl Style for Unary {}
impl sealed::Sealed for Server {}
impl Style for Server {}
impl<I: Serialize> sealed::Sealed for Client<I> {}
impl<I: Serialize> Style for Client<I> {}
impl<I: Serialize> sealed::Sealed for Both<I> {}
impl<I: Serialize> Style for Both<I> {}
