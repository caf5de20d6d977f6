//! Tables as text that is also Markdown.

use std::fmt;

/// Rows of text under a header. Columns of numbers stand to the right.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With a header only.
    pub(crate) fn new<'a>(header: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            rows: vec![header.into_iter().map(String::from).collect()],
        }
    }

    /// Adds a row at the end.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = String>) {
        let row: Vec<String> = row.into_iter().collect();
        debug_assert_eq!(row.len(), self.rows[0].len());
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<Column> = (0..self.rows[0].len())
            .map(|column| Column::of(self.rows.iter().map(|row| &*row[column])))
            .collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (cell, column) in row.iter().zip(&columns) {
                let width = column.width;
                match column.is_text {
                    true => write!(f, "| {cell:<width$} ")?,
                    false => write!(f, "| {cell:>width$} ")?,
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                for &Column { width, is_text } in &columns {
                    let colon = if is_text { "-" } else { ":" };
                    write!(f, "|{:-<1$}{colon}", "", width + 1)?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

struct Column {
    width: usize,
    is_text: bool,
}

impl Column {
    /// Of these cells, the first of which is the header.
    fn of<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Self {
        let widths = cells.clone().map(|cell| cell.chars().count());
        Self {
            width: widths.max().unwrap_or(0),
            is_text: cells
                .skip(1)
                .any(|cell| cell.contains(|letter: char| letter.is_ascii_alphabetic())),
        }
    }
}

/// A number with so many decimals, or a dash for none.
pub(crate) fn number(value: impl Into<Option<f64>>, decimals: usize) -> String {
    match value.into() {
        Some(value) if value.is_finite() => format!("{value:.decimals$}"),
        _ => "–".into(),
    }
}

/// A number with three significant digits at least, however large or small.
pub(crate) fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        _ => 4,
    };
    number(value, decimals)
}

/// A count with a comma between thousands.
pub(crate) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
