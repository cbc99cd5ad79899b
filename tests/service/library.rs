//! A typical service: a library that lends books.

use std::{collections::BTreeMap, fmt, sync::Mutex, time::Duration};

use callboard::{Code, Context, ErrorCode, Executed, Failed};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::Scene;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Book {
    title: String,
    copies: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum LendError {
    NoSuchBook { title: String },
    AllLent,
}

impl fmt::Display for LendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LendError::NoSuchBook { title } => write!(f, "there is no book {title}"),
            LendError::AllLent => f.write_str("all copies are lent"),
        }
    }
}

impl ErrorCode for LendError {
    fn code(&self) -> Code {
        match self {
            LendError::NoSuchBook { .. } => Code::NotFound,
            LendError::AllLent => Code::ResourceExhausted,
        }
    }
}

/// Lends books.
#[callboard::service(name = "town.library")]
trait Library {
    /// Takes one copy away.
    async fn lend(&self, title: &str) -> Result<Book, LendError>;

    /// Adds a book.
    #[rpc(idempotent)]
    fn put(&self, book: Book);

    #[rpc(read, name = "count")]
    async fn number_of_copies(&self, titles: &[String], at_least: Option<u32>) -> u32;

    #[rpc(read)]
    fn with_key(&self, context: Context, greeting: String) -> (String, String);

    /// Never answers.
    async fn wait(&self);
}

#[derive(Default)]
struct Shelf {
    books: Mutex<BTreeMap<String, Book>>,
}

impl Library for Shelf {
    async fn lend(&self, title: &str) -> Result<Book, LendError> {
        let mut books = self.books.lock().unwrap();
        let book = books.get_mut(title).ok_or_else(|| LendError::NoSuchBook { title: title.to_owned() })?;
        book.copies = book.copies.checked_sub(1).ok_or(LendError::AllLent)?;
        Ok(book.clone())
    }

    fn put(&self, book: Book) {
        self.books.lock().unwrap().insert(book.title.clone(), book);
    }

    async fn number_of_copies(&self, titles: &[String], at_least: Option<u32>) -> u32 {
        let books = self.books.lock().unwrap();
        let copies = titles.iter().filter_map(|title| books.get(title)).map(|book| book.copies);
        copies.filter(|&copies| copies >= at_least.unwrap_or(0)).sum()
    }

    fn with_key(&self, context: Context, greeting: String) -> (String, String) {
        let key = context.key().filter(|_| context.fencing_token().is_some());
        (context.method().to_owned(), format!("{greeting} {}", key.unwrap_or("without a key")))
    }

    async fn wait(&self) {
        std::future::pending().await
    }
}

async fn scene() -> (Scene, LibraryClient) {
    let scene = Scene::of(Shelf::default().into_service()).await;
    let library = LibraryClient::new(&scene.client);
    library.put(Book { title: "Momo".to_owned(), copies: 1 }).await.unwrap();
    (scene, library)
}

#[tokio::test]
async fn a_stub_calls_the_implementation_with_arguments_lent_and_given() {
    let (_scene, library) = scene().await;
    assert_eq!(library.number_of_copies(&["Momo".to_owned(), "Emil".to_owned()], None).await, Ok(1));
    assert_eq!(library.number_of_copies(&["Momo".to_owned()], Some(2)).await, Ok(0));
    assert_eq!(library.lend("Momo").await, Ok(Book { title: "Momo".to_owned(), copies: 0 }));
    let asked = library.with_key("hello".to_owned()).await.unwrap();
    assert_eq!(asked, ("town.library.with_key".to_owned(), "hello without a key".to_owned()));
    let asked = library.with_key("hello".to_owned()).key("ann").await.unwrap();
    assert_eq!(asked.1, "hello ann");
}

#[tokio::test]
async fn an_application_error_is_returned_with_its_type() {
    let (_scene, library) = scene().await;
    let missing = LendError::NoSuchBook { title: "Emil".to_owned() };
    assert_eq!(library.lend("Emil").await, Err(Failed::Application(missing)));
    library.lend("Momo").await.unwrap();
    assert_eq!(library.lend("Momo").await.unwrap_err().application(), Some(LendError::AllLent));
}

#[tokio::test]
async fn an_untyped_client_gets_the_code_name_text_and_content_of_an_error() {
    let (scene, _library) = scene().await;
    let error = scene.client.service("town.library").call::<Book>("lend", ("Emil",)).await.unwrap_err();
    assert_eq!((error.code(), error.executed(), error.type_name()), (Code::NotFound, Executed::Yes, "LendError"));
    assert_eq!(error.message(), "there is no book Emil");
    let missing = LendError::NoSuchBook { title: "Emil".to_owned() };
    assert_eq!(error.details::<LendError>().unwrap(), Ok(missing));
}

#[tokio::test]
async fn a_failure_of_the_call_itself_is_reported() {
    let (scene, library) = scene().await;
    let late = library.wait().timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    scene.client.close().await.unwrap();
    let closed = library.lend("Momo").wait_for_ready().await.unwrap_err();
    assert_eq!(closed.code(), Some(Code::FailedPrecondition), "{closed}");
}

#[tokio::test]
async fn a_stubs_call_can_have_a_callback_or_be_a_cast() {
    let (scene, library) = scene().await;
    let (sender, mut receiver) = mpsc::channel(2);
    let also = sender.clone();
    library.lend("Emil").on_complete(move |outcome| sender.try_send(outcome).unwrap()).await.unwrap();
    assert!(matches!(receiver.recv().await.unwrap(), Err(Failed::Application(LendError::NoSuchBook { .. }))));
    library.lend("Momo").try_on_complete(move |outcome| also.try_send(outcome).unwrap()).unwrap();
    assert_eq!(receiver.recv().await.unwrap().unwrap().copies, 0);
    library.put(Book { title: "Emil".to_owned(), copies: 3 }).cast().await.unwrap();
    library.put(Book { title: "Emil".to_owned(), copies: 3 }).try_cast().unwrap();
    while library.number_of_copies(&["Emil".to_owned()], None).await.unwrap() < 3 {}
    drop(scene);
}

#[tokio::test]
async fn methods_have_the_names_arguments_and_effects_of_the_trait() {
    let (scene, _library) = scene().await;
    let services: Vec<callboard::core::broker::ServiceStatus> =
        scene.client.call("callboard.services", ()).await.unwrap();
    let methods = services.iter().flat_map(|service| &service.methods);
    let mut methods: Vec<_> =
        methods.map(|method| format!("{:?} {}({})", method.effect, method.name, method.arguments.join(", "))).collect();
    methods.sort();
    let expected = ["Idempotent put(book)", "Once lend(title)", "Once wait()", "Read count(titles, at_least)"];
    assert_eq!(methods, [&expected[..], &["Read with_key(greeting)"]].concat());
}
