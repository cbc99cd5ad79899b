//! Methods with streams: the four styles of a trait, by its stub.

use std::fmt;

use callboard::{
    CallError, Code, Context, Error, ErrorCode, Executed, Failed, Incoming, Outgoing, Progress, Stream, named,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::Scene;

/// A word of a book, and its position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, callboard::Schema)]
struct Word {
    at: usize,
    text: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum BookError {
    NoSuchPage(usize),
    Torn,
}

#[callboard::service]
trait Book {
    /// Sends the words of a page.
    #[rpc(read)]
    async fn words(&self, page: usize) -> Result<Outgoing<impl Stream<Item = Word>>, BookError>;

    /// Sends the pages up to a torn one.
    #[rpc(read)]
    async fn pages(&self) -> Outgoing<impl Stream<Item = Result<String, BookError>>>;

    #[rpc(read)]
    async fn letters(&self, of: &str) -> Outgoing<impl Stream<Item = char>>;

    /// Sends numbers, of which only the newest one counts.
    #[rpc(read)]
    async fn newest(&self, context: Context, to: u64) -> Outgoing<impl Stream<Item = u64>>;

    /// Counts the words that are in the book.
    async fn known(&self, words: Incoming<String>) -> usize;

    async fn strict(&self, context: Context, least: usize, words: Incoming<Word>) -> Result<usize, BookError>;

    /// Finds the position of each word.
    async fn find(&self, from: usize, words: Incoming<String>) -> Outgoing<impl Stream<Item = Option<Word>>>;

    #[rpc(read)]
    async fn checked(
        &self,
        words: Incoming<u8>,
    ) -> Result<Outgoing<impl Stream<Item = Result<u8, BookError>> + Send>, BookError>;

    /// A method with a default body.
    #[rpc(read)]
    async fn twice(&self, numbers: Incoming<u32>) -> Outgoing<impl Stream<Item = u32>> {
        Outgoing::new(numbers.filter_map(async |number| number.ok().map(|number| number * 2)))
    }

    #[rpc(read)]
    async fn walk(&self, context: Context, steps: u64) -> u64;
}

struct Pages(Vec<String>);

impl Pages {
    fn all(&self) -> impl Iterator<Item = Word> {
        let words = self.0.iter().flat_map(|page| page.split_whitespace());
        words.enumerate().map(|(at, text)| Word { at, text: text.to_owned() })
    }
}

impl Book for Pages {
    async fn words(&self, page: usize) -> Result<Outgoing<impl Stream<Item = Word>>, BookError> {
        let page = self.0.get(page).ok_or(BookError::NoSuchPage(page))?;
        // The stream borrows from the implementation.
        let words = page.split_whitespace().enumerate();
        Ok(Outgoing::new(stream::iter(words.map(|(at, text)| Word { at, text: text.to_owned() }))))
    }

    async fn pages(&self) -> Outgoing<impl Stream<Item = Result<String, BookError>>> {
        let pages = stream::iter(self.0.iter().cloned().map(Ok));
        Outgoing::new(pages.chain(stream::iter([Err(BookError::Torn), Ok("never".to_owned())])))
    }

    async fn letters(&self, of: &str) -> Outgoing<impl Stream<Item = char>> {
        Outgoing::new(stream::iter(of.chars()))
    }

    async fn newest(&self, context: Context, to: u64) -> Outgoing<impl Stream<Item = u64>> {
        assert_eq!(context.method(), "book.newest");
        Outgoing::conflated(stream::iter(1..=to))
    }

    async fn known(&self, mut words: Incoming<String>) -> usize {
        let mut known = 0;
        while let Some(Ok(word)) = words.next().await {
            known += usize::from(self.all().any(|other| other.text == word));
        }
        known
    }

    async fn strict(&self, _: Context, least: usize, words: Incoming<Word>) -> Result<usize, BookError> {
        let words: Vec<_> = words.try_collect().await?;
        if words.len() < least { Err(BookError::Torn) } else { Ok(words.len()) }
    }

    async fn find(&self, from: usize, words: Incoming<String>) -> Outgoing<impl Stream<Item = Option<Word>>> {
        Outgoing::new(
            words
                .filter_map(async |word| word.ok())
                .map(move |word| self.all().skip(from).find(|other| other.text == word)),
        )
    }

    async fn checked(
        &self,
        words: Incoming<u8>,
    ) -> Result<Outgoing<impl Stream<Item = Result<u8, BookError>> + Send>, BookError> {
        Ok(Outgoing::new(words.map_err(BookError::from).and_then(async |number| match number {
            0 => Err(BookError::Torn),
            number => Ok(number),
        })))
    }

    async fn walk(&self, context: Context, steps: u64) -> u64 {
        context.progress(steps, steps, "there");
        steps
    }
}

async fn scene() -> (Scene, BookClient) {
    let pages = Pages(vec!["the cat sat".to_owned(), "on the mat".to_owned()]);
    let scene = Scene::of(pages.into_service()).await;
    let book = BookClient::new(&scene.client);
    (scene, book)
}

fn word(at: usize, text: &str) -> Word {
    Word { at, text: text.to_owned() }
}

#[tokio::test]
async fn a_server_stream_returns_items_with_their_type() {
    let (_scene, book) = scene().await;
    let mut words = book.words(1).stream();
    let mut texts = Vec::new();
    while let Some(word) = words.next().await {
        texts.push(word.unwrap());
    }
    assert_eq!(texts, [word(0, "on"), word(1, "the"), word(2, "mat")]);
    let letters: Vec<char> = book.letters("mat").stream().try_collect().await.unwrap();
    assert_eq!(letters, ['m', 'a', 't']);
}

#[tokio::test]
async fn an_application_error_ends_a_stream_with_its_type() {
    let (_scene, book) = scene().await;
    let mut none = book.words(7).stream();
    assert_eq!(none.next().await, Some(Err(Failed::Application(BookError::NoSuchPage(7)))));
    assert_eq!(none.next().await, None);
    let all: Vec<_> = book.pages().stream().collect().await;
    let expected =
        [Ok("the cat sat".to_owned()), Ok("on the mat".to_owned()), Err(Failed::Application(BookError::Torn))];
    assert_eq!(all, expected);
    let (words, reply) = book.strict(1).upload();
    words.end();
    assert_eq!(reply.await, Err(Failed::Application(BookError::Torn)));
    let (mut numbers, mut checked) = book.checked().duplex();
    numbers.send(&5).await.unwrap();
    assert_eq!(checked.next().await, Some(Ok(5)));
    numbers.send(&0).await.unwrap();
    assert_eq!(checked.next().await, Some(Err(Failed::Application(BookError::Torn))));
}

#[tokio::test]
async fn a_client_stream_sends_items_with_their_type() {
    let (_scene, book) = scene().await;
    let (mut words, known) = book.known().upload();
    for word in ["cat", "dog", "mat"] {
        words.send(&word.to_owned()).await.unwrap();
    }
    words.end();
    assert_eq!(known.await, Ok(2));
    let (mut words, count) = book.strict(1).upload();
    words.send(&word(1, "x")).await.unwrap();
    words.end();
    assert_eq!(count.await, Ok(1));
}

#[tokio::test]
async fn a_bidirectional_method_answers_each_item_as_it_arrives() {
    let (_scene, book) = scene().await;
    let (mut words, mut found) = book.find(1).duplex();
    for (text, at) in [("mat", Some(5)), ("dog", None), ("the", Some(4))] {
        words.send(&text.to_owned()).await.unwrap();
        assert_eq!(found.next().await, Some(Ok(at.map(|at| word(at, text)))));
    }
    words.end();
    assert_eq!(found.next().await, None);
    let (mut numbers, twice) = book.twice().duplex();
    numbers.send(&21).await.unwrap();
    numbers.end();
    assert_eq!(twice.try_collect::<Vec<_>>().await, Ok(vec![42]));
}

#[tokio::test]
async fn a_conflated_stream_returns_only_the_newest_items() {
    let (_scene, book) = scene().await;
    let mut newest = book.newest(10_000).conflate().stream();
    let (mut last, mut taken) = (0, 0);
    while let Some(number) = newest.next().await {
        (last, taken) = (number.unwrap(), taken + 1);
    }
    assert_eq!((last, taken + newest.dropped()), (10_000, 10_000));
}

#[tokio::test]
async fn an_invalid_item_ends_the_call_even_if_the_method_ignores_it() {
    let (scene, _book) = scene().await;
    let (mut words, known) = scene.client.call::<usize>("book.known", ()).upload::<u8>();
    words.send(&7).await.unwrap();
    words.end();
    let error = known.await.unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::InvalidArgument, Executed::Yes));
    assert!(error.message().starts_with("item 0 of the stream is invalid"), "{error}");
    let (mut numbers, mut checked) = scene.client.call::<()>("book.checked", ()).duplex::<i32, u8>();
    numbers.send(&3).await.unwrap();
    assert_eq!(checked.next().await, Some(Ok(3)));
    numbers.send(&-3).await.unwrap();
    let error: CallError = checked.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
}

