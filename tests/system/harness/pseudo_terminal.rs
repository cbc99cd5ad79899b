//! A process on a pseudo terminal, for programs that draw a screen.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::{fs::OpenOptionsExt as _, process::ExitStatusExt as _},
    process::{Child, Command},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustix::{
    fs::OFlags,
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use super::until;

/// The size of the terminal.
const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// A process whose standard input and output are a pseudo terminal of 80 columns and 24 lines. Dropping it kills the process.
pub(crate) struct PseudoTerminal {
    child: Child,
    /// The side of the user: writes are keys, reads are what the process draws.
    user: File,
    drawn: Arc<Mutex<String>>,
}

impl PseudoTerminal {
    /// Starts the command on a new terminal.
    pub(crate) fn start(mut command: Command) -> PseudoTerminal {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        tcsetwinsize(&user, SIZE).unwrap();
        let path = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
        let no_terminal_of_this_process = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let terminal =
            OpenOptions::new().read(true).write(true).custom_flags(no_terminal_of_this_process).open(path).unwrap();
        command.env("TERM", "xterm-256color").stdin(terminal.try_clone().unwrap()).stdout(terminal);
        let child = command.spawn().unwrap();
        // The command holds descriptors of the terminal, which would keep it open after the process.
        drop(command);
        let user = File::from(user);
        let drawn = read_all(user.try_clone().unwrap());
        PseudoTerminal { child, user, drawn }
    }

    /// Types keys, and forgets what was drawn before.
    pub(crate) fn press(&mut self, keys: &str) {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the process has drawn this text since the last key. A program may draw only the letters that change.
    pub(crate) fn wait_for(&self, text: &str) {
        until(&format!("the screen shows {text:?}"), || self.drawn().contains(text).then_some(()));
    }

    /// Returns what was drawn since the last key, with the control sequences.
    fn drawn(&self) -> String {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the process, and returns its exit code, or minus the signal that ended it.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let status = until("the process on the terminal ends", || self.child.try_wait().unwrap());
        status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
    }

    /// Returns whether the terminal edits lines and shows what is typed, as before the process.
    pub(crate) fn is_restored(&self) -> bool {
        tcgetattr(&self.user).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for PseudoTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the terminal shows:\n{:?}", self.drawn());
        }
    }
}

/// Reads what the process draws, so that it never waits for its reader. The read fails when the process has ended.
fn read_all(mut user: File) -> Arc<Mutex<String>> {
    let drawn = Arc::<Mutex<String>>::default();
    let shared = Arc::clone(&drawn);
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(len @ 1..) = user.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..len]);
            shared.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        }
    });
    drawn
}
