//! Shapes of programs that train in the background of something else: control, regression, yes or no.

mod case;

use std::path::Path;
use std::time::Duration;

use fused_mlp::model::HiddenLayers;
use fused_mlp::{Backend, Binary, Regression, Relu, Softmax, Tanh};

use super::{Repeat, Section};
use crate::support::effort::Effort;
use crate::support::peers::{self, Answers, Spec};
use crate::support::rounds::{Samples, interleave};
use crate::support::table::{Table, grouped, number};
use crate::support::{fma_peak, fraction, native};
use case::{Case, FeatureHead, case};

/// The least and the most steps at a time, about as many as make so many multiply-adds: a few
/// milliseconds, so that all turns of a round meet the same clock, and the first steps, which find the
/// caches emptied by others, are few among them.
const STEPS: [usize; 2] = [40, 400];
const SLICE: usize = 60_000_000;
const ROUNDS: usize = 60;
/// Peers take part in every third round: most of them take a hundred times as long.
const PEERS_EVERY: usize = 3;
/// How far the loss of a peer may be from this crate's after the steps of a slice: both start from
/// the same parameters and are given the same batches.
const AGREEMENT: f64 = 1e-4;

/// A model of features by its widths, and the length of its batches.
struct Shape {
    head: &'static str,
    activation: &'static str,
    widths: &'static [usize],
    batch: usize,
    case: fn(&'static Self) -> Box<dyn Case>,
}

static SHAPES: [Shape; 11] = [
    shape::<4, (Tanh<64>, Tanh<64>), Softmax<2>>("tanh", &[4, 64, 64, 2], 64),
    shape::<4, (Tanh<64>, Tanh<64>), Softmax<2>>("tanh", &[4, 64, 64, 2], 256),
    shape::<8, (Tanh<64>, Tanh<64>), Regression<1>>("tanh", &[8, 64, 64, 1], 64),
    shape::<8, (Tanh<64>, Tanh<64>), Regression<1>>("tanh", &[8, 64, 64, 1], 256),
    shape::<8, Tanh<64>, Regression<2>>("tanh", &[8, 64, 2], 32),
    shape::<8, Tanh<64>, Regression<2>>("tanh", &[8, 64, 2], 64),
    shape::<8, Tanh<256>, Regression<1>>("tanh", &[8, 256, 1], 32),
    shape::<8, Tanh<256>, Regression<1>>("tanh", &[8, 256, 1], 64),
    shape::<21, Tanh<32>, Binary>("tanh", &[21, 32, 1], 64),
    shape::<30, (Relu<128>, Relu<128>), Softmax<27>>("relu", &[30, 128, 128, 27], 64),
    shape::<768, Relu<32>, Regression<1>>("relu", &[768, 32, 1], 64),
];

const fn shape<const FEATURES: usize, L: HiddenLayers, H: FeatureHead>(
    activation: &'static str,
    widths: &'static [usize],
    batch: usize,
) -> Shape {
    Shape {
        head: H::NAME,
        activation,
        widths,
        batch,
        case: case::<FEATURES, L, H>,
    }
}

impl Shape {
    /// Those of one step that its result needs: a product forward for each layer, and two backward, but for the gradient of the
    /// features.
    fn multiply_adds(&self) -> usize {
        let weights: usize = self.widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
        self.batch * (3 * weights - self.widths[0] * self.widths[1])
    }

    fn widths(&self) -> String {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        widths.join("-")
    }

