//! A worker that keeps users in a file: two services of one process, each a trait.
//!
//! ```text
//! callboard broker &
//! cargo run --example users-worker &
//! callboard describe user_manager
//! callboard call user_manager.get_user 5
//! ```

mod api;
mod store;

use std::sync::Arc;

use api::{User, UserError, UserManager, UserStatistics, UserType};
use callboard::Worker;
use store::Store;

/// Both services look at the same users.
#[derive(Clone)]
struct Users(Arc<Store>);

impl UserManager for Users {
    async fn get_user(&self, id: u32) -> Result<User, UserError> {
        self.0.user(id)
    }

    fn add_user(&self, user: User) -> Result<User, UserError> {
        self.0.add(user)
    }
}

impl UserStatistics for Users {
    async fn count(&self, user_type: Option<UserType>) -> usize {
        self.0.count(user_type)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let users = Users(Arc::new(Store::open()?));
    let (manager, statistics) = (UserManager::into_service(users.clone()), UserStatistics::into_service(users));
    Ok(Worker::new().serve(manager).serve(statistics).run().await?)
}
