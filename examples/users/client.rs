//! A client of the user services. It shares only the traits with the worker.
//!
//! ```text
//! cargo run --example users-client -- tcp://127.0.0.1:5559
//! ```

mod api;
#[path = "../common/program.rs"]
mod program;

use std::{env, error::Error, process::ExitCode};

use api::{User, UserError, UserManagerClient, UserStatisticsClient, UserType};
use callboard::{Client, Failed};

#[tokio::main]
async fn main() -> ExitCode {
    program::client("Usage: users-client [FRONTEND]\n\nMakes some calls of user_manager. FRONTEND is tcp://127.0.0.1:5559 by default.", run).await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let frontend = env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:5559".to_owned());
    let client = Client::connect(frontend).await?;
    let users = UserManagerClient::new(&client);

    let user = users.get_user(5).await?;
    println!("user 5 is {}, {:?}", user.nickname, user.user_type);
    match users.get_user(7).await {
        Err(Failed::Application(UserError::NotFound { id })) => println!("there is no user {id}"),
        other => println!("unexpected: {other:?}"),
    }

    let uru = User {
        id: 7,
        nickname: "Uru".to_owned(),
        mail_address: "uru@example.org".to_owned(),
        user_type: UserType::Guest,
    };
    for _ in 0..2 {
        match users.add_user(uru.clone()).await {
            Ok(added) => println!("added {}", added.nickname),
            Err(error) => println!("not added: {error}"),
        }
    }

    call_with_streams(&users).await?;
    let statistics = UserStatisticsClient::new(&client);
    println!(
        "{} users, {} of them guests",
        statistics.count(None).await?,
        statistics.count(Some(UserType::Guest)).await?
    );
    Ok(client.close().await?)
}

/// Streams from the worker, to it, and in both directions.
async fn call_with_streams(users: &UserManagerClient) -> Result<(), Box<dyn Error>> {
    let mut guests = users.get_users_by_type(UserType::Guest).stream();
    while let Some(guest) = guests.next().await {
        println!("a guest: {}", guest?.nickname);
    }

    let (mut ids, count) = users.count_already_users().upload();
    for id in [1, 2, 99] {
        ids.send(&id).await?;
    }
    ids.end();
    println!("{} of 3 ids belong to users", count.await?);

    let (mut ids, mut found) = users.get_users_by_ids().duplex();
    for id in [6, 4] {
        // Each user arrives before the next id is sent.
        ids.send(&id).await?;
        let user = found.next().await.ok_or("the stream ended early")??;
        println!("user {id} is {}", user.nickname);
    }
    ids.end();
    Ok(())
}
