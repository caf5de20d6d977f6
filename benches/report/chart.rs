//! The picture: a bar for each program on a scale of powers of ten, beginning at the physical limit.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Report;
use super::contest::{Contest, Row};
use crate::entries::Kind;
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
/// From bar to bar, and half their thickness.
const ROW: i32 = 31;
const HALF_BAR: i32 = 9;

/// The picture as the text of an SVG file.
pub(super) fn chart(report: &Report) -> Result<String, DrawingError> {
    let rows = i32::try_from(report.contest.rows.len()).unwrap_or(i32::MAX);
    let bottom = HEADER + rows * ROW;
    let size = (WIDTH, bottom + FOOTER);
    let mut text = String::new();
    let canvas =
        SVGBackend::with_string(&mut text, (size.0.cast_unsigned(), size.1.cast_unsigned()))
            .into_drawing_area();
    canvas.fill(&WHITE)?;
    let canvas = Picture { canvas, bottom };
    canvas.titles(report)?;
    canvas.key()?;
    canvas.bars(&report.contest)?;
    canvas.notes(report)?;
    canvas.canvas.present()?;
    drop(canvas);
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
        let job = "3 letters → 100 tanh neurons → 27 letters, batches of 32, one core".into();
        let place = format!("{} · {}", machine.processor, machine.date);
        let left = HPos::Left;
        self.write(
            "10,000 training steps".into(),
            (MARGIN, 44),
            left,
            TITLE_SIZE,
            INK,
        )?;
        self.write(job, (MARGIN, 84), left, TEXT_SIZE, FAINT_INK)?;
        self.write(place, (MARGIN, 112), left, TEXT_SIZE, FAINT_INK)
    }

    /// What the colours mean.
    fn key(&self) -> Drawn {
        for (x, kind, text) in [
            (0, Kind::Own, "this crate"),
            (150, Kind::Plain, "plain Rust"),
            (300, Kind::Peer, "other programs"),
        ] {
            let (x, y) = (BARS[0] + x, HEADER - 38);
            let corners = [(x, y - HALF_BAR), (x + 18, y + HALF_BAR)];
            self.canvas
                .draw(&Rectangle::new(corners, colour(kind).filled()))?;
            self.write(text.into(), (x + 26, y), HPos::Left, SMALL_SIZE, INK)?;
        }
        let column = (WIDTH - MARGIN, HEADER - 38);
        self.write(
            "× this crate".into(),
            column,
            HPos::Right,
            SMALL_SIZE,
            FAINT_INK,
        )
    }

    fn bars(&self, contest: &Contest) -> Drawn {
        let medians = contest.rows.iter().map(|row| row.samples.median());
        let scale = Scale {
            limit: contest.peak.median(),
            longest: medians.fold(0.0, f64::max),
        };
        for power in scale.powers() {
            let x = scale.place(power);
            self.vertical(x, HEADER - 12, GRID.stroke_width(1))?;
            let label = (x, self.bottom + 18);
            self.write(
                format!("{power} s"),
                label,
                HPos::Center,
                SMALL_SIZE,
                FAINT_INK,
            )?;
        }
        let middles = (0..).map(|row| HEADER + row * ROW + ROW / 2);
        for (row, y) in contest.rows.iter().zip(middles) {
            self.bar(contest, row, y, &scale)?;
        }
        self.vertical(BARS[0], HEADER - 12, ORANGE.stroke_width(3))?;
        let limit = format!("FMA peak {} s", significant(scale.limit));
        let label = (BARS[0], self.bottom + 18);
        self.write(limit, label, HPos::Center, SMALL_SIZE, ORANGE)
    }

    fn bar(&self, contest: &Contest, row: &Row, y: i32, scale: &Scale) -> Drawn {
        let seconds = row.samples.median();
        let end = scale.place(seconds);
        let corners = [(BARS[0], y - HALF_BAR), (end, y + HALF_BAR)];
        let fill = colour(row.about.kind).filled();
        self.canvas.draw(&Rectangle::new(corners, fill))?;
        let ratio = row.samples.ratio_to(&contest.own().samples);
        let ratio = number(ratio, if ratio < 10.0 { 2 } else { 0 });
        let seconds = format!("{} s", significant(seconds));
        self.write(row.name(), (BARS[0] - 12, y), HPos::Right, SMALL_SIZE, INK)?;
        self.write(seconds, (end + 10, y), HPos::Left, SMALL_SIZE, INK)?;
        self.write(
            ratio,
            (WIDTH - MARGIN, y),
            HPos::Right,
            SMALL_SIZE,
            FAINT_INK,
        )
    }

    fn notes(&self, report: &Report) -> Drawn {
        let rounds = report.contest.rounds;
        let notes = [
            format!(
                "Medians of {rounds} interleaved rounds, start-up not included; the scale is logarithmic."
            ),
            format!(
                "Published with the post, on its author's laptop, not measured here: {}.",
                Report::published()
            ),
        ];
        for (note, y) in notes.into_iter().zip([58, 86]) {
            let place = (MARGIN, self.bottom + y);
            self.write(note, place, HPos::Left, SMALL_SIZE, FAINT_INK)?;
        }
        Ok(())
    }

    /// A line beside all bars.
    fn vertical(&self, x: i32, top: i32, style: ShapeStyle) -> Drawn {
        let line = PathElement::new([(x, top), (x, self.bottom + 4)], style);
        self.canvas.draw(&line)
    }

    /// Text in one line, its middle at the height of a place.
    fn write(
        &self,
        text: String,
        place: (i32, i32),
        side: HPos,
        size: i32,
        ink: RGBColor,
    ) -> Drawn {
        let style = (FONT, size)
            .into_font()
            .color(&ink)
            .pos(Pos::new(side, VPos::Center));
        self.canvas.draw(&Text::new(text, place, style))
    }
}

fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Own => BLUE,
        Kind::Plain => GREEN,
        Kind::Peer => GREY,
    }
}
