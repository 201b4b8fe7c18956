//! A line of requirements: what is taken is a name with extras and a specifier, and reads as itself.
#![no_main]

use aio::for_tests::{Conditional, Requirement};
use libfuzzer_sys::fuzz_target;

fn sound(requirement: &Requirement) {
    let text = requirement.as_str();
    assert!(text.starts_with(|letter: char| letter.is_ascii_alphanumeric()), "{text}");
    assert!(!text.contains(['/', '\\', '@', ':', '\n', '\r', '\0', '$', '`', '#']), "{text}");
    assert_eq!(Requirement::parse(text).as_ref(), Ok(requirement));
}

fuzz_target!(|text: &str| {
    if let Ok(requirement) = Requirement::parse(text) {
        sound(&requirement);
    }
    if let Ok(conditional) = Conditional::parse(text) {
        let written = conditional.to_string();
        assert!(!written.contains(char::is_control), "{written}");
        assert_eq!(Conditional::parse(&written), Ok(conditional));
    }
});
