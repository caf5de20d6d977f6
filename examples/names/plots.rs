//! The two pictures of the post, as SVG.

mod embeddings;
mod labels;
mod loss;

use std::io;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::report::grouped;
use crate::run::Run;

pub(crate) use embeddings::embeddings;
pub(crate) use loss::loss;

/// What can go wrong while drawing.
pub(crate) type DrawingError = DrawingAreaErrorKind<io::Error>;
type Drawn = Result<(), DrawingError>;
type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const FONT: &str = "sans-serif";
const TITLE_SIZE: i32 = 40;
const TEXT_SIZE: i32 = 25;
const INK: RGBColor = RGBColor(40, 42, 48);
const FAINT_INK: RGBColor = RGBColor(110, 114, 124);
const GRID: RGBColor = RGBColor(232, 233, 237);
// Three colours of Okabe and Ito, which colour-blind people can tell apart.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 138, 100);

/// White on the right, and to the left of the titles.
const MARGIN: i32 = 44;
/// Height of the titles.
const HEADER: i32 = 112;
/// White on the left, and the numbers and name of the axis there.
const LEFT: [i32; 2] = [20, 88];
/// The numbers and name of the axis at the bottom, and white.
const BOTTOM: [i32; 2] = [68, 16];

/// The size of a picture with so much room inside the axes.
const fn size(width: i32, height: i32) -> (u32, u32) {
    let full = (
        LEFT[0] + LEFT[1] + width + MARGIN,
        HEADER + height + BOTTOM[0] + BOTTOM[1],
    );
    (full.0.cast_unsigned(), full.1.cast_unsigned())
}

/// A white canvas, drawn on, as the text of an SVG file.
fn svg(size: (u32, u32), draw: impl FnOnce(&Canvas<'_>) -> Drawn) -> Result<String, DrawingError> {
    let mut text = String::new();
    let canvas = SVGBackend::with_string(&mut text, size).into_drawing_area();
    canvas.fill(&WHITE)?;
    draw(&canvas)?;
    canvas.present()?;
    drop(canvas);
    Ok(text)
}

/// A title, and the run in half a line under it.
fn titles(canvas: &Canvas<'_>, title: &str, run: &Run) -> Drawn {
    let Run {
        batch, rate, seed, ..
    } = run;
    let steps = grouped(run.steps);
    let settings = format!("seed {seed} · {steps} steps of {batch} at rate {rate}");
    let subtitle = match run.replay {
        Some(recipe) => format!("{} replayed · {settings}", recipe.title()),
        None => settings,
    };
    write(canvas, title, (MARGIN, 30), TITLE_SIZE, INK)?;
    write(canvas, &subtitle, (MARGIN, 73), TEXT_SIZE, FAINT_INK)
}

/// Text with its upper left corner in a place.
fn write(canvas: &Canvas<'_>, text: &str, place: (i32, i32), size: i32, ink: RGBColor) -> Drawn {
    let style = (FONT, size).into_font().color(&ink);
    canvas.draw(&Text::new(text, place, style))
}

/// Axes with names, numbers and a faint grid.
fn chart<'a, 'b>(
    canvas: &'a Canvas<'b>,
    [x, y]: [Range<f64>; 2],
    [x_name, y_name]: [&str; 2],
) -> Result<Chart<'a, 'b>, DrawingError> {
    let decimals = [decimals(&x), decimals(&y)];
    let mut chart = ChartBuilder::on(canvas)
        .margin_top(HEADER)
        .margin_right(MARGIN)
        .margin_bottom(BOTTOM[1])
        .margin_left(LEFT[0])
        .x_label_area_size(BOTTOM[0])
        .y_label_area_size(LEFT[1])
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT_INK)
        .label_style((FONT, TEXT_SIZE).into_font().color(&INK))
        .axis_desc_style((FONT, TEXT_SIZE).into_font().color(&INK))
        .x_label_formatter(&|&x| tick(x, decimals[0]))
        .y_label_formatter(&|&y| tick(y, decimals[1]))
        .x_desc(x_name)
        .y_desc(y_name)
        .draw()?;
    Ok(chart)
}

/// Decimals that the numbers along an axis need.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "few"
)]
fn decimals(range: &Range<f64>) -> usize {
    // An axis has about a dozen numbers.
    let distance = (range.end - range.start) / 12.0;
    (-distance.log10()).ceil().max(0.0) as usize
}

/// A number along an axis; never −0, and short even for a run that went astray.
fn tick(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e10 {
        return format!("{value:.1e}");
    }
    let text = format!("{:.decimals$}", value.abs());
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if value < 0.0 && !is_zero { "−" } else { "" };
    match decimals {
        0 => format!("{sign}{}", grouped(text)),
        _ => format!("{sign}{text}"),
    }
}

/// The extent of some numbers, and a fraction of it more on either side; never empty.
fn padded(numbers: impl Iterator<Item = f64>, fraction: f64) -> Range<f64> {
    let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
        (low.min(x), high.max(x))
    });
    let least = 1e-3 * high.abs().max(1.0);
    let padding = ((high - low) * fraction).max(least);
    low - padding..high + padding
}
