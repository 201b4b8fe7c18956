//! Aligned tables for standard output. Colours do not count for the width.

use console::{measure_text_width, style};

use super::harmless::one_line;

/// What ends all colours.
const PLAIN: &str = "\u{1b}[0m";

#[derive(Clone, Debug)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    numeric: Vec<usize>,
}

impl Table {
    pub fn new<const COLUMNS: usize>(headers: [&str; COLUMNS]) -> Self {
        Self {
            headers: headers.map(str::to_uppercase).to_vec(),
            rows: Vec::new(),
            numeric: Vec::new(),
        }
    }

    #[must_use]
    pub fn right(mut self, column: usize) -> Self {
        self.numeric.push(column);
        self
    }

    /// Adds a row; an empty cell is shown as `-`. Cells may hold colours, which end with them; what
    /// was several lines is one.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.headers.len(), String::new());
        for cell in &mut cells {
            *cell = one_line(cell).into_owned();
            if cell.is_empty() {
                "-".clone_into(cell);
            }
            if cell.contains('\u{1b}') && !cell.ends_with(PLAIN) {
                cell.push_str(PLAIN);
            }
        }
        self.rows.push(cells);
    }

    /// The table as text, columns two spaces apart, no space at the ends of lines.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.headers.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| measure_text_width(&row[column]));
                cells.max().unwrap_or(0).max(measure_text_width(&self.headers[column]))
            })
            .collect();
        let heads: Vec<String> =
            self.headers.iter().map(|head| style(head).bold().to_string()).collect();
        let mut text = String::new();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths[column] - measure_text_width(cell));
                if self.numeric.contains(&column) {
                    line.push_str(&padding);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&padding);
                }
                line.push_str("  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_whatever_the_colours_and_letters() {
        console::set_colors_enabled(false);
        let mut table = Table::new(["name", "state", "MiB"]).right(2);
        table.row(["aio1_galera", &style("ok").green().force_styling(true).to_string(), "5"]);
        table.row(["größe", "", "1024"]);
        assert_eq!(
            console::strip_ansi_codes(&table.render()),
            "NAME         STATE   MIB\n\
             aio1_galera  ok        5\n\
             größe        -      1024\n"
        );
    }

    #[test]
    fn a_cell_makes_no_row_and_colours_no_other() {
        let mut table = Table::new(["container", "reason"]);
        table.row(["galera/1", "\u{1b}[32mwell\ngalera/2\thealthy"]);
        table.row(["galera/2", "down"]);
        let text = table.render();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let first = "galera/1   \u{1b}[32mwell galera/2 healthy\u{1b}[0m";
        assert_eq!(lines, [first, "galera/2   down"]);
    }
}
