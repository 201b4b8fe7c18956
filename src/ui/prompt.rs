//! Questions to the user.

use std::io::{BufRead, Write};

use console::user_attended_stderr;
use rustix::termios::isatty;

use super::harmless::harmless;
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// Asks before something is lost. `yes` answers for the user; without a terminal nobody can be
/// asked, and the answer is no.
///
/// # Errors
/// [`ErrorKind::Refused`] unless the answer is yes.
pub fn confirm(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !isatty(std::io::stdin()) || !user_attended_stderr() {
        return Err(Error::new(ErrorKind::Refused, format!("cannot ask: {question}"))
            .because("standard input is not a terminal")
            .hint("Pass `--yes` if you mean it."));
    }
    ask(question, &mut std::io::stdin().lock(), &mut std::io::stderr().lock())
}

fn ask(question: &str, input: &mut impl BufRead, output: &mut impl Write) -> Result<()> {
    let doing = || format!("ask: {question}");
    write!(output, "{} [y/N] ", harmless(question)).and_then(|()| output.flush()).doing(doing)?;
    let mut answer = String::new();
    input.read_line(&mut answer).doing(doing)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Refused, "nothing was changed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<()> {
        let mut output = Vec::new();
        let answer = ask("Remove `x`?", &mut text.as_bytes(), &mut output);
        assert_eq!(String::from_utf8(output).unwrap(), "Remove `x`? [y/N] ");
        answer
    }

    #[test]
    fn only_yes_is_yes() {
        assert!(answer("y\n").is_ok());
        assert!(answer("YES\n").is_ok());
        for text in ["\n", "", "n\n", "yep\n"] {
            assert_eq!(answer(text).unwrap_err().kind, ErrorKind::Refused);
        }
        assert!(confirm("Remove `x`?", true).is_ok());
    }
}
