//! A worker that stores users in a file. It serves two services, and each is a trait.
//!
//! ```text
//! callboard broker &
//! cargo run --example users-worker &
//! callboard describe user_manager
//! callboard call user_manager.get_user 5
//! callboard call user_manager.get_users_by_type NORMAL
//! seq 1 9 | callboard call user_manager.get_users_by_ids
//! ```
//!
//! Only one process can own the file, so a pool needs the size 1: `callboard pool -n 1 -- target/debug/examples/users-worker`.

mod api;
#[path = "../common/program.rs"]
mod program;
mod store;

use std::{future::ready, process::ExitCode, sync::Arc};

use api::{User, UserError, UserManager, UserStatistics, UserType};
use callboard::{Incoming, Outgoing, Stream, Worker};
use futures::{StreamExt as _, stream};
use store::Store;

/// Both services share the users.
#[derive(Clone)]
struct Users(Arc<Store>);

impl UserManager for Users {
    async fn get_user(&self, id: u32) -> Result<User, UserError> {
        self.0.user(id)
    }

    fn add_user(&self, user: User) -> Result<User, UserError> {
        self.0.add(user)
    }

    async fn get_users_by_type(&self, user_type: UserType) -> Outgoing<impl Stream<Item = User>> {
        Outgoing::new(stream::iter(self.0.of_type(user_type)))
    }

    // An invalid item fails these calls itself, so the methods can ignore the error.

    async fn count_already_users(&self, mut ids: Incoming<u32>) -> usize {
        let mut count = 0;
        while let Some(Ok(id)) = ids.next().await {
            count += usize::from(self.0.user(id).is_ok());
        }
        count
    }

    async fn get_users_by_ids(&self, ids: Incoming<u32>) -> Outgoing<impl Stream<Item = User>> {
        Outgoing::new(ids.filter_map(|id| ready(id.ok().and_then(|id| self.0.user(id).ok()))))
    }

    async fn get_users_by_all_ids(&self, mut ids: Incoming<u32>) -> Outgoing<impl Stream<Item = User>> {
        let mut users = Vec::new();
        while let Some(Ok(id)) = ids.next().await {
            users.extend(self.0.user(id));
        }
        Outgoing::new(stream::iter(users))
    }
}

impl UserStatistics for Users {
    async fn count(&self, user_type: Option<UserType>) -> usize {
        self.0.count(user_type)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    program::worker("Serves user_manager and user_statistics from a file.", serve).await
}

async fn serve() -> anyhow::Result<()> {
    let users = Users(Arc::new(Store::open()?));
    let (manager, statistics) = (UserManager::into_service(users.clone()), UserStatistics::into_service(users));
    Ok(Worker::new().serve(manager).serve(statistics).run().await?)
}
