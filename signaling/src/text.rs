//! Bounds of what people write: names and chat.

use baton_protocol::limits::{MAX_CHAT, MAX_NAME};

/// A name as it will be shown, or why it cannot be.
pub(crate) fn checked_name(name: &str) -> Result<String, &'static str> {
    let name = name.trim();
    if name.is_empty() || name.len() > MAX_NAME {
        return Err("a name has 1 to 128 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("a name has no control characters");
    }
    Ok(name.to_owned())
}

/// Is `text` a chat message?
pub(crate) fn is_chat(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_CHAT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_bounded_and_printable() {
        assert_eq!(checked_name("  Ana "), Ok("Ana".to_owned()));
        assert_eq!(
            checked_name(&"x".repeat(MAX_NAME)),
            Ok("x".repeat(MAX_NAME))
        );
        for bad in ["", "   ", "a\nb", "\u{1b}[31m", &"x".repeat(MAX_NAME + 1)] {
            assert!(checked_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_chat_message_says_something_and_ends() {
        assert!(is_chat("hello") && is_chat(&"x".repeat(MAX_CHAT)));
        assert!(!is_chat(" \n") && !is_chat(&"x".repeat(MAX_CHAT + 1)));
    }
}
