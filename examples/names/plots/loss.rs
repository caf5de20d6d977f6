//! Losses against steps.

use plotters::prelude::*;

use super::{
    BLUE, Canvas, Chart, DrawingError, Drawn, FONT, INK, ORANGE, TEXT_SIZE, chart, padded, size,
    svg, titles,
};
use crate::run::{Evaluation, Run};

/// One loss of an evaluation.
type Pick = fn(&Evaluation) -> f32;

/// The picture.
pub(crate) fn loss(run: &Run) -> Result<String, DrawingError> {
    svg(size(1080, 560), |canvas| draw(canvas, run))
}

fn draw(canvas: &Canvas<'_>, run: &Run) -> Drawn {
    // The loss of the first parameters is several times the others and would flatten them; the post leaves it out.
    let shown = match &run.curve[..] {
        [_, rest @ ..] if rest.len() > 1 => rest,
        all => all,
    };
    let losses = shown.iter().flat_map(|point| [point.train, point.dev]);
    let height = padded(losses.map(f64::from), 0.04);
    let steps = 0.0..along(run.steps.max(1));
    titles(canvas, "Loss while training", run)?;
    let mut chart = chart(canvas, [steps, height], ["step", "loss (nats per letter)"])?;
    // The two are seldom apart by more than a line's width, so one line is wide and pale under the other.
    let lines: [(&str, Pick, ShapeStyle); 2] = [
        ("train", |point| point.train, BLUE.mix(0.45).stroke_width(7)),
        ("dev", |point| point.dev, ORANGE.stroke_width(2)),
    ];
    for (name, pick, style) in lines {
        let points = shown
            .iter()
            .map(|point| (along(point.step), f64::from(pick(point))));
        let label = format!("{name}, {:.4} at the end", pick(&run.last()));
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], style));
    }
    legend(&mut chart)
}

fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(20)
        .legend_area_size(46)
        .label_font((FONT, TEXT_SIZE).into_font().color(&INK))
        .draw()
}

/// A step as a place on the axis.
#[expect(clippy::cast_precision_loss, reason = "less than a pixel")]
fn along(step: u64) -> f64 {
    step as f64
}
