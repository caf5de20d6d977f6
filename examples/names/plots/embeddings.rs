//! Where the letters end up: every token at the place of its learned embedding.

use std::ops::Range;

use fused_mlp::{NameModel, Vocabulary};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::labels::{self, DOT, Point};
use super::{
    BLUE, Canvas, DrawingError, Drawn, FAINT_INK, FONT, GREEN, HEADER, INK, LEFT, ORANGE,
    TEXT_SIZE, chart, padded, size, svg, titles, write,
};
use crate::run::Run;

/// The inside of the axes is a square, so that both have one scale.
const SIDE: i32 = 1000;

/// The picture.
pub(crate) fn embeddings(run: &Run) -> Result<String, DrawingError> {
    svg(size(SIDE, SIDE), |canvas| draw(canvas, run))
}

fn draw(canvas: &Canvas<'_>, run: &Run) -> Drawn {
    let places = embedding_of(&run.model);
    titles(canvas, "Where the letters end up", run)?;
    key(canvas)?;
    let chart = chart(
        canvas,
        square(&places, 0.06),
        ["first number of the embedding", "second number"],
    )?;
    let dots: Vec<Point> = places
        .iter()
        .map(|place| chart.backend_coord(place))
        .map(|(x, y)| (f64::from(x), f64::from(y)))
        .collect();
    let inside = |start: i32| f64::from(start)..f64::from(start + SIDE);
    let frame = [inside(LEFT[0] + LEFT[1]), inside(HEADER)];
    letters(canvas, &dots, &labels::place(&dots, &frame))
}

/// A dot for each token, its letter, and a line between them where they are apart.
fn letters(canvas: &Canvas<'_>, dots: &[Point], labels: &[Point]) -> Drawn {
    for (&dot, &label) in dots.iter().zip(labels) {
        if let Some(line) = labels::line(dot, label) {
            canvas.draw(&PathElement::new(line.map(pixel), FAINT_INK.mix(0.7)))?;
        }
    }
    for ((&dot, &label), token) in dots.iter().zip(labels).zip(0..) {
        let (colour, text) = look(token);
        let style = (FONT, 30, FontStyle::Bold)
            .into_font()
            .color(&colour)
            .pos(Pos::new(HPos::Center, VPos::Center));
        canvas.draw(&Circle::new(pixel(dot), DOT, colour.filled()))?;
        canvas.draw(&Text::new(text, pixel(label), style))?;
    }
    Ok(())
}

/// Colour and text of a token.
fn look(token: u8) -> (RGBColor, String) {
    match Vocabulary::lowercase().character(token.into()) {
        None => (GREEN, ".".into()),
        Some(vowel @ ('a' | 'e' | 'i' | 'o' | 'u')) => (ORANGE, vowel.into()),
        Some(consonant) => (BLUE, consonant.into()),
    }
}

/// What the colours mean, at the right end of the titles.
fn key(canvas: &Canvas<'_>) -> Drawn {
    let right = LEFT[0] + LEFT[1] + SIDE;
    for (x, colour, text) in [
        (right - 440, ORANGE, "vowels"),
        (right - 320, BLUE, "consonants"),
        (right - 150, GREEN, "end mark (.)"),
    ] {
        canvas.draw(&Circle::new((x, 53), DOT, colour.filled()))?;
        write(canvas, text, (x + 14, 43), TEXT_SIZE, INK)?;
    }
    Ok(())
}

/// The embedding of every token, from 0 up.
fn embedding_of(model: &NameModel) -> Vec<Point> {
    model
        .input
        .embedding
        .column_iter()
        .map(|column| (f64::from(column[0]), f64::from(column[1])))
        .collect()
}

/// Two ranges of one length around some points.
fn square(points: &[Point], fraction: f64) -> [Range<f64>; 2] {
    let x = padded(points.iter().map(|point| point.0), fraction);
    let y = padded(points.iter().map(|point| point.1), fraction);
    let half = (x.end - x.start).max(y.end - y.start) / 2.0;
    [x, y].map(|range| {
        let middle = f64::midpoint(range.start, range.end);
        middle - half..middle + half
    })
}

#[expect(clippy::cast_possible_truncation, reason = "places on the canvas")]
fn pixel((x, y): Point) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}
