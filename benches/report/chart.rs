//! The picture: a bar for each program on a scale of powers of ten, beginning at the physical limit.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Report;
use super::contest::Contest;
use crate::entries::Kind;
use crate::support::rounds::Samples;
use crate::support::table::{number, significant};

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type DrawingError = DrawingAreaErrorKind<io::Error>;
type Drawn = Result<(), DrawingError>;

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 42, 48);
const FAINT_INK: RGBColor = RGBColor(110, 114, 124);
const GRID: RGBColor = RGBColor(226, 228, 233);
// Three colours of Okabe and Ito, which colour-blind people can tell apart, and a grey.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 138, 100);
const GREY: RGBColor = RGBColor(172, 177, 188);

const TITLE_SIZE: i32 = 38;
const TEXT_SIZE: i32 = 22;
const SMALL_SIZE: i32 = 19;

const WIDTH: i32 = 1240;
const MARGIN: i32 = 44;
/// Where the bars begin and where the longest ends. Names stand to the left, numbers to the right.
const BARS: [i32; 2] = [424, 1030];
/// Height of what is above the bars and below them.
const HEADER: i32 = 196;
const FOOTER: i32 = 126;
/// From the key down to the first row.
const KEY: i32 = 36;
/// From bar to bar, and half their thickness.
const ROW: i32 = 31;
const HALF_BAR: i32 = 9;
/// From a bar to what is written beside it.
const GAP: i32 = 11;

/// The picture as the text of an SVG file.
pub(super) fn chart(report: &Report) -> Result<String, DrawingError> {
    let rows = i32::try_from(report.contest.rows.len()).unwrap_or(i32::MAX);
    let bottom = HEADER + rows * ROW + ROW / 2;
    let size = [WIDTH, bottom + FOOTER].map(i32::cast_unsigned);
    let mut text = String::new();
    let canvas = SVGBackend::with_string(&mut text, size.into()).into_drawing_area();
    canvas.fill(&WHITE)?;
    let picture = Picture { canvas, bottom };
    picture.titles(report)?;
    picture.key()?;
    picture.rows(&report.contest)?;
    picture.notes(report)?;
    picture.canvas.present()?;
    drop(picture);
    Ok(text)
}

struct Picture<'a> {
    canvas: Canvas<'a>,
    /// Where the bars end.
    bottom: i32,
}

/// Powers of ten as places: the physical limit is where the bars begin.
struct Scale {
    limit: f64,
    longest: f64,
}

impl Scale {
    #[expect(clippy::cast_possible_truncation, reason = "a few hundred pixels")]
    fn place(&self, seconds: f64) -> i32 {
        let along = (seconds / self.limit).ln() / (self.longest / self.limit).ln();
        let [start, end] = BARS.map(f64::from);
        (start + along.max(0.0) * (end - start)).round() as i32
    }

    /// The powers of ten within it.
    fn powers(&self) -> impl Iterator<Item = f64> {
        let all = (-3..6).map(|exponent| 10_f64.powi(exponent));
        all.filter(|power| (self.limit * 1.05..self.longest * 1.05).contains(power))
    }
}

