//! The contract between callers and workers: traits and types, in a file that both programs include.

use std::fmt;

use callboard::{Code, ErrorCode, Incoming, Outgoing, Schema, Stream};
use serde::{Deserialize, Serialize};

/// A user of the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) struct User {
    /// A unique number, from 1.
    pub(crate) id: u32,
    pub(crate) nickname: String,
    pub(crate) mail_address: String,
    pub(crate) user_type: UserType,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Schema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum UserType {
    Administrator,
    Guest,
    Normal,
    Disabled,
}

/// Why a user was not found or not added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) enum UserError {
    NotFound {
        id: u32,
    },
    AlreadyExists {
        id: u32,
    },
    /// The file could not be written. Nothing changed.
    Storage {
        why: String,
    },
}

/// Keeps users.
#[callboard::service]
pub(crate) trait UserManager {
    /// Returns the user with this id.
    #[rpc(read)]
    async fn get_user(&self, id: u32) -> Result<User, UserError>;

    /// Adds a user with a new id. When the call returns, the user is in the file.
    #[rpc(once)]
    fn add_user(&self, user: User) -> Result<User, UserError>;

    /// Sends the users of this type, in the order of their ids.
    #[rpc(read)]
    async fn get_users_by_type(&self, user_type: UserType) -> Outgoing<impl Stream<Item = User>>;

    /// Counts the ids that belong to users.
    #[rpc(read)]
    async fn count_already_users(&self, ids: Incoming<u32>) -> usize;

    /// Sends the user of each id as soon as the id arrives. Unknown ids are skipped.
    #[rpc(read)]
    async fn get_users_by_ids(&self, ids: Incoming<u32>) -> Outgoing<impl Stream<Item = User>>;

    /// Sends the users of all ids after the last id has arrived. Unknown ids are skipped.
    #[rpc(read)]
    async fn get_users_by_all_ids(&self, ids: Incoming<u32>) -> Outgoing<impl Stream<Item = User>>;
}

/// Counts users.
#[callboard::service]
pub(crate) trait UserStatistics {
    /// Returns the number of users of this type, or of all types if none is given.
    #[rpc(read)]
    async fn count(&self, user_type: Option<UserType>) -> usize;
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UserError::NotFound { id } => write!(f, "user {id}: not found"),
            UserError::AlreadyExists { id } => write!(f, "user {id}: already exist"),
            UserError::Storage { why } => f.write_str(why),
        }
    }
}

/// The status codes for callers without this type, such as `callboard call`.
impl ErrorCode for UserError {
    fn code(&self) -> Code {
        match self {
            UserError::NotFound { .. } => Code::NotFound,
            UserError::AlreadyExists { .. } => Code::AlreadyExists,
            UserError::Storage { .. } => Code::Unknown,
        }
    }
}