    /// `8-64-2-b32`
    fn name(&self) -> String {
        format!("{}-b{}", self.widths(), self.batch)
    }
}

/// What a shape's turns came to, in seconds a step.
struct Row {
    shape: &'static Shape,
    /// For each backend: the step, and its multiply-adds alone.
    own: Vec<[Samples; 2]>,
    /// One for each peer; without a sample where it was refused.
    peers: Vec<Samples>,
}

/// One table for each backend with instructions of its own.
pub(crate) fn measure(effort: Effort) -> Vec<Section> {
    let backends: Vec<Backend> = native().collect();
    let (installed, missing): (Vec<Spec>, Vec<Spec>) = match effort {
        Effort::Measure => peers::that_answer(Answers::Features)
            .into_iter()
            .partition(Spec::is_installed),
        Effort::Test => (Vec::new(), Vec::new()),
    };
    let mut notes: Vec<String> = missing
        .into_iter()
        .map(|Spec { id, get, .. }| format!("{id} is not installed (`{get}` in `benches/peers`)."))
        .collect();
    let rows = SHAPES
        .each_ref()
        .map(|shape| row(shape, &backends, &installed, effort, &mut notes));
    let sections = backends.iter().enumerate();
    sections
        .map(|(at, backend)| section(*backend, at, &rows, &installed, &notes))
        .collect()
}

/// Takes the turns of one shape, and notes which peers cannot take part.
fn row(
    shape: &'static Shape,
    backends: &[Backend],
    peers: &[Spec],
    effort: Effort,
    notes: &mut Vec<String>,
) -> Row {
    let [least, most] = STEPS;
    let steps = effort.steps(SLICE.div_ceil(shape.multiply_adds()).clamp(least, most));
    let case = (shape.case)(shape);
    let mut turns: Vec<Option<Repeat>> = Vec::new(); // none where a peer was refused
    for &backend in backends {
        let multiply_adds = shape.multiply_adds();
        turns.push(Some(case.start(backend)));
        turns.push(Some(Box::new(move |steps| {
            fma_peak(backend, steps * multiply_adds)
        })));
    }
    if !peers.is_empty() {
        let folder = case.write_peer_data(steps);
        let folder = folder.expect("the target directory can be written to");
        let expected = case.loss_after(steps);
        for spec in peers {
            eprintln!("starting {} at {}", spec.id, shape.name());
            turns.push(match start(spec, &folder, steps, expected) {
                Ok((about, run)) => {
                    if !notes.contains(&about) {
                        notes.push(about);
                    }
                    Some(run)
                }
                Err(reason) => {
                    notes.push(format!(
                        "Without {} at {}: {reason}.",
                        spec.id,
                        shape.name()
                    ));
                    None
                }
            });
        }
    }
    let mut turns: Vec<(usize, Option<Repeat>)> = (0..).zip(turns).collect();
    let of_own = 2 * backends.len();
    let mut samples = interleave(effort.rounds(ROUNDS), &mut turns, |(turn, run), round| {
        if *turn >= of_own && !round.is_multiple_of(PEERS_EVERY) {
            return None;
        }
        Some(run.as_mut()?(steps).as_secs_f64() / fraction(steps, 1))
    });
    let peers = samples.split_off(of_own);
    let (own, _) = samples.as_chunks::<2>();
    Row {
        shape,
        own: own.to_vec(),
        peers,
    }
}

/// Starts a peer, throws its first run away, and tells what it is.
fn start(
    spec: &Spec,
    data: &Path,
    steps: usize,
    expected: f64,
) -> Result<(String, Repeat), String> {
    let mut peer = spec.start(data, steps)?;
    let about = format!("{}: {}.", spec.id, peer.description);
    let mut train = move || {
        let (seconds, loss) = peer.train()?;
        match (loss - expected).abs() <= AGREEMENT {
            true => Ok(Duration::from_secs_f64(seconds)),
            false => Err(format!("its loss is {loss:.6}, this crate's {expected:.6}")),
        }
    };
    train()?;
    let id = spec.id.clone();
    let run = move |_| train().unwrap_or_else(|reason: String| panic!("{id}: {reason}"));
    Ok((about, Box::new(run)))
}

fn section(backend: Backend, at: usize, rows: &[Row], peers: &[Spec], notes: &[String]) -> Section {
    let header = [
        "head",
        "activation",
        "widths",
        "batch",
        "multiply-adds a step",
        "µs a step, 10th percentile",
        "median",
        "over the FMA peak, 10th percentile",
        "median",
    ];
    let ids = peers.iter().map(|spec| &*spec.id);
    let mut table = Table::new(header.into_iter().chain(ids));
    for Row { shape, own, peers } in rows {
        let [step, peak] = &own[at];
        let cells = [
            shape.head.into(),
            shape.activation.into(),
            shape.widths(),
            shape.batch.to_string(),
            grouped(shape.multiply_adds()),
            number(step.tenth() * 1e6, 2),
            number(step.median() * 1e6, 2),
            number(step.tenth() / peak.tenth(), 2),
            number(step.ratio_to(peak), 2),
        ];
        let ratios = peers.iter().map(|peer| number(peer.ratio_to(step), 2));
        table.push(cells.into_iter().chain(ratios));
    }
    let mut text =
        "Features, AdamW; batches drawn in the loop. Over the FMA peak: the time of a step over \
                    that of its multiply-adds alone, in the same round."
            .to_owned();
    if !peers.is_empty() {
        text += &format!(
            " The last columns are the times of other programs over this crate's, medians of the \
             ratios within a round. They train the same model from the same parameters, are given \
             their batches, and end within {AGREEMENT} of this crate's loss."
        );
    }
    if !notes.is_empty() {
        text += "\n";
    }
    for note in notes {
        text += &format!("\n- {note}");
    }
    Section {
        title: format!("Shapes of embedders on {backend}"),
        text,
        table,
    }
}