impl Picture<'_> {
    fn titles(&self, report: &Report) -> Drawn {
        let machine = &report.machine;
        let title = "10,000 training steps on one core";
        let job = "3 letters → 100 tanh neurons → 27 letters, batches of 32";
        let place = format!("{} · {}", machine.processor, machine.date);
        self.write(title, (MARGIN, 44), left(TITLE_SIZE, INK))?;
        self.write(job, (MARGIN, 84), left(TEXT_SIZE, FAINT_INK))?;
        self.write(&place, (MARGIN, 112), left(TEXT_SIZE, FAINT_INK))
    }

    /// What the colours mean.
    fn key(&self) -> Drawn {
        let y = HEADER - KEY;
        for (x, kind, text) in [
            (BARS[0], Kind::Own, "this crate"),
            (BARS[0] + 150, Kind::Plain, "plain Rust"),
            (BARS[0] + 300, Kind::Peer, "other programs"),
        ] {
            self.bar([x, x + 2 * HALF_BAR], y, kind)?;
            self.write(text, (x + 26, y), left(SMALL_SIZE, INK))?;
        }
        let ratios = right(SMALL_SIZE, FAINT_INK);
        self.write("× this crate", (WIDTH - MARGIN, y), ratios)
    }

    fn rows(&self, contest: &Contest) -> Drawn {
        let medians = contest.rows.iter().map(|row| row.samples.median());
        let scale = Scale {
            limit: contest.peak.median(),
            longest: medians.fold(0.0, f64::max),
        };
        for power in scale.powers() {
            let x = scale.place(power);
            let label = center(SMALL_SIZE, FAINT_INK);
            self.vertical(x, GRID.stroke_width(1))?;
            self.write(&format!("{power} s"), (x, self.bottom + 20), label)?;
        }
        let heights = (1..).map(|row| HEADER + row * ROW);
        for (row, y) in contest.rows.iter().zip(heights) {
            let end = scale.place(row.samples.median());
            let is_own = row.about.id == contest.own().about.id;
            let name = right(SMALL_SIZE, INK);
            let name = if is_own { bold(name) } else { name };
            self.bar([BARS[0], end], y, row.about.kind)?;
            self.write(&row.name(), (BARS[0] - GAP, y), name)?;
            self.numbers(contest, &row.samples, (end, y), INK)?;
        }
        let name = right(SMALL_SIZE, ORANGE);
        self.vertical(BARS[0], ORANGE.stroke_width(3))?;
        self.write(&contest.peak_name(), (BARS[0] - GAP, HEADER), name)?;
        self.numbers(contest, &contest.peak, (BARS[0], HEADER), ORANGE)
    }

    fn bar(&self, [start, end]: [i32; 2], y: i32, kind: Kind) -> Drawn {
        let fill = match kind {
            Kind::Own => BLUE,
            Kind::Plain => GREEN,
            Kind::Peer => GREY,
        };
        let corners = [(start, y - HALF_BAR), (end, y + HALF_BAR)];
        self.canvas.draw(&Rectangle::new(corners, fill.filled()))
    }

    /// A row's seconds at the end of its bar, and its ratio.
    fn numbers(
        &self,
        contest: &Contest,
        samples: &Samples,
        (end, y): (i32, i32),
        ink: RGBColor,
    ) -> Drawn {
        let seconds = format!("{} s", significant(samples.median()));
        let ratio = match samples.ratio_to(&contest.own().samples) {
            ratio @ ..10.0 => number(ratio, 2),
            ratio => significant(ratio),
        };
        self.write(&seconds, (end + GAP, y), left(SMALL_SIZE, ink))?;
        self.write(&ratio, (WIDTH - MARGIN, y), right(SMALL_SIZE, FAINT_INK))
    }

    fn notes(&self, report: &Report) -> Drawn {
        let rounds = report.contest.rounds;
        let published = Report::published();
        let notes = [
            format!(
                "Medians of {rounds} interleaved rounds on a logarithmic scale, start-up not included."
            ),
            format!(
                "Published with the post, on its author's laptop, not measured here: {published}."
            ),
        ];
        for (note, y) in notes.iter().zip([58, 86]) {
            let place = (MARGIN, self.bottom + y);
            self.write(note, place, left(SMALL_SIZE, FAINT_INK))?;
        }
        Ok(())
    }

    /// A line beside all rows.
    fn vertical(&self, x: i32, style: ShapeStyle) -> Drawn {
        let ends = [(x, HEADER - ROW / 2), (x, self.bottom + 4)];
        self.canvas.draw(&PathElement::new(ends, style))
    }

    /// Text in one line, its middle at the height of a place.
    fn write(&self, text: &str, place: (i32, i32), look: TextStyle<'static>) -> Drawn {
        self.canvas.draw(&Text::new(text.to_owned(), place, look))
    }
}

/// Text that begins at its place.
fn left(size: i32, ink: RGBColor) -> TextStyle<'static> {
    look(HPos::Left, size, ink)
}

/// Text that ends at its place.
fn right(size: i32, ink: RGBColor) -> TextStyle<'static> {
    look(HPos::Right, size, ink)
}

/// Text with its place in the middle.
fn center(size: i32, ink: RGBColor) -> TextStyle<'static> {
    look(HPos::Center, size, ink)
}

fn look(side: HPos, size: i32, ink: RGBColor) -> TextStyle<'static> {
    let font = (FONT, size).into_font();
    font.color(&ink).pos(Pos::new(side, VPos::Center))
}

fn bold(mut look: TextStyle<'static>) -> TextStyle<'static> {
    look.font = look.font.style(FontStyle::Bold);
    look
}
