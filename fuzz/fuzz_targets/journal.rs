//! Lines of `journalctl --output=json`: what is shown of an entry does nothing to a terminal.
#![no_main]

use aio::for_tests::{harmless, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    if let Some(entry) = parse(line) {
        let shown = harmless(&entry.message);
        // Colours stay, and nothing else that an escape begins.
        for rest in shown.split('\x1b').skip(1) {
            let end = rest.find(|letter: char| !"[0123456789;".contains(letter));
            assert!(
                rest.starts_with('[') && end.is_some_and(|at| rest[at..].starts_with('m')),
                "{shown:?}"
            );
        }
        assert!(
            !shown.contains(|letter: char| letter.is_control() && !"\x1b\t\n".contains(letter)),
            "{shown:?}"
        );
    }
});
