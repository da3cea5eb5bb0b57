//! A panic ends the call without a word of its own: this logs where it was.

use std::panic::PanicHookInfo;
use std::sync::Once;

use crate::{Level, log};

/// So much of a message is logged. It is the author's: put no prompts and no answers into panics.
const MESSAGE_CHARS: usize = 200;

/// Has every panic of this instance logged.
pub(crate) fn tell() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| log(Level::Error, &line(info)))));
}

/// `panicked at src/lib.rs:7: message`
fn line(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or_default();
    let message = message.chars().take(MESSAGE_CHARS).collect::<String>();
    match info.location() {
        Some(at) => format!("panicked at {}:{}: {message}", at.file(), at.line()),
        None => format!("panicked: {message}"),
    }
}
