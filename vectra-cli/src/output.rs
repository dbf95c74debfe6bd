//! What goes to standard output: lines, tables or one JSON object.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use serde_json::{Value as Json, json};
use vectra::ItemId;

use crate::failure::Result;

/// The most characters of a table's last column on one line.
const CELL_CHARS_MAX: usize = 96;

/// Standard output, buffered, in the form that was asked for.
pub(crate) struct Output {
    to: BufWriter<io::Stdout>,
    paint: Paint,
    json: bool,
}

impl Output {
    /// Standard output as text, or as JSON.
    pub(crate) fn stdout(json: bool) -> Self {
        let stdout = io::stdout();
        Self { paint: Paint::for_stream(stdout.is_terminal()), to: BufWriter::new(stdout), json }
    }

    /// Whether JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<()> {
        Ok(writeln!(self.to, "{text}")?)
    }

    /// Prints a line that begins a section.
    pub(crate) fn heading(&mut self, text: &str) -> Result<()> {
        let text = self.paint.bold(text);
        self.line(text)
    }

    /// Prints aligned `name  value` lines.
    pub(crate) fn facts(&mut self, facts: &[(&str, String)]) -> Result<()> {
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in facts {
            writeln!(self.to, "{name:width$}  {value}")?;
        }
        Ok(())
    }

    /// Prints a table; columns whose heading starts with `>` are aligned to the right.
    pub(crate) fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) -> Result<()> {
        for (number, line) in layout(headings, rows).into_iter().enumerate() {
            if number == 0 {
                self.heading(&line)?;
            } else {
                self.line(line)?;
            }
        }
        Ok(())
    }

    /// Prints one JSON object on one line.
    pub(crate) fn json(&mut self, value: &Json) -> Result<()> {
        self.line(value)
    }

    /// Hands everything over to the operating system.
    pub(crate) fn flush(&mut self) -> Result<()> {
        Ok(self.to.flush()?)
    }
}

fn layout(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let names: Vec<String> = headings.iter().map(|h| h.trim_start_matches('>').to_owned()).collect();
    let last = names.len() - 1;
    let cells = std::iter::once(&names).chain(rows);
    let width = |column: usize| cells.clone().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            match (headings[column].starts_with('>'), column == last) {
                (true, _) => line.extend([pad.as_str(), cell]),
                (false, true) => line.push_str(&shorten(cell, CELL_CHARS_MAX)),
                (false, false) => line.extend([cell, pad.as_str()]),
            }
            if column != last {
                line.push_str("  ");
            }
        }
        line.trim_end().to_owned()
    };
    cells.clone().map(line).collect()
}

/// At most `max` characters of `text`, with control characters made visible.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if clean.chars().count() <= max {
        return clean;
    }
    let kept: String = clean.chars().take(max.saturating_sub(3)).collect();
    format!("{kept}...")
}

/// An id as JSON: numbers stay numbers.
pub(crate) fn id_json(id: &ItemId) -> Json {
    match id {
        ItemId::U64(n) => json!(n),
        other => json!(other.to_string()),
    }
}

/// A vector as a JSON array of the shortest numbers that read back as the same f32.
pub(crate) fn vector_json(vector: &[f32]) -> Json {
    Json::Array(vector.iter().map(|x| serde_json::from_str(&x.to_string()).unwrap_or(Json::Null)).collect())
}

/// A word as a POSIX shell takes it.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A number of bytes in the unit that suits it.
pub(crate) fn bytes(n: u64) -> String {
    let mut scaled = n as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if scaled < 1024.0 {
            break;
        }
        (scaled, unit) = (scaled / 1024.0, next);
    }
    if unit == "B" { format!("{n} B") } else { format!("{scaled:.1} {unit}") }
}

/// A whole number with its thousands set apart.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Colours, where they are welcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours on a terminal, unless `NO_COLOR` is set or the terminal is dumb.
    pub(crate) fn for_stream(terminal: bool) -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self { on: terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb") }
    }

    /// In bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// In bold red.
    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// In cyan.
    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "20".to_owned()]];
        assert_eq!(layout(&["id", ">n"], &rows), ["id     n", "a      1", "long  20"]);
    }

    #[test]
    fn long_and_odd_text_is_tamed() {
        assert_eq!(shorten("abcdef", 5), "ab...");
        assert_eq!(shorten("a\x1b[31m\n", 20), "a?[31m?");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!(
            (bytes(12), bytes(1536), bytes(3 << 30)),
            ("12 B".into(), "1.5 KiB".into(), "3.0 GiB".into())
        );
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_word("/tmp/a-b_c.1"), "/tmp/a-b_c.1");
        assert_eq!(shell_word("my index"), "'my index'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }

    #[test]
    fn vectors_keep_their_shortest_form() {
        assert_eq!(vector_json(&[0.1, -2.0, 1e-9]).to_string(), "[0.1,-2,1e-9]");
    }

    #[test]
    fn no_colour_without_a_terminal() {
        assert_eq!(Paint::for_stream(false).red("x"), "x");
    }
}
