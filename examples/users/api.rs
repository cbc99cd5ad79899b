//! The contract between callers and workers: traits and types, in one file that both include.

use std::fmt;

use callboard::{Code, ErrorCode, Incoming, Outgoing, Schema, Stream};
use serde::{Deserialize, Serialize};

/// A user of the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) struct User {
    /// Unique, from 1.
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

/// Why a user is not found, or not added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub(crate) enum UserError {
    NotFound {
        id: u32,
    },
    AlreadyExists {
        id: u32,
    },
    /// The file could not be written: nothing changed.
    Storage {
        why: String,
    },
}

/// Keeps users.
#[callboard::service]
pub(crate) trait UserManager {
    /// The user of this id, or the error that there is none.
    #[rpc(read)]
    async fn get_user(&self, id: u32) -> Result<User, UserError>;

    /// Adds a user, unless one has the same id. The user is in the file when the answer comes.
    #[rpc(once)]
    fn add_user(&self, user: User) -> Result<User, UserError>;

    /// The users of this type, by their ids. Where there are none, there are no items, and no error.
    #[rpc(read)]
    async fn get_users_by_type(&self, user_type: UserType) -> Outgoing<impl Stream<Item = User>>;

    /// How many of these ids are users'.
    #[rpc(read)]
    async fn count_already_users(&self, ids: Incoming<u32>) -> usize;

    /// The users of these ids, each as soon as its id is there. Ids that are nobody's are passed over.
    #[rpc(read)]
    async fn get_users_by_ids(&self, ids: Incoming<u32>) -> Outgoing<impl Stream<Item = User>>;

    /// The same, after the last id.
    #[rpc(read)]
    async fn get_users_by_all_ids(&self, ids: Incoming<u32>) -> Outgoing<impl Stream<Item = User>>;
}

/// Counts users.
#[callboard::service]
pub(crate) trait UserStatistics {
    /// How many users there are of this type; of all types if none is named.
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

/// For callers that do not know the type, such as `callboard call`.
impl ErrorCode for UserError {
    fn code(&self) -> Code {
        match self {
            UserError::NotFound { .. } => Code::NotFound,
            UserError::AlreadyExists { .. } => Code::AlreadyExists,
            UserError::Storage { .. } => Code::Unknown,
        }
    }
}
