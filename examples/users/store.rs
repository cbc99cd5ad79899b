//! The store of users: a JSON file that one process owns at a time.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, bail};

use crate::api::{User, UserError, UserType};

/// The users in a JSON file.
pub(crate) struct Store {
    path: PathBuf,
    users: Mutex<BTreeMap<u32, User>>,
    /// The lock file, held until this process exits. It is a separate file, because each write replaces the file of users.
    _lock: File,
}

impl Store {
    /// Opens the file named by `CALLBOARD_EXAMPLE_USERS_FILE`, or `./users.json`. A missing file is created with six users.
    ///
    /// # Errors
    /// If another process owns the file, or it cannot be read or written.
    pub(crate) fn open() -> anyhow::Result<Store> {
        let path = PathBuf::from(env::var_os("CALLBOARD_EXAMPLE_USERS_FILE").unwrap_or_else(|| "users.json".into()));
        let lock = lock(&path)?;
        let users = match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .with_context(|| format!("{} is not a valid file of users", path.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => first_users(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let users: BTreeMap<_, _> = users.into_iter().map(|user| (user.id, user)).collect();
        write(&path, &users).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Store { path, users: Mutex::new(users), _lock: lock })
    }

    pub(crate) fn user(&self, id: u32) -> Result<User, UserError> {
        self.users().get(&id).cloned().ok_or(UserError::NotFound { id })
    }

    /// Adds a user. The file is written first.
    pub(crate) fn add(&self, user: User) -> Result<User, UserError> {
        let mut users = self.users();
        if users.contains_key(&user.id) {
            return Err(UserError::AlreadyExists { id: user.id });
        }
        let mut more = users.clone();
        more.insert(user.id, user.clone());
        write(&self.path, &more).map_err(|error| UserError::Storage { why: error.to_string() })?;
        *users = more;
        Ok(user)
    }

    pub(crate) fn of_type(&self, user_type: UserType) -> Vec<User> {
        self.users().values().filter(|user| user.user_type == user_type).cloned().collect()
    }

    pub(crate) fn count(&self, user_type: Option<UserType>) -> usize {
        let is_meant = |user: &&User| user_type.is_none_or(|user_type| user.user_type == user_type);
        self.users().values().filter(is_meant).count()
    }

    /// Locks the users. No code panics while it holds the lock, so the data is consistent even if the lock is poisoned.
    fn users(&self) -> MutexGuard<'_, BTreeMap<u32, User>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks the file for this process. The system releases the lock when the process exits for any reason.
fn lock(path: &Path) -> anyhow::Result<File> {
    let path = with_ending(path, "lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another process owns these users: it holds {}", path.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Writes to a temporary file and renames it, so that a crash leaves either the old or the new file.
fn write(path: &Path, users: &BTreeMap<u32, User>) -> io::Result<()> {
    let beside = with_ending(path, "new");
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec_pretty(&users.values().collect::<Vec<_>>())?)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn first_users() -> Vec<User> {
    let user = |id, nickname: &str, user_type| User {
        id,
        nickname: nickname.to_owned(),
        mail_address: format!("{}@example.org", nickname.to_lowercase()),
        user_type,
    };
    vec![
        user(1, "admin", UserType::Administrator),
        user(2, "guest", UserType::Guest),
        user(3, "foo", UserType::Normal),
        user(4, "troll", UserType::Disabled),
        user(5, "Zaru", UserType::Normal),
        user(6, "Saru", UserType::Normal),
    ]
}