#[tokio::test]
async fn arguments_beside_items_are_passed_by_position_or_by_name() {
    let (scene, _book) = scene().await;
    let call = scene.client.call::<()>("book.find", named([("from", 0)]));
    let (mut words, mut found) = call.duplex::<&str, Option<Word>>();
    words.send(&"sat").await.unwrap();
    assert_eq!(found.next().await, Some(Ok(Some(word(2, "sat")))));
    let error =
        scene.client.call::<()>("book.find", ("x",)).duplex::<&str, Word>().1.next().await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.executed()), (Code::InvalidArgument, Executed::No), "{error}");
}

#[tokio::test]
async fn a_call_of_a_stub_reports_progress() {
    let (_scene, book) = scene().await;
    let (sender, receiver) = std::sync::mpsc::sync_channel(10);
    let walk = book.walk(3).on_progress(move |progress: Progress| sender.try_send(progress.done).unwrap());
    assert_eq!(walk.await, Ok(3));
    assert_eq!(receiver.try_recv(), Ok(3));
}

#[test]
fn a_trait_with_streams_is_described_with_its_styles_and_items() {
    let book = BookClient::contract();
    let methods: Vec<_> = book.methods.iter().map(|method| format!("{method} [{}]", method.style)).collect();
    let expected = [
        "words(page: u64) -> stream of Word, or BookError [server stream]",
        "pages() -> stream of text, or BookError [server stream]",
        "letters(of: text) -> stream of char [server stream]",
        "newest(to: u64) -> stream of u64 [server stream]",
        "known(stream of text) -> u64 [client stream]",
        "strict(least: u64, stream of Word) -> u64, or BookError [client stream]",
        "find(from: u64, stream of text) -> stream of Word or null [bidirectional stream]",
        "checked(stream of u8) -> stream of u8, or BookError [bidirectional stream]",
        "twice(stream of u32) -> stream of u32 [bidirectional stream]",
        "walk(steps: u64) -> u64 [unary]",
    ];
    assert_eq!(methods, expected);
    let served = Pages(Vec::new()).into_service().description();
    assert_eq!(served.hash(), book.hash());
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BookError::NoSuchPage(page) => write!(f, "there is no page {page}"),
            BookError::Torn => f.write_str("a page is torn"),
        }
    }
}

impl ErrorCode for BookError {
    fn code(&self) -> Code {
        Code::NotFound
    }
}

/// The error of an invalid item. The caller nevertheless receives the library's error.
impl From<Error> for BookError {
    fn from(_: Error) -> BookError {
        BookError::Torn
    }
}
