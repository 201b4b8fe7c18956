//! A place in a text of one line.

/// Longest first: `==` begins `===`.
const OPERATORS: [&str; 8] = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];

/// What is left of a text. White space before a token does not matter.
pub struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text.trim() }
    }

    pub fn rest(&self) -> &'a str {
        self.rest
    }

    /// Whether nothing is left.
    pub fn end(&self) -> Result<(), ()> {
        if self.rest.trim_start().is_empty() { Ok(()) } else { Err(()) }
    }

    /// Takes a letter, if it is next.
    pub fn take(&mut self, letter: char) -> bool {
        let taken = self.rest.trim_start().strip_prefix(letter);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    /// Whether a letter is next.
    pub fn peeks(&self, letter: char) -> bool {
        self.rest.trim_start().starts_with(letter)
    }

    /// Takes as many letters as are of a kind.
    pub fn run(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        let text = self.rest.trim_start();
        let end = text.find(|letter| !of(letter)).unwrap_or(text.len());
        let (run, rest) = text.split_at(end);
        self.rest = rest;
        run
    }

    pub fn name(&mut self) -> Option<&'a str> {
        let run = self.run(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        (!run.is_empty()).then_some(run)
    }

    /// An operator between a name and a version, or between the sides of a marker.
    pub fn operator(&mut self) -> Option<&'static str> {
        let text = self.rest.trim_start();
        let operator = OPERATORS.into_iter().find(|operator| text.starts_with(operator))?;
        self.rest = &text[operator.len()..];
        Some(operator)
    }

    pub fn version(&mut self) -> &'a str {
        self.run(|letter| letter.is_ascii_alphanumeric() || "-_.!+*".contains(letter))
    }

    /// A text in quotes, without them.
    pub fn quoted(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start();
        let quote = text.chars().next().filter(|letter| "'\"".contains(*letter))?;
        let (inside, rest) = text[1..].split_once(quote)?;
        self.rest = rest;
        Some(inside)
    }
}
