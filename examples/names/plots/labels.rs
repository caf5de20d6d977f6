//! Places for letters beside their dots, so that none hides another, though consonants crowd together.
//!
//! Every letter in turn takes the cheapest of some places around its dot, given all dots and the places of all other
//! letters; a few rounds of that, and none moves any more.

use std::f64::consts::TAU;
use std::ops::Range;

/// A place on the canvas, in pixels.
pub(crate) type Point = (f64, f64);

/// From a dot to its letter.
type Line = [Point; 2];

/// Radius of a dot.
pub(crate) const DOT: i32 = 6;
const DOT_ROOM: f64 = DOT as f64 + 1.0;
/// Radius of the room that a letter takes.
const LETTER_ROOM: f64 = 13.0;
/// A letter keeps so far from the dots of others, so that nobody takes it for theirs.
const FOREIGN: f64 = 28.0;
/// Distances of a letter from its dot, nearest first. From the second on, a line joins them.
const DISTANCES: [f64; 8] = [20.0, 31.0, 42.0, 55.0, 70.0, 86.0, 103.0, 122.0];
const DIRECTIONS: u32 = 32;
const ROUNDS: usize = 16;
/// What a pixel of overlap costs, in pixels of distance.
const OVERLAP: f64 = 20.0;
/// What two lines that cross cost, likewise.
const CROSSING: f64 = 150.0;

/// A place for the letter of each dot, inside a frame.
pub(crate) fn place(dots: &[Point], frame: &[Range<f64>; 2]) -> Vec<Point> {
    let mut lines: Vec<Line> = dots.iter().map(|&dot| [dot, dot]).collect();
    for _ in 0..ROUNDS {
        for index in 0..lines.len() {
            lines[index][1] = cheapest(index, &lines, frame);
        }
    }
    lines.iter().map(|line| line[1]).collect()
}

/// The cheapest place for one letter as the others are now.
fn cheapest(index: usize, lines: &[Line], frame: &[Range<f64>; 2]) -> Point {
    let [dot, _] = lines[index];
    let mut best = (f64::INFINITY, dot);
    for (price, place) in around(dot) {
        let others = lines.iter().enumerate().filter(|other| other.0 != index);
        let conflicts: f64 = others.map(|other| conflict([dot, place], *other.1)).sum();
        let cost = price + OVERLAP * beyond(place, frame) + conflicts;
        if cost < best.0 {
            best = (cost, place);
        }
    }
    best.1
}

/// The line to be drawn between a dot and its letter, ending short of both; none where they are neighbours.
pub(crate) fn line(dot: Point, letter: Point) -> Option<Line> {
    let length = length([dot, letter]);
    (length > DISTANCES[0] + 1.0).then(|| {
        [DOT_ROOM, length - LETTER_ROOM].map(|way| {
            let part = way / length;
            let between = |a: f64, b: f64| a + (b - a) * part;
            (between(dot.0, letter.0), between(dot.1, letter.1))
        })
    })
}

/// Places around a dot, each with its price: the distance, and a trifle that prefers the right-hand side.
fn around((x, y): Point) -> impl Iterator<Item = (f64, Point)> {
    DISTANCES.into_iter().flat_map(move |distance| {
        (0..DIRECTIONS).map(move |direction| {
            let (sin, cos) = (TAU * f64::from(direction) / f64::from(DIRECTIONS)).sin_cos();
            (distance - cos, (x + distance * cos, y + distance * sin))
        })
    })
}

/// How much of a letter is beyond the frame.
fn beyond((x, y): Point, [width, height]: &[Range<f64>; 2]) -> f64 {
    let distances = [
        x - width.start,
        width.end - x,
        y - height.start,
        height.end - y,
    ];
    distances
        .into_iter()
        .map(|distance| missing(distance, LETTER_ROOM))
        .sum()
}

/// The cost of two lines with their dots and letters being in each other's way.
fn conflict(a: Line, b: Line) -> f64 {
    let overlap = missing(length([a[1], b[1]]), 2.0 * LETTER_ROOM)
        + missing(to_line(a[1], b), LETTER_ROOM)
        + missing(to_line(b[1], a), LETTER_ROOM)
        + missing(length([a[1], b[0]]), FOREIGN)
        + missing(length([a[0], b[1]]), FOREIGN)
        + missing(to_line(a[0], b), DOT_ROOM)
        + missing(to_line(b[0], a), DOT_ROOM);
    OVERLAP * overlap + if cross(a, b) { CROSSING } else { 0.0 }
}

/// By how much a distance falls short.
fn missing(distance: f64, wanted: f64) -> f64 {
    (wanted - distance).max(0.0)
}

fn length([a, b]: Line) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// The distance from a point to the nearest point of a line.
fn to_line(point: Point, line: Line) -> f64 {
    let [start, end] = line;
    let along = (end.0 - start.0, end.1 - start.1);
    let projection = (point.0 - start.0) * along.0 + (point.1 - start.1) * along.1;
    let part = (projection / length(line).powi(2).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    length([point, (start.0 + part * along.0, start.1 + part * along.1)])
}

/// Whether two lines cross: the ends of each lie on either side of the other.
fn cross(a: Line, b: Line) -> bool {
    let side = |[start, end]: Line, point: Point| {
        (end.0 - start.0) * (point.1 - start.1) - (end.1 - start.1) * (point.0 - start.0)
    };
    let apart = |line: Line, [start, end]: Line| side(line, start) * side(line, end) < 0.0;
    apart(a, b) && apart(b, a)
}
