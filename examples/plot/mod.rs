//! Pictures of the examples: curves and points on a pair of axes, as SVG.

use std::error::Error;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::prelude::*;

/// A blue of Okabe and Ito, whose colours colour-blind people can tell apart.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Their orange.
pub const ORANGE: RGBColor = RGBColor(213, 94, 0);
/// A grey for what is in the background.
pub const GREY: RGBColor = RGBColor(150, 154, 164);

const INK: RGBColor = RGBColor(40, 42, 48);
const GRID: RGBColor = RGBColor(232, 233, 237);
const FONT: &str = "sans-serif";

/// Where pictures are put.
const FOLDER: &str = "target/pictures";

/// What one name in the legend stands for.
#[derive(Clone, Debug)]
pub struct Series {
    name: &'static str,
    color: RGBColor,
    mark: Mark,
    points: Vec<(f64, f64)>,
}

/// How points are drawn.
#[derive(Clone, Copy, Debug)]
enum Mark {
    /// Joined, by a line of this width.
    Line(u32),
    /// Each a dot of this radius.
    Dot(i32),
}

/// Points joined by a line.
pub fn line(name: &'static str, color: RGBColor, width: u32, points: Vec<(f64, f64)>) -> Series {
    Series {
        name,
        color,
        mark: Mark::Line(width),
        points,
    }
}

/// Points as dots.
pub fn dots(name: &'static str, color: RGBColor, radius: i32, points: Vec<(f64, f64)>) -> Series {
    Series {
        name,
        color,
        mark: Mark::Dot(radius),
        points,
    }
}

/// An axis: its name, its extent, and how a number along it is written.
#[derive(Clone, Debug)]
pub struct Axis(pub &'static str, pub Range<f64>, pub fn(f64) -> String);

/// Draws the series, later ones over earlier ones, into a file of this name, whose path it returns.
///
/// # Errors
///
/// If the file cannot be written, or the picture cannot be drawn.
pub fn draw(
    name: &str,
    title: &str,
    [x, y]: [Axis; 2],
    series: Vec<Series>,
) -> Result<PathBuf, Box<dyn Error>> {
    let path = Path::new(FOLDER).join(name);
    fs::create_dir_all(FOLDER)?;
    let canvas = SVGBackend::new(&path, (1200, 700)).into_drawing_area();
    canvas.fill(&WHITE)?;
    let text = |size| (FONT, size).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&canvas)
        .margin(24)
        .margin_right(60)
        .caption(title, text(30))
        .x_label_area_size(64)
        .y_label_area_size(92)
        .build_cartesian_2d(x.1, y.1)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .label_style(text(22))
        .axis_desc_style(text(22))
        .x_label_formatter(&|&value| (x.2)(value))
        .y_label_formatter(&|&value| (y.2)(value))
        .x_desc(x.0)
        .y_desc(y.0)
        .draw()?;
    for Series {
        name,
        color,
        points,
        mark,
    } in series
    {
        let drawn = match mark {
            Mark::Line(width) => {
                chart.draw_series(LineSeries::new(points, color.stroke_width(width)))?
            }
            Mark::Dot(radius) => {
                let dots = points
                    .into_iter()
                    .map(|point| Circle::new(point, radius, color.filled()));
                chart.draw_series(dots)?
            }
        };
        drawn.label(name).legend(move |(x, y)| match mark {
            Mark::Line(width) => {
                PathElement::new([(x, y), (x + 30, y)], color.stroke_width(width)).into_dyn()
            }
            Mark::Dot(radius) => Circle::new((x + 15, y), radius, color.filled()).into_dyn(),
        });
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .legend_area_size(44)
        .margin(16)
        .background_style(WHITE.mix(0.85))
        .label_font(text(22))
        .draw()?;
    canvas.present()?;
    drop(chart);
    drop(canvas);
    Ok(path)
}
